"""
Routes: which handler answers a request, and the requests that are being answered.

A connection has one request under way; further ones wait behind it, and are answered in their order.

================================  ======================================================================================
a handler gives                   the client gets
================================  ======================================================================================
an answer                         the answer
a Deferred                        its answer later. If the client goes before that, the Deferred is cancelled
a stream                          the head, and then what the handler writes (L{dstwist.transports.http_stream})
an exception                      500; the log has it
================================  ======================================================================================

Always true: each request that a handler got is in C{under_way} until its answer has been written, or its client has
gone. So L{Routes.drain} knows when everything has been answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from dstwist.interfaces import HandshakeData, HttpAnswer, HttpOutcome, HttpRequest, HttpStream, Route
from dstwist.log import Logger, about, shown
from dstwist.tls.certificates import peer_certificate
from dstwist.transports.forwarded import Proxies, address_of
from dstwist.transports.http_stream import PIECE_BYTES, StreamWriter

NOT_FOUND = HttpAnswer.text(404, "Endpoint not found.")
TOO_LARGE = HttpAnswer.text(400, "Failed to parse body of request: request entity too large")
_FAILED = HttpAnswer.text(500, "Internal server error.")


class Table:
    """
    Finds routes. A whole path comes before prefixes. Prefixes are tried from the end of the alphabet, as by the Node
    server: so of two prefixes that fit, the longer is found.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        routes = list(routes)
        self._paths: dict[str, list[Route]] = {}
        for route in routes:
            if not route.is_prefix:
                self._paths.setdefault(route.path.rstrip("/"), []).append(route)
        self._prefixes = sorted(
            ((route.path, route) for route in routes if route.is_prefix), key=lambda each: each[0], reverse=True
        )

    def find(self, method: str, target: str, path: str) -> Route | None:
        """
        The route of a request; C{None} if there is none.
        """
        for route in self._paths.get(path.rstrip("/"), ()):
            if method in route.methods:
                return route
        for prefix, route in self._prefixes:
            if method in route.methods and target.startswith(prefix):
                return route
        return None

    def methods(self, target: str, path: str) -> list[str]:
        """
        The methods that C{path} has, in the order of the alphabet.
        """
        found = {method for route in self._paths.get(path.rstrip("/"), ()) for method in route.methods}
        for prefix, route in self._prefixes:
            if target.startswith(prefix):
                found |= route.methods
        return sorted(found)


