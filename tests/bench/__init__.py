"""
Tests for the comparison with other servers in C{bench}.
"""
