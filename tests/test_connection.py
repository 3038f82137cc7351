"""
One connection from its handshake to its end, in both dialects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.admission import Admission
from dstwist.auth.open import OpenAuthentication
from dstwist.config.http import LimitSettings
from dstwist.config.settings import WebSocketEndpoint
from dstwist.connection import INTERNAL_ERROR, SLICE, Connection, Reception
from dstwist.errors import AuthError, BusyError
from dstwist.heartbeat import Heartbeat
from dstwist.interfaces import Handshake, IAuthenticator, IConnection, Login
from dstwist.permission.open import OpenPermission
from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import ACTIONS, AuthAction, ConnectionAction, EventAction, ParserAction, Topic
from dstwist.protocol.dialect import JAVASCRIPT, PROTOBUF, TEXT, Dialect, Received, State
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.router import Router
from dstwist.users import UserRegistry
from tests.fakes import FakeAuthenticator, FakeLink, FakeService, FakeWire
from tests.wire import wire

CHALLENGE = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://h/deepstream", protocol_version="0.1a")
PING = Message(Topic.CONNECTION, ConnectionAction.PING)
PONG = Message(Topic.CONNECTION, ConnectionAction.PONG)
LOGIN = Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"ann"}')
EMIT = Message(Topic.EVENT, EventAction.EMIT, "news", b"1")
HEARTBEAT = 30.0


class CodecWire(FakeWire):
    """
    A wire whose frames are payloads.
    """

    def encode(self, message: Message) -> bytes:
        payload: bytes = self.codec.encode(message)
        return payload


class ConnectionTestCase(SynchronousTestCase):
    """
    A client of one generation in front of a connection, by payloads.
    """

    dialect: Dialect = PROTOBUF
    server: Any = protobuf.SERVER
    client: Any = protobuf.CLIENT

    def setUp(self) -> None:
        self.clock = Clock()
        self.link = FakeLink()
        self.service = FakeService()
        self.authenticator = FakeAuthenticator()
        self.users = UserRegistry()
        self.admission = Admission(LimitSettings(), self.clock)
        self.limits: dict[str, int] = {}
        self.connection = self.connect()

    def connect(self, handshake: Handshake | None = None, **settings: Any) -> Connection:
        endpoint = WebSocketEndpoint(heartbeat_interval=HEARTBEAT, **settings)
        reception = Reception(
            endpoint,
            self.authenticator,
            Router(OpenPermission(), {Topic.EVENT: self.service}),
            Heartbeat(HEARTBEAT, self.clock),
            self.clock,
            self.users,
            self.admission,
            **self.limits,
        )
        handshake = handshake or Handshake(self.link.address, {"referer": "http://shop"})
        self.link = FakeLink()
        self.connection = Connection(self.link, CodecWire(self.server), self.dialect, handshake, reception)
        self.connection.open()
        return self.connection

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.receive(self.client.encode(message))

    def receive(self, payload: bytes | str) -> None:
        if self.dialect is TEXT and isinstance(payload, bytes):
            payload = payload.decode()
        self.connection.receive(payload)

    def heard(self) -> list[Message]:
        """
        What the server said since this was last asked.
        """
        return [message for frame in self.link.take() for message in self.client.decode(frame)]

    def actions(self) -> list[Any]:
        return [message.action for message in self.heard()]

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass within a turn: nothing falls due.
        """
        self.clock.rightNow += seconds

    def next_turn(self) -> None:
        """
        Have called what is due, and not what becomes due by that.
        """
        due: list[Any] = [call for call in self.clock.getDelayedCalls() if call.getTime() <= self.clock.seconds()]
        for call in due:
            function, args = call.func, call.args
            call.cancel()
            function(*args)

    def count_decoded(self) -> list[int]:
        """
        The length of each payload that the connection decodes from now on.
        """
        decoded: list[int] = []
        decode = self.connection._decode

        def counted(payload: bytes | str) -> list[Message | Malformed]:
            decoded.append(len(payload))
            return decode(payload)

        self.connection._decode = counted
        return decoded

    def serve_by(self, serve: Callable[[], None]) -> None:
        """
        Have C{serve} called for every message that the service gets.
        """
        self.service.then = serve

    def keep_alive(self, seconds: float) -> None:
        """
        Let time pass, during which the client is heard.
        """
        end = self.clock.seconds() + seconds
        while (left := end - self.clock.seconds()) > 0:
            self.connection.heard = True
            self.clock.advance(min(HEARTBEAT, left))

    def log_in(self) -> None:
        self.say(CHALLENGE, LOGIN)
        self.heard()


