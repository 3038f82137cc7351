"""
TLS in memory: handshakes between a server's connection and a client made of OpenSSL, without a socket.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto

from dstwist.tls.certificates import ServerCertificate


def client_context(
    authority: x509.Certificate,
    own: tuple[x509.Certificate, Any] | None = None,
    newest: int | None = None,
    oldest: int | None = None,
) -> SSL.Context:
    """
    The context of a client that trusts C{authority}.

    @param own: its certificate and key.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(crypto.X509.from_cryptography(authority))
    context.set_verify(SSL.VERIFY_PEER)
    if own is not None:
        context.use_certificate(own[0])
        context.use_privatekey(own[1])
    if newest is not None:
        context.set_max_proto_version(newest)
    # Libraries may refuse the older versions themselves; here it is the server that is to.
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    if oldest is not None:
        context.set_min_proto_version(oldest)
    return context


class Pair:
    """
    A client and a server that talk to each other.

    @raise SSL.Error: either side refused.
    """

    def __init__(self, certificate: ServerCertificate, context: SSL.Context, session: Any = None) -> None:
        self.server = certificate.serverConnectionForTLS(None)
        self.server.set_accept_state()
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()
        if session is not None:
            self.client.set_session(session)
        self._greet()

    @property
    def shown(self) -> x509.Certificate:
        """
        The certificate that the client has seen.
        """
        found: Any = self.client.get_peer_certificate()
        certificate: x509.Certificate = found.to_cryptography()
        return certificate

    def say(self, data: bytes) -> bytes:
        """
        Send C{data} to the server; what arrives there.
        """
        self.client.send(data)
        self._move()
        received: bytes = self.server.recv(65536)
        return received

    def _greet(self) -> None:
        done = {self.client: False, self.server: False}
        for _ in range(10):
            for side in done:
                if not done[side]:
                    try:
                        side.do_handshake()
                        done[side] = True
                    except SSL.WantReadError:
                        pass
                self._move()
            if all(done.values()):
                break
        # In TLS 1.3 the client thinks it is through before the server has judged its certificate.
        try:
            self.client.recv(1)
        except SSL.WantReadError:
            pass

    def _move(self) -> None:
        for source, target in ((self.client, self.server), (self.server, self.client)):
            try:
                target.bio_write(source.bio_read(1 << 20))
            except SSL.WantReadError:
                pass
