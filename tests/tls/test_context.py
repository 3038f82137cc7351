"""
Tests for L{dstwist.tls.context}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.http_server import SslSettings
from dstwist.errors import ConfigError
from dstwist.tls.certificates import ServerCertificate
from dstwist.tls.context import serve
from tests.e2e.certificates import Authority, pem_of
from tests.tls.handshakes import Pair, client_context


class TlsCase(SynchronousTestCase):
    """
    An authority, one below it, and a server's certificate of that.
    """

    root = Authority("root")
    middle = Authority("middle", root)
    certificate, key = middle.issue()
    settings = SslSettings(key=pem_of(key), cert=pem_of(certificate) + middle.pem)

    def connect(self, settings: SslSettings, context: SSL.Context | None = None, **kwargs: Any) -> Pair:
        context = context or client_context(self.root.certificate, **kwargs)
        return Pair(ServerCertificate(settings, "ssl"), context)

    def refusal(self, **changes: Any) -> str:
        return str(self.assertRaises(ConfigError, serve, replace(self.settings, **changes), "ssl"))


class ChainTests(TlsCase):
    """
    Key and certificates, in the forms that people have them in.
    """

    def chain(self, settings: SslSettings) -> list[str]:
        pair = self.connect(settings)
        found: Any = pair.client.get_peer_cert_chain()
        return [certificate.to_cryptography().subject.rfc4514_string() for certificate in found]

    def test_full_chain(self) -> None:
        """
        privkey.pem and fullchain.pem, as Let's Encrypt has them: the whole chain is sent, and verified by the client.
        """
        self.assertEqual(self.chain(self.settings), ["CN=localhost", "CN=middle"])

    def test_ca(self) -> None:
        """
        The rest of the chain may be in ca.
        """
        settings = replace(self.settings, cert=pem_of(self.certificate), ca=self.middle.pem)
        self.assertEqual(self.chain(settings), ["CN=localhost", "CN=middle"])

    def test_any_order(self) -> None:
        """
        The order of the certificates does not matter: the server's own is the one of the key, and the others follow in
        the order in which they were signed.
        """
        lowest = Authority("lowest", self.middle)
        certificate, key = lowest.issue()
        pems = [self.middle.pem, pem_of(certificate), lowest.pem]
        settings = SslSettings(key=pem_of(key), cert="".join(pems))
        self.assertEqual(self.chain(settings), ["CN=localhost", "CN=lowest", "CN=middle"])

    def test_one_file(self) -> None:
        """
        Key and certificates may be in one file, with words in between.
        """
        both = "Bag Attributes: \xe4\n" + self.settings.cert + "words\n" + self.settings.key
        self.assertEqual(self.chain(SslSettings(key=both, cert=both)), ["CN=localhost", "CN=middle"])

    def test_incomplete(self) -> None:
        """
        Without the certificate in between the client cannot verify the server.
        """
        settings = replace(self.settings, cert=pem_of(self.certificate))
        self.assertRaises(SSL.Error, self.connect, settings)

    def test_encrypted_key(self) -> None:
        """
        The key may be encrypted, in the newer format and in OpenSSL's older one.
        """
        old = self.key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"open sesame")
        ).decode()
        for key in (pem_of(self.key, b"open sesame"), old):
            self.connect(replace(self.settings, key=key, passphrase="open sesame"))
            self.assertIn("ssl.key: the private key is encrypted; passphrase", self.refusal(key=key))
            error = self.refusal(key=key, passphrase="open says me")
            self.assertIn("is the passphrase right?", error)
            self.assertNotIn("open says me", error)

    def test_rsa(self) -> None:
        """
        RSA keys in their oldest format do as well.
        """
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        certificate = self.root.sign(key.public_key())
        pair = self.connect(SslSettings(key=pem, cert=pem_of(certificate)))
        self.assertEqual(pair.shown, certificate)

    def test_mismatch(self) -> None:
        """
        A key that is of none of the certificates is refused.
        """
        _, other = self.root.issue()
        self.assertIn("ssl: key and cert do not belong together", self.refusal(key=pem_of(other)))

    def test_broken(self) -> None:
        """
        A text that is no key or no certificate is refused, and the error names the option.
        """
        self.assertIn("ssl.key: there is no private key in it", self.refusal(key=self.settings.cert))
        self.assertIn("ssl.cert: there is no certificate in it", self.refusal(cert=self.settings.key))
        broken = self.settings.key[:60] + "%%%" + self.settings.key[63:]
        self.assertIn("ssl.key: the private key cannot be read", self.refusal(key=broken))
        for damaged in (self.settings.cert[:99] + "%%%" + self.settings.cert[102:], self.settings.cert[:99] + "\xff"):
            self.assertIn("ssl.cert: ", self.refusal(cert=damaged))

    def test_description(self) -> None:
        """
        Whose certificate it is, under which names, who signed it and how long it is good can be told in a line.
        """
        self.assertRegex(
            serve(self.settings, "ssl").describe(),
            r"^CN=localhost \(DNS:localhost, IP:127\.0\.0\.1\), issued by CN=middle, valid until \d{4}-\d\d-\d\d "
            r"\d\d:\d\d UTC$",
        )


class ProtocolTests(TlsCase):
    """
    Which TLS it is that is spoken.
    """

    def version(self, settings: SslSettings, newest: int, oldest: int | None = None) -> str:
        pair = self.connect(settings, newest=newest, oldest=oldest)
        self.assertEqual(pair.say(b"hello"), b"hello")
        return str(pair.client.get_protocol_version_name())

    def test_versions(self) -> None:
        """
        TLS 1.2 and 1.3 are spoken, the older ones are not.
        """
        self.assertEqual(self.version(self.settings, SSL.TLS1_3_VERSION), "TLSv1.3")
        self.assertEqual(self.version(self.settings, SSL.TLS1_2_VERSION), "TLSv1.2")
        for old in (SSL.TLS1_1_VERSION, SSL.TLS1_VERSION):
            error = self.assertRaises(SSL.Error, self.version, self.settings, old, SSL.TLS1_VERSION)
            self.assertRegex(str(error), "unsupported protocol|protocol version|no protocols available")

    def test_min_version(self) -> None:
        """
        minVersion: TLSv1.3 leaves nothing but that.
        """
        settings = replace(self.settings, min_version="TLSv1.3")
        self.assertEqual(self.version(settings, SSL.TLS1_3_VERSION), "TLSv1.3")
        self.assertRaises(SSL.Error, self.version, settings, SSL.TLS1_2_VERSION)

    def ciphers(self, ciphers: str | None) -> set[str]:
        """
        The names of all ciphers that can come about, among those that a client knows.
        """
        found = set()
        names = SSL.Connection(client_context(self.root.certificate), None).get_cipher_list()
        certificate = ServerCertificate(replace(self.settings, ciphers=ciphers), "ssl")
        for name in names:
            newer = name.startswith("TLS_")
            context = client_context(self.root.certificate, newest=None if newer else SSL.TLS1_2_VERSION)
            if newer:
                context.set_tls13_ciphersuites(name.encode())
                context.set_min_proto_version(SSL.TLS1_3_VERSION)
            else:
                context.set_cipher_list(name.encode() + b":@SECLEVEL=0")
            try:
                found.add(str(Pair(certificate, context).client.get_cipher_name()))
            except SSL.Error:
                continue
        return found

    def test_ciphers(self) -> None:
        """
        Only ciphers with forward secrecy and authenticated encryption come about.
        """
        found = self.ciphers(None)
        self.assertIn("TLS_AES_128_GCM_SHA256", found)
        self.assertIn("ECDHE-ECDSA-AES128-GCM-SHA256", found)
        for name in found:
            self.assertRegex(name, "^(TLS|ECDHE-ECDSA)[_-].*(GCM|POLY1305)")

    def test_chosen_ciphers(self) -> None:
        """
        The operator may choose others, for each of the two versions.
        """
        self.assertEqual(
            self.ciphers("ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384"),
            {"ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_AES_256_GCM_SHA384"},
        )

    def test_bad_ciphers(self) -> None:
        """
        Ciphers that there are not, and those that protect nothing, are refused.
        """
        self.assertIn("ssl.ciphers: OpenSSL does not know them", self.refusal(ciphers="ROT13"))
        self.assertIn("ssl.ciphers: OpenSSL does not know them", self.refusal(ciphers="TLS_ROT13"))
        self.assertRegex(self.refusal(ciphers="aNULL:@SECLEVEL=0"), r"ssl\.ciphers: A\w+-\S+ protects nothing")

    def test_idle(self) -> None:
        """
        A connection that is idle gives its buffers back: that halves its memory.
        """
        mode = serve(self.settings, "ssl").context.set_mode(0)
        self.assertTrue(mode & SSL.MODE_RELEASE_BUFFERS)

    def test_alpn(self) -> None:
        """
        A client that asks is told that http/1.1 is spoken; one that speaks only something else is told nothing.
        """
        for offered, chosen in (([b"h2", b"http/1.1"], b"http/1.1"), ([b"h2"], b""), ([], b"")):
            context = client_context(self.root.certificate)
            if offered:
                context.set_alpn_protos(offered)
            self.assertEqual(self.connect(self.settings, context).client.get_alpn_proto_negotiated(), chosen)

    def test_renegotiation(self) -> None:
        """
        A client that wants to begin anew in the middle of a connection, which costs the server most, is refused.
        """
        pair = self.connect(self.settings, newest=SSL.TLS1_2_VERSION)
        pair.client.renegotiate()
        try:
            pair.client.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            self.assertEqual(pair.say(b"hello"), b"")
        except SSL.Error:
            pass
        self.assertEqual(pair.server.total_renegotiations(), 0)


class ClientCertificateTests(TlsCase):
    """
    C{requestCert}: clients show a certificate.
    """

    clients = Authority("clients")

    def asking(self, **changes: Any) -> SslSettings:
        return replace(self.settings, request_cert=True, client_ca=self.clients.pem, **changes)

    def try_with(
        self, own: Any, versions: tuple[int, ...] = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION), **changes: Any
    ) -> Any:
        """
        The subject and the problem of a client with the certificate C{own}, the same in all versions.
        """
        found = set()
        for version in versions:
            context = client_context(self.root.certificate, own, newest=version)
            server = self.connect(self.asking(**changes), context).server
            peer = server.get_peer_certificate()
            subject = peer and peer.to_cryptography().subject.rfc4514_string()
            found.add((subject, server.problem is None))
        (result,) = found
        return result

    def assertRefused(self, own: Any, reason: str, **changes: Any) -> None:
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            error = self.assertRaises(SSL.Error, self.try_with, own, (version,), **changes)
            self.assertRegex(str(error), reason)

    def test_accepted(self) -> None:
        """
        A certificate of the authority is good.
        """
        self.assertEqual(self.try_with(self.clients.issue("ann", (), client=True)), ("CN=ann", True))

    def test_refused(self) -> None:
        """
        No certificate, one of another authority, of the right name even, one that has expired, and one for servers are
        refused in the handshake.
        """
        self.assertRefused(None, "peer did not return a certificate|certificate required")
        self.assertRefused(Authority("clients").issue("ann", (), client=True), "verify failed|unknown ca")
        self.assertRefused(self.root.issue("ann", (), client=True), "verify failed|unknown ca")
        self.assertRefused(self.clients.issue("ann", (), days=-1, client=True), "verify failed|expired")
        self.assertRefused(self.clients.issue("ann", ()), "verify failed|unsupported certificate")

    def test_not_strict(self) -> None:
        """
        Without rejectUnauthorized all of them come in, and the server knows which certificate is no good.
        """
        good = self.clients.issue("ann", (), client=True)
        bad = Authority("clients").issue("ann", (), client=True)
        self.assertEqual(self.try_with(None, reject_unauthorized=False), (None, True))
        self.assertEqual(self.try_with(good, reject_unauthorized=False), ("CN=ann", True))
        self.assertEqual(self.try_with(bad, reject_unauthorized=False), ("CN=ann", False))

    def test_not_asked(self) -> None:
        """
        A server that does not ask learns nothing, and does not mind.
        """
        own = self.clients.issue("ann", (), client=True)
        pair = self.connect(self.settings, own=own)
        self.assertIsNone(pair.server.get_peer_certificate())

    def test_revoked(self) -> None:
        """
        A certificate on its authority's list of revoked ones is refused, the others are not.
        """
        ann, bob = (self.clients.issue(name, (), client=True) for name in ("ann", "bob"))
        crl = self.clients.revoke(ann[0])
        self.assertRefused(ann, "verify failed|revoked", client_crl=crl)
        self.assertEqual(self.try_with(bob, client_crl=crl), ("CN=bob", True))

    def test_broken_options(self) -> None:
        """
        An authority or a list that cannot be read is refused at the start.
        """
        both = {"request_cert": True, "client_ca": self.clients.pem}
        self.assertIn("ssl.clientCa: there is no cert", self.refusal(**{**both, "client_ca": self.settings.key}))
        self.assertIn("ssl.clientCrl: a list cannot", self.refusal(**both, client_crl=self.settings.key))

    def test_no_resumption(self) -> None:
        """
        A session of a client whose certificate was no good cannot be taken up again as if it had been good.
        """
        bad = Authority("clients").issue("ann", (), client=True)
        certificate = ServerCertificate(self.asking(reject_unauthorized=False), "ssl")
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            context = client_context(self.root.certificate, bad, newest=version)
            first = Pair(certificate, context)
            second = Pair(certificate, context, first.client.get_session())
            self.assertIsNotNone(second.server.problem)
