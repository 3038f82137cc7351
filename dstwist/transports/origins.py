"""
The web pages that may use the server: C{allowAllOrigins}, C{origins}, C{hostUrl}, C{checkWebsocketOrigin}.

A browser sends the origin of the page in C{Origin}, and shows an HTTP answer to the page only if the answer permits it
(CORS). It shows the page everything that comes by a WebSocket, so the server itself has to refuse these. Programs other
than browsers need not send an Origin. HTTP requests need one all the same, as with the Node server; WebSockets do not.

=====================================  ====================================================================
C{allowAllOrigins}                     answer
=====================================  ====================================================================
true                                   C{Access-Control-Allow-Origin: *}
false, the origin is in the list       the origin, C{Access-Control-Allow-Credentials: true}, C{Vary: Origin}
false, it is not, or there is none     403
=====================================  ====================================================================

Source: C{operations.md} section 1.4, C{security.md} section 4.2.
"""

from __future__ import annotations

from typing import NamedTuple

from dstwist.config.http_server import HttpSettings

METHODS = ("GET", "POST", "OPTIONS")
_HEADERS = ("X-Requested-With", "X-HTTP-Method-Override", "Content-Type", "Accept")
_LOWER_HEADERS = frozenset(name.lower() for name in _HEADERS)

_NO_ORIGIN = 'CORS is configured for this. All requests must set a valid "Origin" header.'

_FOR_ALL = {"Access-Control-Allow-Origin": "*"}


class Refusal(NamedTuple):
    """
    The answer to a request that is not served.
    """

    status: int
    text: str


class Origins:
    """
    Decides for each request whether its page may make it.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._allowed = None if settings.allow_all_origins else frozenset(settings.origins)
        self._host = settings.host_url
        self._checks_web_sockets = self._allowed is not None and settings.check_websocket_origin

    def check(self, origin: str | None, referer: str | None, host: str | None) -> Refusal | None:
        """
        Why an HTTP request with these headers is refused; C{None} if it is not.
        """
        if self._allowed is None:
            return None
        if self._host is not None and host != self._host:
            return Refusal(403, "Forbidden Host.")
        found = origin if origin is not None else referer
        if found is None:
            return Refusal(403, _NO_ORIGIN)
        return None if found in self._allowed else Refusal(403, f'Origin "{found}" is forbidden.')

    def check_upgrade(self, origin: str | None, host: str | None) -> Refusal | None:
        """
        Why a request for a WebSocket is refused; C{None} if it is not.
        """
        if not self._checks_web_sockets or origin is None:
            return None
        return self.check(origin, None, host)

    def headers(self, origin: str | None, referer: str | None) -> dict[str, str]:
        """
        The headers of the answer to a request that is not refused.
        """
        if self._allowed is None:
            return _FOR_ALL
        return {
            "Access-Control-Allow-Origin": origin if origin is not None else referer or "",
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }


#: Further headers of the answer to a preflight that is not refused.
PREFLIGHT = {
    "Access-Control-Allow-Methods": ", ".join(METHODS),
    "Access-Control-Allow-Headers": ", ".join(_HEADERS),
}


def check_preflight(method: str | None, headers: str | None) -> Refusal | None:
    """
    Why a browser may not make the request that it asks about; C{None} if it may.

    @param method: the value of C{Access-Control-Request-Method}.
    @param headers: the value of C{Access-Control-Request-Headers}.
    """
    if method is None:
        return Refusal(400, 'Missing header "Access-Control-Request-Method".')
    if method not in METHODS:
        return Refusal(403, f"Method {method} is forbidden. Supported methods: {', '.join(METHODS)}")
    if headers is None:
        return Refusal(400, 'Missing header "Access-Control-Request-Headers".')
    for name in headers.split(","):
        if name.strip().lower() not in _LOWER_HEADERS:
            return Refusal(403, f"Header {name} is forbidden. Supported headers: {', '.join(_HEADERS)}")
    return None