class Routes(Resource):
    """
    Has the handlers of C{routes} answer the requests. It knows of no origins, so it is not for web pages.

    @param proxies: the proxies whose C{X-Forwarded-For} is believed.
    @param node: the label of the node, for logs.
    @ivar under_way: the requests that are being answered.
    @ivar refusal: the answer to further requests while the server stops; C{None} if they are served.
    """

    isLeaf = True

    _log = Logger()

    def __init__(self, routes: Iterable[Route] = (), proxies: Proxies | None = None, node: str = "") -> None:
        super().__init__()
        self.table = Table(routes)
        self._proxies = proxies if proxies is not None else Proxies(())
        self.node = node
        self.under_way: dict[_Exchange, None] = {}
        self.refusal: HttpAnswer | None = None
        self._drained: list[Deferred[None]] = []

    def render(self, request: Request) -> Any:
        method, target, path = parts_of(request)
        route = self.table.find(method, target, path)
        if route is not None:
            return self.serve(route, request)
        methods = self.table.methods(target, path)
        if not methods:
            return send(request, NOT_FOUND)
        allowed = ", ".join(methods)
        return send(request, HttpAnswer.text(405, f"Supported methods: {allowed}", {"Allow": allowed}))

    def serve(self, route: Route, request: Request) -> Any:
        """
        Have the handler of C{route} answer.
        """
        if self.refusal is not None and not route.while_stopping:
            return send(request, self.refusal)
        exchange = _Exchange(request, self)
        # Before the handler: it may be asked for everything that is under way.
        self.under_way[exchange] = None
        exchange.begin(route, self.read(request))
        return NOT_DONE_YET

    def read(self, request: Request) -> HttpRequest:
        """
        The request as handlers see it.
        """
        method, target, path = parts_of(request)
        headers = {
            name.decode("latin-1").lower(): ", ".join([value.decode("latin-1") for value in values])
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        transport: Any = request.transport
        content: Any = request.content
        certificate = peer_certificate(transport)
        client = HandshakeData(self.address(request), headers, target, certificate, shown(path), 0, self.node)
        return HttpRequest(method, target, path, target[len(path) + 1 :], headers, content.read(), client)

    def address(self, request: Request) -> str:
        """
        The address of the client.
        """
        forwarded = request.requestHeaders.getRawHeaders(b"x-forwarded-for")
        return self._proxies.client(
            address_of(request.transport), None if forwarded is None else b",".join(forwarded).decode("latin-1")
        )

    def too_large(self, request: Request) -> HttpAnswer:
        """
        The answer to a request with too large a body, which has been received in part.
        """
        return TOO_LARGE

    # -- the stop of the server

    def refuse(self, answer: HttpAnswer) -> None:
        """
        Serve no more requests, except those of routes that are served while the server stops.
        """
        self.refusal = answer

    def drain(self) -> Deferred[None]:
        """
        End all streams.

        @return: fires when nothing is under way.
        """
        for exchange in list(self.under_way):
            exchange.stop_stream()
        if not self.under_way:
            return succeed(None)
        self._drained.append(Deferred())
        return self._drained[-1]

    def abort(self) -> None:
        """
        Drop the connections of all requests that are under way.
        """
        for exchange in list(self.under_way):
            exchange.abort()

    def ended(self, exchange: _Exchange) -> None:
        """
        C{exchange} is not under way any more.
        """
        self.under_way.pop(exchange, None)
        if not self.under_way:
            drained, self._drained = self._drained, []
            for deferred in drained:
                deferred.callback(None)

    def failed(self, request: HttpRequest, failure: Failure) -> HttpAnswer:
        """
        A mistake of ours.
        """
        self._log.failure(
            "answering {method} of {client} failed",
            failure,
            contained=True,
            method=shown(request.method),
            **{**about(request.client), "path": shown(request.path)},
        )
        return _FAILED


class _Exchange:
    """
    A request under way.
    """

    def __init__(self, request: Request, routes: Routes) -> None:
        self._request = request
        self._routes = routes
        self._stream: StreamWriter | None = None
        self._deferred: Deferred[HttpOutcome] | None = None
        self._sent: Callable[[], object] | None = None
        self._gone = False

    def begin(self, route: Route, request: HttpRequest) -> None:
        try:
            outcome = route.handler.handle(request)
        except Exception:
            outcome = self._routes.failed(request, Failure())
        if isinstance(outcome, HttpAnswer):
            self._answer(outcome)
            return
        self._request.notifyFinish().addErrback(self._lost)
        if isinstance(outcome, Deferred):
            self._deferred = outcome
            outcome.addErrback(self._failed, request)
            outcome.addCallback(self._arrived, request)
        else:
            self._arrived(outcome, request)

    def _failed(self, failure: Failure, request: HttpRequest) -> HttpAnswer | None:
        if self._gone and failure.check(CancelledError):
            return None
        return self._routes.failed(request, failure)

    def _arrived(self, outcome: HttpOutcome | None, request: HttpRequest) -> None:
        if outcome is None:
            return
        if self._gone:
            if isinstance(outcome, HttpAnswer) and outcome.sent is not None:
                outcome.sent()
            return
        try:
            if isinstance(outcome, HttpAnswer):
                self._answer(outcome)
            else:
                self._begin_stream(outcome)
        except Exception:
            self._routes.failed(request, Failure())
            # A part of the answer may have left.
            self.abort()

    def _begin_stream(self, outcome: HttpStream) -> None:
        set_head(self._request, outcome.status, outcome.content_type, outcome.headers)
        if self._request.method == b"HEAD":
            self._end()
            self._request.finish()
            return
        self._stream = StreamWriter(self._request, self._end)
        self._stream.start()
        outcome.begin(self._stream)

    def _answer(self, answer: HttpAnswer) -> None:
        self._sent = answer.sent
        if len(answer.body) <= PIECE_BYTES or self._request.method == b"HEAD":
            self._end()
            send(self._request, answer)
            return
        if self._deferred is None:
            self._request.notifyFinish().addErrback(self._lost)
        set_head(self._request, answer.status, answer.content_type, answer.headers)
        self._request.setHeader("Content-Length", str(len(answer.body)))
        self._stream = StreamWriter(self._request, self._end)
        self._stream.start()
        self._stream.write_all(answer.body)

    def _end(self) -> None:
        self._routes.ended(self)
        sent, self._sent = self._sent, None
        if sent is not None:
            sent()

    def _lost(self, reason: Failure) -> None:
        self._gone = True
        self._end()
        if self._stream is not None:
            self._stream.lost()
        elif self._deferred is not None:
            self._deferred.cancel()

    def stop_stream(self) -> None:
        if self._stream is not None:
            self._stream.stop()

    def abort(self) -> None:
        transport: Any = self._request.transport
        transport.abortConnection()


def parts_of(request: Request) -> tuple[str, str, str]:
    """
    Method, target and path of a request. No byte is lost: they are decoded as Latin-1.
    """
    return request.method.decode("latin-1"), request.uri.decode("latin-1"), request.path.decode("latin-1")


def set_head(request: Request, status: int, content_type: str, headers: Any) -> None:
    """
    Set the head of an answer.
    """
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    for name, value in headers.items():
        request.setHeader(name, value)


def send(request: Request, answer: HttpAnswer) -> Any:
    """
    Send C{answer}.
    """
    set_head(request, answer.status, answer.content_type, answer.headers)
    if answer.status != 204:
        request.setHeader("Content-Length", str(len(answer.body)))
    request.write(answer.body)
    request.finish()
    return NOT_DONE_YET


def whole(answer: HttpAnswer, phrase: str) -> bytes:
    """
    C{answer} with its head, for a connection that is closed behind it.
    """
    headers = {"Content-Type": answer.content_type, **answer.headers, "Content-Length": len(answer.body)}
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace") + answer.body
