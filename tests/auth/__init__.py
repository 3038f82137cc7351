"""
Tests for L{dstwist.auth}.
"""
