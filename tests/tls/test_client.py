"""
Tests for L{dstwist.tls.client}. C{tests.e2e.test_redis_link} uses it with real servers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.file import FileText
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.errors import ConfigError
from dstwist.tls.client import client_tls, client_tls_problem
from tests.e2e.certificates import Authority, pem_of


class _End(Protocol):
    """
    Remembers why the connection has ended.
    """

    reason: Failure | None = None
    heard = b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.reason = reason


class ClientTests(SynchronousTestCase):
    """
    A client, and a server for C{redis.example}.
    """

    def setUp(self) -> None:
        self.authority = Authority()
        names = (x509.DNSName("redis.example"),)
        certificate, key = self.authority.issue(names=names)
        self.served = CertificateOptions(
            crypto.PKey.from_cryptography_key(key), crypto.X509.from_cryptography(certificate)
        )

    def problem(self, host: str, **options: Any) -> str | None:
        """
        Why a client does not connect to C{host}; C{None} if it does.
        """
        creator: Any = client_tls(RedisTlsSettings(**options), host, "cache.options.tls")
        clock = Clock()
        ends = []
        for context, is_client in ((creator, True), (self.served, False)):
            factory: Any = TLSMemoryBIOFactory(context, is_client, Factory.forProtocol(_End), clock=clock)
            end = factory.buildProtocol(None)
            end.makeConnection(StringTransport())
            ends.append(end)
        client, server = ends
        told = client.wrappedProtocol
        for end in ends:
            end.wrappedProtocol.transport.write(b"hello")
        for _ in range(10):
            clock.advance(0)
            for sender, receiver in ((client, server), (server, client)):
                data = sender.transport.value()
                sender.transport.clear()
                if data and not receiver.transport.disconnecting:
                    receiver.dataReceived(data)
        if told.heard:
            return None
        client.connectionLost(Failure(ConnectionError()))
        problem = client_tls_problem(told.reason.value)
        assert problem is not None
        return problem

    def test_verified(self) -> None:
        """
        The certificate of the server has to be of a known authority, and for the host.
        """
        self.assertIsNone(self.problem("redis.example", ca=self.authority.pem))
        self.assertIn("certificate verify failed (ca can name the", str(self.problem("redis.example")))
        self.assertIn("for another host", str(self.problem("other.example", ca=self.authority.pem)))
        self.assertIn("for another host", str(self.problem("10.0.0.1", ca=self.authority.pem)))

    def test_servername(self) -> None:
        """
        The settings may name the host.
        """
        self.assertIsNone(self.problem("10.0.0.1", ca=self.authority.pem, servername="redis.example"))
        self.assertIsNotNone(self.problem("redis.example", ca=self.authority.pem, servername="other.example"))

    def test_unverified(self) -> None:
        """
        With verification off, every server will do.
        """
        self.assertIsNone(self.problem("10.0.0.1", reject_unauthorized=False))
        self.assertIsNone(self.problem("10.0.0.1", reject_unauthorized=False, servername="x.example"))

    def test_several_authorities(self) -> None:
        """
        There may be several authorities in a file.
        """
        self.assertIsNone(self.problem("redis.example", ca=Authority("other").pem + self.authority.pem))

    def test_newer_file(self) -> None:
        """
        Files are read for each connection.
        """
        path = Path(self.mktemp())
        path.write_text(Authority("other").pem)
        ca = FileText(path.read_text(), str(path))
        self.assertIsNotNone(self.problem("redis.example", ca=ca))
        path.write_text(self.authority.pem)
        self.assertIsNone(self.problem("redis.example", ca=ca))
        path.unlink()
        self.assertRaises(ConfigError, self.problem, "redis.example", ca=ca)

    def test_refused_settings(self) -> None:
        """
        The error names the option that cannot be used.
        """
        certificate, _ = self.authority.issue()
        _, other_key = self.authority.issue()
        for options, path in (
            ({"ca": "nothing"}, "cache.options.tls.ca"),
            ({"cert": "nothing", "key": pem_of(other_key)}, "cache.options.tls.cert"),
            ({"cert": pem_of(certificate), "key": "nothing"}, "cache.options.tls.key"),
            ({"cert": pem_of(certificate), "key": pem_of(other_key)}, "do not belong together"),
        ):
            error = self.assertRaises(ConfigError, self.problem, "redis.example", **options)
            self.assertIn(path, str(error))

    def test_other_end(self) -> None:
        """
        A connection that ends for another reason has no problem with TLS.
        """
        self.assertIsNone(client_tls_problem(ConnectionError()))
        self.assertEqual(
            client_tls_problem(SSL.Error([("ssl", "", "wrong version number")])), "TLS: wrong version number"
        )
