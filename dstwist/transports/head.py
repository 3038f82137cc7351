"""
The head of a request: the parts that decide which factory serves it, and the key of a plain WebSocket handshake.
"""

from __future__ import annotations

import re

#: A request line and headers that no reader can understand in two ways. Other characters than these end a line for some
#: readers and not for others.
_PLAIN = re.compile(r'GET /(?:[!"$-.0-~][!"$-~]*)? HTTP/1\.1(?:\r\n[!-9;-~]+:[\t -~]*)+')

_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_ORIGIN = re.compile(r"https?://[\w.-]+(?::[0-9]{1,4})?", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")

#: The extensions that browsers and the C{ws} package of Node.js offer. The server takes none.
_OFFERS = (None, "permessage-deflate", "permessage-deflate; client_max_window_bits")


class Head:
    """
    The bytes before the first empty line.

    @ivar size: how many bytes there are, with the empty line.
    @ivar headers: the values by name, in lower case; joined by commas if a header is repeated.
    @ivar web_socket: the path of the requested WebSocket; C{None} if the request is not for a WebSocket.
    @ivar origin: a header, like C{host} and C{forwarded}; C{None} if it is missing.
    """

    __slots__ = ("_is_repeated", "_text", "forwarded", "headers", "host", "origin", "size", "web_socket")

    def __init__(self, data: bytes) -> None:
        self.size = len(data) + 4
        self._text = text = data.decode("latin-1")
        request, *lines = text.split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                # No header. Autobahn takes no notice of it either.
                continue
            name = name.lower()
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
        self.headers = headers
        self._is_repeated = len(headers) < len(lines)
        self.origin = headers.get("origin")
        self.host = headers.get("host")
        self.forwarded = headers.get("x-forwarded-for")
        self.web_socket: bytes | None = None
        if "websocket" in headers.get("upgrade", "").lower():
            parts = request.split(" ")
            if len(parts) == 3:
                self.web_socket = parts[1].partition("?")[0].encode("latin-1")

    def plain_key(self) -> str | None:
        """
        The key of a handshake as nearly all clients send it: the WebSocket of RFC 6455, no subprotocol, and nothing
        that readers could understand in two ways. C{None} for all others, which may be valid, too.
        """
        get = self.headers.get
        key = get("sec-websocket-key", "")
        if (
            not self._is_repeated
            and get("sec-websocket-version") == "13"
            and get("upgrade", "").lower() == "websocket"
            and _asks_for_upgrade(get("connection", ""))
            and get("sec-websocket-extensions") in _OFFERS
            and "sec-websocket-protocol" not in self.headers
            and _HOST.fullmatch(self.host or "")
            and (self.origin is None or _ORIGIN.fullmatch(self.origin))
            and _KEY.fullmatch(key)
            and _PLAIN.fullmatch(self._text)
        ):
            return key
        return None


def _asks_for_upgrade(connection: str) -> bool:
    return connection == "Upgrade" or "upgrade" in map(str.strip, connection.lower().split(","))
