"""
The wire protocols of both client generations, sans-IO: bytes in, messages out, and back.

Nothing in here imports a socket, a reactor or a clock, and nothing raises on input, whatever the bytes.
"""
