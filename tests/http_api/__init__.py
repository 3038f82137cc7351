"""
Tests for L{dstwist.http_api}.
"""
