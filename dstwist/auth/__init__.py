"""
Who may connect.
"""
