"""
Tests for L{dstwist.transports.http_routes}, on connections as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.config.http_server import HttpSettings
from dstwist.config.values import read_proxies
from dstwist.interfaces import HttpAnswer, HttpRequest, HttpStream, IHttpHandler, Route
from dstwist.transports.http import Root
from dstwist.transports.http_routes import Routes, Table
from dstwist.transports.origins import Origins
from tests.transports.helpers import PushTransport
from tests.transports.http_helpers import NOT_FOUND, HttpTestCase

GET = frozenset(("GET",))
POST = frozenset(("POST",))


@implementer(IHttpHandler)
class Handler:
    """
    Answers with the results of a function, and keeps the requests.
    """

    def __init__(self, answer: Callable[[HttpRequest], Any] = lambda request: HttpAnswer.text(200, "yes")) -> None:
        self.answer = answer
        self.requests: list[HttpRequest] = []

    def handle(self, request: HttpRequest) -> Any:
        self.requests.append(request)
        return self.answer(request)


class TableTests(SynchronousTestCase):
    """
    Which route a request has.
    """

    def find(self, method: str, target: str, *routes: Route) -> str | None:
        found = Table(routes).find(method, target, target.partition("?")[0])
        return None if found is None else found.path

    def test_handler(self) -> None:
        """
        The handler of these tests provides L{IHttpHandler}.
        """
        verifyObject(IHttpHandler, Handler())

    def test_paths(self) -> None:
        """
        A route that is no prefix has its path with any query, and with a slash behind it.
        """
        route = Route(GET, "/metrics", Handler())
        for target in ("/metrics", "/metrics/", "/metrics?x=1"):
            self.assertEqual(self.find("GET", target, route), "/metrics", target)
        for target in ("/metric", "/metrics/x", "/metricsx", "/Metrics", "/"):
            self.assertIsNone(self.find("GET", target, route), target)
        self.assertIsNone(self.find("POST", "/metrics", route))

    def test_prefixes(self) -> None:
        """
        A prefix has all targets that start with it; of two that fit, the longer one is the route.
        """
        routes = [Route(POST, path, Handler(), is_prefix=True) for path in ("/api", "/api/auth", "/b?x=1")]
        for target, path in [
            ("/api", "/api"),
            ("/apifoo", "/api"),
            ("/api/x", "/api"),
            ("/api?auth", "/api"),
            ("/api/auth", "/api/auth"),
            ("/api/authx/y", "/api/auth"),
            ("/b?x=12", "/b?x=1"),
            ("/b", None),
            ("/API", None),
            ("/%61pi", None),
            ("/", None),
        ]:
            self.assertEqual(self.find("POST", target, *routes), path, target)

    def test_whole_paths_first(self) -> None:
        """
        A path of its own comes before a prefix, and C{/} as a prefix takes the rest. The method decides as well.
        """
        routes = [
            Route(POST, "/", Handler(), is_prefix=True),
            Route(POST, "/own", Handler()),
            Route(GET, "/other", Handler()),
        ]
        for method, target, path in [
            ("POST", "/own", "/own"),
            ("POST", "/owner", "/"),
            ("POST", "/other", "/"),
            ("GET", "/other", "/other"),
            ("GET", "/own", None),
        ]:
            self.assertEqual(self.find(method, target, *routes), path, (method, target))


class RoutesTestCase(HttpTestCase):
    """
    A server with the routes of the test.
    """

    def serve(self, *routes: Route) -> Routes:
        served = self.http.resource = Routes(routes)
        return served


class RequestTests(RoutesTestCase):
    """
    What a handler is told.
    """

    def test_request(self) -> None:
        """
        The handler sees the request as it came.
        """
        handler = Handler()
        self.serve(Route(POST, "/a", handler, is_prefix=True))
        self.ask("POST", "/a%20b?c=%3F?d", "X-One: 1", "X-One: 2", "Content-Type: text/x", body=b"\x00body")
        (request,) = handler.requests
        self.assertEqual(
            (request.method, request.target, request.path, request.query, request.body),
            ("POST", "/a%20b?c=%3F?d", "/a%20b", "c=%3F?d", b"\x00body"),
        )
        self.assertEqual(request.headers["x-one"], "1, 2")
        self.assertEqual(request.headers["content-type"], "text/x")
        client = request.client
        self.assertEqual((client.url, client.path, client.number), ("/a%20b?c=%3F?d", "/a%20b", 0))
        self.assertEqual(client.headers, request.headers)

    def test_any_bytes(self) -> None:
        """
        Header values that are no UTF-8 reach the handler.
        """
        handler = Handler()
        self.serve(Route(GET, "/", handler, is_prefix=True))
        self.answers(b"GET / HTTP/1.1\r\nHost: x\r\nX-One: \xfd\r\n\r\n")
        (request,) = handler.requests
        self.assertEqual(request.headers["x-one"], "\xfd")

    def test_address(self) -> None:
        """
        The address is that of the client behind trusted proxies, for each request of the connection.
        """
        handler = Handler()
        proxies: Any = read_proxies(["192.0.2.0/24"], "", None)  # type: ignore[arg-type]
        self.http.resource = Root(HttpSettings(trusted_proxies=proxies), routes=[Route(GET, "/x", handler)])
        self.transport = PushTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 50000))
        self.connection = self.factory.buildProtocol(None)
        self.connection.makeConnection(self.transport)
        self.ask("GET", "/x", "X-Forwarded-For: 198.51.100.1")
        self.ask("GET", "/x", "X-Forwarded-For: 198.51.100.2, 192.0.2.7")
        self.ask("GET", "/x")
        self.assertEqual(
            [request.client.address for request in handler.requests], ["198.51.100.1", "198.51.100.2", "192.0.2.1"]
        )


class AnswerTests(RoutesTestCase):
    """
    What the client gets.
    """

    def test_answer(self) -> None:
        """
        The answer of the handler is sent as it is, with its length.
        """
        answer = HttpAnswer(201, b"\x00abc", "image/x", {"X-One": "1"})
        self.serve(Route(GET, "/a", Handler(lambda request: answer)))
        found = self.ask("GET", "/a")
        self.assertEqual((found.status, found.body), (201, b"\x00abc"))
        self.assertEqual((found.headers["content-type"], found.headers["x-one"]), ("image/x", "1"))
        self.assertEqual(self.ask("GET", "/a").status, 201)

    def test_texts(self) -> None:
        """
        Texts and JSON end in two line breaks, as those of the Node server do.
        """
        self.serve(
            Route(GET, "/text", Handler(lambda request: HttpAnswer.text(400, "\u00e4\ud800"))),
            Route(GET, "/json", Handler(lambda request: HttpAnswer.json(200, b"{}", {"X-One": "1"}))),
        )
        found = self.ask("GET", "/text")
        self.assertEqual((found.status, found.body), (400, "\u00e4?\r\n\r\n".encode()))
        self.assertEqual(found.headers["content-type"], "text/plain; charset=utf-8")
        found = self.ask("GET", "/json")
        self.assertEqual((found.status, found.body, found.headers["x-one"]), (200, b"{}\r\n\r\n", "1"))
        self.assertEqual(found.headers["content-type"], "application/json; charset=utf-8")

    def test_nothing_there(self) -> None:
        """
        Another path is not found; another method is not allowed, and the answer says which are.
        """
        self.serve(Route(frozenset(("PUT", "DELETE")), "/a", Handler()), Route(GET, "/a", Handler(), is_prefix=True))
        answer = self.ask("GET", "/b")
        self.assertEqual((answer.status, answer.body), (404, NOT_FOUND))
        answer = self.ask("POST", "/a")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "DELETE, GET, PUT"))

    def test_head(self) -> None:
        """
        A route that takes HEAD answers it without the body.
        """
        self.serve(Route(frozenset(("HEAD",)), "/a", Handler()))
        answer = self.ask("HEAD", "/a")
        self.assertEqual((answer.status, answer.headers["content-length"], answer.rest), (200, "7", b""))

    def test_later(self) -> None:
        """
        An answer may come later. Requests that came behind it wait, and are answered in their order.
        """
        deferreds: list[Deferred[HttpAnswer]] = [Deferred(), Deferred(), Deferred()]
        waiting = iter(deferreds)
        handler = Handler(lambda request: next(waiting))
        self.serve(Route(GET, "/later", handler), Route(GET, "/now", Handler()))
        later = b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
        self.assertEqual(self.answers(later * 2, b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n", later), [])
        self.assertEqual(len(handler.requests), 1)
        deferreds[0].callback(HttpAnswer.text(200, "first"))
        self.assertEqual([answer.body for answer in self.answers(b"")], [b"first\r\n\r\n"])
        deferreds[1].callback(HttpAnswer.text(200, "second"))
        self.assertEqual([answer.body for answer in self.answers(b"")], [b"second\r\n\r\n", b"yes\r\n\r\n"])
        deferreds[2].callback(HttpAnswer.text(200, "third"))
        self.assertEqual([answer.body for answer in self.answers(b"")], [b"third\r\n\r\n"])
        self.assertEqual(self.ask("GET", "/now").status, 200)

    def test_deferreds_that_have_fired(self) -> None:
        """
        A Deferred that has fired already is as good as an answer.
        """
        self.serve(Route(GET, "/a", Handler(lambda request: succeed(HttpAnswer.text(200, "done")))))
        self.assertEqual(self.ask("GET", "/a").body, b"done\r\n\r\n")

    def test_long_pipeline(self) -> None:
        """
        3,000 requests in one stream are all answered, in order. The server reads no more than a few kilobytes of them
        ahead of its answers.
        """
        waiting: list[Deferred[HttpAnswer]] = []

        def wait(request: HttpRequest) -> Deferred[HttpAnswer]:
            waiting.append(Deferred())
            waiting[-1].addCallback(lambda _: HttpAnswer.text(200, request.query))
            return waiting[-1]

        self.serve(Route(GET, "/a", Handler(wait)))
        stream = b"".join(b"GET /a?%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(3000))
        place = number = 0
        while number < 3000:
            while place < len(stream) and self.transport.producerState == "producing":
                self.connection.dataReceived(stream[place : place + 4096])
                place += 4096
            self.assertEqual(len(waiting), 1)
            waiting.pop().callback(None)  # type: ignore[arg-type]
            (answer,) = self.answers()
            self.assertEqual(answer.body, b"%d\r\n\r\n" % number)
            number += 1
            self.assertLess(place, number * len(stream) / 3000 + 30000)
        self.assertEqual(waiting, [])

    def test_client_goes(self) -> None:
        """
        If the client goes before its answer, the Deferred is cancelled.
        """
        ends: list[Any] = []
        self.serve(Route(GET, "/a", Handler(lambda request: Deferred(ends.append))))
        self.answers(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(len(self.http.resource.under_way), 1)
        self.connection.connectionLost()
        self.assertEqual(len(ends), 1)
        self.assertEqual(self.http.resource.under_way, {})

    def test_answer_after_the_end(self) -> None:
        """
        An answer that cannot be stopped goes nowhere.
        """
        ends: list[Any] = []
        self.serve(Route(GET, "/a", Handler(lambda request: Deferred(lambda deferred: deferred.callback(answer)))))
        answer = HttpAnswer.text(200, "too late")
        self.answers(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        self.connection.connectionLost()
        self.assertEqual((self.answers(), ends), ([], []))

    def test_mistakes(self) -> None:
        """
        A mistake in a handler is logged, and the client gets an answer.
        """

        def raise_(request: HttpRequest) -> Any:
            raise KeyError(request.path)

        self.serve(
            Route(GET, "/raises", Handler(raise_)),
            Route(GET, "/fails", Handler(lambda request: fail(KeyError("x")))),
            # The client has not gone.
            Route(GET, "/gives-up", Handler(lambda request: fail(CancelledError()))),
        )
        for path, problem in (("/raises", KeyError), ("/fails", KeyError), ("/gives-up", CancelledError)):
            answer = self.ask("GET", path)
            self.assertEqual((answer.status, answer.body), (500, b"Internal server error.\r\n\r\n"))
            self.assertEqual(len(self.flushLoggedErrors(problem)), 1)
        self.assertEqual(self.http.resource.under_way, {})

    def test_mistakes_in_streams(self) -> None:
        """
        A mistake at the beginning of a stream, whose head has left, ends the connection.
        """

        def begin(writer: Any) -> None:
            raise KeyError("x")

        self.serve(Route(GET, "/a", Handler(lambda request: HttpStream(200, "text/x", begin))))
        self.answers(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertTrue(self.transport.aborted)


class StopTests(RoutesTestCase):
    """
    The stop of the server.
    """

    def test_refuse(self) -> None:
        """
        A server that stops refuses requests, except those of routes that say otherwise.
        """
        handler = Handler()
        routes = self.serve(Route(GET, "/a", handler), Route(GET, "/b", Handler(), while_stopping=True))
        routes.refuse(HttpAnswer.text(503, "The server is stopping."))
        self.assertEqual([self.ask("GET", path).status for path in ("/a", "/b")], [503, 200])
        self.assertEqual(handler.requests, [])

    def test_drain(self) -> None:
        """
        A server that stops waits until all requests are answered.
        """
        waiting: list[Deferred[HttpAnswer]] = []

        def wait(request: HttpRequest) -> Deferred[HttpAnswer]:
            waiting.append(Deferred())
            return waiting[-1]

        routes = self.serve(Route(GET, "/a", Handler(wait)))
        self.successResultOf(routes.drain())
        self.answers(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        first = self.transport
        self.connect()
        self.answers(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        drained = routes.drain()
        waiting[0].callback(HttpAnswer.text(200, "done"))
        self.assertIn(b"done", first.take())
        self.assertNoResult(drained)
        # A client that goes is not waited for either.
        self.connection.connectionLost()
        self.successResultOf(drained)

    def test_abort(self) -> None:
        """
        A request that takes too long is dropped with its connection.
        """
        routes = self.serve(Route(GET, "/a", Handler(lambda request: Deferred())), Route(GET, "/b", Handler()))
        self.ask("GET", "/b")
        routes.abort()
        self.assertFalse(self.transport.aborted)
        self.answers(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        routes.abort()
        self.assertTrue(self.transport.aborted)


class RootTests(HttpTestCase):
    """
    Routes on the shared port.
    """

    def test_origins(self) -> None:
        """
        Each route is for the pages of the permitted origins, except routes for programs that have no origin. All
        answers permit the page to see them.
        """
        api, metrics = Handler(), Handler()
        self.http.resource = Root(
            origins=Origins(HttpSettings(allow_all_origins=False, origins=("https://a.example",))),
            routes=[Route(GET, "/api", api), Route(GET, "/metrics", metrics, checks_origin=False)],
        )
        self.assertEqual([self.ask("GET", path).status for path in ("/api", "/metrics")], [403, 200])
        self.assertEqual((len(api.requests), len(metrics.requests)), (0, 1))
        for path in ("/api", "/metrics"):
            answer = self.ask("GET", path, "Origin: https://a.example")
            self.assertEqual(answer.headers["access-control-allow-origin"], "https://a.example")

    def test_methods(self) -> None:
        """
        Any other method is refused as everywhere on the port, and preflights are answered for all paths.
        """
        self.http.resource = Root(routes=[Route(POST, "/api", Handler(), is_prefix=True)])
        statuses = [self.ask(method, "/api").status for method in ("POST", "GET", "PUT", "HEAD")]
        self.assertEqual(statuses, [200, 404, 405, 405])
        answer = self.ask(
            "OPTIONS", "/api", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: Content-Type"
        )
        self.assertEqual(answer.status, 204)
