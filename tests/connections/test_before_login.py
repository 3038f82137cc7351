"""
Tests for L{dstwist.connections.before_login}, at connections of both dialects.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent

from dstwist.errors import BusyError
from dstwist.interfaces import Login
from dstwist.protocol import text
from dstwist.protocol.constants import AuthAction, ConnectionAction
from dstwist.protocol.dialect import TEXT
from tests.connections.stage import CHALLENGE, CLOSE_DELAY, LOGIN, PING, PONG, ConnectionTestCase


class BothDialects:
    """
    The limits of a client until it is logged in.
    """

    def test_kept_before_the_next_try(self: Any) -> None:
        """
        A client that is to try again later is answered meanwhile, and may do so on the same connection: with success
        it stays, and if it leaves nothing of it is left.
        """
        self.limits["max_connections_per_user"] = 1
        first = self.connect()
        self.log_in()
        self.connect()
        self.say(CHALLENGE, LOGIN)
        self.heard()
        self.say(PING, LOGIN)
        self.assertEqual(self.actions(), [ConnectionAction.PONG, AuthAction.AUTH_UNSUCCESSFUL])
        first.lost("gone")
        self.say(LOGIN)
        self.assertEqual(self.actions(), [AuthAction.AUTH_SUCCESSFUL])
        self.keep_alive(2 * CLOSE_DELAY)
        self.assertFalse(self.connection.closed)
        self.connect()
        self.say(CHALLENGE, LOGIN)
        self.connection.lost("gone")
        self.assertIsNone(self.link.closed)
        self.clock.advance(CLOSE_DELAY)
        self.assertIsNone(self.link.closed)

    def test_not_authenticated_in_time(self: Any) -> None:
        """
        A client that does not log in within C{unauthenticatedClientTimeout} is told so, and the connection is closed.
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

    def test_refusal_starts_the_clock_anew(self: Any) -> None:
        """
        After each failed login the client has the whole C{unauthenticatedClientTimeout} again, so that a user who has
        mistyped the password and comes back to it later can log in.
        """
        self.authenticator.decisions = [Login(False), Login(False)]
        self.connect(unauthenticated_client_timeout=5.0)
        self.log_in()
        self.clock.advance(4)
        self.say(LOGIN)
        self.heard()
        self.clock.advance(4.9)
        self.assertEqual(self.actions(), [])
        self.clock.advance(0.2)
        self.assertEqual(self.actions(), [ConnectionAction.AUTHENTICATION_TIMEOUT])

    def test_decision_starts_the_clock_anew(self: Any) -> None:
        """
        The time begins when the login is refused, and not when it was sent; until then the earlier time runs.
        """
        decisions: list[Deferred[Login]] = [Deferred(), Deferred()]
        self.authenticator.decisions = list(decisions)
        self.connect(unauthenticated_client_timeout=5.0)
        self.say(CHALLENGE, LOGIN)
        self.clock.advance(4)
        decisions[0].callback(Login(False))
        self.clock.advance(4)
        self.heard()
        self.say(LOGIN)
        self.clock.advance(1)
        self.assertEqual(self.actions(), [ConnectionAction.AUTHENTICATION_TIMEOUT])
        self.assertTrue(self.connection.closed)

    def test_no_decision_leaves_the_clock(self: Any) -> None:
        """
        Messages before the login give a client no more time.
        """
        self.connect(unauthenticated_client_timeout=5.0)
        self.clock.advance(4)
        self.say(CHALLENGE, PING)
        self.heard()
        self.clock.advance(1)
        self.assertEqual(self.actions(), [ConnectionAction.AUTHENTICATION_TIMEOUT])

    def test_comes_back_instead(self: Any) -> None:
        """
        A client that is to try again later is closed for that reason, and not for its time, since official clients
        do not come back after AUTHENTICATION_TIMEOUT; nor do further refusals keep it longer.
        """
        self.limits["max_connections_per_user"] = 1
        self.connect()
        self.log_in()
        for first in (Login(True, "ann"), fail(BusyError("too many"))):
            self.authenticator.decisions = [first, Login(False)]
            self.connect(unauthenticated_client_timeout=CLOSE_DELAY / 2)
            self.say(CHALLENGE, LOGIN)
            self.clock.advance(CLOSE_DELAY / 4)
            self.say(LOGIN)
            self.clock.advance(CLOSE_DELAY * 3 / 4 - 0.01)
            self.assertFalse(self.connection.closed)
            self.clock.advance(0.02)
            self.assertNotIn(ConnectionAction.AUTHENTICATION_TIMEOUT, self.actions())
            self.assertEqual(self.link.closed and self.link.closed[0], 1013)

    def test_no_timer_left(self: Any) -> None:
        """
        An endpoint without clients leaves no timer behind, whether its last client has logged in or not.
        """
        for logs_in in (True, False):
            self.connection.lost("gone")
            self.connect(unauthenticated_client_timeout=5.0)
            if logs_in:
                self.log_in()
            self.connection.lost("gone")
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flood_before_login(self: Any) -> None:
        """
        More than C{maxMessagesBeforeLogin} messages without a login end the connection; heartbeats at a reasonable pace
        do not count.
        """
        self.authenticator.decisions = [Login(False)] * 100
        self.connect(max_messages_before_login=20, max_auth_attempts=1000)
        self.say(CHALLENGE)
        for _ in range(50):
            self.say(*[PING, PONG][: 1 + (self.dialect is TEXT)])
            self.clock.advance(0.2)
        self.say(*[LOGIN] * 19)
        self.assertFalse(self.connection.closed)
        self.say(LOGIN)
        self.assertEqual(self.link.closed, (1008, "too many messages before login"))
        self.assertEqual(len(self.authenticator.asked), 19)

    def test_heartbeats_before_login(self: Any) -> None:
        """
        A client without a login cannot keep the server busy with heartbeats, nor with payloads without any message:
        more of them in a second than C{maxMessagesBeforeLogin} end the connection, and a line in the log says so.
        """
        for payloads in ([self.client.encode(PING)] * 21, [b""] * 21, [self.client.encode(PING) * 8000]):
            for before in ([], [CHALLENGE]):
                self.connect(max_messages_before_login=20)
                self.say(*before)
                self.heard()
                with capturedLogs() as logs:
                    for payload in payloads:
                        self.receive(payload)
                self.assertLess(len(self.link.take()), 22)
                self.assertTrue(self.connection.closed)
                if self.dialect is TEXT and payloads[0] == b"" and not before:
                    continue  # the first of them has ended it
                self.assertEqual(self.link.closed, (1008, "too many messages before login"))
                self.assertIn(
                    "LIMIT_EXCEEDED | maxMessagesBeforeLogin: client (192.0.2.1, /deepstream, #7) refused: too many "
                    "messages before login",
                    [formatEvent(event) for event in logs],
                )


class ProtobufBeforeLoginTests(BothDialects, ConnectionTestCase):
    """
    v4+ clients.
    """


class TextBeforeLoginTests(BothDialects, ConnectionTestCase):
    """
    v2/v3 clients.
    """

    dialect = TEXT
    server = text.SERVER
    client = text.CLIENT
