"""
Tests for the load generator.
"""
