"""
The HTTP side of the port: the health check, and a clear text for everything else (C{operations.md} section 1).
"""

from __future__ import annotations

from twisted.web.http import NOT_ALLOWED, NOT_FOUND, OK
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

#: How long a connection without a WebSocket may idle, in seconds.
IDLE_TIMEOUT = 60.0

_TOO_LARGE = (
    b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\nThe request body is too large.\r\n\r\n"
)
_METHODS = (b"GET", b"POST", b"OPTIONS")


class Root(Resource):
    """
    All paths.

    The answers are those of the Node server, down to the two line breaks after each text.
    """

    isLeaf = True

    def __init__(self, health_check_path: str) -> None:
        super().__init__()
        self._health_check_path = health_check_path.encode("utf-8").rstrip(b"/")

    def render(self, request: Request) -> bytes:
        request.setHeader(b"Access-Control-Allow-Origin", b"*")
        if request.method not in _METHODS:
            return _text(
                request, NOT_ALLOWED, "Unsupported method. Supported methods: GET, POST, OPTIONS"
            )
        if request.method == b"GET" and request.path.rstrip(b"/") == self._health_check_path:
            request.setResponseCode(OK)
            request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
            return b""
        return _text(request, NOT_FOUND, "Endpoint not found.")


def _text(request: Request, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return text.encode("utf-8") + b"\r\n\r\n"


class BoundedRequest(Request):  # type: ignore[misc]
    """
    A request whose body has a limit; twisted.web has none, and would fill the disk.
    """

    site: HttpPort
    _received = 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)
        if length is not None and length > self.site.max_body_size:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received <= self.site.max_body_size:
            super().handleContentChunk(data)
        else:
            self._refuse()

    def _refuse(self) -> None:
        if self.channel is not None:
            self.transport.write(_TOO_LARGE)
            self.channel.loseConnection()


class HttpPort(Site):  # type: ignore[misc]
    """
    Speaks HTTP on the connections that ask for no WebSocket.
    """

    noisy = False

    def __init__(self, root: Resource, max_body_size: int, reactor: object) -> None:
        super().__init__(root, requestFactory=BoundedRequest, reactor=reactor, timeout=IDLE_TIMEOUT)
        self.max_body_size = max_body_size
        # Access logs are the business of whoever stands in front of us.
        self.displayTracebacks = False

    def log(self, request: Request) -> None:
        pass
