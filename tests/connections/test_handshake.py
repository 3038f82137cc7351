"""
Tests for L{dstwist.connections.handshake}, in both dialects: a client until it is logged in, or has gone.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from dstwist.config.limits import LimitSettings
from dstwist.connections.endpoint import IUnauthenticatedConnection
from dstwist.errors import AuthError, BusyError
from dstwist.interfaces import HandshakeData, Login
from dstwist.limits.failed_logins import FailedLogins
from dstwist.protocol import text
from dstwist.protocol.constants import AuthAction, ConnectionAction, EventAction, ParserAction, Topic
from dstwist.protocol.dialect import JAVASCRIPT, TEXT, Received, State
from dstwist.protocol.message import Message
from dstwist.scheduling.turns import TIME_SLICE
from tests.connections.stage import CHALLENGE, EMIT, LOGIN, PING, ConnectionTestCase
from tests.wire import wire


class BothDialects:
    """
    Claims that hold for both generations.
    """

    def test_interface(self: Any) -> None:
        """
        A connection is what its handshake expects.
        """
        verifyObject(IUnauthenticatedConnection, self.connection)

    def test_w55_too_slow_for_its_login(self: Any) -> None:
        """
        W55: a client that turns out not to read when it is told of its login is gone, and its user with it.
        """
        self.say(CHALLENGE)
        flush = self.link.flush
        self.patch(self.link, "flush", lambda: (flush(), self.connection.lost("gone")))
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

    def test_hostile_referer(self: Any) -> None:
        """
        The referer of a client cannot forge lines of the log, clear a terminal, or fill a disk.
        """
        handshake = HandshakeData(
            "192.0.2.1", {"referer": "http://shop\r\nAUTH_SUCCESSFUL | admin\x1b[2J" + "x" * 10_000}
        )
        with capturedLogs() as logs:
            self.connect(handshake)
        (event,) = [event for event in logs if event.get("event") == "INCOMING_CONNECTION"]
        line = formatEvent(event)
        self.assertTrue(line.isprintable(), line)
        self.assertIn("http://shop??AUTH_SUCCESSFUL | admin?[2Jxxx", line)
        self.assertLess(len(line), 300)

    def test_long_payload_before_login(self: Any) -> None:
        """
        A very long payload before the login is decoded only until the client is sent away. Messages behind a login in
        it are served after the login.
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

    def test_client_data(self: Any) -> None:
        """
        The authenticator's data for the client reaches it with the success.
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
        in a way after which it tries again, since it may be another one that has failed; but not at once.
        """
        self.failed_logins = FailedLogins(LimitSettings(max_failed_logins_per_address=2), self.clock)
        for _ in range(2):
            self.authenticator.decisions.append(Login(False))
            self.connect()
            self.say(CHALLENGE, LOGIN)
        self.connect()
        self.say(CHALLENGE, LOGIN)
        self.assertEqual(len(self.authenticator.asked), 2)
        self.assertNotIn(AuthAction.TOO_MANY_AUTH_ATTEMPTS, self.actions())
        self.assert_closed_later(1013, "too many failed logins from this address")
        self.clock.advance(60.01)
        self.connect()
        self.log_in()

    def test_too_many_failures_of_a_user(self: Any) -> None:
        """
        The same for a user name; who logs in before that begins anew.
        """
        self.failed_logins = FailedLogins(LimitSettings(max_failed_logins_per_user=2), self.clock)
        for accepted in (False, True, False, False):
            self.authenticator.decisions.append(Login(accepted, "ann"))
            self.connect()
            self.say(CHALLENGE, LOGIN)
        self.connect()
        self.say(CHALLENGE, LOGIN)
        self.assert_closed_later(1013, "too many failed logins of this user")

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
        self.assert_closed_later(1013, "there are 2 connections of this user already")
        self.assertFalse(self.link.known)
        connections[0].lost("gone")
        self.connect()
        self.log_in()
        self.assertTrue(self.link.known)

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

    def test_w55_gone_before_the_decision(self: Any) -> None:
        """
        W55: a client that left while its login was decided is never logged in.
        """
        decision: Deferred[Login] = Deferred()
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE, LOGIN, EMIT)
        self.heard()
        self.connection.lost("gone")
        decision.callback(Login(True, "ann"))
        self.assertEqual((self.heard(), self.connection.user, self.service.handled), ([], None, []))
        self.assertNotIn("ann", self.users)

    def test_authenticator_fails(self: Any) -> None:
        """
        An authenticator that cannot decide costs the connection and a line in the log; the client is not logged in.
        """
        decision: Deferred[Login] = Deferred()
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE, LOGIN)
        self.heard()
        decision.errback(AuthError("no answer"))
        self.assertEqual(len(self.flushLoggedErrors(AuthError)), 1)
        self.say(PING)
        self.assertEqual(self.actions(), [ConnectionAction.PONG])
        self.assert_closed_later(1011, "authentication failed")

    def test_mistake_in_a_login(self: Any) -> None:
        """
        A mistake of ours while a client is let in costs its connection and a line in the log.
        """
        self.patch(self.link, "logged_in", lambda: 1 // 0)
        self.say(CHALLENGE, LOGIN)
        self.assertEqual(self.link.closed, (1011, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_authenticator_fails_for_the_gone(self: Any) -> None:
        """
        The same after the client has left, if the authenticator does not let itself be stopped.
        """
        decision: Deferred[Login] = Deferred(lambda stopped: stopped.errback(AuthError("no answer")))
        self.authenticator.decisions = [decision]
        self.say(CHALLENGE, LOGIN)
        self.connection.lost("gone")
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
        self.assertEqual(self.heard(), [])
        self.assert_closed_later(1013, "too many logins")

    def test_gone_while_deciding(self: Any) -> None:
        """
        A client that leaves, or is sent away, has its decision given up, quietly: others may wait for theirs.
        """
        for leave in (lambda: self.connection.lost("gone"), lambda: self.clock.advance(5)):
            stopped: list[Deferred[Login]] = []
            self.authenticator.decisions = [Deferred(stopped.append)]
            self.connect(unauthenticated_client_timeout=5.0)
            self.say(CHALLENGE, LOGIN)
            leave()
            self.assertTrue(self.connection.closed)
            self.assertEqual(len(stopped), 1)

    def test_decided_before_gone(self: Any) -> None:
        """
        A decision that was made is not cancelled later.
        """
        stopped: list[Deferred[Login]] = []
        first: Deferred[Login] = Deferred(stopped.append)
        self.authenticator.decisions = [first, Login(True, "ann")]
        self.say(CHALLENGE, LOGIN)
        first.callback(Login(False))
        self.say(LOGIN)
        self.connection.lost("gone")
        self.assertEqual(stopped, [])

    def test_many_refusals(self: Any) -> None:
        """
        However many logins stand in one payload, they are refused one after the other, not one within the other.
        """
        first: Deferred[Login] = Deferred()
        self.authenticator.decisions = [first, *[Login(False)] * 500]
        self.connect(max_messages_before_login=5000, max_auth_attempts=5000)
        self.say(CHALLENGE)
        self.receive(self.client.encode(LOGIN) * 501)
        self.heard()
        first.callback(Login(False))
        self.assertEqual(self.actions(), [AuthAction.AUTH_UNSUCCESSFUL] * 501)
        self.assertFalse(self.link.paused)

    def test_behind_the_login(self: Any) -> None:
        """
        Messages behind a login in its payload are served in slices, like all later ones.
        """
        self.serve_by(lambda: self.pass_time(TIME_SLICE / 4))
        self.receive(self.client.encode(CHALLENGE) + self.client.encode(LOGIN) + self.client.encode(EMIT) * 8)
        self.assertEqual((len(self.service.handled), self.link.paused), (5, True))
        self.next_turn()
        self.assertEqual((len(self.service.handled), self.link.paused), (8, False))

    def test_nothing_kept(self: Any) -> None:
        """
        Objects that only a login needs, such as the headers of the handshake, are not kept when the client is logged
        in, or has left.
        """
        for end in (lambda: self.say(CHALLENGE, LOGIN), lambda: self.connection.lost("gone")):
            handshake = HandshakeData("192.0.2.1", {"cookie": "x" * 1000})
            kept = ref(handshake)
            self.connect(handshake)
            del handshake
            self.assertIsNotNone(kept())
            end()
            self.assertIsNone(kept())

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

    def test_a_little_nonsense(self: Any) -> None:
        """
        A single mistake makes a single line.
        """
        with capturedLogs() as logs:
            self.connect()
            self.say(EMIT)
            self.connection.lost("gone")
        self.assertEqual(len([event for event in logs if event.get("event") == "INVALID_MESSAGE"]), 1)

    def test_hostile_credentials(self: Any) -> None:
        """
        With C{logInvalidAuthData} credentials can forge no lines of the log, and fill no disk.
        """
        self.authenticator.decisions = [Login(False)]
        with capturedLogs() as logs:
            self.connect(log_invalid_auth_data=True)
            data = b'{"username":"ann\xc2\x9b2J",\r\n"password":"' + b"x" * 10_000 + b'"}'
            self.say(CHALLENGE, Message(Topic.AUTH, AuthAction.REQUEST, data=data))
        (event,) = [event for event in logs if event.get("event") == "AUTH_UNSUCCESSFUL"]
        line = formatEvent(event)
        self.assertIn("invalid authentication data from ann?2J (192.0.2.1, /deepstream, #7): ", line)
        self.assertIn('): {"username":"ann?2J",??"password":"xxx', line)
        self.assertTrue(line.isprintable(), line)
        self.assertLess(len(line), 2100)

    def test_no_referer(self: Any) -> None:
        """
        The log says in words that a client comes from no page.
        """
        with capturedLogs() as logs:
            self.connect(HandshakeData("192.0.2.1"))
        self.assertEqual([formatEvent(event) for event in logs], ["INCOMING_CONNECTION | from no page (192.0.2.1)"])

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

    def test_user_never_came(self: Any) -> None:
        """
        A connection that ends before its login was never any user's.
        """
        told: list[Any] = []
        self.users.observe(told.append, told.append)
        self.say(CHALLENGE)
        self.connection.lost("gone")
        self.assertEqual(told, [])

    def test_every_row(self: Any) -> None:
        """
        The table of steps says something about everything that can be received before login.
        """
        states = (State.CHALLENGE, State.LOGIN)
        self.assertEqual(set(self.dialect.handshake), {(state, received) for state in states for received in Received})


class ProtobufHandshakeTests(BothDialects, ConnectionTestCase):
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
            (bytes.fromhex("0910021a050805120178"), not_connected, not_login, unknown),  # a challenge with broken data
            (bytes.fromhex("0810021a0408052001"), not_connected, not_login, unknown),  # a challenge that is an ack
            (bytes.fromhex("0810021a0408022001"), not_connected, not_login, unknown),  # a ping that is one
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

    def test_sdk(self) -> None:
        """
        The name of the client's software decides about its dialect.
        """
        self.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, sdk_type="javascript", sdk_version="7.0.5"))
        self.assertIs(self.connection.dialect, JAVASCRIPT)


class TextHandshakeTests(BothDialects, ConnectionTestCase):
    """
    v2/v3 clients: C{text-protocol.md} sections 5 to 7.
    """

    dialect = TEXT
    server = text.SERVER
    client = text.CLIENT

    def test_server_speaks_first(self) -> None:
        """
        The server greets with its challenge.
        """
        self.assertEqual(self.written(), wire("C|CH+"))

    def test_greeting_delay(self) -> None:
        """
        The greeting leaves C{greetingDelay} after the WebSocket is open, by itself and once: clients on Poco lose what
        they read together with the response to the handshake.
        """
        self.connect(greeting_delay=0.01)
        self.clock.advance(0.009)
        self.assertEqual(self.written(), "")
        self.clock.advance(0.002)
        self.assertEqual(self.link.flushed, 1)
        self.assertEqual(self.written(), wire("C|CH+"))
        self.say(CHALLENGE)
        self.assertEqual(self.written(), wire("C|A+"))

    def test_speaks_before_greeting(self) -> None:
        """
        A client that does not wait for the greeting is greeted before it is answered, and not again.
        """
        for received, answered in (("C|CHR|u+", "C|CH+C|A+"), ("", "C|CH+C|E|MESSAGE_PARSE_ERROR|+")):
            self.connect(greeting_delay=0.01)
            self.receive(wire(received))
            self.assertEqual(self.written(), wire(answered))
            self.clock.advance(1)
            self.assertEqual(self.written(), "")

    def test_gone_before_greeting(self) -> None:
        """
        A client that leaves before it is greeted leaves no call behind.
        """
        self.connection.lost("gone")
        self.connect(greeting_delay=0.01).lost("gone")
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
        Messages behind a login in the same payload are served after it (D15).
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
