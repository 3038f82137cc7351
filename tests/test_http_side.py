"""
Tests for L{dstwist.http_side}. L{tests.http_api.test_handlers} has those of its ports.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.http_server import HttpSettings, SslSettings
from dstwist.config.settings import Settings
from dstwist.http_side import OwnPort
from dstwist.node import Node
from tests.e2e.certificates import Authority, pem_of
from tests.logs import Lines


class OwnPortTests(SynchronousTestCase):
    """
    Ports of endpoints.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def node(self, *apis: HttpEndpoint, **http: Any) -> Node:
        endpoint = TCP4ServerEndpoint(self.reactor, 6020)
        settings = Settings(endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), *apis), http=HttpSettings(**http))
        return Node(settings, [endpoint], self.reactor)

    def test_interface(self) -> None:
        """
        The endpoint listens with its own factory.
        """
        own, other = Factory(), Factory()
        endpoint = OwnPort(TCP4ServerEndpoint(self.reactor, 8080), own)
        verifyObject(IStreamServerEndpoint, endpoint)
        self.successResultOf(endpoint.listen(other))
        self.assertIs(self.reactor.tcpServers[0][1], own)

    def test_interfaces_of_ports(self) -> None:
        """
        A port is on the interface of the server, or on its own. Endpoints with the same port share it.
        """
        node = self.node(
            HttpEndpoint(port=8081, post_path="/a"),
            HttpEndpoint(port=8080, host="::1", post_path="/b"),
            HttpEndpoint(port=8080, post_path="/c", auth_path="/d"),
            host="127.0.0.1",
        )
        node.bind()
        bound = [(port, interface) for port, _, _, interface in self.reactor.tcpServers]
        self.assertEqual(bound[1:], [(8080, "::1"), (8081, "127.0.0.1")])

    def test_log(self) -> None:
        """
        The log says where the API is.
        """
        lines = Lines(self)
        node = self.node(HttpEndpoint(), HttpEndpoint(port=8080, post_path="/"))
        node.startService()
        self.assertIn("INFO | Listening for HTTP requests on path /api", lines.of("info"))
        self.assertIn("INFO | Listening for HTTP requests on path / of port 8080", lines.of("info"))
        node.stopService()

    def test_tls(self) -> None:
        """
        A port of its own has the TLS of the server; its certificate is read again like all others.
        """
        certificate, key = Authority().issue()
        ssl = SslSettings(key=pem_of(key), cert=pem_of(certificate))
        node = self.node(HttpEndpoint(port=8080), ssl=ssl)
        self.assertEqual(len(node.http.certificates), 1)
        node.bind()
        self.assertEqual(cast(Any, self.reactor.tcpServers[1][1]).__class__.__name__, "TlsFactory")
