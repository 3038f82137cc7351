"""
TLS: from PEM texts to OpenSSL (L{.context}), and certificates that change while the server runs (L{.certificates}).
"""
