"""
The parts of a request's head that decide which factory serves it, and whether it is refused.
"""

from __future__ import annotations

_WANTED = frozenset((b"upgrade", b"origin", b"host", b"x-forwarded-for"))


class Head:
    """
    The bytes before the first empty line.

    @ivar web_socket: the path of the requested WebSocket; C{None} if the request is not for a WebSocket.
    @ivar origin: a header, like C{host} and C{forwarded}; C{None} if it is missing, joined by commas if it is repeated.
    """

    __slots__ = ("forwarded", "host", "origin", "web_socket")

    def __init__(self, data: bytes) -> None:
        request, *lines = data.split(b"\r\n")
        found: dict[bytes, str] = {}
        for line in lines:
            name, _, value = line.partition(b":")
            name = name.lower()
            if name in _WANTED:
                text = value.strip().decode("latin-1")
                found[name] = f"{found[name]}, {text}" if name in found else text
        self.origin = found.get(b"origin")
        self.host = found.get(b"host")
        self.forwarded = found.get(b"x-forwarded-for")
        self.web_socket: bytes | None = None
        if "websocket" in found.get(b"upgrade", "").lower():
            parts = request.split(b" ")
            if len(parts) == 3:
                self.web_socket = parts[1].partition(b"?")[0]
