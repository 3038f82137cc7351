"""
How nodes know of each other.
"""
