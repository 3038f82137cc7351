"""
TLS: from PEM texts to OpenSSL (L{.context}), certificates that change while the server runs (L{.certificates}), the
connections of a port (L{.transport}), and connections to other servers (L{.client}).
"""
