"""
Autobahn's protocol in less memory: nothing of it is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import WebSocketProtocol
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.transports.compact_link import CompactLink, with_options
from dstwist.transports.head import Head
from dstwist.transports.websocket import WebSocketLink
from tests.nodes.client import MemoryClient, client_frame

QUICK = settings(max_examples=150, deadline=None, derandomize=True, database=None)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
EXTENSIONS = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
REQUEST = (
    b"GET /deepstream HTTP/1.1",
    b"Host: localhost:6020",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: " + KEY,
    b"Sec-WebSocket-Version: 13",
)


def with_line(line: bytes, place: int | None = None) -> tuple[bytes, ...]:
    """
    The usual request with another line, or with one more.
    """
    return (*REQUEST, line) if place is None else (*REQUEST[:place], line, *REQUEST[place + 1 :])


PLAIN = (
    REQUEST,
    with_line(EXTENSIONS),
    with_line(b"Origin: https://app.example.org"),
    with_line(b"Origin: http://localhost:3000"),
    with_line(b'User-Agent: some (thing) 1.0; "x": y'),
    with_line(b"GET /deepstream?a=b&c=%20 HTTP/1.1", 0),
    with_line(b"Host: [::1]:6020", 1),
    with_line(b"host:192.0.2.1", 1),
    with_line(b"UPGRADE: WebSocket", 2),
    with_line(b"Connection: keep-alive, Upgrade", 3),
)

OTHERS = (
    with_line(b"POST /deepstream HTTP/1.1", 0),
    with_line(b"GET /deepstream HTTP/1.0", 0),
    with_line(b"GET  /deepstream HTTP/1.1", 0),
    with_line(b"GET /deepstream#x HTTP/1.1", 0),
    with_line(b"GET //host/deepstream HTTP/1.1", 0),
    with_line(b"GET http://host/deepstream HTTP/1.1", 0),
    with_line(b"GET /deepstream?a=\tb HTTP/1.1", 0),
    with_line(b"Host: localhost:x", 1),
    with_line(b"Host:", 1),
    with_line(b"X-Host: localhost", 1),
    with_line(b"Upgrade: websocket, h2c", 2),
    with_line(b"Connection: close", 3),
    with_line(b"Connection: Upgraded", 3),
    with_line(b"Connection: keep-alive Upgrade", 3),
    with_line(b"Sec-WebSocket-Key: " + KEY[1:], 4),
    with_line(b"Sec-WebSocket-Key: " + KEY[:-2] + b"AA", 4),
    with_line(b"Sec-WebSocket-Key: *" + KEY[1:], 4),
    with_line(b"Sec-WebSocket-Version: 8", 5),
    with_line(b"Sec-WebSocket-Version: 013", 5),
    with_line(b"Host: other"),
    with_line(b"Sec-WebSocket-Protocol: chat"),
    with_line(b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"),
    with_line(b"Origin: null"),
    with_line(b"Origin: file://"),
    with_line(b"Origin: https://app.example.org:99999"),
    with_line(b"X-Umlaut: \xe4"),
    with_line(b"X-Tab\t: 1"),
    with_line(b" folded"),
    with_line(b"no header"),
    with_line(b"X"),
    with_line(b": nothing"),
    with_line(b"X: 1\nSec-WebSocket-Protocol: chat"),
    with_line(b"X: 1\rSec-WebSocket-Protocol: chat"),
    with_line(b"X: 1\x0bSec-WebSocket-Protocol: chat"),
)

#: The lines of which handshakes are put together.
PIECES = sorted({line for lines in (*PLAIN, *OTHERS) for line in lines[1:]})


def state_of(link: Any, first: Any) -> dict[str, object]:
    """
    The attributes of an open WebSocket, as far as they can be the same for two.

    @param first: the class with the first values of all attributes.
    """
    # Autobahn makes Deferreds that are not needed.
    unlike = {
        "is_open",
        "is_closed",
        "number",
        "opened_at",
        "head",
        "websocket_origin",
        "http_request_uri",
        "http_request_path",
        "peer",
    }
    unlike |= {"http_request_params", "http_request_host", "websocket_protocols", "websocket_extensions", "slot"}
    names = {*vars(link), *vars(first), *CompactLink.__slots__} - unlike
    names = {name for name in names if not name.startswith("__")}
    values = {name: getattr(link, name, None) for name in names}
    # Objects are compared by their kind.
    plain = (bool, int, bytes, str, dict, list, type(None))
    return {name: value if isinstance(value, plain) else type(value) for name, value in values.items()}


#: The most attributes of a link that are not in slots. A table of more takes 200 bytes more.
MOST_OTHERS = 10


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
        An open WebSocket has few attributes in a dictionary, which would take twice as much with more. None of them is
        an option, or left from the handshake.
        """
        attributes = vars(self.link)
        self.assertLessEqual(len(attributes), MOST_OTHERS)
        self.assertLessEqual({"connection", "transport"}, attributes.keys())
        options = set(WebSocketServerProtocol.CONFIG_ATTRS) - {"maxFramePayloadSize", "maxMessagePayloadSize"}
        self.assertEqual(options & attributes.keys(), set())

    def test_handshake_forgotten(self) -> None:
        """
        The bytes of the handshake are not kept, nor are the headers after the login.
        """
        for name in ("http_request_data", "http_response_data", "http_status_line", "_wskey", "_transport_details"):
            self.assertIsNone(getattr(self.link, name), name)
        self.assertEqual(self.link.http_headers, {})

    def test_prepared(self) -> None:
        """
        A new connection has all attributes that Autobahn would set, with the same values, and none of them is set for
        it alone.
        """
        protocol = type(self.link)
        self.assertTrue(protocol._is_prepared)
        link, its_link = (self.new_link(protocol, prepared) for prepared in (True, False))
        self.assertLess(set(vars(link)), {"factory", "connected", "transport", "state", "data", "number"})
        self.assertGreater(len(vars(its_link)), 30)
        for name in vars(its_link).keys() - {"factory"}:
            value = vars(its_link)[name]
            own = getattr(link, name)
            if isinstance(value, bool | int | bytes | str | list | dict | type(None)):
                self.assertEqual(own, value, name)
            else:
                self.assertIs(type(own), type(value), name)
        self.assertEqual((link.state, link.data), (its_link.state, its_link.data))

    def new_link(self, protocol: Any, prepared: bool) -> Any:
        """
        A link that Autobahn has made ready for a handshake.
        """
        self.patch(protocol, "_is_prepared", prepared)
        link = protocol()
        link.factory = mock.Mock(countConnections=0)
        CompactLink.connectionMade(link)
        self.assertEqual(link.factory.countConnections, 1)
        return link

    def test_on_demand(self) -> None:
        """
        Objects that few connections need are made when they are needed, for each connection its own. Autobahn resolves
        its Deferreds as usual.
        """
        one, other = (self.new_link(type(self.link), True) for _ in range(2))
        for name in ("is_open", "is_closed", "utf8validator", "_results"):
            self.assertIs(getattr(one, name), getattr(one, name))
            self.assertIsNot(getattr(one, name), getattr(other, name))
        WebSocketProtocol._connectionLost(one, "gone")
        self.assertIs(self.successResultOf(one.is_closed), one)

    def test_unknown_object(self) -> None:
        """
        If another version of Autobahn gives each connection an object that is not known here, connections do not share
        it: Autobahn sets all attributes of each connection itself.
        """
        original = WebSocketProtocol._connectionMade

        def made(link: Any) -> None:
            original(link)
            link.something = []

        factory = WebSocketServerFactory(reactor=MemoryReactorClock())
        factory.setProtocolOptions(openHandshakeTimeout=0)
        with mock.patch.object(WebSocketProtocol, "_connectionMade", made):
            protocol = with_options(WebSocketLink, factory)
            self.assertFalse(protocol._is_prepared)
            links = [protocol(), protocol()]
            for link in links:
                link.factory = factory
                CompactLink.connectionMade(link)
        self.assertIsNot(links[0].something, links[1].something)
        self.assertIsNot(links[0].trafficStats, links[1].trafficStats)

    def test_count(self) -> None:
        """
        Autobahn's count of the connections is right after their end.
        """
        factory: Any = self.node.web_sockets["/deepstream"]
        self.assertEqual(factory.countConnections, 1)
        self.link.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(0)
        self.assertEqual((factory.countConnections, factory.links), (0, set()))

    def test_nothing_hidden(self) -> None:
        """
        No slot stands before an attribute that Autobahn's class has.
        """
        self.assertGreater(len(CompactLink.__slots__), 15)
        for name in CompactLink.__slots__:
            self.assertFalse(hasattr(WebSocketServerProtocol, name), name)


