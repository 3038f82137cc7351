"""
Tests for L{dstwist.transports.http}, behind the port as everywhere.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.http_server import HttpSettings
from dstwist.transports.http import LINGER_SECONDS, READ_BYTES, REQUEST_TIMEOUT, HttpFactory, Root
from dstwist.transports.origins import Origins
from dstwist.transports.shared_port import SharedPortFactory
from tests.transports.helpers import PushTransport

#: The largest body in these tests.
LIMIT = 1000

NOT_FOUND = b"Endpoint not found.\r\n\r\n"
UNSUPPORTED = b"Unsupported method. Supported methods: GET, POST, OPTIONS\r\n\r\n"


class Answer:
    """
    One HTTP response.
    """

    def __init__(self, data: bytes, of_head: bool = False) -> None:
        head, _, self.rest = data.partition(b"\r\n\r\n")
        line, *headers = head.decode("ascii").split("\r\n")
        self.status = int(line.split(" ")[1])
        self.headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in headers)}
        length = 0 if of_head else int(self.headers.get("content-length", "0"))
        self.body, self.rest = self.rest[:length], self.rest[length:]


class HttpTestCase(SynchronousTestCase):
    """
    A server of its own for each test.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.http = HttpFactory(Root(), LIMIT, self.reactor)
        self.factory = SharedPortFactory({}, self.http, self.reactor)
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)
        self.connect()

    def connect(self) -> None:
        self.transport = PushTransport()
        self.connection: Any = self.factory.buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def answers(self, *pieces: bytes, of_head: bool = False) -> list[Answer]:
        """
        The answer to C{pieces}.
        """
        for piece in pieces:
            self.connection.dataReceived(piece)
        data = self.transport.take()
        found = []
        while data:
            found.append(Answer(data, of_head))
            data = found[-1].rest
        return found

    def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> Answer:
        """
        The answer to a request.
        """
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        (answer,) = self.answers("\r\n".join([*lines, "", ""]).encode() + body, of_head=method == "HEAD")
        return answer


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


