"""
TLS: from PEM texts to OpenSSL (L{.context}), certificates that change while the server runs (L{.certificates}), and
connections to other servers (L{.client}).
"""
