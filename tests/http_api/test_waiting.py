"""
Requests to the HTTP API that wait, or that are too many: a node in memory, asked over HTTP.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.config.plugins import PluginSettings
from dstwist.config.settings import RpcSettings, Settings
from dstwist.errors import BusyError
from dstwist.interfaces import HandshakeData, IAuthenticator, Login
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from tests.http_api.stage import CALL, END, EVENT, HttpApiTestCase, Program, body
from tests.logs import Lines
from tests.turns import next_turn


class WaitingTests(HttpApiTestCase):
    """
    Requests that have to wait.
    """

    options = {"request_timeout": 5.0}

    def make_settings(self) -> Settings:
        return replace(super().make_settings(), rpc=RpcSettings(ack_timeout=100.0))

    def provide(self) -> Any:
        provider = self.client("provider")
        provider.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("slow",), correlation_id="0"))
        self.turn()
        provider.heard()
        return provider

    def test_timeout(self) -> None:
        """
        Items without a result in time get an error; the others have their results. The log has one line.
        """
        self.provide()
        lines = Lines(self)
        self.program.send(body=body(EVENT, CALL, EVENT))
        self.turn(4.9)
        self.assertEqual(self.program.answers(), [])
        self.turn(0.1)
        (answer,) = self.program.answers()
        found = json.loads(answer.body)
        self.assertEqual(found["result"], "PARTIAL_SUCCESS")
        self.assertEqual([result.get("errorEvent") for result in found["body"]], [None, "HTTP_REQUEST_TIMEOUT", None])
        self.assertEqual(
            [line for line in lines.of("warn") if "HTTP" in line],
            ["HTTP_REQUEST_TIMEOUT | HTTP Request timeout: 1 of 3 items have no result"],
        )
        self.assertEqual(self.node.http.charges.used, 0)

    def test_late_answer(self) -> None:
        """
        An answer after that goes nowhere, and the connection is served on.
        """
        provider = self.provide()
        self.program.send(body=body(CALL))
        self.turn(5.0)
        (call,) = provider.heard()
        self.assertEqual(len(self.program.answers()), 1)
        provider.say(Message(Topic.RPC, RpcAction.RESPONSE, "slow", b"1", correlation_id=call.correlation_id))
        self.turn()
        self.assertEqual(self.post({"body": [EVENT]})[0], 200)

    def setUp(self) -> None:
        self.waits = False
        self.decisions: list[Deferred[bool]] = []
        self.requesters: list[Any] = []

        def decide(permission: OpenPermission, message: Message, requester: Any, *change: Any) -> bool | Deferred[bool]:
            if not self.waits:
                return True
            self.requesters.append(requester)
            self.decisions.append(Deferred())
            return self.decisions[-1]

        # Routers keep the method.
        self.patch(OpenPermission, "allows", decide)
        super().setUp()

    def test_end(self) -> None:
        """
        When a request is answered, its requester has ended, and no time-out comes.
        """
        self.waits = True
        lines = Lines(self)
        self.program.send(body=body(EVENT))
        self.assertFalse(self.requesters[0].closed)
        self.decisions[0].callback(True)
        self.turn()
        self.assertEqual([answer.status for answer in self.program.answers()], [200])
        self.assertTrue(self.requesters[0].closed)
        self.turn(5.0)
        self.assertEqual(lines.of("warn"), [])

    def test_stop_waits(self) -> None:
        """
        A stop waits for the answers that are under way.
        """
        self.waits = True
        self.program.send(body=body(EVENT))
        stopped = self.node.stop()
        self.turn(1.0)
        self.assertNoResult(stopped)
        self.decisions[0].callback(True)
        self.turn()
        self.successResultOf(stopped)
        self.assertEqual([answer.status for answer in self.program.answers()], [200])

    def test_stop_does_not_wait_for_ever(self) -> None:
        """
        Requests without an answer within C{shutdownTimeout} are dropped.
        """
        self.node = self.start(replace(self.make_settings(), shutdown_timeout=2.0))
        self.waits = True
        program = Program(self.node.factory)
        program.send(body=body(EVENT))
        stopped = self.node.stop()
        self.turn(1.9)
        self.assertFalse(program.transport.aborted)
        self.turn(0.1)
        self.assertTrue(program.transport.aborted)
        self.assertNoResult(stopped)
        program.go()
        self.turn()
        self.successResultOf(stopped)

    def test_client_goes(self) -> None:
        """
        When the client goes, its call is forgotten, and nothing is left.
        """
        provider = self.provide()
        for _ in range(10):
            program = Program(self.node.factory)
            program.send(body=body(CALL))
            self.turn()
            self.assertEqual(len(provider.heard()), 1)
            program.go()
            self.turn()
        self.assertEqual(self.node.http.charges.used, 0)
        self.turn(100.0)

    def test_client_goes_early(self) -> None:
        """
        Items that have not begun when the client goes do not begin.
        """
        client = self.client()
        client.subscribe("e")
        self.turn()
        client.heard()
        self.reactor.tick = 0.0001
        self.program.send(body=body(*[EVENT] * 5000))
        while not client.heard():
            next_turn(self.reactor)
        self.program.go()
        for _ in range(200):
            next_turn(self.reactor)
        self.assertLess(len(client.heard()), 1000)
        self.assertEqual(self.node.http.charges.used, 0)

    def test_stop(self) -> None:
        """
        A server that stops refuses requests, and ends the calls that are under way with an answer.
        """
        self.provide()
        self.program.send(body=body(EVENT, CALL))
        idle = Program(self.node.factory)
        self.ask("/health-check", None, "GET", program=idle)
        stopped = self.node.stop()
        self.turn()
        (answer,) = self.program.answers()
        self.assertEqual(
            [result.get("errorEventName") for result in json.loads(answer.body)["body"]], [None, "RESPONSE_TIMEOUT"]
        )
        answer = self.ask(body=body(EVENT), program=idle)
        self.assertEqual((answer.status, answer.body), (503, b"The server is stopping." + END))
        self.turn(20.0)
        self.turn(20.0)
        self.successResultOf(stopped)


@implementer(IAuthenticator)
class SlowLogins:
    """
    An authenticator that decides when the test says so.
    """

    waiting: list[Deferred[Login]]

    def __init__(self, options: Any, context: Any) -> None:
        SlowLogins.waiting = []

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        self.waiting.append(Deferred())
        return self.waiting[-1]


class LoginTests(HttpApiTestCase):
    """
    Logins that take their time.
    """

    def make_settings(self) -> Settings:
        auth = PluginSettings("module", f"{__name__}:SlowLogins", {}, "auth[0].module")
        return Settings(
            endpoints=(HttpEndpoint(log_invalid_auth_data=True),),
            auth=(auth,),
            limits=LimitSettings(max_failed_logins_per_address=3),
        )

    def test_token(self) -> None:
        """
        The path for logins gives the token and the data of the user.
        """
        self.program.send("/api/auth", b'{"a":1}')
        SlowLogins.waiting[0].callback(Login(True, "ann", b'{"x": 1}', token={"t": 2}))
        (answer,) = self.program.answers()
        self.assertEqual(answer.body, b'{"token":{"t":2},"clientData":{"x": 1}}' + END)

    def test_equal_logins(self) -> None:
        """
        A flood of equal logins asks the authenticator once, and all get its answer.
        """
        programs = [Program(self.node.factory) for _ in range(50)]
        for program in programs:
            program.send(body=body(EVENT, token="t"))
        self.assertEqual(len(SlowLogins.waiting), 1)
        SlowLogins.waiting[0].callback(Login(True, "ann"))
        self.turn()
        self.assertEqual([answer.status for program in programs for answer in program.answers()], [200] * 50)
        self.assertEqual(self.post({"token": "t", "body": [EVENT]})[0], 200)

    def test_clients_go(self) -> None:
        """
        If all clients of a login go, it is cancelled.
        """
        cancelled: list[Any] = []
        self.patch(SlowLogins, "login", lambda self, handshake, credentials: Deferred(cancelled.append))
        programs = [Program(self.node.factory) for _ in range(3)]
        for program in programs:
            program.send("/api/auth", b'{"a":1}')
        for program in programs:
            self.assertEqual(cancelled, [])
            program.go()
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.node.http.charges.used, 0)

    def test_refused(self) -> None:
        """
        With C{logInvalidAuthData}, the log has the credentials of a refused login.
        """
        lines = Lines(self)
        self.program.send(body=body(EVENT, authData={"pass": "word"}))
        SlowLogins.waiting[0].callback(Login(False))
        self.turn()
        (answer,) = self.program.answers()
        self.assertEqual((answer.status, answer.body), (401, b"Unsuccessful authentication attempt." + END))
        self.assertIn('AUTH_UNSUCCESSFUL | client (192.0.2.9, /api) sent {"pass":"word"}', lines.of("info"))

    def test_too_many(self) -> None:
        """
        After too many refusals, the address has to wait.
        """
        for number in range(4):
            self.program.send("/api/auth", b'{"a":%d}' % number)
            if number < 3:
                SlowLogins.waiting[number].callback(Login(False))
        statuses = [answer.status for answer in self.program.answers()]
        self.assertEqual(statuses, [401, 401, 401, 429])
        other = Program(self.node.factory, "192.0.2.10")
        other.send("/api/auth", b'{"a":5}')
        SlowLogins.waiting[-1].callback(Login(True))
        self.assertEqual([answer.status for answer in other.answers()], [200])

    def test_undecided(self) -> None:
        """
        If the authenticator is busy, the client is asked to try again.
        """
        self.program.send(body=body(EVENT, token="t"))
        SlowLogins.waiting[-1].errback(BusyError("busy"))
        self.turn()
        (answer,) = self.program.answers()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
        self.assertEqual(self.node.http.charges.used, 0)

    def test_never_decided(self) -> None:
        """
        The same if there is no decision for a long time. The authenticator is told that it may stop.
        """
        self.program.send(body=body(EVENT, token="t"))
        self.turn(19.9)
        self.assertEqual(self.program.answers(), [])
        self.turn(0.1)
        (answer,) = self.program.answers()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
        self.assertTrue(SlowLogins.waiting[0].called)
        self.assertEqual(self.node.http.charges.used, 0)

    def test_failed(self) -> None:
        """
        An authenticator that fails refuses.
        """
        self.program.send(body=body(EVENT, token="t"))
        SlowLogins.waiting[-1].errback(KeyError("x"))
        self.turn()
        self.assertEqual([answer.status for answer in self.program.answers()], [401])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class LimitTests(HttpApiTestCase):
    """
    Requests that are too many, or too large.
    """

    options = {"max_batch_length": 3, "max_answer_size": 2000}

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint(**self.options)),
            limits=LimitSettings(max_http_bytes=30000, max_message_rate_per_user=5),
        )

    def test_batch_length(self) -> None:
        """
        A batch that is too long is refused.
        """
        self.assertEqual(self.post({"body": [EVENT] * 3})[0], 200)
        self.assertEqual(self.post({"body": [EVENT] * 4})[0], 400)

    def test_answer_size(self) -> None:
        """
        Items whose results have no room get an error. Items without data always have room.
        """
        self.items({"topic": "record", "action": "write", "recordName": "r", "data": {"a": "x" * 900}})
        read = {"topic": "record", "action": "read", "recordName": "r"}
        first, second, third = self.items(read, read, EVENT)
        self.assertEqual((first["success"], third), (True, {"success": True}))
        self.assertEqual(second["errorEvent"], "MAXIMUM_MESSAGE_SIZE_EXCEEDED")

    def test_memory(self) -> None:
        """
        If the requests under way take too much memory, further ones are refused, until there is less.
        """
        provider = self.client("provider")
        provider.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("slow",), correlation_id="0"))
        self.turn()
        programs = [Program(self.node.factory) for _ in range(5)]
        lines = Lines(self)
        for program in programs:
            program.send(body=body(CALL))
        self.turn()
        refused = [program for program in programs for answer in program.answers() if answer.status == 503]
        self.assertEqual(refused, programs[3:])
        self.assertIn("LIMIT_EXCEEDED | maxHttpBytes: ", lines.last("warn"))
        programs[0].go()
        programs[4].send(body=body(EVENT))
        self.turn()
        self.assertEqual([answer.status for answer in programs[4].answers()], [200])

    def test_rates(self) -> None:
        """
        A user who sends too much gets 429, with the time to wait. Others are served.
        """
        ann = {"authData": {"username": "ann"}}
        self.assertEqual([self.post({**ann, "body": [EVENT] * 3})[0] for _ in range(3)], [200, 200, 429])
        answer = self.ask(body=body(EVENT, **ann))
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "1"))
        self.assertEqual(self.post({"authData": {"username": "bob"}, "body": [EVENT]})[0], 200)
        self.turn(1.0)
        self.assertEqual(self.post({**ann, "body": [EVENT]})[0], 200)
