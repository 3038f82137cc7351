"""
Tests for L{dstwist.redis}.
"""
