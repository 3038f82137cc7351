"""
The wire protocols of both client generations, sans-IO: from bytes to messages and back.

Always true: no module of this package imports a socket, a reactor or a clock, and no codec raises on any input.
"""
