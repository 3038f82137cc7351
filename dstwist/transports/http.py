"""
HTTP on the shared port: two checks, and a clear text for all other requests (C{operations.md} section 1).

=================  =====================================================================================================
C{healthCheckPath} 200 while the process serves its port: a server that does not answer has to be restarted
C{readyPath}       200, or 503 with the reason while clients should use another server: a store cannot write, or the
                   server stops
=================  =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import NO_CONTENT, NOT_ALLOWED, NOT_FOUND, OK, SERVICE_UNAVAILABLE, HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from dstwist.config.http_server import HttpSettings
from dstwist.transports.origins import METHODS, PREFLIGHT, Origins, check_preflight

#: How long a client without a WebSocket may take to send its next request whole, in seconds.
REQUEST_TIMEOUT = 60.0
#: How many bytes are read from one client before other clients have their turn.
READ_BYTES = 4096
#: How long a client may go on sending a refused request, and how long it may take to close its side of a connection, in
#: seconds.
LINGER_SECONDS = 5.0

_TOO_LARGE = (
    b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 34\r\nConnection: close\r\n\r\nThe request body is too large.\r\n\r\n"
)
_METHODS = tuple(method.encode("ascii") for method in METHODS)


class Root(Resource):
    """
    Serves all paths.

    The answers are those of the Node server, down to the two line breaks after each text.

    @param not_ready: gives the reason why the server is not ready, or C{None} if it is.
    """

    isLeaf = True

    def __init__(
        self,
        settings: HttpSettings | None = None,
        origins: Origins | None = None,
        not_ready: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__()
        settings = settings or HttpSettings()
        self._health_check_path = settings.health_check_path.encode("utf-8").rstrip(b"/")
        self._ready_path = settings.ready_path.encode("utf-8").rstrip(b"/")
        self._origins = origins or Origins(settings)
        self._not_ready = not_ready

    def render(self, request: Request) -> bytes:
        path: bytes = request.path.rstrip(b"/")
        is_health_check = request.method == b"GET" and path == self._health_check_path
        is_ready_check = not is_health_check and request.method in (b"GET", b"HEAD") and path == self._ready_path
        origin, referer = _header(request, "origin"), _header(request, "referer")
        refusal = self._origins.check(origin, referer, _header(request, "host"))
        if refusal is None:
            for name, value in self._origins.headers(origin, referer).items():
                request.setHeader(name, value)
        elif not is_health_check and not is_ready_check:
            # Load balancers have no origin.
            return _text(request, *refusal)
        if is_ready_check:
            return self._say_whether_ready(request)
        if request.method not in _METHODS:
            return _text(request, NOT_ALLOWED, f"Unsupported method. Supported methods: {', '.join(METHODS)}")
        if request.method == b"OPTIONS":
            return _preflight(request)
        if is_health_check:
            request.setResponseCode(OK)
            request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
            return b""
        return _text(request, NOT_FOUND, "Endpoint not found.")

    def _say_whether_ready(self, request: Request) -> bytes:
        # An earlier answer may be wrong by now.
        request.setHeader(b"Cache-Control", b"no-store")
        reason = self._not_ready()
        if reason is None:
            return _text(request, OK, "ready")
        return _text(request, SERVICE_UNAVAILABLE, f"not ready: {reason}")


def _header(request: Request, name: str) -> str | None:
    value = request.getHeader(name.encode("ascii"))
    return None if value is None else value.decode("utf-8", "replace")


def _preflight(request: Request) -> bytes:
    refusal = check_preflight(
        _header(request, "access-control-request-method"), _header(request, "access-control-request-headers")
    )
    if refusal is not None:
        return _text(request, *refusal)
    request.setResponseCode(NO_CONTENT)
    for name, value in PREFLIGHT.items():
        request.setHeader(name, value)
    return b""


def _text(request: Request, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    # twisted.web logs a complaint about each answer to HEAD that has a body.
    return b"" if request.method == b"HEAD" else text.encode("utf-8") + b"\r\n\r\n"


class BoundedRequest(Request):
    """
    A request whose body has a limit, and is kept in memory. twisted.web has no limit, and would fill the disk.

    A client whose body is too large gets its answer at once. The server then reads on for a while: if it closed the
    connection while the client sends, the client's system would throw the answer away.
    """

    channel: Any
    transport: Any
    _received = 0
    _refused = False
    _drop_call: IDelayedCall | None = None

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)
        if length is not None and length > self.channel.site.max_body_size:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        if self._refused:
            return
        self._received += len(data)
        if self._received > self.channel.site.max_body_size:
            self._refuse()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._refused:
            self.channel.loseConnection()
        else:
            super().requestReceived(command, path, version)

    def connectionLost(self, reason: Failure) -> None:
        if self._drop_call is not None and self._drop_call.active():
            self._drop_call.cancel()
        super().connectionLost(reason)

    def _refuse(self) -> None:
        self._refused = True
        # No "100 Continue" behind the refusal.
        self.requestHeaders.removeHeader(b"Expect")
        self.transport.write(_TOO_LARGE)
        self._drop_call = self.channel.callLater(LINGER_SECONDS, self.transport.abortConnection)


class Channel(HTTPChannel):
    """
    An HTTP connection.
    """

    transport: Any
    _drop_call: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        # All requests of one read are served at once; with the usual size these could be a few thousand.
        self.transport.bufferSize = READ_BYTES

    def resetTimeout(self) -> None:
        # twisted.web would let a client go on that sends one byte a minute.
        pass

    def loseConnection(self) -> None:
        # Over TLS, closing waits until the client agrees, and no other time-out is left.
        if self._drop_call is None:
            self._drop_call = self.callLater(LINGER_SECONDS, self.transport.abortConnection)
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._drop_call is not None and self._drop_call.active():
            self._drop_call.cancel()
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        super().pauseProducing()
        # twisted.web reads on while it answers, and would queue answers without end for a client that does not read.
        self.transport.pauseProducing()

    def headerReceived(self, line: bytes) -> bool:
        # int() fails on more than some thousand digits; twisted.web answers 400 to a value that is no number.
        if len(line) > 100 and line[:15].lower() == b"content-length:":
            line = b"Content-Length: too long"
        received: bool = super().headerReceived(line)
        return received

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        # Clients need not know the versions of our libraries.
        headers.setRawHeaders(b"Server", [b"dstwist"])
        super().writeHeaders(version, code, reason, headers)


class HttpFactory(Site):
    """
    Serves HTTP on connections that do not ask for a WebSocket.
    """

    protocol = Channel  # type: ignore[assignment]
    noisy = False
    displayTracebacks = False

    def __init__(self, root: Resource, max_body_size: int, reactor: object) -> None:
        super().__init__(root, BoundedRequest, reactor=reactor, timeout=REQUEST_TIMEOUT, parsePOSTFormSubmission=False)
        self.max_body_size = max_body_size

    def startFactory(self) -> None:
        # twisted.web would wake up every second to compute the time for its access log.
        pass

    def log(self, request: object) -> None:
        # Proxies in front of the server write access logs.
        pass
