"""
Tests for L{dstwist.connections.login}: clients log in that have no connection.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.connections.login import LoginDecision, Logins, Outcome
from dstwist.connections.users import UserRegistry
from dstwist.errors import AuthError, BusyError
from dstwist.interfaces import HandshakeData, Login
from dstwist.limits.failed_logins import FailedLogins
from tests.fakes import FakeAuthenticator, FakeConnection
from tests.logs import Lines

CLIENT = HandshakeData("192.0.2.1", path="/api")
ANN = b'{"username":"ann"}'


class LoginTests(SynchronousTestCase):
    """
    L{Logins} and L{LoginAttempt}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.authenticator = FakeAuthenticator()
        self.users = UserRegistry()
        self.failed_logins = FailedLogins(LimitSettings(max_failed_logins_per_address=2), self.clock)

    def logins(self, **options: Any) -> Logins:
        return Logins(self.authenticator, self.failed_logins, self.users, self.clock, **options)

    def decide(self, *decisions: Any, **options: Any) -> LoginDecision:
        """
        The decision on a login for which the authenticator gives C{decisions}.
        """
        self.authenticator.decisions.extend(decisions)
        return self.successResultOf(self.logins(**options).begin(CLIENT, ANN).decision)

    def test_accepted(self) -> None:
        """
        The user, and what the authenticator says about it; no line in the log, since the client is not in yet.
        """
        login = Login(True, "ann", b'"hello"')
        lines = Lines(self)
        self.assertEqual(self.decide(login), LoginDecision(Outcome.ACCEPTED, login, "ann", b'"hello"'))
        self.assertEqual((lines.of("info"), self.authenticator.asked), ([], [{"username": "ann"}]))

    def test_decided_at_once(self) -> None:
        """
        A decision that is made at once is there at once, and no Deferred is needed; a later one comes by its Deferred
        only.
        """
        later: Deferred[Login] = Deferred()
        self.authenticator.decisions.extend([Login(True, "ann"), later])
        logins = self.logins()
        attempt = logins.begin(CLIENT, ANN)
        self.assertEqual(self.successResultOf(attempt.decision), attempt.decided)
        self.assertIsNotNone(attempt.decided)
        attempt = logins.begin(CLIENT, ANN)
        self.assertNoResult(attempt.decision)
        later.callback(Login(True, "ann"))
        self.successResultOf(attempt.decision)
        self.assertIsNone(attempt.decided)

    def test_unnamed(self) -> None:
        """
        A user without a name has deepstream's name for such users.
        """
        self.assertEqual(self.decide(Login(True)).user, "OPEN")

    def test_refused(self) -> None:
        """
        A refusal has the authenticator's words for the client, and a line in the log under the name that it gave,
        without its credentials.
        """
        lines = Lines(self)
        decision = self.decide(Login(False, client_data=b'"no"'))
        self.assertEqual((decision.outcome, decision.client_data), (Outcome.REFUSED, b'"no"'))
        self.assertEqual(
            lines.of("info"), ["AUTH_UNSUCCESSFUL | invalid authentication data from ann (192.0.2.1, /api)"]
        )
        self.assertEqual(
            (str(decision.log_fields["client"]), decision.log_fields["user"]), ("ann (192.0.2.1, /api)", None)
        )

    def test_outcomes(self) -> None:
        """
        The logins are counted by their outcome, also those that wait for the decision on an equal one.
        """
        logins = self.logins()
        waiting: Deferred[Login] = Deferred()
        self.authenticator.decisions.extend([Login(True, "ann"), Login(False), fail(BusyError("full")), waiting])
        for _ in range(3):
            logins.begin(CLIENT, ANN)
        attempt = logins.begin(CLIENT, ANN)
        attempt.join()
        self.assertEqual([logins.outcomes[outcome] for outcome in Outcome], [1, 1, 0, 1, 0])
        waiting.callback(Login(False))
        logins.begin(CLIENT, ANN)
        self.assertEqual([logins.outcomes[outcome] for outcome in Outcome], [1, 3, 1, 1, 0])

    def test_refused_credentials(self) -> None:
        """
        If the operator wants that, the line has the credentials.
        """
        lines = Lines(self)
        self.decide(Login(False), log_credentials=True)
        self.assertIn('from ann (192.0.2.1, /api): {"username":"ann"}', lines.of("info")[0])

    def test_failures_of_address(self) -> None:
        """
        After too many failed logins from an address the authenticator is not asked any more.
        """
        self.decide(Login(False))
        self.decide(Login(False))
        lines = Lines(self)
        decision = self.decide()
        text = "too many failed logins from this address"
        self.assertEqual(decision, LoginDecision(Outcome.EXCEEDED, reason=text))
        self.assertEqual(len(self.authenticator.asked), 2)
        self.assertEqual(
            lines.of("warn"),
            [f"LIMIT_EXCEEDED | maxFailedLoginsPerAddress: client (192.0.2.1, /api) refused: {text}"],
        )

    def test_connections_of_user(self) -> None:
        """
        A user with as many connections as one may have is told so.
        """
        self.users.add(FakeConnection("ann"))
        lines = Lines(self)
        decision = self.decide(Login(True, "ann"), max_connections_per_user=1)
        text = "there are 1 connections of this user already"
        self.assertEqual(
            decision, LoginDecision(Outcome.EXCEEDED, client_data=f'{{"error":"{text}"}}'.encode(), reason=text)
        )
        self.assertEqual(
            lines.of("warn"), [f"LIMIT_EXCEEDED | maxConnectionsPerUser: ann (192.0.2.1, /api) refused: {text}"]
        )
        self.assertIs(self.decide(Login(True, "bob"), max_connections_per_user=1).outcome, Outcome.ACCEPTED)

    def test_room_for_users(self) -> None:
        """
        A user for whose name other nodes have no room is told so, unless the user is here already.
        """
        self.users.add(FakeConnection("ann"))
        self.users.bound_names(lambda user: user == "cat")
        lines = Lines(self)
        decision = self.decide(Login(True, "bob"))
        text = "there are too many users with such names already"
        self.assertEqual(
            decision, LoginDecision(Outcome.EXCEEDED, client_data=f'{{"error":"{text}"}}'.encode(), reason=text)
        )
        self.assertEqual(
            lines.of("warn"), [f"LIMIT_EXCEEDED | maxSubscriptionBytes: bob (192.0.2.1, /api) refused: {text}"]
        )
        for user in ("ann", "cat", "OPEN"):
            self.assertIs(self.decide(Login(True, user)).outcome, Outcome.ACCEPTED)

    def test_busy(self) -> None:
        """
        If the authenticator has too much to do, the client may try again. The log has no traceback.
        """
        lines = Lines(self)
        decision = self.decide(fail(BusyError("too many")))
        self.assertEqual(decision, LoginDecision(Outcome.BUSY, reason="too many logins"))
        self.assertEqual(lines.of("warn"), ["AUTH_ERROR | client (192.0.2.1, /api): too many"])

    def test_undecided(self) -> None:
        """
        If the authenticator fails, the login is not accepted; that does not count as a failed login.
        """
        for error in (AuthError("no answer"), CancelledError(), AuthError("no answer")):
            decision = self.decide(fail(error))
            self.assertEqual(decision, LoginDecision(Outcome.UNDECIDED, reason="authentication failed"))
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
        self.assertIs(self.decide().outcome, Outcome.ACCEPTED)

    def test_abandoned(self) -> None:
        """
        If the client goes, the authenticator is told so, and the log says nothing.
        """
        stopped: list[Deferred[Login]] = []
        self.authenticator.decisions = [Deferred(stopped.append)]
        attempt = self.logins().begin(CLIENT, ANN)
        self.assertNoResult(attempt.decision)
        lines = Lines(self)
        attempt.abandon()
        self.assertIs(self.successResultOf(attempt.decision).outcome, Outcome.UNDECIDED)
        self.assertEqual((len(stopped), lines.of("info"), lines.of("warn")), (1, [], []))

    def test_abandoned_refusal(self) -> None:
        """
        A refusal counts as a failed login although the client has gone: else a client that never waits for its answer
        could try without end.
        """
        for _ in range(2):
            self.authenticator.decisions = [Deferred(lambda stopped: stopped.callback(Login(False)))]
            self.logins().begin(CLIENT, ANN).abandon()
        self.assertIs(self.decide().outcome, Outcome.EXCEEDED)

    def test_joined_refusal(self) -> None:
        """
        If equal logins wait for one decision, a refusal counts for each.
        """
        decision: Deferred[Login] = Deferred()
        self.authenticator.decisions = [decision]
        attempt = self.logins().begin(CLIENT, ANN)
        attempt.join()
        decision.callback(Login(False))
        self.assertIs(self.successResultOf(attempt.decision).outcome, Outcome.REFUSED)
        self.assertIs(self.decide().outcome, Outcome.EXCEEDED)

    def test_abandoned_failure(self) -> None:
        """
        A failure of the authenticator is logged although the client has gone.
        """
        self.authenticator.decisions = [Deferred(lambda stopped: stopped.errback(AuthError("no answer")))]
        self.logins().begin(CLIENT, ANN).abandon()
        self.assertEqual(len(self.flushLoggedErrors(AuthError)), 1)

    def test_end_in_time(self) -> None:
        """
        A connection is closed when its login ends, and only if that ends at all.
        """
        limited, unlimited = FakeConnection("ann"), FakeConnection("bob")
        self.logins().end_in_time(limited, Login(True, "ann", expires_at=5.0))
        self.logins().end_in_time(unlimited, Login(True, "bob"))
        self.clock.advance(4.9)
        self.assertFalse(limited.closed)
        self.clock.advance(0.2)
        self.assertEqual((limited.closed, unlimited.closed), (True, False))