class HandshakeTests(SynchronousTestCase):
    """
    The plain handshake is answered here, all others by Autobahn, and nobody can tell the difference.
    """

    def answered(self, lines: Sequence[bytes], more: bytes = b"") -> tuple[bytes, WebSocketLink | None]:
        """
        The response to a handshake of these lines, with C{more} in the same read; and the WebSocket, if it is open.
        """
        node = Node(Settings(), [], MemoryReactorClock())
        node.startService()
        self.addCleanup(node.stopService)
        transport = StringTransportWithDisconnection(peerAddress=IPv4Address("TCP", "192.0.2.1", 50000))
        protocol: Any = node.factory.buildProtocol(None)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(b"\r\n".join(lines) + b"\r\n\r\n" + more)
        links = [link for link in node.web_sockets["/deepstream"].links if link.number]
        return transport.value(), links[0] if links else None

    def by_both(self, lines: Sequence[bytes], more: bytes = b"") -> tuple[Any, Any]:
        """
        L{answered} as it is, and with all requests answered by Autobahn.
        """
        ours = self.answered(lines, more)
        with mock.patch.object(Head, "plain_key", lambda head: None):
            return ours, self.answered(lines, more)

    def test_same(self) -> None:
        """
        The response, and all attributes of the WebSocket, are those of Autobahn, also with a frame in the same read.
        """
        ping = client_frame(b"there?", 9)
        for lines in PLAIN:
            for more in (b"", ping, ping + client_frame(b"x" * 300, 2)[:100]):
                (response, link), (its_response, its_link) = self.by_both(lines, more)
                self.assertIn(b"HTTP/1.1 101 Switching Protocols\r\n", response)
                self.assertEqual(response, its_response)
                self.assertEqual(state_of(link, type(its_link)), state_of(its_link, type(link)))

    def test_plain(self) -> None:
        """
        These are plain.
        """
        for lines in PLAIN:
            self.assertEqual(Head(b"\r\n".join(lines)).plain_key(), KEY.decode())

    def test_others(self) -> None:
        """
        All others are answered by Autobahn, valid or not.
        """
        for lines in OTHERS:
            self.assertIsNone(Head(b"\r\n".join(lines)).plain_key(), lines)

    def test_compression(self) -> None:
        """
        A client that offers compression, like browsers, is served without.
        """
        (response, _), (its_response, _) = self.by_both((*REQUEST, EXTENSIONS))
        self.assertEqual(response, its_response)
        self.assertNotIn(b"Sec-WebSocket-Extensions", response)

    @QUICK
    @given(
        st.lists(st.sampled_from(PIECES), max_size=3),
        st.lists(st.integers(1, 5), max_size=2),
    )
    def test_never_more(self, more: list[bytes], missing: list[int]) -> None:
        """
        No handshake is plain that Autobahn refuses, or reads in another way.
        """
        lines = [line for number, line in enumerate(REQUEST) if number not in missing] + more
        if Head(b"\r\n".join(lines)).plain_key() is not None:
            with mock.patch.object(Head, "plain_key", lambda head: None):
                response, link = self.answered(lines)
            self.assertIn(b"HTTP/1.1 101 ", response)
            assert link is not None
            self.assertEqual(link.http_headers, Head(b"\r\n".join(lines)).headers)


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
            # Autobahn starts a timer for each connection.
            self.assertGreater(protocol.openHandshakeTimeout, 0)
            self.assertFalse(protocol._is_prepared)
            self.assertTrue(issubclass(protocol, WebSocketLink))
            self.assertEqual(protocol.__name__, "WebSocketLink")
            for name in WebSocketServerProtocol.CONFIG_ATTRS:
                self.assertEqual(getattr(protocol, name), getattr(factory, name), name)
        self.assertEqual([protocol.maxMessagePayloadSize for protocol, _ in made], [1000, 2000])
