"""
Tests for L{dstwist.connections.request_logins}: requests log in, of users in a file and by an authenticator that takes
its time.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import FunctionType, ModuleType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.auth.chain import ChainAuthentication
from dstwist.auth.methods import build_authentication
from dstwist.auth.reload import AuthReload
from dstwist.config.auth import AuthSettings
from dstwist.config.limits import LimitSettings
from dstwist.config.plugins import PluginSettings
from dstwist.config.users import FileSettings, User
from dstwist.connections import request_logins
from dstwist.connections.login import LoginDecision, Logins, Outcome
from dstwist.connections.request_logins import REMEMBERED_LOGIN_WEIGHT, RequestLogins
from dstwist.connections.users import UserRegistry
from dstwist.errors import AuthError, BusyError
from dstwist.interfaces import HandshakeData, IAuthenticator, Login, PeerCertificate
from dstwist.limits.failed_logins import FailedLogins
from tests.logs import Lines

CERTIFICATE = PeerCertificate("CN=ann", ("ann",), (), (), (), "00", 1e9)
CLIENT = HandshakeData("192.0.2.1", {"host": "a", "cookie": "b"}, "/api", CERTIFICATE, "/api", 1)
OTHER = replace(CLIENT, address="192.0.2.2")
ANN = b'{"username":"ann","password":"1"}'
BOB = b'{"username":"bob","password":"2"}'
WRONG = b'{"username":"ann","password":"2"}'


@implementer(IAuthenticator)
class SlowAuthentication:
    """
    The plug-in of these tests: it decides when the test says so, and notes what it is asked.

    @ivar cancelled: how many logins were cancelled.
    @ivar on_cancel: called when a login is cancelled.
    """

    made: SlowAuthentication

    def __init__(self, options: Any, context: Any) -> None:
        self.asked: list[tuple[HandshakeData, Any]] = []
        self.waiting: list[Deferred[Login]] = []
        self.cancelled = 0
        self.on_cancel: Callable[[], object] = lambda: None
        SlowAuthentication.made = self

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        self.asked.append((handshake, credentials))
        self.waiting.append(Deferred(self._cancel))
        return self.waiting[-1]

    def decide(self, decision: Any) -> None:
        """
        Decide on the oldest login.
        """
        waiting = self.waiting.pop(0)
        if isinstance(decision, Exception):
            waiting.errback(decision)
        else:
            waiting.callback(decision)

    def _cancel(self, decision: Deferred[Login]) -> None:
        self.cancelled += 1
        self.waiting.remove(decision)
        self.on_cancel()


@dataclass(frozen=True)
class MoreFacts(HandshakeData):
    """
    The facts of a transport that knows more about its clients.
    """

    tenant: str = ""


SLOW = PluginSettings("module", f"{__name__}:SlowAuthentication", {}, "auth.module")


class RequestLoginCase(SynchronousTestCase):
    """
    A node's logins of requests.
    """

    def setUp(self) -> None:
        self.clock = Clock()

    def build(self, *auth: AuthSettings, lifetime: float = 10.0, **limits: Any) -> None:
        limits.setdefault("max_failed_logins_per_address", None)
        self.users = UserRegistry()
        self.chain: ChainAuthentication = build_authentication(auth, self.clock)
        self.successResultOf(self.chain.start())
        self.failed_logins = FailedLogins(LimitSettings(**limits), self.clock)
        self.logins = RequestLogins(
            Logins(self.chain, self.failed_logins, self.users, self.clock), lifetime, self.clock
        )

    def build_slow(self, **options: Any) -> SlowAuthentication:
        self.build(SLOW, **options)
        return SlowAuthentication.made

    def outcome(self, credentials: bytes, client: HandshakeData = CLIENT) -> Outcome:
        """
        The outcome of a login that is decided at once.
        """
        return self.decision(credentials, client).outcome

    def decision(self, credentials: bytes, client: HandshakeData = CLIENT) -> LoginDecision:
        decision: LoginDecision = self.successResultOf(self.logins.login(client, credentials))
        return decision

    def accept(self, login: Login | None = None, credentials: bytes = ANN, client: HandshakeData = CLIENT) -> None:
        """
        Log in by the slow authenticator, which accepts.
        """
        decision = self.logins.login(client, credentials)
        SlowAuthentication.made.decide(login or Login(True, "ann"))
        self.assertIs(self.successResultOf(decision).outcome, Outcome.ACCEPTED)

    def is_remembered(self, credentials: bytes = ANN, client: HandshakeData = CLIENT) -> bool:
        """
        Whether a login is accepted without the slow authenticator. If not, the question is withdrawn.
        """
        slow = SlowAuthentication.made
        count = len(slow.asked)
        decision = self.logins.login(client, credentials)
        if len(slow.asked) == count:
            self.assertIs(self.successResultOf(decision).outcome, Outcome.ACCEPTED)
            return True
        decision.cancel()
        self.failureResultOf(decision, CancelledError)
        return False


def users(**passwords: str) -> FileSettings:
    return FileSettings(users={name: User(password) for name, password in passwords.items()})


class RememberedTests(RequestLoginCase):
    """
    Accepted logins are remembered for a while.
    """

    def test_accepted(self) -> None:
        """
        For some seconds from the acceptance an equal login gets the same decision, without asking.
        """
        slow = self.build_slow()
        first = self.logins.login(CLIENT, ANN)
        slow.decide(Login(True, "ann", b'"hello"', {"role": "admin"}))
        decision = self.successResultOf(first)
        self.clock.advance(9.9)
        self.assertEqual(self.decision(ANN), decision)
        self.assertEqual((decision.user, decision.client_data, len(slow.asked)), ("ann", b'"hello"', 1))
        # The time does not begin anew.
        self.clock.advance(0.1)
        self.assertFalse(self.is_remembered())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_counted(self) -> None:
        """
        Each login counts by its outcome, also one that is remembered.
        """
        self.build(users(ann="secret"))
        wrong = b'{"username":"ann","password":"guess"}'
        right = b'{"username":"ann","password":"secret"}'
        for credentials in (right, right, wrong):
            self.decision(credentials)
        self.assertEqual([self.logins.outcomes[outcome] for outcome in Outcome], [2, 1, 0, 0, 0])

    def test_off(self) -> None:
        """
        With 0 nothing is remembered.
        """
        self.build_slow(lifetime=0.0)
        self.accept()
        self.assertFalse(self.is_remembered())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_others_are_not(self) -> None:
        """
        Only acceptances are remembered: a refusal, a busy or a failing authenticator is asked again.
        """
        slow = self.build_slow()
        for decision, outcome in (
            (Login(False), Outcome.REFUSED),
            (BusyError("too many"), Outcome.BUSY),
            (AuthError("no answer"), Outcome.REFUSED),
        ):
            login = self.logins.login(CLIENT, ANN)
            slow.decide(decision)
            self.assertIs(self.successResultOf(login).outcome, outcome)
            self.assertFalse(self.is_remembered())

    def test_busy(self) -> None:
        """
        A remembered login goes on while the authenticator has too much to do.
        """
        slow = self.build_slow()
        self.accept()
        login = self.logins.login(CLIENT, BOB)
        slow.decide(BusyError("too many"))
        self.assertIs(self.successResultOf(login).outcome, Outcome.BUSY)
        self.assertTrue(self.is_remembered())

    def test_every_fact_counts(self) -> None:
        """
        A client that differs in anything that an authenticator may look at does not get the login of another.
        """
        self.build_slow()
        self.accept()
        changed: dict[str, Any] = {field.name: ("eve",) for field in fields(PeerCertificate)}
        others: dict[str, Any] = {
            "address": ["192.0.2.2", ""],
            "headers": [
                {},
                {"host": "a"},
                {"host": "a", "cookie": "c"},
                {"host": "b", "cookie": "a"},
                {"host": "a', 'cookie': 'b"},
            ],
            "url": ["/api?x", None],
            "certificate": [None, *(replace(CERTIFICATE, **{name: value}) for name, value in changed.items())],
            "path": ["/other"],
            "number": [2],
            "node": ["left"],
        }
        self.assertEqual(set(others), {field.name for field in fields(HandshakeData)})
        for name, values in others.items():
            for value in values:
                self.assertFalse(self.is_remembered(client=replace(CLIENT, **{name: value})), (name, value))
        self.assertTrue(self.is_remembered(client=replace(CLIENT, headers={"cookie": "b", "host": "a"})))

    def test_own_facts(self) -> None:
        """
        The fields that a transport adds to the facts count as well.
        """
        self.build_slow()
        one = MoreFacts("192.0.2.1", tenant="one")
        self.accept(client=one)
        self.assertFalse(self.is_remembered(client=replace(one, tenant="two")))
        self.assertTrue(self.is_remembered(client=one))

    def test_every_byte_counts(self) -> None:
        """
        Other credentials are another login, also if the facts about the client continue them.
        """
        self.build_slow()
        self.accept()
        for credentials in (WRONG, BOB, ANN + b" ", b'{"username":"ann"}', b'{"password":"1","username":"ann"}', b"[]"):
            self.assertFalse(self.is_remembered(credentials), credentials)
        self.assertTrue(self.is_remembered())

    def test_length_of_request(self) -> None:
        """
        Requests of other lengths get the remembered login: authenticators do not see the length.
        """
        slow = self.build_slow()
        lengths = [replace(CLIENT, headers={**CLIENT.headers, "content-length": length}) for length in ("5", "6")]
        self.accept(client=lengths[0])
        self.assertTrue(self.is_remembered(client=lengths[1]))
        self.assertEqual(slow.asked, [(CLIENT, {"username": "ann", "password": "1"})])

    def test_end_of_login(self) -> None:
        """
        A login is remembered no longer than it lasts.
        """
        self.build_slow()
        self.accept(Login(True, "ann", expires_at=5.0))
        self.clock.advance(4.9)
        self.assertTrue(self.is_remembered())
        self.clock.advance(0.1)
        self.assertFalse(self.is_remembered())
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ended_login(self) -> None:
        """
        A login that has ended when it is accepted, such as by a certificate of long ago, is refused.
        """
        slow = self.build_slow(max_failed_logins_per_address=1)
        self.clock.advance(5.0)
        lines = Lines(self)
        for _ in range(2):
            login = self.logins.login(CLIENT, ANN)
            slow.decide(Login(True, "ann", expires_at=5.0))
            decision = self.successResultOf(login)
            self.assertEqual((decision.outcome, decision.client_data), (Outcome.REFUSED, b'{"error":"login expired"}'))
        self.assertEqual(lines.of("info"), ["AUTH_EXPIRED | the login of client (192.0.2.1, /api, #1) has expired"] * 2)

    def test_late_timers(self) -> None:
        """
        If timers are late, because the time of day was set back, a login is remembered for no longer.
        """
        self.build_slow()
        self.accept()
        self.clock.rightNow += 1000
        self.assertFalse(self.is_remembered())

    def test_time_of_day(self) -> None:
        """
        A remembered login ends at its time of day, which is no duration.
        """
        now = [1000.0]
        self.patch(request_logins, "wall_time", lambda clock: lambda: now[0])
        slow = self.build_slow()
        login = self.logins.login(CLIENT, ANN)
        slow.decide(Login(True, "ann", expires_at=1001.0))
        self.assertIs(self.successResultOf(login).outcome, Outcome.ACCEPTED)
        self.assertTrue(self.is_remembered())
        now[0] = 1001.0
        self.assertFalse(self.is_remembered())

    def test_memory(self) -> None:
        """
        Past the bound the oldest logins are forgotten, the larger ones sooner; a login that is larger than the bound
        is not remembered at all.
        """
        self.patch(request_logins, "MAX_REMEMBERED_BYTES", 4 * REMEMBERED_LOGIN_WEIGHT)
        self.build_slow()
        clients = [replace(CLIENT, number=number) for number in range(100)]
        for client in clients:
            self.accept(client=client)
        self.assertEqual([client.number for client in clients if self.is_remembered(client=client)], [97, 98, 99])
        self.accept(Login(True, "ann", server_data="x" * (REMEMBERED_LOGIN_WEIGHT // 2)), client=OTHER)
        self.assertEqual([client.number for client in clients if self.is_remembered(client=client)], [99])
        for large in (
            Login(True, "ann", b"x" * 4 * REMEMBERED_LOGIN_WEIGHT),
            Login(True, "ann", token="x" * 4 * REMEMBERED_LOGIN_WEIGHT),
        ):
            self.accept(large, BOB)
            self.assertFalse(self.is_remembered(BOB))
        self.assertTrue(self.is_remembered(client=OTHER))
        # All is given back.
        self.clock.advance(10)
        for client in clients[:3]:
            self.accept(client=client)
        self.assertEqual([self.is_remembered(client=client) for client in clients[:3]], [True] * 3)

    def test_data_of_own_classes(self) -> None:
        """
        A login whose data is not JSON is remembered, too.
        """
        self.build_slow()
        self.accept(Login(True, "ann", server_data=object()))
        self.assertTrue(self.is_remembered())

    def test_no_password(self) -> None:
        """
        No credentials stay in memory.
        """

        @implementer(IAuthenticator)
        class Forgetful:
            def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
                return succeed(Login(True, "ann"))

        self.build(lifetime=10.0)
        logins = RequestLogins(
            Logins(Forgetful(), self.failed_logins, self.users, self.clock),
            10.0,
            self.clock,
        )
        secret = "correct horse"
        self.successResultOf(logins.login(CLIENT, b'{"username":"ann","password":"%s"}' % secret.encode()))
        seen: dict[int, Any] = {}
        unseen: list[Any] = [logins]
        while unseen:
            found = unseen.pop()
            if id(found) not in seen and not isinstance(found, type | ModuleType | FunctionType):
                seen[id(found)] = found
                unseen += gc.get_referents(found)
        texts = [found for found in seen.values() if isinstance(found, str | bytes)]
        self.assertIn("ann", texts)
        self.assertEqual([text for text in texts if secret in str(text)], [])

    def test_stop(self) -> None:
        """
        After the stop nothing is remembered, and neither data nor a timer is left.
        """

        class Data:
            pass

        self.build_slow()
        self.accept(Login(True, "ann", server_data=(data := Data())))
        kept = weakref.ref(data)
        del data
        self.assertIsNotNone(kept())
        self.logins.stop()
        gc.collect()
        self.assertIsNone(kept())
        self.assertFalse(self.is_remembered())
        self.accept()
        self.assertFalse(self.is_remembered())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_json(self) -> None:
        """
        Credentials that are not JSON are a mistake of the caller.
        """
        self.build_slow()
        self.assertRaises(ValueError, self.logins.login, CLIENT, b"{")


class SharedTests(RequestLoginCase):
    """
    Equal logins at the same time.
    """

    def test_asks_once(self) -> None:
        """
        The authenticator is asked once for all, and others do not wait for it.
        """
        slow = self.build_slow()
        for lifetime in (10.0, 0.0):
            slow = self.build_slow(lifetime=lifetime)
            logins = [self.logins.login(CLIENT, ANN) for _ in range(3)]
            other = self.logins.login(CLIENT, BOB)
            self.assertEqual([credentials["username"] for _, credentials in slow.asked], ["ann", "bob"])
            slow.decide(Login(True, "ann"))
            self.assertEqual([self.successResultOf(login).user for login in logins], ["ann"] * 3)
            self.assertNoResult(other)

    def test_one_goes(self) -> None:
        """
        A requester that goes takes nothing from the others, not even the first one.
        """
        slow = self.build_slow()
        for leaving in range(3):
            logins = [self.logins.login(CLIENT, ANN) for _ in range(3)]
            gone = logins.pop(leaving)
            gone.cancel()
            self.failureResultOf(gone, CancelledError)
            slow.decide(Login(False, client_data=b'"no"'))
            self.assertEqual([self.successResultOf(login).client_data for login in logins], [b'"no"'] * 2)
        self.assertEqual(slow.cancelled, 0)

    def test_all_go(self) -> None:
        """
        When the last requester goes, the authenticator may stop. A login that comes then is asked for anew.
        """
        slow = self.build_slow()
        logins = [self.logins.login(CLIENT, ANN) for _ in range(2)]
        for login in logins:
            self.assertEqual(slow.cancelled, 0)
            login.cancel()
            self.failureResultOf(login, CancelledError)
        self.assertEqual((slow.cancelled, len(slow.asked)), (1, 1))
        self.accept()
        self.assertTrue(self.is_remembered())

    def test_login_while_cancelled(self) -> None:
        """
        A login that comes from the authenticator's own clean-up does not wait for the decision that is cancelled.
        """
        slow = self.build_slow()
        later: list[Deferred[LoginDecision]] = []
        first = self.logins.login(CLIENT, ANN)
        slow.on_cancel = lambda: later.append(self.logins.login(CLIENT, ANN))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        slow.decide(Login(True, "ann"))
        self.assertIs(self.successResultOf(later[0]).outcome, Outcome.ACCEPTED)

    def test_answer_cancels_others(self) -> None:
        """
        A requester may cancel others when it gets its answer.
        """

        def cancel(decision: LoginDecision) -> LoginDecision:
            logins[1].cancel()
            return decision

        slow = self.build_slow()
        logins = [self.logins.login(CLIENT, ANN) for _ in range(3)]
        logins[0].addCallback(cancel)
        slow.decide(Login(True, "ann"))
        self.assertEqual([self.successResultOf(logins[n]).user for n in (0, 2)], ["ann"] * 2)
        self.failureResultOf(logins[1], CancelledError)

    def test_mistake_of_requester(self) -> None:
        """
        A requester that fails on its answer keeps it from no other, and the login is remembered.
        """
        slow = self.build_slow()
        logins = [self.logins.login(CLIENT, ANN) for _ in range(2)]
        logins[0].addCallback(lambda decision: 1 / 0)
        slow.decide(Login(True, "ann"))
        self.failureResultOf(logins[0], ZeroDivisionError)
        self.assertEqual(self.successResultOf(logins[1]).user, "ann")
        self.assertTrue(self.is_remembered())

    def test_mistake_of_ours(self) -> None:
        """
        If deciding fails, each requester gets the failure, and the next login is asked for anew.
        """
        slow = self.build_slow()
        self.patch(self.failed_logins, "succeeded", lambda credentials: 1 / 0)
        logins = [self.logins.login(CLIENT, ANN) for _ in range(2)]
        slow.decide(Login(True, "ann"))
        for login in logins:
            self.failureResultOf(login, ZeroDivisionError)
        self.assertFalse(self.is_remembered())

    def test_refusals_count(self) -> None:
        """
        A refusal counts as often as there were logins, also of requesters that have gone.
        """
        slow = self.build_slow(max_failed_logins_per_address=3)
        logins = [self.logins.login(CLIENT, ANN) for _ in range(3)]
        logins[1].cancel()
        self.failureResultOf(logins[1], CancelledError)
        slow.decide(Login(False))
        self.assertIs(self.outcome(BOB), Outcome.EXCEEDED)

    def test_gone_refusals_count(self) -> None:
        """
        They count as well if all requesters have gone: else a client that never waits could try without end.
        """
        self.build_slow(max_failed_logins_per_address=2)
        for login in [self.logins.login(CLIENT, ANN) for _ in range(2)]:
            login.cancel()
            self.failureResultOf(login, CancelledError)
        self.assertIs(self.outcome(BOB), Outcome.EXCEEDED)

    def test_limit_while_deciding(self) -> None:
        """
        A login that comes when the limit is reached does not wait for an equal one that came before.
        """
        slow = self.build_slow(max_failed_logins_per_address=2)
        first, wrong = self.logins.login(CLIENT, ANN), [self.logins.login(CLIENT, WRONG) for _ in range(2)]
        slow.waiting.pop(1).callback(Login(False))
        self.assertEqual([self.successResultOf(login).outcome for login in wrong], [Outcome.REFUSED] * 2)
        self.assertIs(self.outcome(ANN), Outcome.EXCEEDED)
        slow.decide(Login(True, "ann"))
        self.assertIs(self.successResultOf(first).outcome, Outcome.ACCEPTED)
        self.assertTrue(self.is_remembered())


class LimitTests(RequestLoginCase):
    """
    Limits, with users in a file.
    """

    def test_failures(self) -> None:
        """
        Refused requests count as failed logins. Past the limit new logins are refused, with a line in the log, and a
        remembered one stays valid.
        """
        self.build(users(ann="1", bob="2"), max_failed_logins_per_address=3)
        self.assertIs(self.outcome(ANN), Outcome.ACCEPTED)
        self.assertEqual([self.outcome(WRONG) for _ in range(3)], [Outcome.REFUSED] * 3)
        lines = Lines(self)
        self.assertIs(self.outcome(BOB), Outcome.EXCEEDED)
        self.assertEqual(
            lines.of("warn"),
            [
                "LIMIT_EXCEEDED | maxFailedLoginsPerAddress: client (192.0.2.1, /api, #1) refused: "
                "too many failed logins from this address"
            ],
        )
        self.assertIs(self.outcome(ANN), Outcome.ACCEPTED)
        self.assertIs(self.outcome(BOB, OTHER), Outcome.ACCEPTED)

    def test_no_oracle(self) -> None:
        """
        While a limit is exceeded, a client cannot try password after password until one is accepted, because a user
        at the same address is logged in: it has as many tries as the limit, and no more until the window is over.
        """
        for limits in ({"max_failed_logins_per_address": 3}, {"max_failed_logins_per_user": 3}):
            self.build(users(ann="1"), lifetime=1000.0, **limits)
            self.assertIs(self.outcome(ANN), Outcome.ACCEPTED)
            self.assertEqual([self.outcome(WRONG) for _ in range(3)], [Outcome.REFUSED] * 3)
            self.assertEqual([self.outcome(WRONG) for _ in range(2)], [Outcome.EXCEEDED] * 2)
            self.assertIs(self.outcome(ANN), Outcome.ACCEPTED)
            self.assertIs(self.outcome(WRONG), Outcome.EXCEEDED)
            self.assertIs(self.outcome(ANN), Outcome.EXCEEDED)
            self.clock.advance(60)
            self.assertEqual([self.outcome(WRONG) for _ in range(3)], [Outcome.REFUSED] * 3)
            self.assertIs(self.outcome(ANN), Outcome.ACCEPTED)

    def test_remembered_login_clears_nothing(self) -> None:
        """
        A login clears the failures of its user, a remembered one does not: else another client could try without end
        while the user's requests come.
        """
        self.build(users(ann="1"), max_failed_logins_per_user=2)
        self.assertIs(self.outcome(WRONG), Outcome.REFUSED)
        self.assertIs(self.outcome(ANN), Outcome.ACCEPTED)
        self.assertIs(self.outcome(WRONG), Outcome.REFUSED)
        self.assertIs(self.outcome(ANN), Outcome.ACCEPTED)
        self.assertIs(self.outcome(WRONG), Outcome.REFUSED)
        self.assertIs(self.outcome(WRONG), Outcome.EXCEEDED)

    def test_refused_logins_lock_no_user_out(self) -> None:
        """
        Logins that are refused because of their address do not count for the user: a client could lock out any user.
        """
        self.build(users(ann="1"), max_failed_logins_per_address=1, max_failed_logins_per_user=2)
        self.assertIs(self.outcome(WRONG), Outcome.REFUSED)
        self.assertEqual([self.outcome(WRONG) for _ in range(5)], [Outcome.EXCEEDED] * 5)
        self.assertIs(self.outcome(ANN, OTHER), Outcome.ACCEPTED)


class ForgetTests(RequestLoginCase):
    """
    Users and their passwords change.
    """

    def reload(self, old: AuthSettings, new: AuthSettings, *others: AuthSettings) -> None:
        """
        Reload the section C{auth}.
        """
        reloads = AuthReload(
            self.chain, (old, *others), self.users.count, lambda user, reason: None, self.logins.forget, self.clock
        )
        reloads.reload((new, *others))

    def test_reload(self) -> None:
        """
        After a reload a removed user, and an old password, are refused at once.
        """
        old = users(ann="1", bob="2")
        self.build(old)
        self.assertEqual([self.outcome(each) for each in (ANN, BOB, WRONG)], [Outcome.ACCEPTED] * 2 + [Outcome.REFUSED])
        self.reload(old, users(ann="2"))
        self.assertEqual([self.outcome(each) for each in (ANN, BOB, WRONG)], [Outcome.REFUSED] * 2 + [Outcome.ACCEPTED])

    def test_reload_while_deciding(self) -> None:
        """
        A login that began before the reload is decided for its requesters. It is not remembered, and later logins do
        not wait for it.
        """
        old = users(bob="2")
        self.build(old, SLOW)
        slow = SlowAuthentication.made
        first = self.logins.login(CLIENT, ANN)
        self.reload(old, users(bob="3"), SLOW)
        second = self.logins.login(CLIENT, ANN)
        slow.decide(Login(True, "ann"))
        self.assertIs(self.successResultOf(first).outcome, Outcome.ACCEPTED)
        self.assertNoResult(second)
        third = self.logins.login(CLIENT, ANN)
        slow.decide(Login(False))
        self.assertEqual([self.successResultOf(login).outcome for login in (second, third)], [Outcome.REFUSED] * 2)
        self.assertEqual(len(slow.asked), 2)

    def test_gone_before_later_one(self) -> None:
        """
        A requester from before a change that goes ends no login from after it.
        """
        slow = self.build_slow()
        first = self.logins.login(CLIENT, ANN)
        self.logins.forget()
        second = self.logins.login(CLIENT, ANN)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        third = self.logins.login(CLIENT, ANN)
        slow.decide(Login(True, "ann"))
        for login in (second, third):
            self.assertIs(self.successResultOf(login).outcome, Outcome.ACCEPTED)
        self.assertTrue(self.is_remembered())

    def test_one_user(self) -> None:
        """
        The logins of one user can be forgotten, whatever the credentials and the address. Others stay.
        """
        slow = self.build_slow()
        self.accept(Login(True, "ann"), ANN)
        self.accept(Login(True, "ann"), b'{"token":"x"}', OTHER)
        self.accept(Login(True, "bob"), BOB)
        self.accept(Login(True), b"{}")
        pending = self.logins.login(CLIENT, b'{"token":"y"}')
        self.logins.forget("ann")
        slow.decide(Login(True, "ann"))
        self.assertIs(self.successResultOf(pending).outcome, Outcome.ACCEPTED)
        self.assertEqual(
            [
                self.is_remembered(ANN),
                self.is_remembered(b'{"token":"x"}', OTHER),
                self.is_remembered(b'{"token":"y"}'),
            ],
            [False] * 3,
        )
        self.assertEqual([self.is_remembered(BOB), self.is_remembered(b"{}")], [True] * 2)
        self.logins.forget("OPEN")
        self.logins.forget("eve")
        self.assertEqual([self.is_remembered(BOB), self.is_remembered(b"{}")], [True, False])
        self.clock.advance(10)
        self.assertEqual((self.is_remembered(BOB), self.clock.getDelayedCalls()), (False, []))
