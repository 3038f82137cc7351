"""
Tests for L{dstwist.transports.http}, behind the port as everywhere.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel, capturedLogs

from dstwist.config.http_server import HttpSettings
from dstwist.limits.bans import Bans
from dstwist.transports.http import Root
from dstwist.transports.origins import Origins
from tests.transports.http_helpers import LIMIT, NOT_FOUND, HttpTestCase

UNSUPPORTED = b"Unsupported method. Supported methods: GET, POST, OPTIONS\r\n\r\n"


class RootTests(HttpTestCase):
    """
    The paths that are served.
    """

    def test_health_check(self) -> None:
        """
        The health check answers 200 without a body, also with a query or a slash behind it.
        """
        for target in ("/health-check", "/health-check/", "/health-check?x=1"):
            answer = self.ask("GET", target)
            self.assertEqual((answer.status, answer.body), (200, b""))
            self.assertEqual(answer.headers["content-type"], "application/json; charset=utf-8")
            self.assertEqual(answer.headers["access-control-allow-origin"], "*")

    def test_configured_path(self) -> None:
        """
        The configuration says where the health check is.
        """
        self.http.resource = Root(HttpSettings(health_check_path="/alive/"))
        self.assertEqual(self.ask("GET", "/alive").status, 200)
        self.assertEqual(self.ask("GET", "/health-check").status, 404)

    def test_ready(self) -> None:
        """
        C{/ready} answers 200 while the server is ready, and 503 with the reason while it is not; HEAD gets no body.
        """
        reasons: list[str | None] = [None]
        self.http.resource = Root(not_ready=lambda: reasons[0])
        for reason, status, body in (
            (None, 200, b"ready\r\n\r\n"),
            ("the storage cannot write", 503, b"not ready: the storage cannot write\r\n\r\n"),
        ):
            reasons[0] = reason
            for target in ("/ready", "/ready/", "/ready?x=1"):
                answer = self.ask("GET", target)
                self.assertEqual((answer.status, answer.body), (status, body))
                self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertEqual(self.ask("HEAD", "/ready").status, status)
            self.assertEqual(self.ask("GET", "/health-check").status, 200)
        self.assertEqual(self.ask("POST", "/ready").status, 404)

    def test_configured_ready_path(self) -> None:
        """
        The configuration says where it is asked whether the server is ready; if it has the same path for the health
        check, that is the one.
        """
        self.http.resource = Root(HttpSettings(ready_path="/up"), not_ready=lambda: "no")
        self.assertEqual([self.ask("GET", path).status for path in ("/up", "/ready")], [503, 404])
        self.http.resource = Root(HttpSettings(health_check_path="/ready"), not_ready=lambda: "no")
        self.assertEqual(self.ask("GET", "/ready").status, 200)

    def test_banned_address(self) -> None:
        """
        A banned address gets 429 for each request, health checks and bodies that are too large included.
        """
        bans = Bans(self.reactor.seconds)
        self.http.resource = Root(bans=bans)
        address = self.transport.getPeer().host
        bans.addresses.add("192.0.2.77", None)
        self.assertEqual(self.ask("GET", "/health-check").status, 200)
        bans.addresses.add(address, None)
        for method, target in (("GET", "/health-check"), ("OPTIONS", "/x"), ("POST", "/api"), ("PUT", "/")):
            answer = self.ask(method, target)
            self.assertEqual((answer.status, answer.body), (429, b"This address is banned.\r\n\r\n"))
        (answer,) = self.answers(b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1))
        self.assertEqual(answer.status, 429)

    def test_not_found(self) -> None:
        """
        Everything else is not found, and said so in text; a GET on the path of WebSockets too.
        """
        for method, target in [
            ("GET", "/"),
            ("GET", "/deepstream"),
            ("GET", "/health-checks"),
            ("POST", "/health-check"),
            ("POST", "/api"),
            ("GET", "/../../etc/passwd"),
            ("GET", "/%00%ff"),
        ]:
            answer = self.ask(method, target)
            self.assertEqual((answer.status, answer.body), (404, NOT_FOUND), target)
            self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")

    def test_preflight(self) -> None:
        """
        A browser that asks first is told what it may, on any path, with an empty 204.
        """
        answer = self.ask(
            "OPTIONS",
            "/anything",
            "Origin: https://a.example",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: content-type, accept",
        )
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.headers["access-control-allow-origin"], "*")
        self.assertEqual(answer.headers["access-control-allow-methods"], "GET, POST, OPTIONS")
        self.assertEqual(
            answer.headers["access-control-allow-headers"],
            "X-Requested-With, X-HTTP-Method-Override, Content-Type, Accept",
        )

    def test_refused_preflight(self) -> None:
        """
        A request that it may not make is refused with the reason.
        """
        answer = self.ask("OPTIONS", "/", "Access-Control-Request-Method: PUT")
        self.assertEqual(
            (answer.status, answer.body),
            (403, b"Method PUT is forbidden. Supported methods: GET, POST, OPTIONS\r\n\r\n"),
        )
        answer = self.ask("OPTIONS", "/")
        self.assertEqual(
            (answer.status, answer.body), (400, b'Missing header "Access-Control-Request-Method".\r\n\r\n')
        )

    def test_origins(self) -> None:
        """
        With a list of origins, each request on a connection is checked, and answered for its origin only.
        """
        self.restrict(host_url="localhost")
        for headers, status, body in [
            (["Origin: https://a.example"], 404, NOT_FOUND),
            (["Referer: https://a.example"], 404, NOT_FOUND),
            (["Origin: https://evil.example"], 403, b'Origin "https://evil.example" is forbidden.\r\n\r\n'),
            (
                [],
                403,
                b'CORS is configured for this. All requests must set a valid "Origin" header.\r\n\r\n',
            ),
        ]:
            for method in ("GET", "POST"):
                answer = self.ask(method, "/x", *headers)
                self.assertEqual((answer.status, answer.body), (status, body))
                allowed = status == 404
                self.assertEqual(
                    answer.headers.get("access-control-allow-origin"), "https://a.example" if allowed else None
                )
                self.assertEqual(answer.headers.get("vary"), "Origin" if allowed else None)
                self.assertEqual(answer.headers.get("access-control-allow-credentials"), "true" if allowed else None)

    def test_host(self) -> None:
        """
        With hostUrl, requests for other hosts are refused.
        """
        self.restrict(host_url="api.example")
        answer = self.ask("GET", "/", "Origin: https://a.example")
        self.assertEqual((answer.status, answer.body), (403, b"Forbidden Host.\r\n\r\n"))

    def test_origins_of_health_checks(self) -> None:
        """
        Load balancers have no origin, and are answered all the same.
        """
        self.restrict()
        answer = self.ask("GET", "/health-check")
        self.assertEqual((answer.status, answer.headers.get("access-control-allow-origin")), (200, None))

    def restrict(self, **settings: Any) -> None:
        """
        Have a list of origins.
        """
        origins = Origins(HttpSettings(allow_all_origins=False, origins=("https://a.example",), **settings))
        self.http.resource = Root(origins=origins)

    def test_unsupported(self) -> None:
        """
        Methods that nothing is served by are refused.
        """
        for method in ("PUT", "DELETE", "TRACE", "CONNECT", "get", "BREW"):
            answer = self.ask(method, "/health-check")
            self.assertEqual((answer.status, answer.body), (405, UNSUPPORTED), method)
            self.assertEqual(answer.headers["allow"], "GET, POST, OPTIONS")

    def test_head(self) -> None:
        """
        HEAD is one of them; its answer has no body, and the next request on the connection is understood.
        """
        answer = self.ask("HEAD", "/health-check")
        self.assertEqual((answer.status, answer.rest), (405, b""))
        self.assertEqual(self.ask("GET", "/health-check").status, 200)

    def test_no_web_socket_here(self) -> None:
        """
        A WebSocket on a path that has none is not found.
        """
        self.assertEqual(self.ask("GET", "/nowhere", "Upgrade: websocket", "Connection: Upgrade").status, 404)

    def test_says_little(self) -> None:
        """
        Answers do not tell which version of what serves them.
        """
        self.assertEqual(self.ask("GET", "/").headers["server"], "dstwist")

    def test_no_requests_in_log(self) -> None:
        """
        Requests are not logged, neither good nor bad ones.
        """
        with capturedLogs() as logged:
            self.ask("GET", "/health-check")
            self.ask("HEAD", "/")
            self.ask("POST", "/x", body=b"y" * (LIMIT + 1))
        self.assertEqual([event for event in logged if event["log_level"] >= LogLevel.info], [])

    def test_nothing_ticks(self) -> None:
        """
        A server without clients never wakes up.
        """
        self.connection.connectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
