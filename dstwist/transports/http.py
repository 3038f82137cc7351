"""
HTTP on the shared port (C{operations.md} section 1): two checks, and the routes of the node. An address that is banned
gets 429 for each request. The port checks only the first request of a connection, but a connection may be older than
the ban, and a proxy sends the requests of many clients on one connection.

=================  =====================================================================================================
C{healthCheckPath} 200 while the process serves its port: a server that does not answer has to be restarted
C{readyPath}       200, or 503 with the reason while clients should use another server: a store cannot write, or the
                   server stops
routes             the answers of their handlers (L{dstwist.transports.http_routes})
other paths        404
=================  =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.web.server import Request
from zope.interface import implementer

from dstwist.config.http_server import HttpSettings
from dstwist.interfaces import HttpAnswer, HttpRequest, IHttpHandler, Route
from dstwist.limits.addresses import key_of
from dstwist.limits.bans import Bans
from dstwist.limits.exceeded import log_refusal
from dstwist.transports.forwarded import Proxies
from dstwist.transports.http_routes import NOT_FOUND, Routes, parts_of, send
from dstwist.transports.origins import METHODS, PREFLIGHT, Origins, Refusal, check_preflight

_GET = frozenset(("GET",))
_GET_OR_HEAD = frozenset(("GET", "HEAD"))
_ALLOWED = ", ".join(METHODS)
_UNSUPPORTED = HttpAnswer.text(405, f"Unsupported method. Supported methods: {_ALLOWED}", {"Allow": _ALLOWED})


class Root(Routes):
    """
    Serves all paths of a port, for web pages of the permitted origins.

    The answers are those of the Node server, down to the two line breaks after each text.

    @param not_ready: gives the reason why the server is not ready, or C{None} if it is.
    @param bans: the addresses that are refused; C{None}: there are none.
    """

    def __init__(
        self,
        settings: HttpSettings | None = None,
        origins: Origins | None = None,
        not_ready: Callable[[], str | None] = lambda: None,
        routes: Iterable[Route] = (),
        node: str = "",
        bans: Bans | None = None,
    ) -> None:
        settings = settings or HttpSettings()
        checks = [
            # If both have the same path, it is the health check.
            Route(_GET, settings.health_check_path, _HealthCheck(), checks_origin=False, while_stopping=True),
            Route(_GET_OR_HEAD, settings.ready_path, _ReadyCheck(not_ready), checks_origin=False, while_stopping=True),
        ]
        super().__init__([*checks, *routes], Proxies(settings.trusted_proxies), node)
        self._origins = origins or Origins(settings)
        self._bans = bans

    def render(self, request: Request) -> Any:
        banned = self._check_ban(request)
        if banned is not None:
            return send(request, banned)
        route = self.table.find(*parts_of(request))
        refusal = self._check_origin(request)
        if refusal is not None and (route is None or route.checks_origin):
            return _refuse(request, refusal)
        if route is not None:
            return self.serve(route, request)
        method = request.method.decode("latin-1")
        if method not in METHODS:
            return send(request, _UNSUPPORTED)
        if method == "OPTIONS":
            return _preflight(request)
        return send(request, NOT_FOUND)

    def too_large(self, request: Request) -> HttpAnswer:
        banned = self._check_ban(request)
        if banned is not None:
            return banned
        refusal = self._check_origin(request)
        answer = super().too_large(request) if refusal is None else HttpAnswer.text(refusal.status, refusal.text)
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, values in request.responseHeaders.getAllRawHeaders()
            for value in values
        }
        return HttpAnswer(answer.status, answer.body, answer.content_type, headers)

    def _check_ban(self, request: Request) -> HttpAnswer | None:
        """
        The answer to a client whose address is banned.
        """
        # Nearly always there are no bans.
        if self._bans is None or not self._bans.addresses:
            return None
        address = self.address(request)
        key = key_of(address)
        exceeded = None if key is None else self._bans.check_address(key)
        if exceeded is None:
            return None
        log_refusal(exceeded, {"client": address, "address": address, "node": self.node})
        return HttpAnswer.text(429, exceeded.text)

    def _check_origin(self, request: Request) -> Refusal | None:
        """
        Set the headers that permit a page to see the answer.

        @return: why it may not.
        """
        origin, referer = _header(request, "origin"), _header(request, "referer")
        refusal = self._origins.check(origin, referer, _header(request, "host"))
        if refusal is None:
            for name, value in self._origins.headers(origin, referer).items():
                request.setHeader(name, value)
        return refusal


@implementer(IHttpHandler)
class _HealthCheck:
    """
    The process serves its port.
    """

    def handle(self, request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(200, b"", "application/json; charset=utf-8")


@implementer(IHttpHandler)
class _ReadyCheck:
    """
    Clients may use this server.
    """

    def __init__(self, not_ready: Callable[[], str | None]) -> None:
        self._not_ready = not_ready

    def handle(self, request: HttpRequest) -> HttpAnswer:
        reason = self._not_ready()
        # An earlier answer may be wrong by now.
        headers = {"Cache-Control": "no-store"}
        if reason is None:
            return HttpAnswer.text(200, "ready", headers)
        return HttpAnswer.text(503, f"not ready: {reason}", headers)


def _header(request: Request, name: str) -> str | None:
    value = request.getHeader(name.encode("ascii"))
    return None if value is None else value.decode("utf-8", "replace")


def _refuse(request: Request, refusal: Refusal) -> Any:
    return send(request, HttpAnswer.text(refusal.status, refusal.text))


def _preflight(request: Request) -> Any:
    refusal = check_preflight(
        _header(request, "access-control-request-method"), _header(request, "access-control-request-headers")
    )
    if refusal is not None:
        return _refuse(request, refusal)
    return send(request, HttpAnswer(204, headers=PREFLIGHT))
