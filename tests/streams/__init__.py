"""
Tests for L{dstwist.streams}.
"""
