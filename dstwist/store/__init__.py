"""
Where records are kept.
"""
