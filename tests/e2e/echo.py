"""
A server that says back whatever a WebSocket says: dstwist's own port and links, and nothing of dstwist behind them.

Run as a module it serves on a free port of 127.0.0.1 and prints which; with C{--autobahn} the fast path is off.
"""

from __future__ import annotations

import sys
from typing import Any

from zope.interface import implementer

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.interfaces import HandshakeData, IReceiver
from dstwist.transports import websocket
from dstwist.transports.http_channel import HttpFactory
from dstwist.transports.http_routes import Routes
from dstwist.transports.shared_port import SharedPortFactory
from dstwist.transports.websocket import WebSocketLink
from dstwist.transports.websocket_factory import WebSocketFactory
from dstwist.transports.wire import WebSocketWire

#: The largest message in the suite is of 16 MiB.
LARGEST = 1 << 24


class Verbatim:
    """
    A codec whose messages are their payloads.
    """

    name = "verbatim"

    def decode(self, payload: bytes | str) -> list[Any]:
        return [payload]

    def encode(self, message: Any) -> bytes:
        payload: bytes = message if isinstance(message, bytes) else message.encode("utf-8")
        return payload


_VERBATIM: Any = Verbatim()
_TEXT: Any = WebSocketWire(_VERBATIM, binary=False)
_BINARY: Any = WebSocketWire(_VERBATIM, binary=True)


@implementer(IReceiver)
class Echo:
    """
    The connection behind a WebSocket.
    """

    user = None
    heard = True

    def __init__(self, link: WebSocketLink, handshake: HandshakeData) -> None:
        self._link = link

    def open(self) -> None:
        pass

    def receive(self, payload: bytes | str) -> None:
        is_text = isinstance(payload, str)
        # A wire takes an empty payload for a message that its protocol cannot say.
        frame = (_TEXT if is_text else _BINARY).encode(payload) or (b"\x81\x00" if is_text else b"\x82\x00")
        self._link.outbox.write(frame)

    def count_bytes(self, count: int) -> None:
        pass

    def close(self, reason: str, code: int) -> None:
        self._link.close(code, reason)

    def lost(self, reason: str) -> None:
        pass


def main() -> None:
    from twisted.internet import reactor as installed

    reactor: Any = installed
    websocket.FAST_PATH = "--autobahn" not in sys.argv
    settings = WebSocketEndpoint(
        max_message_size=LARGEST, max_message_size_before_login=LARGEST, max_outgoing_buffer_size=4 * LARGEST
    )
    web_socket = WebSocketFactory(settings, Echo, reactor)
    port = SharedPortFactory({b"/": web_socket}, HttpFactory(Routes(), 1000, reactor), reactor)
    listening = reactor.listenTCP(0, port, interface="127.0.0.1")
    sys.stdout.write(f"{listening.getHost().port}\n")
    sys.stdout.flush()
    reactor.run()


if __name__ == "__main__":
    main()
