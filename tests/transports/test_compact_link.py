"""
Autobahn's protocol in less memory: nothing of it is lost.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.transports.compact_link import CompactLink, with_options
from dstwist.transports.websocket import WebSocketLink
from tests.nodes.client import MemoryClient

#: The attributes of a link that vary, and are not in slots.
MOST_OTHERS = 25


class CompactLinkTests(SynchronousTestCase):
    """
    L{CompactLink}, on a node.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.node = Node(Settings(), [], self.reactor)
        self.node.startService()
        self.addCleanup(self.node.stopService)
        self.client = MemoryClient(self.node, "v4")
        self.reactor.advance(0)
        self.client.log_in("ann")
        (self.link,) = self.node.web_sockets["/deepstream"].links

    def test_few_in_dictionary(self) -> None:
        """
        An open WebSocket has few attributes in a dictionary: with more than 30, each connection would have a table of
        its own. None of them is an option, or left from the handshake.
        """
        attributes = vars(self.link)
        self.assertLess(len(attributes), MOST_OTHERS)
        self.assertLessEqual({"connection", "transport"}, attributes.keys())
        options = set(WebSocketServerProtocol.CONFIG_ATTRS) - {"maxFramePayloadSize", "maxMessagePayloadSize"}
        self.assertEqual(options & attributes.keys(), set())

    def test_handshake_forgotten(self) -> None:
        """
        The bytes of the handshake are not kept. The headers are: authenticators and plug-ins may ask for them.
        """
        for name in ("http_request_data", "http_response_data", "http_status_line", "_wskey", "_transport_details"):
            self.assertIsNone(getattr(self.link, name), name)
        self.assertEqual(self.link.http_headers["upgrade"], "websocket")

    def test_nothing_hidden(self) -> None:
        """
        No slot stands before an attribute that Autobahn's class has.
        """
        self.assertGreater(len(CompactLink.__slots__), 40)
        for name in CompactLink.__slots__:
            self.assertFalse(hasattr(WebSocketServerProtocol, name), name)


class CompressionTests(SynchronousTestCase):
    """
    Browsers offer compression.
    """

    def test_offered(self) -> None:
        """
        A client that offers compression is served without.
        """
        node = Node(Settings(), [], MemoryReactorClock())
        node.startService()
        self.addCleanup(node.stopService)
        transport = StringTransportWithDisconnection()
        protocol: Any = node.factory.buildProtocol(None)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(
            b"GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        )
        head = transport.value().partition(b"\r\n\r\n")[0]
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
        self.assertNotIn(b"Sec-WebSocket-Extensions", head)


class OptionsTests(SynchronousTestCase):
    """
    L{with_options}.
    """

    def test_same_values(self) -> None:
        """
        A connection has the options of its factory, and those of another factory do not touch them.
        """
        made = []
        for size in (1000, 2000):
            factory = WebSocketServerFactory(reactor=MemoryReactorClock())
            factory.setProtocolOptions(maxMessagePayloadSize=size, failByDrop=False)
            made.append((with_options(WebSocketLink, factory), factory))
        for protocol, factory in made:
            self.assertTrue(issubclass(protocol, WebSocketLink))
            self.assertEqual(protocol.__name__, "WebSocketLink")
            for name in WebSocketServerProtocol.CONFIG_ATTRS:
                self.assertEqual(getattr(protocol, name), getattr(factory, name), name)
        self.assertEqual([protocol.maxMessagePayloadSize for protocol, _ in made], [1000, 2000])