class ConnectionTests(HttpTestCase):
    """
    Many requests on one connection.
    """

    REQUEST = b"GET /health-check HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def test_kept(self) -> None:
        """
        A connection is kept for further requests.
        """
        for _ in range(3):
            self.assertEqual(self.ask("GET", "/health-check").status, 200)
        self.assertFalse(self.transport.disconnecting)

    def test_close(self) -> None:
        """
        It is closed if the client wants that, or does not know about keeping it.
        """
        self.assertEqual(self.ask("GET", "/health-check", "Connection: close").headers["connection"], "close")
        self.assertTrue(self.transport.disconnecting)
        self.connect()
        self.answers(b"GET /health-check HTTP/1.0\r\n\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_closed_in_time(self) -> None:
        """
        A client that does not do its part of closing, as TLS needs it, is dropped after a while; of one that does
        nothing is left.
        """
        self.ask("GET", "/health-check", "Connection: close")
        self.reactor.advance(LINGER_SECONDS - 0.1)
        self.assertFalse(self.transport.aborted)
        self.reactor.advance(0.1)
        self.assertTrue(self.transport.aborted)
        self.connect()
        self.ask("GET", "/health-check", "Connection: close")
        self.connection.connectionLost()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_pipelining(self) -> None:
        """
        Requests that arrive at once are answered in order; one that asks for a WebSocket meanwhile is no exception.
        """
        upgrade = b"GET /deepstream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        stream = self.REQUEST + b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + upgrade + self.REQUEST
        for size in (len(stream), 1, 50):
            self.connect()
            pieces = [stream[place : place + size] for place in range(0, len(stream), size)]
            self.assertEqual([answer.status for answer in self.answers(*pieces)], [200, 404, 404, 200])

    def test_read_at_once(self) -> None:
        """
        Little is read at a time: thousands of pipelined requests would keep all others waiting.
        """
        self.ask("GET", "/health-check")
        self.assertEqual(self.transport.bufferSize, READ_BYTES)

    def test_idle(self) -> None:
        """
        A connection that is not used is closed after a minute.
        """
        self.ask("GET", "/health-check")
        self.reactor.advance(REQUEST_TIMEOUT - 1)
        self.assertFalse(self.transport.disconnecting)
        self.ask("GET", "/health-check")
        self.reactor.advance(REQUEST_TIMEOUT - 1)
        self.assertFalse(self.transport.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_slow_head(self) -> None:
        """
        A further request that arrives drop by drop has no longer than that, all in all.
        """
        self.ask("GET", "/health-check")
        self.connection.dataReceived(b"GET /health-check HTTP/1.1\r\n")
        for _ in range(6):
            self.assertFalse(self.transport.disconnecting)
            self.connection.dataReceived(b"X: y\r\n")
            self.reactor.advance(REQUEST_TIMEOUT / 6)
        self.assertTrue(self.transport.disconnecting)

    def test_slow_body(self) -> None:
        """
        Nor has a body.
        """
        self.connection.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        for _ in range(6):
            self.assertFalse(self.transport.disconnecting)
            self.connection.dataReceived(b"x")
            self.reactor.advance(REQUEST_TIMEOUT / 6)
        self.assertTrue(self.transport.disconnecting)

    def test_w57_never_reads(self) -> None:
        """
        W57: a client that asks on and on without reading is not read from any more, and dropped in the end.
        """
        self.transport.high = 1000
        for _ in range(200):
            self.connection.dataReceived(self.REQUEST)
            if self.transport.producerState == "paused":
                break
        self.assertEqual(self.transport.producerState, "paused")
        self.assertLess(len(self.transport.value()), 2000)
        self.reactor.advance(REQUEST_TIMEOUT)
        self.reactor.advance(30)
        self.assertTrue(self.transport.aborted)

    def test_reads_late(self) -> None:
        """
        One that reads late is read from again when it has.
        """
        self.transport.high = 1000
        for _ in range(10):
            self.connection.dataReceived(self.REQUEST)
        self.assertEqual(self.transport.producerState, "paused")
        self.transport.take()
        self.connection._chosen.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.ask("GET", "/health-check").status, 200)

    def test_lost(self) -> None:
        """
        A client that goes in the middle of a request leaves nothing behind.
        """
        for data in (b"GET / HTTP/1.1\r\n\r\nGET", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"):
            self.connection.dataReceived(data)
            self.connection.connectionLost()
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            self.connect()


class LimitTests(HttpTestCase):
    """
    Requests that are too large, or none.
    """

    def test_largest_body(self) -> None:
        """
        A body up to the limit is taken.
        """
        self.assertEqual(self.ask("POST", "/", body=b"x" * LIMIT).status, 404)
        self.assertEqual(self.answers(self.chunked(LIMIT))[0].status, 404)
        self.assertFalse(self.transport.disconnecting)

    def chunked(self, length: int) -> bytes:
        chunks = b"64\r\n" + b"x" * 100 + b"\r\n"
        return (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunks * (length // 100)
            + b"0\r\n\r\n"
        )

    def test_too_large(self) -> None:
        """
        A larger one is answered 413: at once if the head says so, else when the limit is passed.
        """
        for pieces in [
            [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"],
            [b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n"],
            [self.chunked(LIMIT)[:-5], b"1\r\n"],
            [self.chunked(LIMIT + 100)],
        ]:
            self.connect()
            self.assertEqual([answer.status for answer in self.answers(*pieces[:-1])], [])
            statuses = [answer.status for answer in self.answers(pieces[-1], b"x")]
            self.assertEqual(statuses, [413])

    def test_too_large_lingers(self) -> None:
        """
        The client can read the answer: the server reads on for a while, and keeps nothing of that.
        """
        (answer,) = self.answers(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        self.assertEqual(answer.body, b"The request body is too large.\r\n\r\n")
        self.assertEqual(answer.headers["connection"], "close")
        (request,) = self.connection._chosen.requests
        for _ in range(100):
            self.assertEqual(self.answers(b"x" * 1000), [])
        self.assertEqual(request.content.getbuffer().nbytes, 0)
        self.reactor.advance(LINGER_SECONDS)
        self.assertTrue(self.transport.aborted)

    def test_too_large_to_the_end(self) -> None:
        """
        A client that sends all of it nevertheless is closed then, and gets no second answer.
        """
        statuses = [answer.status for answer in self.answers(self.chunked(2 * LIMIT))]
        self.assertEqual(statuses, [413])
        self.assertTrue(self.transport.disconnecting)
        self.connection.connectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_huge_length(self) -> None:
        """
        A length with thousands of digits is no number.
        """
        self.assertEqual(self.ask("POST", "/", f"Content-Length: {'9' * 5000}").status, 400)
        self.assertTrue(self.transport.disconnecting)

    def test_later_head_too_long(self) -> None:
        """
        Heads of further requests have a limit as well.
        """
        self.ask("GET", "/health-check")
        (answer,) = self.answers(b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 20)
        self.assertEqual(answer.status, 400)
        self.assertTrue(self.transport.disconnecting)

    def test_endless_line(self) -> None:
        """
        So has a line that never ends.
        """
        self.ask("GET", "/health-check")
        for _ in range(100):
            if self.transport.disconnecting:
                break
            self.connection.dataReceived(b"x" * 1000)
        self.assertTrue(self.transport.disconnecting)

    def test_bad_requests(self) -> None:
        """
        Bytes that are no request are answered 400, or the connection is closed.
        """
        for data in (
            b"\r\n\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nno header\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ):
            self.connect()
            statuses = [answer.status for answer in self.answers(data)]
            self.assertEqual(statuses, [400], data)
            self.assertTrue(self.transport.disconnecting, data)