class BothDialects:
    """
    What is the same for both generations.
    """

    def test_interface(self: Any) -> None:
        """
        L{Connection} provides L{IConnection}.
        """
        verifyObject(IConnection, self.connection)

    def test_w55_too_slow_for_its_login(self: Any) -> None:
        """
        W55: a client that turns out not to read when it is told of its login is gone, and its user with it.
        """
        self.say(CHALLENGE)
        flush = self.link.flush
        self.patch(self.link, "flush", lambda: (flush(), self.connection.lost()))
        self.say(LOGIN)
        self.assertTrue(self.connection.closed)
        self.assertEqual(list(self.users.names()), [])

    def test_login(self: Any) -> None:
        """
        Challenge, login, open: what a client does at first.
        """
        self.heard()
        self.say(CHALLENGE)
        self.assertEqual(self.actions(), [ConnectionAction.ACCEPT])
        self.say(LOGIN)
        self.assertEqual(self.actions(), [AuthAction.AUTH_SUCCESSFUL])
        self.assertEqual((self.connection.user, self.authenticator.asked), ("ann", [{"username": "ann"}]))
        self.say(EMIT)
        self.assertEqual([(m.name, m.action) for m in self.service.handled], [("news", EventAction.EMIT)])

    def test_slices(self: Any) -> None:
        """
        A payload full of requests that take long is served a few in each turn of the reactor, in order with what comes
        after it; meanwhile the client is not read from.
        """
        self.log_in()
        self.serve_by(lambda: self.pass_time(SLICE / 4))
        handled = self.service.handled
        self.receive(self.client.encode(EMIT) * 20)
        self.assertEqual((len(handled), self.link.paused), (5, True))
        self.say(PING)
        self.next_turn()
        self.assertEqual((len(handled), self.link.paused, self.actions()), (10, True, []))
        for _ in range(3):
            self.next_turn()
        self.assertEqual((len(handled), self.link.paused, self.actions()), (20, False, [ConnectionAction.PONG]))

    def test_hostile_referer(self: Any) -> None:
        """
        What a client says where it comes from cannot forge lines of the log, clear a terminal, or fill a disk.
        """
        handshake = Handshake("192.0.2.1", {"referer": "http://shop\r\nAUTH_SUCCESSFUL | admin\x1b[2J" + "x" * 10_000})
        with capturedLogs() as logs:
            self.connect(handshake)
        (event,) = [event for event in logs if event.get("event") == "INCOMING_CONNECTION"]
        line = formatEvent(event)
        self.assertTrue(line.isprintable(), line)
        self.assertIn("http://shop??AUTH_SUCCESSFUL | admin?[2Jxxx", line)
        self.assertLess(len(line), 300)

    def test_long_payload(self: Any) -> None:
        """
        A very long payload is decoded as it is served; nothing of it is lost, and nothing overtaken.
        """
        self.log_in()
        numbered = [Message(Topic.EVENT, EventAction.EMIT, f"news/{number}", EMIT.data) for number in range(5000)]
        decoded = self.count_decoded()
        self.serve_by(lambda: self.pass_time(SLICE / 400))
        self.receive(b"".join(self.client.encode(message) for message in numbered))
        self.assertTrue(0 < len(self.service.handled) < 1000)
        self.assertLess(sum(decoded), 20_000)
        self.say(PING)
        while self.link.paused:
            self.next_turn()
        self.assertEqual([m.name for m in self.service.handled], [m.name for m in numbered])
        self.assertEqual(self.actions(), [ConnectionAction.PONG])

    def test_long_payload_before_login(self: Any) -> None:
        """
        Of a very long payload before the login no more is decoded than it takes to send the client away; what comes
        behind a login in it is served after that.
        """
        decoded = self.count_decoded()
        emit = self.client.encode(EMIT)
        self.receive(emit * 10_000)
        self.assertEqual(self.link.closed, (1008, "too many messages before login"))
        self.assertLess(sum(decoded), 20_000)
        self.connect()
        self.receive(self.client.encode(CHALLENGE) + self.client.encode(LOGIN) + emit * 3000)
        while self.link.paused:
            self.next_turn()
        self.assertEqual(len(self.service.handled), 3000)

    def test_slices_end(self: Any) -> None:
        """
        Who has gone meanwhile is not served any more.
        """
        self.log_in()
        self.serve_by(lambda: self.pass_time(SLICE))
        self.receive(self.client.encode(EMIT) * 20)
        served = len(self.service.handled)
        self.connection.lost()
        self.next_turn()
        self.assertEqual((served, len(self.service.handled)), (2, 2))

    def test_failing_slice(self: Any) -> None:
        """
        A mistake of ours in a later turn ends the connection like one in the first.
        """
        self.log_in()

        def serve() -> None:
            self.pass_time(SLICE)
            if len(self.service.handled) == 3:
                raise ZeroDivisionError

        self.serve_by(serve)
        self.receive(self.client.encode(EMIT) * 20)
        self.next_turn()
        self.assertEqual(self.link.closed, (INTERNAL_ERROR, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_turn(self: Any) -> None:
        """
        A link that has received much can ask whether that has taken too long; then it is paused for a turn.
        """
        self.log_in()
        self.connection.begin_turn()
        self.assertFalse(self.connection.turn_is_over())
        self.pass_time(2 * SLICE)
        self.assertTrue(self.connection.turn_is_over())
        self.assertTrue(self.link.paused)
        self.next_turn()
        self.assertFalse(self.link.paused)

    def test_client_data(self: Any) -> None:
        """
        What the authenticator has for the client reaches it with the success.
        """
        self.authenticator.decisions = [Login(True, "ann", b'{"colour":"red"}', {"role": "admin"})]
        self.say(CHALLENGE)
        self.heard()
        self.say(LOGIN)
        (success,) = self.heard()
        self.assertIn("colour", str(success.data))
        self.assertEqual(self.connection.server_data, {"role": "admin"})

    def test_unnamed(self: Any) -> None:
        """
        A login without user id counts as OPEN.
        """
        self.authenticator.decisions = [Login(True)]
        self.log_in()
        self.assertEqual(self.connection.user, "OPEN")

    def test_log_in_again(self: Any) -> None:
        """
        After a refusal the client may try again, on the same connection.
        """
        self.authenticator.decisions = [Login(False, client_data=b'"no"'), Login(True, "ann")]
        self.say(CHALLENGE)
        self.heard()
        self.say(LOGIN)
        (refused,) = self.heard()
        self.assertEqual(refused.action, AuthAction.AUTH_UNSUCCESSFUL)
        self.assertIn("no", str(refused.data))
        self.say(LOGIN)
        self.assertEqual(self.actions(), [AuthAction.AUTH_SUCCESSFUL])

    def test_too_many_attempts(self: Any) -> None:
        """
        At C{maxAuthAttempts} refusals the client is told, and the connection closed.
        """
        self.authenticator.decisions = [Login(False)] * 3
        self.say(CHALLENGE)
        self.heard()
        self.say(LOGIN, LOGIN)
        self.assertEqual(self.actions(), [AuthAction.AUTH_UNSUCCESSFUL] * 2)
        self.assertIsNone(self.link.closed)
        self.say(LOGIN)
        self.assertEqual(self.actions(), [AuthAction.AUTH_UNSUCCESSFUL, AuthAction.TOO_MANY_AUTH_ATTEMPTS])
        self.assertIsNotNone(self.link.closed)
        self.say(LOGIN)
        self.assertEqual((self.heard(), len(self.authenticator.asked)), ([], 3))

    def test_too_many_failures_of_an_address(self: Any) -> None:
        """
        From an address that has failed too often, a login is not even looked at: the client is closed with the reason,
        in a way after which it tries again later, since it may be another one that has failed.
        """
        self.admission = Admission(LimitSettings(max_failed_logins_per_address=2), self.clock)
        for _ in range(2):
            self.authenticator.decisions.append(Login(False))
            self.connect()
            self.say(CHALLENGE, LOGIN)
        self.connect()
        self.say(CHALLENGE, LOGIN)
        self.assertEqual(len(self.authenticator.asked), 2)
        self.assertNotIn(AuthAction.TOO_MANY_AUTH_ATTEMPTS, self.actions())
        self.assertEqual(self.link.closed, (1013, "too many failed logins from this address"))
        self.clock.advance(60.01)
        self.connect()
        self.log_in()

    def test_too_many_failures_of_a_user(self: Any) -> None:
        """
        The same for a user name; who logs in before that begins anew.
        """
        self.admission = Admission(LimitSettings(max_failed_logins_per_user=2), self.clock)
        for accepted in (False, True, False, False):
            self.authenticator.decisions.append(Login(accepted, "ann"))
            self.connect()
            self.say(CHALLENGE, LOGIN)
        self.connect()
        self.say(CHALLENGE, LOGIN)
        self.assertEqual(self.link.closed, (1013, "too many failed logins of this user"))

    def test_too_many_connections_of_a_user(self: Any) -> None:
        """
        A user with as many connections as one may have cannot log in once more, and is told why; when one of them has
        gone, he can.
        """
        self.limits["max_connections_per_user"] = 2
        connections = []
        for _ in range(2):
            connections.append(self.connect())
            self.log_in()
        self.connect()
        self.say(CHALLENGE, LOGIN)
        refusal = self.heard()[-1]
        self.assertEqual(refusal.action, AuthAction.AUTH_UNSUCCESSFUL)
        self.assertIn('{"error":"there are 2 connections of this user already"}', str(refusal.data))
        self.assertEqual(self.link.closed, (1008, "there are 2 connections of this user already"))
        self.assertFalse(self.link.known)
        connections[0].lost()
        self.connect()
        self.log_in()
        self.assertTrue(self.link.known)

    def test_not_authenticated_in_time(self: Any) -> None:
        """
        Who does not log in within C{unauthenticatedClientTimeout} is told, and the connection closed.
        """
        self.connect(unauthenticated_client_timeout=5.0)
        self.say(CHALLENGE)
        self.heard()
        self.clock.advance(5)
        self.assertEqual(self.actions(), [ConnectionAction.AUTHENTICATION_TIMEOUT])
        self.assertTrue(self.connection.closed)
        self.assertIsNotNone(self.link.closed)

    def test_w59_refusal_does_not_stop_the_clock(self: Any) -> None:
        """
        W59: one failed login does not let a client stay without logging in.
        """
        self.authenticator.decisions = [Login(False)]
        self.connect(unauthenticated_client_timeout=5.0)
        self.log_in()
        self.clock.advance(5)
        self.assertEqual(self.actions(), [ConnectionAction.AUTHENTICATION_TIMEOUT])

    def test_no_time_limit(self: Any) -> None:
        """
        The time limit can be switched off, and ends with the login.
        """
        for limit in (None, 5.0):
            self.connect(unauthenticated_client_timeout=limit)
            if limit is not None:
                self.log_in()
            self.clock.advance(10)
            self.assertFalse(self.connection.closed)

    def test_login_expires(self: Any) -> None:
        """
        A login that ends at a certain time takes the connection with it, with a reason.
        """
        for lifetime in (5.0, 100_000.0):
            self.authenticator.decisions = [Login(True, "ann", expires_at=self.clock.seconds() + lifetime)]
            self.connect()
            self.log_in()
            self.keep_alive(lifetime - 1)
            self.assertIsNone(self.link.closed)
            self.keep_alive(1)
            self.assertEqual(self.link.closed, (1008, "login expired"))

    def test_login_expired_already(self: Any) -> None:
        """
        A login that ended while it was decided ends at once.
        """
        self.clock.advance(10)
        self.authenticator.decisions = [Login(True, "ann", expires_at=9.0)]
        self.log_in()
        self.clock.advance(0)
        self.assertEqual(self.link.closed, (1008, "login expired"))

    def test_left_before_expiry(self: Any) -> None:
        """
        Nothing is left of a client that went before its login ended.
        """
        self.authenticator.decisions = [Login(True, "ann", expires_at=50.0)]
        self.log_in()
        self.connection.lost()
        self.keep_alive(50)
        self.assertIsNone(self.link.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_w7_refusal_does_not_stop_the_clock(self: Any) -> None:
        """
        W7, hole 16: each failed login leaves the time limit as it was.
        """
        self.authenticator.decisions = [Login(False), Login(False)]
        self.connect(unauthenticated_client_timeout=5.0)
        self.log_in()
        self.clock.advance(3)
        self.say(LOGIN)
        self.heard()
        self.clock.advance(2)
        self.assertEqual(self.actions(), [ConnectionAction.AUTHENTICATION_TIMEOUT])

    def test_slow_authenticator(self: Any) -> None:
        """
        While the authenticator decides reading is paused, and what was read before waits for its decision.
        """
        decision: Deferred[Login] = Deferred()
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE)
        self.heard()
        self.say(LOGIN, EMIT, PING)
        self.assertEqual((self.heard(), self.service.handled, self.link.paused), ([], [], True))
        decision.callback(Login(True, "ann"))
        self.assertEqual(self.actions(), [AuthAction.AUTH_SUCCESSFUL, ConnectionAction.PONG])
        self.assertEqual((len(self.service.handled), self.link.paused), (1, False))

    def test_one_login_at_a_time(self: Any) -> None:
        """
        A second login while the first is decided is none: the connection may be open by then.
        """
        decision: Deferred[Login] = Deferred()
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE, LOGIN, LOGIN)
        decision.callback(Login(True, "ann"))
        self.assertEqual(len(self.authenticator.asked), 1)
        self.assertEqual(self.actions()[-1], ParserAction.UNKNOWN_TOPIC)

    def test_w55_gone_before_the_verdict(self: Any) -> None:
        """
        W55: a client that left while its login was decided is never logged in.
        """
        decision: Deferred[Login] = Deferred()
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE, LOGIN, EMIT)
        self.heard()
        self.connection.lost()
        decision.callback(Login(True, "ann"))
        self.assertEqual((self.heard(), self.connection.user, self.service.handled), ([], None, []))
        self.assertNotIn("ann", self.users)

    def test_authenticator_fails(self: Any) -> None:
        """
        An authenticator that cannot decide costs the connection and a line in the log; nobody gets in.
        """
        decision: Deferred[Login] = Deferred()
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE, LOGIN)
        decision.errback(AuthError("no answer"))
        self.assertEqual(self.link.closed, (1011, "authentication failed"))
        self.assertEqual(len(self.flushLoggedErrors(AuthError)), 1)

    def test_authenticator_fails_for_the_gone(self: Any) -> None:
        """
        The same after the client has left, if the authenticator does not let itself be stopped.
        """
        decision: Deferred[Login] = Deferred(lambda stopped: stopped.errback(AuthError("no answer")))
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE, LOGIN)
        self.connection.lost()
        self.assertIsNone(self.link.closed)
        self.assertEqual(len(self.flushLoggedErrors(AuthError)), 1)

    def test_too_many_logins(self: Any) -> None:
        """
        When there are too many logins the client is not refused but disconnected: it comes back by itself. A line in
        the log says so, without a traceback.
        """
        self.authenticator.decisions = [fail(BusyError("too many"))]
        self.say(CHALLENGE)
        self.heard()
        self.say(LOGIN)
        self.assertEqual((self.heard(), self.link.closed), ([], (1013, "too many logins")))

    def test_gone_while_deciding(self: Any) -> None:
        """
        A client that leaves, or is sent away, has its decision given up, quietly: others may wait for theirs.
        """
        for leave in (lambda: self.connection.lost(), lambda: self.clock.advance(5)):
            stopped: list[Deferred[Login]] = []
            self.authenticator.decisions = [Deferred(stopped.append)]
            self.connect(unauthenticated_client_timeout=5.0)
            self.say(CHALLENGE, LOGIN)
            leave()
            self.assertTrue(self.connection.closed)
            self.assertEqual(len(stopped), 1)

    def test_decided_before_gone(self: Any) -> None:
        """
        Of a decision that was made nothing is left to give up.
        """
        stopped: list[Deferred[Login]] = []
        first: Deferred[Login] = Deferred(stopped.append)
        self.authenticator.decisions = [first, Login(True, "ann")]
        self.say(CHALLENGE, LOGIN)
        first.callback(Login(False))
        self.say(LOGIN)
        self.connection.lost()
        self.assertEqual(stopped, [])

    def test_redirect(self: Any) -> None:
        """
        With C{redirectUrl} every client is sent elsewhere.
        """
        self.connect(redirect_url="ws://other/deepstream")
        self.heard()
        self.say(CHALLENGE)
        (answer,) = self.heard()
        self.assertEqual((answer.action, answer.url), (ConnectionAction.REDIRECT, "ws://other/deepstream"))
        self.assertEqual(self.link.closed, (1000, "redirected"))

    def test_reject(self: Any) -> None:
        """
        With C{rejectClients} every client is turned away.
        """
        self.connect(reject_clients=True)
        self.heard()
        self.say(CHALLENGE)
        self.assertEqual(self.actions(), [ConnectionAction.REJECT])
        self.assertEqual(self.link.closed, (1000, "rejected"))

    def test_ping(self: Any) -> None:
        """
        A PING is answered in every state, also before login: clients would give up otherwise.
        """
        self.heard()
        for step in (None, CHALLENGE, LOGIN):
            if step is not None:
                self.say(step)
                self.heard()
            self.receive(self.client.encode(PING))
            self.assertEqual(self.actions(), [ConnectionAction.PONG])

    def test_silence(self: Any) -> None:
        """
        A client that is silent for two heartbeat intervals is closed; any data keeps it.
        """
        self.log_in()
        for _ in range(5):
            self.clock.pump([HEARTBEAT / 10] * 10)
            self.connection.heard = True
        self.assertFalse(self.connection.closed)
        self.clock.pump([HEARTBEAT / 10] * 19)
        self.assertFalse(self.connection.closed)
        self.clock.pump([HEARTBEAT / 10] * 12)
        self.assertTrue(self.connection.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flood_before_login(self: Any) -> None:
        """
        More than C{maxMessagesBeforeLogin} messages without a login end the connection; heartbeats do not count.
        """
        self.authenticator.decisions = [Login(False)] * 100
        self.connect(max_messages_before_login=20, max_auth_attempts=1000)
        self.say(CHALLENGE, *[PING, PONG][: 1 + (self.dialect is TEXT)] * 50, *[LOGIN] * 19)
        self.assertFalse(self.connection.closed)
        self.say(LOGIN)
        self.assertEqual(self.link.closed, (1008, "too many messages before login"))
        self.assertEqual(len(self.authenticator.asked), 19)

    def test_close_callbacks(self: Any) -> None:
        """
        Who asked is told of the end once, in order, and the connection counts as closed by then.
        """
        told: list[Any] = []
        for number in (1, 2):
            self.connection.on_close(lambda connection, number=number: told.append((number, connection.closed)))
        self.connection.close("enough")
        self.connection.close("enough")
        self.connection.lost()
        self.assertEqual(told, [(1, True), (2, True)])

    def test_user_comes(self: Any) -> None:
        """
        A user counts as logged in once his client has been told so, and not before his login is accepted.
        """
        told: list[Any] = []
        self.users.observe(lambda user: told.append((user, self.actions()[-1:])), lambda user: None)
        self.authenticator.decisions = [Login(False), Login(True, "ann")]
        self.say(CHALLENGE, LOGIN)
        self.assertEqual(told, [])
        self.say(LOGIN)
        self.assertEqual(told, [("ann", [AuthAction.AUTH_SUCCESSFUL])])
        self.assertEqual(self.users.connections("ann"), [self.connection])

    def test_user_goes(self: Any) -> None:
        """
        A user is gone once all others know that his connection is.
        """
        told: list[Any] = []
        self.users.observe(lambda user: None, told.append)
        self.log_in()
        self.connection.on_close(lambda connection: told.append("connection"))
        self.connection.lost()
        self.assertEqual(told, ["connection", "ann"])
        self.assertEqual(self.users.connections("ann"), [])

    def test_user_never_came(self: Any) -> None:
        """
        A connection that ends before its login was never any user's.
        """
        told: list[Any] = []
        self.users.observe(told.append, told.append)
        self.say(CHALLENGE)
        self.connection.lost()
        self.assertEqual(told, [])

    def test_lost(self: Any) -> None:
        """
        A connection whose transport is gone has no clock running, says nothing and hears nothing.
        """
        self.log_in()
        self.connection.lost()
        self.connection.send(PONG)
        self.say(EMIT)
        self.connection.resume()
        self.assertEqual((self.heard(), self.service.handled), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pause(self: Any) -> None:
        """
        Pausing a connection pauses its transport.
        """
        self.connection.pause()
        self.assertTrue(self.link.paused)
        self.connection.resume()
        self.assertFalse(self.link.paused)

    def test_pauses_nest(self: Any) -> None:
        """
        Who paused a connection is not undone by somebody else who is done with it.
        """
        self.connection.pause()
        self.connection.pause()
        self.connection.resume()
        self.assertTrue(self.link.paused)
        self.connection.resume()
        self.assertFalse(self.link.paused)

    def test_no_form(self: Any) -> None:
        """
        What a protocol has no form for is not sent.
        """
        self.log_in()
        self.connection.send(Message(Topic.MONITORING, ACTIONS[Topic.MONITORING](0), is_ack=True))
        self.connection.send(Message(Topic.PRESENCE, ACTIONS[Topic.PRESENCE]["UNKNOWN"]))
        self.assertTrue(all(frame for frame in self.link.take()))

    def test_silent_about_a_mistake(self: Any) -> None:
        """
        A mistake that a protocol has no answer to is not answered, and what stands beside it is served.
        """
        self.log_in()
        self.patch(self.connection, "_decode", lambda payload: [Malformed(Fault.INVALID_DATA), EMIT])
        self.connection.receive(b"")
        self.assertEqual((self.heard(), self.service.handled, self.connection.closed), ([], [EMIT], False))

    def test_every_row(self: Any) -> None:
        """
        The table of steps says something about everything that can be received before login.
        """
        states = (State.CHALLENGE, State.LOGIN)
        self.assertEqual(set(self.dialect.handshake), {(state, received) for state in states for received in Received})


class ProtobufConnectionTests(BothDialects, ConnectionTestCase):
    """
    v4+ clients: C{binary-protocol.md} sections 5 to 7.
    """

    def test_client_speaks_first(self) -> None:
        """
        The server says nothing until it is spoken to.
        """
        self.assertEqual(self.heard(), [])

    def test_states(self) -> None:
        """
        Every cell of the table in section 5.1.
        """
        challenge = self.client.encode(CHALLENGE)
        other_connection = self.client.encode(Message(Topic.CONNECTION, ConnectionAction.PONG))
        reject = bytes.fromhex("0610021a020806")
        other_auth = bytes.fromhex("0610031a020803")
        garbage = b"\xff\xff\xff"
        emit = self.client.encode(EMIT)
        invalid_login = bytes.fromhex("0610031a020802")
        not_connected, not_login = (ConnectionAction.INVALID_MESSAGE,), (AuthAction.INVALID_MESSAGE,)
        unknown, bad = (ParserAction.UNKNOWN_TOPIC,), (AuthAction.INVALID_MESSAGE_DATA,)
        rows: list[tuple[bytes, tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]] = [
            (challenge, (ConnectionAction.ACCEPT,), not_login, unknown),
            (other_connection, (), not_login, unknown),
            (reject, (), not_login, unknown),
            (self.client.encode(LOGIN), not_connected, (AuthAction.AUTH_SUCCESSFUL,), unknown),
            (other_auth, not_connected, bad, unknown),
            (invalid_login, not_connected, bad, unknown),
            (emit, not_connected, not_login, ()),
            (garbage, not_connected, not_login, unknown),
            (b"", not_connected, not_login, unknown),
        ]
        for payload, *expected in rows:
            for before, answers in zip(([], [CHALLENGE], [CHALLENGE, LOGIN]), expected, strict=True):
                self.connect()
                self.say(*before)
                self.heard()
                self.receive(payload)
                self.assertEqual(tuple(self.actions()), answers, (payload, before))
                self.assertEqual(self.connection.closed, answers == bad)

    def test_invalid_message_bytes(self) -> None:
        """
        The two INVALID_MESSAGEs carry no fields.
        """
        self.receive(b"\xff")
        self.assertEqual(self.link.take(), [bytes.fromhex("0610021a020865")])
        self.say(CHALLENGE)
        self.link.take()
        self.receive(b"\xff")
        self.assertEqual(self.link.take(), [bytes.fromhex("0610031a020865")])

    def test_w2_malformed_credentials(self) -> None:
        """
        W2: a login whose data is no JSON object is answered and closed, and the server does not notice.
        """
        for data in (b"{bad", b"null", b"5", b'"x"', None):
            self.connect()
            self.say(CHALLENGE)
            self.heard()
            self.say(Message(Topic.AUTH, AuthAction.REQUEST, data=data))
            self.assertEqual(self.actions(), [AuthAction.INVALID_MESSAGE_DATA])
            self.assertTrue(self.connection.closed)
        self.assertEqual(self.authenticator.asked, [])

    def test_text_payload(self) -> None:
        """
        Text on a binary connection is garbage like any other.
        """
        self.receive("hello")
        self.assertEqual(self.actions(), [ConnectionAction.INVALID_MESSAGE])

    def test_no_server_ping(self) -> None:
        """
        The server does not ping v4+ clients.
        """
        self.log_in()
        self.clock.pump([HEARTBEAT / 10] * 10)
        self.assertEqual(self.heard(), [])

    def test_sdk(self) -> None:
        """
        What the client says of itself is kept.
        """
        self.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, sdk_type="javascript", sdk_version="7.0.5"))
        self.assertIs(self.connection.dialect, JAVASCRIPT)


