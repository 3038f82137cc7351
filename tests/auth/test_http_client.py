"""
HTTP requests with bounds.
"""

from __future__ import annotations

import gzip
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from dstwist.auth.http_client import HttpClient, Response, make_http_client
from dstwist.errors import AuthError

URL = "https://issuer.example/keys"


class Page(Resource):
    """
    Keeps the requests it gets, unanswered.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.lost: list[Any] = []

    def render(self, request: Any) -> int:
        self.requests.append(request)
        request.notifyFinish().addBoth(self.lost.append)
        return NOT_DONE_YET


@implementer(IAgent)
class ScriptedAgent:
    """
    Answers every request with the same.
    """

    def __init__(self, answer: Deferred[Any]) -> None:
        self.answer = answer

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Deferred[Any]:
        return self.answer


class HttpClientTests(SynchronousTestCase):
    """
    L{HttpClient}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.page = Page()
        self.agent = RequestTraversalAgent(self.page)
        self.http_client = HttpClient(self.agent, self.clock, 3.0, 1000, None)

    def ask(self, method: str = "GET", **more: Any) -> Deferred[Response]:
        answer = Deferred.fromCoroutine(self.http_client.request(method, URL, **more))
        self.agent.flush()
        return answer

    def write(self, data: bytes, finish: bool = True) -> None:
        request = self.page.requests[-1]
        request.write(data)
        if finish:
            request.finish()
        self.agent.flush()

    def test_answer(self) -> None:
        """
        Method, headers and body arrive; status, media type and body come back.
        """
        answer = self.ask("POST", headers={"X-One": "é"}, body=b"hello")
        (request,) = self.page.requests
        self.assertEqual((request.method, request.content.read()), (b"POST", b"hello"))
        self.assertEqual(request.requestHeaders.getRawHeaders(b"x-one"), ["é".encode("latin-1")])
        request.setResponseCode(404)
        request.setHeader("content-type", "Text/Plain; charset=utf-8")
        self.write(b"what?")
        self.assertEqual(self.successResultOf(answer), Response(404, "text/plain", b"what?"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_answer_in_time(self) -> None:
        """
        Without an answer in time the request is given up, and its connection closed.
        """
        answer = self.ask()
        self.clock.advance(2.9)
        self.assertNoResult(answer)
        self.clock.advance(0.1)
        self.agent.flush()
        error = self.failureResultOf(answer, AuthError)
        self.assertEqual(str(error.value), "no answer within 3.0 s")
        self.assertEqual(len(self.page.lost), 1)

    def test_body_not_in_time(self) -> None:
        """
        An answer may not go on for ever, a byte now and then; its body has as much time as its head.
        """
        answer = self.ask()
        self.clock.advance(2)
        self.write(b"a", finish=False)
        for _ in range(5):
            self.clock.advance(0.5)
            self.write(b"a", finish=False)
        self.assertNoResult(answer)
        self.clock.advance(0.5)
        self.agent.flush()
        error = self.failureResultOf(answer, AuthError)
        self.assertEqual(str(error.value), "the answer did not end within 3.0 s")
        self.assertEqual(len(self.page.lost), 1)

    def test_too_large(self) -> None:
        """
        A body is read up to the limit. Beyond it there is no answer, and the rest is not waited for.
        """
        answer = self.ask()
        self.write(b"x" * 1000)
        self.assertEqual(len(self.successResultOf(answer).body), 1000)
        answer = self.ask()
        self.write(b"x" * 600, finish=False)
        self.assertNoResult(answer)
        self.write(b"x" * 401, finish=False)
        self.failureResultOf(answer, AuthError)
        self.agent.flush()
        self.assertEqual(len(self.page.lost), 2)

    def test_compressed(self) -> None:
        """
        The size limit applies to the body as it is read, not as it is sent.
        """
        for size, accepted in ((1000, True), (1001, False)):
            answer = self.ask()
            self.page.requests[-1].setHeader("content-encoding", "gzip")
            self.write(gzip.compress(b"x" * size))
            if accepted:
                self.assertEqual(self.successResultOf(answer).body, b"x" * size)
            else:
                self.failureResultOf(answer, AuthError)

    def test_cut_off(self) -> None:
        """
        A body whose connection ends before it does is no answer.
        """
        answer = self.ask()
        self.page.requests[-1].setHeader("content-length", "10")
        self.write(b"half", finish=False)
        self.page.requests[-1].channel.loseConnection()
        self.agent.flush()
        self.failureResultOf(answer, AuthError)

    def test_failures(self) -> None:
        """
        Every failure of the network becomes an AuthError, which says what failed.
        """
        refused = ConnectionRefusedError()
        for problem, words in (
            (refused, "ConnectionRefusedError"),
            (ResponseNeverReceived([Failure(refused)]), "ConnectionRefusedError"),
            (ValueError("x" * 9999), "ValueError xxx"),
        ):
            self.http_client = HttpClient(ScriptedAgent(fail(problem)), self.clock, 3.0, 1000, None)
            error = self.failureResultOf(self.ask(), AuthError)
            self.assertIn(f"no answer: {words}", str(error.value))
            self.assertLess(len(str(error.value)), 400)

    def test_cancelled(self) -> None:
        """
        A request that is cancelled is given up.
        """
        answer = self.ask()
        answer.cancel()
        self.agent.flush()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual((len(self.page.lost), self.clock.getDelayedCalls()), (1, []))

    def test_redirect(self) -> None:
        """
        A redirect is an answer like others.
        """
        answer = self.ask()
        self.page.requests[-1].setResponseCode(302)
        self.page.requests[-1].setHeader("location", URL + "/elsewhere")
        self.write(b"")
        self.assertEqual(self.successResultOf(answer).status, 302)
        self.assertEqual(len(self.page.requests), 1)


class NetworkTests(SynchronousTestCase):
    """
    L{make_http_client}.
    """

    def test_tls_is_verified(self) -> None:
        """
        A server's certificate has to be good for the host in the URL, and from an authority the system trusts.
        """
        reactor = MemoryReactorClock()
        http_client = make_http_client(reactor, 3.0, 1000)
        made: list[tuple[bytes, int]] = []
        policy = "twisted.web.client.BrowserLikePolicyForHTTPS.creatorForNetloc"

        def creator(_: Any, host: bytes, port: int) -> Any:
            made.append((host, port))
            raise ValueError("stop here")

        from twisted.web import client

        self.patch(client.BrowserLikePolicyForHTTPS, policy.rpartition(".")[2], creator)
        self.failureResultOf(Deferred.fromCoroutine(http_client.request("GET", URL)), AuthError)
        self.assertEqual(made, [(b"issuer.example", 443)])

    def test_stop(self) -> None:
        """
        Connections that are kept for later are closed in the end.
        """
        closed: list[str] = []

        class Pool:
            def closeCachedConnections(self) -> Deferred[None]:
                closed.append("closed")
                return succeed(None)

        http_client = HttpClient(ScriptedAgent(Deferred()), Clock(), 3.0, 1000, Pool())  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(http_client.stop()))
        self.assertEqual(closed, ["closed"])
