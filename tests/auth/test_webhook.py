"""
A web service decides.
"""

from __future__ import annotations

import json
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from dstwist.auth.credentials import MAX_USER_ID_CHARACTERS
from dstwist.auth.http_client import HttpClient, Response
from dstwist.auth.webhook import MAX_ERROR_CHARACTERS, WebhookAuthentication
from dstwist.config.auth import WebhookSettings
from dstwist.errors import AuthError, BusyError
from dstwist.interfaces import HandshakeData, IAuthenticator, ILifecycle, Login
from tests.auth.helpers import HANDSHAKE, AuthCase

JSON = "application/json; charset=utf-8"
SETTINGS = {
    "endpoint_url": "http://hook.example/auth?x=1",
    "permitted_status_codes": frozenset({200, 202}),
    "request_timeout": 2.0,
}


class Hook(Resource):
    """
    The web service: answers what it is told to, and remembers what it was asked.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[int, str | None, bytes]] = []
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[bytes, bytes, dict[bytes, list[bytes]], Any]] = []

    def render(self, request: Any) -> bytes:
        sent = dict(request.requestHeaders.getAllRawHeaders())
        self.asked.append((request.method, request.uri, sent, json.loads(request.content.read())))
        status, kind, body = self.answers.pop(0) if self.answers else (200, JSON, b"{}")
        request.setResponseCode(status)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        if kind is not None:
            request.setHeader("content-type", kind)
        else:
            request.defaultContentType = None
        return body


class HookCase(AuthCase):
    """
    An authenticator in front of a web service in memory, with HTTP in between.
    """

    def setUp(self) -> None:
        self.hook = Hook()
        self.clock = Clock()
        self.agent = RequestTraversalAgent(self.hook)
        self.make()

    def make(self, **settings: Any) -> None:
        self.settings = WebhookSettings(**{**SETTINGS, **settings})
        http_client = HttpClient(self.agent, self.clock, 2.0, self.settings.max_response_size, None)
        self.authenticator = WebhookAuthentication(self.settings, http_client, self.clock)

    def start_login(self, **credentials: Any) -> Deferred[Login]:
        result: Deferred[Login] = self.authenticator.login(HANDSHAKE, credentials)
        self.agent.flush()
        return result

    def login(self, **credentials: Any) -> Login:
        return self.successResultOf(self.start_login(**credentials))

    def answered(self, status: int, kind: str | None, body: bytes) -> Login:
        """
        The outcome of a login that the service answers like this.
        """
        self.hook.answers = [(status, kind, body)]
        return self.login(username="chris")


class RequestTests(HookCase):
    """
    The request to the service.
    """

    def test_interface(self) -> None:
        """
        L{WebhookAuthentication} provides L{IAuthenticator} and L{ILifecycle}.
        """
        verifyObject(IAuthenticator, self.authenticator)
        verifyObject(ILifecycle, self.authenticator)
        self.successResultOf(self.authenticator.start())
        self.successResultOf(self.authenticator.stop())

    def test_request(self) -> None:
        """
        A POST to the URL, query and all, of what is known about the connection and what the client sent.
        """
        self.login(username="chris", password="p")
        ((method, uri, headers, body),) = self.hook.asked
        self.assertEqual((method, uri), (b"POST", b"/auth?x=1"))
        self.assertEqual(headers[b"Accept"], [b"application/json"])
        self.assertEqual(headers[b"Content-Type"], [b"application/json; charset=utf-8"])
        self.assertEqual(
            body,
            {
                "connectionData": {"remoteAddress": "192.0.2.1", "headers": {"user-agent": "x"}},
                "authData": {"username": "chris", "password": "p"},
            },
        )

    def test_w13_connection_data(self) -> None:
        """
        W13: the address is the peer's, whatever headers say; they are there to be looked at, and so are cookies. The
        referer and the URL of an HTTP request are there if they are known.
        """
        headers = {"x-forwarded-for": "10.0.0.1", "cookie": "jwt=abc", "referer": "http://shop"}
        self.authenticator.login(HandshakeData("192.0.2.9", headers, "/api?x=1"), [1])
        self.agent.flush()
        self.assertEqual(
            self.hook.asked[0][3],
            {
                "connectionData": {
                    "remoteAddress": "192.0.2.9",
                    "headers": headers,
                    "referer": "http://shop",
                    "url": "/api?x=1",
                },
                "authData": [1],
            },
        )

    def test_promoted(self) -> None:
        """
        A value that is promoted to a header is sent in the text form of JavaScript, and stays in the body. Empty values
        are not sent.
        """
        self.make(promote_to_header=("token", "n", "flag", "zero", "none", "missing"))
        self.login(token="abc é\t~", n=5, flag=True, zero=0, none=None)
        _, _, headers, body = self.hook.asked[0]
        self.assertEqual(headers[b"Token"], ["abc é\t~".encode("latin-1")])
        self.assertEqual((headers[b"N"], headers[b"Flag"]), ([b"5"], [b"true"]))
        self.assertEqual([name for name in (b"Zero", b"None", b"Missing") if name in headers], [])
        self.assertEqual(body["authData"]["token"], "abc é\t~")

    def test_w16_promoted_line_break(self) -> None:
        """
        W16: a value that cannot be a header, for one because it would begin another, refuses that one login; the
        service is not even asked.
        """
        self.make(promote_to_header=("token",))
        for value in ("a\r\nX-Admin: 1", "a\n", "\0", " a", "a ", "€", "\ud800", "\x7f", ["a"], {"a": 1}):
            self.assertEqual(self.login(token=value), Login(False), value)
        self.assertEqual(self.hook.asked, [])
        self.assertEqual(self.login(token="a").accepted, True)

    def test_promoted_of_list(self) -> None:
        """
        A client may send a list, of which there is nothing to promote.
        """
        self.make(promote_to_header=("token",))
        self.authenticator.login(HANDSHAKE, ["token"])
        self.agent.flush()
        self.assertEqual(self.hook.asked[0][3]["authData"], ["token"])

    def test_no_cookies(self) -> None:
        """
        A cookie from one response is not sent with the next login, which is another client's.
        """
        self.hook.headers = {"set-cookie": "session=chris; Path=/"}
        self.login(username="chris")
        self.login(username="ann")
        self.assertNotIn(b"Cookie", self.hook.asked[1][2])


class AnswerTests(HookCase):
    """
    The decision in the response.
    """

    def test_permitted(self) -> None:
        """
        With a permitted status the client is let in, as whom the body says.
        """
        for status, kind, body, expected in (
            (200, JSON, b'{"id":"chris"}', Login(True, "chris")),
            (202, "application/vnd.x+json", b'{"id":"chris"}', Login(True, "chris")),
            (
                200,
                JSON,
                b'{"id":"c","clientData":{"a":1},"serverData":[2],"token":"t","more":3}',
                Login(True, "c", b'{"a":1}', [2], token="t"),
            ),
            (200, JSON, b'{"isValid":true,"username":"old"}', Login(True, "old")),
            (200, JSON, b'{"id":"new","username":"old","clientData":null}', Login(True, "new", b"null")),
            (200, JSON, b'{"id":7}', Login(True, "7")),
            (200, JSON, b'{"id":1.5}', Login(True, "1.5")),
            (200, JSON, b"{}", Login(True)),
            (200, JSON, b'{"id":null}', Login(True)),
            (200, JSON, b'"chris"', Login(True, "chris")),
            (200, "text/plain; charset=utf-8", "chris é".encode(), Login(True, "chris é")),
            (200, "text/plain", b"x" * MAX_USER_ID_CHARACTERS, Login(True, "x" * MAX_USER_ID_CHARACTERS)),
            (200, "TEXT/PLAIN", b"chris", Login(True, "chris")),
            (200, None, b"", Login(True)),
            (200, "text/html", b"", Login(True)),
            (200, JSON, b"null", Login(True)),
            (200, JSON, b"true", Login(True)),
            (200, JSON, b"[1]", Login(True)),
            (200, JSON, b"5", Login(True)),
            (200, None, b"anything", Login(True)),
            (200, "application/octet-stream", b"anything", Login(True)),
        ):
            self.assertEqual(self.answered(status, kind, body), expected, (kind, body))

    def test_unnamed(self) -> None:
        """
        A body that says nothing about the user is taken for an acceptance without a user id, as with the Node server,
        and the log says so: a warning, unless the body is empty.
        """
        said = "http auth server: status 200, its body is {}: accepted as OPEN, without a user id"
        for kind, body, event, words in (
            (None, b"", "INFO", "empty"),
            (JSON, b"", "INFO", "empty"),
            (JSON, b"null", "AUTH_ERROR", "null"),
            (JSON, b"true", "AUTH_ERROR", "true"),
            (JSON, b"[]", "AUTH_ERROR", "a list"),
            (JSON, b'["chris"]', "AUTH_ERROR", "a list"),
            (JSON, b"0", "AUTH_ERROR", "a number"),
            ("application/x", b"chris", "AUTH_ERROR", "of type application/x"),
            (None, b"chris", "AUTH_ERROR", "of no type"),
        ):
            log = self.log()
            self.assertEqual(self.answered(200, kind, body), Login(True), body)
            self.assertEqual(log.lines, [f"{event} | {said.format(words)}"])
            self.assertFalse(log.holds("chris"))

    def test_named_nobody(self) -> None:
        """
        An object need not name the user, and there is nothing to say about that.
        """
        log = self.log()
        for body in (b"{}", b'{"id":null}', b'{"serverData":{"a":1}}'):
            self.assertIsNone(self.answered(200, JSON, body).user)
        self.assertEqual(log.lines, [])

    def test_no_id(self) -> None:
        """
        The log says what was given for a user id, but not the id itself.
        """
        for given, words in (
            (b"true", "true"),
            (b"false", "false"),
            (b'["s3cret"]', "a list"),
            (b'{"s3cret":1}', "an object"),
            (b'"s3cret\\n"', "a text"),
            (b'""', "a text"),
        ):
            for key in (b"id", b"username"):
                log = self.log()
                self.assertEqual(self.answered(200, JSON, b'{"%s":%s}' % (key, given)), Login(False))
                self.assertEqual(
                    log.lines,
                    [
                        f"AUTH_ERROR | http auth server: status 200, but its user id is {words}; expected a number "
                        "or a printable text of 1 to 256 characters"
                    ],
                )
                self.assertFalse(log.holds("s3cret"))

    def test_denied_in_words(self) -> None:
        """
        A permitted status does not help if the body says that the login is not valid.
        """
        for body in (b'{"isValid":false,"id":"c"}', b'{"isValid":null}', b'{"isValid":"true"}', b'{"isValid":1}'):
            self.assertEqual(self.answered(200, JSON, body), Login(False), body)
        login = self.answered(200, JSON, b'{"isValid":false,"clientData":"why"}')
        self.assertEqual((login.accepted, self.told(login)), (False, "why"))

    def test_w8_pages(self) -> None:
        """
        W8: a page, broken JSON, or an invalid user id is a failure of the service, and refuses the client.
        """
        log = self.log()
        for kind, body in (
            ("text/html", b"<html>Please log in</html>"),
            ("text/xml", b"<a/>"),
            (JSON, b"<html>"),
            (JSON, b'{"id":'),
            (JSON, b'{"id":""}'),
            (JSON, b"false"),
            (JSON, b'{"id":true}'),
            (JSON, b'{"id":{"a":1}}'),
            (JSON, b'{"id":["a"]}'),
            (JSON, b'{"id":"a\\nb"}'),
            (JSON, b'{"id":"\\ud800"}'),
            (JSON, b'""'),
            ("text/plain", b"x" * (MAX_USER_ID_CHARACTERS + 1)),
            ("text/plain", b"a\x1fb"),
            ("text/plain", b"chris\n"),
            ("text/plain", b"\xff"),
        ):
            self.assertEqual(self.answered(200, kind, body), Login(False), body)
        self.assertEqual(len(log.lines), 16)
        self.assertTrue(all(line.startswith("AUTH_ERROR | http auth server: status 200, but ") for line in log.lines))

    def test_w8_redirect(self) -> None:
        """
        W8: a redirect is not followed. It is a status like others, and not a permitted one.
        """
        for status in (301, 302, 303, 307, 308):
            self.hook.headers = {"location": "http://hook.example/login"}
            self.assertEqual(self.answered(status, None, b""), Login(False))
        self.assertEqual(len(self.hook.asked), 5)

    def test_refused(self) -> None:
        """
        With another status the client is refused, and told what the body says.
        """
        for status, kind, body, told in (
            (401, "text/plain", b"wrong password", {"error": "wrong password"}),
            (403, "text/html", b"<p>no", {"error": "<p>no"}),
            (401, JSON, b'"no"', {"error": "no"}),
            (401, JSON, b"not json", {"error": "not json"}),
            (401, "text/plain", b"x" * 9999, {"error": "x" * MAX_ERROR_CHARACTERS}),
            (401, JSON, b'{"clientData":1,"isValid":true}', {"clientData": 1, "isValid": True}),
            (401, JSON, b"{}", ...),
            (401, JSON, b"[1]", ...),
            (401, JSON, b"5", ...),
            (401, JSON, b"", ...),
            (401, None, b"", ...),
            (401, None, b"anything", ...),
            (201, JSON, b'{"id":"chris"}', {"id": "chris"}),
            (500, "text/plain", b"oops", {"error": "oops"}),
        ):
            login = self.answered(status, kind, body)
            self.assertEqual((login.accepted, login.final, self.told(login)), (False, True, told), (status, body))

    def test_not_reported(self) -> None:
        """
        With C{reportInvalidParameters: false} every refusal is left to the next authenticator.
        """
        self.make(report_invalid_parameters=False, promote_to_header=("username",))
        not_mine = Login(False, final=False)
        self.assertEqual(self.answered(401, "text/plain", b"wrong"), not_mine)
        self.assertEqual(self.answered(200, JSON, b'{"isValid":false,"clientData":1}'), not_mine)
        self.assertEqual(self.answered(200, "text/html", b"<p>"), not_mine)
        self.assertEqual(self.login(username="a\n"), not_mine)
        self.assertEqual(self.answered(200, JSON, b'{"id":"c"}'), Login(True, "c"))

    def test_too_large(self) -> None:
        """
        No more is read of an answer than C{maxResponseSize}; one byte more is no answer.
        """
        self.make(max_response_size=100)
        self.assertTrue(self.answered(200, "text/plain", b"x" * 100).accepted)
        log = self.log()
        login = self.answered(200, "text/plain", b"x" * 101)
        self.assertEqual(self.told(login), {"error": "AUTH_RETRY_ATTEMPTS_EXCEEDED"})
        self.assertEqual(log.lines, ["AUTH_ERROR | http auth error: the answer is too large"])


class RetryTests(HookCase):
    """
    The service is asked again.
    """

    def setUp(self) -> None:
        super().setUp()
        self.make(retry_status_codes=frozenset({503, 200}), retry_attempts=2, retry_interval=5.0)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.agent.flush()

    def test_retry(self) -> None:
        """
        After a status of C{retryStatusCodes}, be it a permitted one, the service is asked again after
        C{retryInterval}; what it says then holds.
        """
        self.hook.answers = [(503, None, b""), (200, JSON, b"{}"), (202, JSON, b'{"id":"chris"}')]
        result = self.start_login(username="chris")
        for asked in (1, 2):
            self.assertEqual(len(self.hook.asked), asked)
            self.pass_time(4.9)
            self.assertNoResult(result)
            self.assertEqual(len(self.hook.asked), asked)
            self.pass_time(0.1)
        self.assertEqual(self.successResultOf(result), Login(True, "chris"))
        self.assertEqual({str(body) for _, _, _, body in self.hook.asked}, {str(self.hook.asked[0][3])})

    def test_given_up(self) -> None:
        """
        C{retryAttempts: 2} is three requests at most. Then the client is refused, and told why.
        """
        self.hook.answers = [(503, None, b"")] * 9
        result = self.start_login(username="chris")
        for _ in range(5):
            self.pass_time(5)
        login = self.successResultOf(result)
        self.assertEqual((login.accepted, self.told(login)), (False, {"error": "AUTH_RETRY_ATTEMPTS_EXCEEDED"}))
        self.assertEqual(len(self.hook.asked), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given_up_at_stop(self) -> None:
        """
        A login that waits for another attempt can be cancelled; nothing of it is left.
        """
        self.hook.answers = [(503, None, b"")]
        result = self.start_login(username="chris")
        result.cancel()
        result.addErrback(lambda _: None)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ScriptedHttpClient:
    """
    In the place of L{HttpClient}: each request waits to be answered.
    """

    def __init__(self) -> None:
        self.waiting: list[Deferred[Response]] = []

    async def request(self, *args: Any) -> Response:
        self.waiting.append(Deferred())
        return await self.waiting[-1]


class FailureTests(AuthCase):
    """
    The service does not answer.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.http_client = ScriptedHttpClient()

    def make(self, **settings: Any) -> None:
        found = WebhookSettings(**{**SETTINGS, **settings})
        self.authenticator = WebhookAuthentication(found, self.http_client, self.clock)  # type: ignore[arg-type]

    def test_no_answer(self) -> None:
        """
        No answer is a reason to ask again, like a status of C{retryStatusCodes}; each is logged, the password is not.
        """
        self.make(retry_attempts=1, retry_interval=1.0)
        log = self.log()
        result = self.authenticator.login(HANDSHAKE, {"password": "h1dden"})
        self.http_client.waiting[0].errback(AuthError("refused"))
        self.clock.advance(1)
        self.http_client.waiting[1].errback(AuthError("no answer within 2.0 s"))
        self.assertEqual(self.told(self.successResultOf(result)), {"error": "AUTH_RETRY_ATTEMPTS_EXCEEDED"})
        self.assertEqual(
            log.lines,
            ["AUTH_ERROR | http auth error: refused", "AUTH_ERROR | http auth error: no answer within 2.0 s"],
        )
        self.assertFalse(log.holds("h1dden"))

    def test_flood(self) -> None:
        """
        C{maxConcurrentRequests} are under way, C{maxQueuedRequests} wait for their turn, more logins find no decision.
        """
        self.make(max_concurrent_requests=2, max_queued_requests=1)
        results = [self.authenticator.login(HANDSHAKE, {}) for _ in range(4)]
        self.assertEqual(len(self.http_client.waiting), 2)
        self.failureResultOf(results[3], BusyError)
        self.http_client.waiting[0].callback(Response(200, "", b""))
        self.assertEqual(self.successResultOf(results[0]), Login(True))
        self.assertEqual(len(self.http_client.waiting), 3)

    def test_w19_server_error(self) -> None:
        """
        W19: of a server's error only the status is logged. Such pages like to show the request, password and all.
        """
        self.make()
        log = self.log()
        result = self.authenticator.login(HANDSHAKE, {"password": "h1dden"})
        self.http_client.waiting[0].callback(Response(500, "text/plain", b"Error: password=h1dden"))
        self.assertFalse(self.successResultOf(result).accepted)
        self.assertEqual(log.lines, ["AUTH_ERROR | http auth server error: status 500"])
        self.assertFalse(log.holds("h1dden"))