class TextConnectionTests(BothDialects, ConnectionTestCase):
    """
    v2/v3 clients: C{text-protocol.md} sections 5 to 7.
    """

    dialect = TEXT
    server = text.SERVER
    client = text.CLIENT

    def written(self) -> str:
        return b"".join(self.link.take()).decode()

    def test_server_speaks_first(self) -> None:
        """
        The server greets with its challenge.
        """
        self.assertEqual(self.written(), wire("C|CH+"))

    def test_before_challenge(self) -> None:
        """
        The rows of section 5.4: what arrives instead of a challenge.
        """
        for received, answered, closed in [
            ("junk+", "C|E|MESSAGE_PARSE_ERROR|junk++", True),
            ("", "C|E|MESSAGE_PARSE_ERROR|+", True),
            ("+", "C|E|MESSAGE_PARSE_ERROR|++", True),
            ("E|XYZ|a+", "C|E|MESSAGE_PARSE_ERROR|E|XYZ|a++", True),
            ("C|XYZ+", "C|E|MESSAGE_PARSE_ERROR|C|XYZ++", True),
            ("E|S|x+", "C|E|INVALID_MESSAGE|invalid connection message+", False),
            ("Z|S|x+", "C|E|INVALID_MESSAGE|invalid connection message+", False),
            ("A|REQ|{}+", "C|E|INVALID_MESSAGE|invalid connection message+", False),
            ("C|PO+", "", False),
            ("C|CHR+", "C|A+", False),
            ("C|CHR|a|b+", "C|A+", False),
            ("C|A+", "C|E|UNKNOWN_ACTION|unknown action A+", False),
        ]:
            self.connect()
            self.written()
            self.receive(wire(received))
            self.assertEqual(self.written(), wire(answered), received)
            self.assertEqual(self.connection.closed, closed, received)

    def test_before_login(self) -> None:
        """
        Anything but exactly one login message ends the connection (section 6.2).
        """
        for received in (
            "junk+",
            "C|CHR|x+",
            "E|S|x+",
            "A|REQ+",
            "A|REQ|{}|{}+",
            "A|REQ|null+",
            "A|REQ|5+",
            'A|REQ|"x"+',
            "A|REQ|{bad+",
            "A|A+",
        ):
            self.connect()
            self.say(CHALLENGE)
            self.written()
            self.receive(wire(received))
            self.assertEqual(self.written(), wire("A|E|INVALID_AUTH_MSG|invalid authentication message+"), received)
            self.assertTrue(self.connection.closed)

    def test_empty_after_challenge(self) -> None:
        """
        A payload without messages is nothing, once challenged.
        """
        self.say(CHALLENGE)
        self.written()
        self.receive(wire("+"))
        self.assertEqual((self.written(), self.connection.closed), ("", False))

    def test_all_messages_of_a_payload(self) -> None:
        """
        What follows the login in the same payload is served after it (D15).
        """
        self.written()
        self.receive(wire('C|CHR|u+A|REQ|{"username":"ann"}+E|EVT|news|N1+'))
        self.assertEqual(self.written(), wire("C|A+A|A+"))
        self.assertEqual([message.name for message in self.service.handled], ["news"])

    def test_login_bytes(self) -> None:
        """
        The forms of section 6.1.
        """
        for login, answered in [
            (Login(True, "ann"), "A|A+"),
            (Login(True, "ann", b'{"x":1}'), 'A|A|O{"x":1}+'),
            (Login(True, "ann", b"null"), "A|A|L+"),
            (Login(False), "A|E|INVALID_AUTH_DATA|U+"),
            (Login(False, client_data=b'"why"'), "A|E|INVALID_AUTH_DATA|Swhy+"),
        ]:
            self.authenticator.decisions = [login]
            self.connect()
            self.say(CHALLENGE)
            self.written()
            self.say(LOGIN)
            self.assertEqual(self.written(), wire(answered))

    def test_too_many_attempts_bytes(self) -> None:
        """
        The last refusal and the reason for the end, in that order.
        """
        self.authenticator.decisions = [Login(False)]
        self.connect(max_auth_attempts=1)
        self.say(CHALLENGE)
        self.written()
        self.say(LOGIN)
        self.assertEqual(
            self.written(),
            wire("A|E|INVALID_AUTH_DATA|U+A|E|TOO_MANY_AUTH_ATTEMPTS|Stoo many authentication attempts+"),
        )

    def test_timeout_bytes(self) -> None:
        """
        The text of section 5.5.
        """
        self.connect(unauthenticated_client_timeout=1.0)
        self.written()
        self.clock.advance(1)
        text = "Sconnection has not authenticated successfully in the expected time"
        self.assertEqual(self.written(), wire(f"C|E|CONNECTION_AUTHENTICATION_TIMEOUT|{text}+"))

    def test_while_open(self) -> None:
        """
        No mistake of an open connection closes it (section 7.1).
        """
        self.log_in()
        for received, answered in [
            ("junk+", "X|E|MESSAGE_PARSE_ERROR|null+"),
            ("Z|S|x+", "X|E|UNKNOWN_TOPIC|Z+"),
            ("C|CHR|x+", "X|E|UNKNOWN_TOPIC|C+"),
            ("C|A+", "X|E|UNKNOWN_TOPIC|C+"),
            ("A|REQ|{}+", "X|E|UNKNOWN_TOPIC|A+"),
            ("R|CR|x+", "X|E|UNKNOWN_TOPIC|R+"),
            ("E|H|x+", "E|E|UNKNOWN_ACTION|unknown action H+"),
            ("E|S+", "E|E|INVALID_MESSAGE_DATA|E|S+"),
            ("C|PO+", ""),
            ("C|PI+", "C|PO+"),
            ("+", ""),
            ("", ""),
        ]:
            self.receive(wire(received))
            self.assertEqual(self.written(), wire(answered), received)
        self.assertFalse(self.connection.closed)

    def test_binary_payload(self) -> None:
        """
        A binary frame is read as the text it holds.
        """
        self.written()
        self.connection.receive(wire("C|CHR|u+").encode())
        self.assertEqual(self.written(), wire("C|A+"))

    def test_not_text(self) -> None:
        """
        A binary frame that is no UTF-8 ends the connection, in every state.
        """
        for before in ([], [CHALLENGE], [CHALLENGE, LOGIN]):
            self.connect()
            self.say(*before)
            self.connection.receive(b"\xff\xfe")
            self.assertEqual(self.link.closed, (1007, "invalid UTF-8"))

    def test_server_pings(self) -> None:
        """
        The server pings, before login as well, and within the first interval.
        """
        self.written()
        self.clock.pump([HEARTBEAT / 10] * 10)
        self.assertEqual(self.written(), wire("C|PI+"))
        self.connection.heard = True
        self.clock.pump([HEARTBEAT / 10] * 10)
        self.assertEqual(self.written(), wire("C|PI+"))


