"""
Authenticators: they decide which clients may log in, and as which user.
"""
