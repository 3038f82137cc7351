"""
Thin layers over Autobahn and twisted.web: they move bytes and decide nothing.
"""