class OpenAuthenticationTests(SynchronousTestCase):
    """
    C{auth: [{type: none}]}: C{security.md} section 1.4.
    """

    def login(self, credentials: Any) -> Login:
        return self.successResultOf(OpenAuthentication().login(Handshake("192.0.2.1"), credentials))

    def test_interface(self) -> None:
        """
        L{OpenAuthentication} provides L{IAuthenticator}.
        """
        verifyObject(IAuthenticator, OpenAuthentication())

    def test_names(self) -> None:
        """
        Everybody gets in under the name they give.
        """
        for credentials, user in [
            ({"username": "ann"}, "ann"),
            ({"username": 5}, "5"),
            ({"username": 1.5}, "1.5"),
            ({"username": True}, "true"),
            ({"username": ""}, "open"),
            ({"username": None}, "open"),
            ({"username": 0}, "open"),
            ({}, "open"),
            ([], "open"),
        ]:
            self.assertEqual(self.login(credentials), Login(True, user))

    def test_no_name(self) -> None:
        """
        What cannot be a name is refused.
        """
        names: list[Any] = [{}, [], {"toString": 1}, "a\x1fb", "\ud800", "a\nb"]
        for name in names:
            self.assertFalse(self.login({"username": name}).accepted)

    def test_w60_open(self) -> None:
        """
        W60: who gives no name is called "open"; "OPEN" is for authenticators that give none.
        """
        self.assertEqual(self.login({}).user, "open")
