"""
Tests for L{dstwist.endpoints}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.http_server import HttpSettings
from dstwist.endpoints import DEFAULT_BACKLOG, configured_endpoint, described_endpoint
from dstwist.errors import ConfigError
from dstwist.tls.transport import TlsEndpoint
from dstwist.transports.ports import LateTcpPort, Ports
from tests.e2e.certificates import make_certificates
from tests.transports.test_ports import StillReactor


class Taker(Protocol):
    """
    Keeps who is at the other end once something has arrived.
    """

    received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class DescriptionTests(SynchronousTestCase):
    """
    Descriptions after C{--listen}.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        directory = Path(str(self.mktemp())).absolute()
        directory.mkdir()
        self.files = make_certificates(directory)
        self.tls = f"privateKey={self.files.key}:certKey={self.files.chain}"

    def endpoint(self, description: str, **environ: str) -> Any:
        return described_endpoint(description, self.reactor, environ)

    def listen(self, description: str) -> tuple[Any, ...]:
        """
        The arguments for Twisted: port, factory, backlog, interface.
        """
        self.successResultOf(self.endpoint(description).listen(Factory.forProtocol(Taker)))
        (server,) = self.reactor.tcpServers
        self.reactor.tcpServers.clear()
        found: tuple[Any, ...] = server
        return found

    def refusal(self, description: str) -> str:
        return str(self.assertRaises(ConfigError, self.endpoint, description))

    def test_tls(self) -> None:
        """
        tls: and ssl: mean the same, and take what Twisted's own take.
        """
        for kind in ("tls", "ssl"):
            port, factory, backlog, interface = self.listen(f"{kind}:6020:interface=127.0.0.1:backlog=7:{self.tls}")
            self.assertEqual((port, backlog, interface), (6020, 7, "127.0.0.1"))
            self.assertIsInstance(factory, TLSMemoryBIOFactory)

    def test_backlog(self) -> None:
        """
        As many connections may wait as on the port of the configuration, unless the description says how many.
        """
        for description, expected in (
            ("tcp:6020", DEFAULT_BACKLOG),
            ("tcp:6020:interface=127.0.0.1", DEFAULT_BACKLOG),
            ("tcp:6020:127.0.0.1", DEFAULT_BACKLOG),
            ("tcp:6020:127.0.0.1:9", 9),
            ("tcp:6020:backlog=7:interface=127.0.0.1", 7),
            (r"tcp6:6020:interface=\:\:1", DEFAULT_BACKLOG),
            ("tcp6:6020:8", 8),
            ("haproxy:tcp:6020", DEFAULT_BACKLOG),
            ("haproxy:tcp:6020:backlog=7", 7),
            (f"tls:6020:{self.tls}", DEFAULT_BACKLOG),
            (f"haproxy:tls:6020:{self.tls}", DEFAULT_BACKLOG),
        ):
            self.assertEqual(self.listen(description)[2], expected, description)
        for description, expected in (
            (r"unix:/tmp/a\=b", DEFAULT_BACKLOG),
            ("unix:/tmp/a:mode=600", DEFAULT_BACKLOG),
            (r"unix:/tmp/a\=b:600:5", 5),
        ):
            self.successResultOf(self.endpoint(description).listen(Factory.forProtocol(Taker)))
            self.assertEqual(self.reactor.unixServers.pop()[2], expected, description)

    def test_tls_on_ipv6(self) -> None:
        """
        The interface may be one of IPv6; its colons have backslashes before them.
        """
        port, _, _, interface = self.listen(rf"tls:6020:interface=\:\:1:{self.tls}")
        self.assertEqual((port, interface), (6020, "::1"))

    def test_one_file(self) -> None:
        """
        Without certKey the certificate is in the same file.
        """
        both = self.files.key.with_name("both.pem")
        both.write_text(self.files.key.read_text() + self.files.chain.read_text())
        endpoint = self.endpoint(f"tls:6020:privateKey={both}")
        self.assertIn("CN=localhost", endpoint.certificate.served.describe())

    def test_reload(self) -> None:
        """
        The files are remembered, and can be read again.
        """
        endpoint = self.endpoint(f"tls:6020:{self.tls}")
        before = endpoint.certificate.served.chain
        make_certificates(self.files.key.parent)
        endpoint.certificate.reload()
        self.assertNotEqual(endpoint.certificate.served.chain, before)

    def test_real_reactor(self) -> None:
        """
        On a real reactor the port below TLS is one that listens later. The handshakes share the turns of that reactor
        with all else.
        """
        reactor = StillReactor()
        for prefix in ("", "haproxy:"):
            endpoint: Any = described_endpoint(f"{prefix}tls:0:interface=127.0.0.1:{self.tls}", reactor, {})
            self.assertIs(endpoint._clock, reactor)
            ports = Ports([endpoint], reactor)
            ports.bind(Factory())
            self.assertIsInstance(ports.listening[0], LateTcpPort)
            ports._close(ports.listening[:])
        for host in ("127.0.0.1", "::1"):
            configured: Any = configured_endpoint(HttpSettings(host=host, port=0), reactor)
            ports = Ports([configured], reactor)
            ports.bind(Factory())
            self.assertIsInstance(ports.listening[0], LateTcpPort)
            ports._close(ports.listening[:])

    def test_options(self) -> None:
        """
        Every option of httpServer.options.ssl can be given, by its name there.
        """
        self.files.key.with_name("a:b.pem").write_text(self.files.authority.read_text())
        escaped = str(self.files.key.with_name("a:b.pem")).replace(":", r"\:")
        endpoint = self.endpoint(
            f"tls:6020:{self.tls}:minVersion=TLSv1.3:requestCert=true:rejectUnauthorized=false:clientCa={escaped}"
            ":reloadInterval=500"
        )
        settings = endpoint.certificate._settings
        self.assertEqual(
            (settings.min_version, settings.request_cert, settings.reject_unauthorized, settings.reload_interval),
            ("TLSv1.3", True, False, 0.5),
        )
        self.assertEqual(settings.client_ca, self.files.authority.read_text())

    def test_refused(self) -> None:
        """
        A description that cannot be used is refused with its text and the problem.
        """
        for description, problem in [
            ("tcp:x", "the port is no number"),
            ("nonsense:1", "Unknown endpoint type: 'nonsense'"),
            ("tls:x:" + self.tls, "the port is no number"),
            ("tls:6020", "TLS needs privateKey and certKey"),
            ("tls:6020:privateKey=/nowhere.pem", ": privateKey: cannot read /nowhere.pem"),
            (f"tls:6020:{self.tls}:extraCertChain=/nowhere.pem", ": extraCertChain: cannot read /nowhere.pem"),
            ("6021", "did you mean tcp:6021?"),
            (":6021", "did you mean tcp:6021?"),
            ("127.0.0.1:6021", "did you mean tcp:6021:interface=127.0.0.1?"),
            ("localhost:6021", "did you mean tcp:6021:interface=127.0.0.1?"),
            ("[::1]:6021", "did you mean tcp6:6021:interface=\\:\\:1?"),
            ("udp:port=1", "expected one of tcp, tcp6, tls, ssl, unix, systemd, haproxy, such as tcp:6020"),
            (f"tls:6020:{self.tls}:minVersion=TLSv1", "expected one of TLSv1.2, TLSv1.3"),
            (f"tls:6020:{self.tls}:sslmethod=SSLv3_METHOD", "unknown option"),
            (f"tls:6020:{self.tls}:requestCert=yes", "expected true or false"),
            (f"tls:6020:privateKey={self.files.key}:certKey={self.files.key}", "there is no certificate in it"),
        ]:
            refusal = self.refusal(description)
            self.assertIn(f"--listen {description}", refusal)
            self.assertIn(problem, refusal)

    def test_secret(self) -> None:
        """
        A passphrase is not repeated in errors.
        """
        refusal = self.refusal(f"tls:6020:passphrase=open sesame:{self.tls}:nonsense=1")
        self.assertNotIn("sesame", refusal)
        self.assertIn("passphrase=...:privateKey", refusal)

    def test_others(self) -> None:
        """
        Everything else is Twisted's.
        """
        port, factory, _, _ = self.listen("haproxy:tcp:7000:interface=127.0.0.1")
        self.assertEqual((port, type(factory)), (7000, HAProxyWrappingFactory))
        self.assertNotIsInstance(self.endpoint("tcp:7000"), TlsEndpoint)

    def test_proxy_header_before_tls(self) -> None:
        """
        With haproxy:tls: the PROXY header comes before TLS and in clear, as HAProxy sends it, and tells who the client
        is.
        """
        _, factory, _, _ = self.listen(f"haproxy:tls:7000:{self.tls}")
        protocol: Any = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        # A server that is given nonsense for a greeting answers with an alert: what follows the header is TLS.
        protocol.dataReceived(b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n")
        self.assertEqual(transport.value(), b"")
        self.assertEqual(protocol.wrappedProtocol.getPeer().host, "192.0.2.7")
        protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(transport.disconnecting or transport.value()[:1] == b"\x15")
