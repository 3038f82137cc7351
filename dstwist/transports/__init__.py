"""
Thin layers over Autobahn and twisted.web: from sockets to payloads, and from frames to sockets. They decide only what
concerns the transport: which page may connect, which protocol a client speaks, and when a socket is closed.
"""
