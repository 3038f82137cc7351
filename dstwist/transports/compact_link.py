"""
Autobahn's protocol in less memory.

An idle connection is mostly Autobahn's attributes: about 80 of them, in a dictionary of 3.3 kB. Here those that change
are slots, which take 8 bytes each. The options, and the first values of all attributes that seldom change, belong to a
class for each factory (L{with_options}): to set them takes a tenth of the time of a login. All that only the handshake
needs is dropped after it (L{CompactLink.forget_handshake}).

Most of the time of a login is Autobahn's as well: it describes the transport, reads the head again that has chosen the
path, and makes the texts of log lines that are not written. So the plain handshake that nearly all clients send is
answered here (L{CompactLink.processHandshake}), with the same response. Autobahn answers all others.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from functools import cached_property
from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import WebSocketProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.defer import Deferred

from dstwist.transports.head import Head

#: The attributes that Autobahn changes on each connection, in any of its versions.
_ATTRIBUTES = """
    state data http_request_data http_status_line http_headers http_request_uri http_request_path http_request_params
    http_request_host http_response_data websocket_version websocket_protocols websocket_origin websocket_extensions
    websocket_protocol_in_use websocket_extensions_in_use _wskey inside_message current_frame
""".split()

#: Attributes with objects that all connections of a factory can share: the figures are not used, and the queue is for
#: data that is held back, and no data is.
_SHARED = frozenset({"_valid_events", "trafficStats", "send_queue"})

#: Attributes with objects that each connection makes when it needs them, which it seldom does.
_ON_DEMAND = frozenset({"is_open", "is_closed", "utf8validator", "_results"})

#: The values that can be shared by themselves.
_CONSTANTS = (bool, int, float, str, bytes, type(None))

#: The protocol version of RFC 6455.
_VERSION = 13

#: The response to a plain handshake, as Autobahn sends it.
_RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nServer: %s\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\n\r\n"
)

#: Stays empty. Connections that have not come through a factory have queues of their own before.
_NO_QUEUE: deque[Any] = deque()

#: Stays empty: the headers of a connection that has logged in.
_NO_HEADERS: dict[str, str] = {}

#: Stays empty.
_NO_EXTENSIONS: list[Any] = []


class CompactLink(WebSocketServerProtocol):
    """
    Autobahn's protocol.
    """

    # A slot would hide an attribute of Autobahn's class.
    __slots__ = tuple(name for name in _ATTRIBUTES if not hasattr(WebSocketServerProtocol, name))

    #: The head of the request; C{None} if it was not read before, and when the WebSocket is open.
    head: Head | None = None

    #: Whether the class has the first values of all attributes.
    _is_prepared = False

    is_open = cached_property(lambda link: Deferred())
    is_closed = cached_property(lambda link: Deferred())
    utf8validator = cached_property(lambda link: Utf8Validator())
    _results = cached_property(lambda link: dict.fromkeys(link._valid_events))

    def __init__(self) -> None:
        if not self._is_prepared:
            super().__init__()

    def connectionMade(self) -> None:
        # Not Autobahn's own: it would describe the transport.
        link: Any = self
        if self._is_prepared:
            link.state = WebSocketProtocol.STATE_CONNECTING
            link.data = b""
        else:
            link._transport_details = None
            WebSocketProtocol._connectionMade(self)
        link.factory.countConnections += 1

    def _connectionLost(self, reason: Any) -> None:
        # Not Autobahn's own: it would describe the transport for a line that is not written.
        WebSocketProtocol._connectionLost(self, reason)
        self.factory.countConnections -= 1

    def _onOpen(self) -> None:
        self.onOpen()

    def processHandshake(self) -> None:
        """
        Answer the request whose bytes are in C{self.data}.
        """
        head = self.head
        key = None if head is None else head.plain_key()
        if head is None or key is None:
            super().processHandshake()
            return
        link: Any = self
        link.data = link.data[head.size :]
        link.http_headers = head.headers
        link.websocket_version = _VERSION
        link.websocket_protocol_in_use = None
        link.websocket_extensions_in_use = _NO_EXTENSIONS
        accept = base64.b64encode(hashlib.sha1(key.encode() + WebSocketProtocol._WS_MAGIC).digest())
        link.sendData(_RESPONSE % (link.factory.server.encode(), accept))
        link.state = WebSocketProtocol.STATE_OPEN
        link.inside_message = False
        link.current_frame = None
        if link.autoPingInterval:
            link.autoPingPendingCall = link.factory._batched_timer.call_later(link.autoPingInterval, link._sendAutoPing)
        link.onOpen()
        if "is_open" in vars(self):
            link.is_open.callback(None)
        if link.data:
            link.consumeData()

    def forget_handshake(self) -> None:
        """
        Drop all that was kept of the handshake, and that nothing asks for once the WebSocket is open.
        """
        if self.head is not None:
            del self.head
        link: Any = self  # these attributes are never None for Autobahn
        link.http_request_data = link.http_response_data = link.http_status_line = link._wskey = None
        if not self._is_prepared:
            link.send_queue = _NO_QUEUE

    def forget_headers(self) -> None:
        """
        Drop the headers of the request. They are needed until the login, and take half a kilobyte.
        """
        self.http_headers = _NO_HEADERS

    def forget_results(self) -> None:
        """
        Drop Autobahn's Deferreds, which have this link as their result.
        """
        kept = vars(self)
        kept.pop("is_open", None)
        kept.pop("is_closed", None)


def with_options(protocol: Any, factory: Any) -> Any:
    """
    The class C{protocol} with the options of C{factory} as attributes, and the first values of all other attributes.
    Autobahn would copy the options to each connection, and make the text of a log line that is not written, which takes
    a third of the time of a login.
    """
    values = {name: getattr(factory, name) for name in protocol.CONFIG_ATTRS}
    # A function in a class would become a method.
    options = {name: staticmethod(value) if callable(value) else value for name, value in values.items()}
    made = type(protocol.__name__, (protocol,), {"CONFIG_ATTRS": (), "__module__": protocol.__module__, **options})
    if made.openHandshakeTimeout:  # type: ignore[attr-defined]
        # Each connection has a timer from its start, also the one that would be made to find out the values.
        return made
    first = _first_values(made, factory)
    if all(name in _SHARED or isinstance(value, _CONSTANTS) for name, value in first.items()):
        for name, value in first.items():
            setattr(made, name, value)
        made._is_prepared = True  # type: ignore[attr-defined]
    return made


def _first_values(protocol: Any, factory: Any) -> dict[str, Any]:
    """
    The attributes that Autobahn gives a new connection, as far as they are not made for each connection.
    """
    link = protocol()
    link.factory = factory
    link._transport_details = None
    WebSocketProtocol._connectionMade(link)
    return {name: value for name, value in vars(link).items() if name not in _ON_DEMAND and name != "factory"}
