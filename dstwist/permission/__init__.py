"""
Permissions: they decide which requests of clients are allowed.
"""
