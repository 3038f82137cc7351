"""
Tests for L{dstwist.process}.
"""
