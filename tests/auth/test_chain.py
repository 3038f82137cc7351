"""
Several authenticators, asked one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.auth.chain import ChainAuthentication
from dstwist.errors import AuthError, BusyError
from dstwist.interfaces import HandshakeData, IAuthenticator, IDepartures, ILifecycle, Login
from tests.auth.helpers import HANDSHAKE, AuthCase
from tests.fakes import FakeAuthenticator

NOT_MINE = Login(False, final=False)


@implementer(IAuthenticator, ILifecycle, IDepartures)
class Full:
    """
    An authenticator that can do all there is, and remembers what it was asked to do.
    """

    def __init__(self, login: Callable[[], Any] = lambda: succeed(Login(True, "full"))) -> None:
        self.calls: list[str] = []
        self.started: Deferred[None] = succeed(None)
        self.decide = login

    def start(self) -> Deferred[None]:
        self.calls.append("start")
        return self.started

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        return succeed(None)

    def departed(self, user: str) -> None:
        self.calls.append(f"departed {user}")

    def login(self, handshake: HandshakeData, credentials: Any) -> Any:
        self.calls.append("login")
        return self.decide()


class ChainCase(AuthCase):
    """
    Any number of authenticators.
    """

    def chain(self, *parts: Any) -> None:
        self.authenticator = ChainAuthentication(parts)
        self.successResultOf(self.authenticator.start())


class ChainAuthenticationTests(ChainCase):
    """
    The authenticator that decides.
    """

    def test_interface(self) -> None:
        """
        L{ChainAuthentication} provides L{IAuthenticator} and what an authenticator may be besides; so do the fakes.
        """
        for provider in (ChainAuthentication([]), Full()):
            for interface in (IAuthenticator, ILifecycle, IDepartures):
                verifyObject(interface, provider)

    def test_first_decides(self) -> None:
        """
        The first authenticator that accepts or refuses decides, and no later one is asked.
        """
        for decision in (Login(True, "ann"), Login(False, client_data=b'"no"')):
            first, last = FakeAuthenticator(NOT_MINE, decision), FakeAuthenticator(Login(True, "open"))
            self.chain(FakeAuthenticator(NOT_MINE), FakeAuthenticator(decision), last)
            self.assertEqual(self.login(username="ann"), decision)
            self.assertEqual(last.asked, [])
            self.chain(first, last)
            self.assertEqual(self.login(), Login(True, "open"))
            self.assertEqual(self.login(), decision)

    def test_decided_at_once(self) -> None:
        """
        The answer of a first authenticator that decides at once is handed on as it is, and no other answer is.
        """
        not_text: Any = 1
        for decision in (Login(True, "ann"), Login(True), Login(False)):
            answer = succeed(decision)
            self.chain(Full([answer].pop))
            self.assertIs(self.authenticator.login(HANDSHAKE, {}), answer)
        for decision in (NOT_MINE, Login(True, not_text)):
            answer = succeed(decision)
            self.chain(Full([answer].pop))
            self.assertIsNot(self.authenticator.login(HANDSHAKE, {}), answer)

    def test_asked_once(self) -> None:
        """
        Each authenticator is asked once for a login, whatever it answers.
        """
        answers: list[Any] = [Login(True, "ann"), NOT_MINE, fail(AuthError("away")), Deferred(), "nothing"]
        for answer in answers:
            full = Full([answer].pop)
            self.chain(full)
            self.authenticator.login(HANDSHAKE, {})
            self.assertEqual(full.calls.count("login"), 1)

    def test_nobody(self) -> None:
        """
        A client that no authenticator is responsible for is refused without data, also if there is only one
        authenticator.
        """
        for parts in ([], [FakeAuthenticator(NOT_MINE)], [FakeAuthenticator(NOT_MINE), FakeAuthenticator(NOT_MINE)]):
            self.chain(*parts)
            self.assertEqual(self.login(), Login(False))

    def test_in_turn(self) -> None:
        """
        The next one is asked only when the one before has said that it is not its business; both get the same.
        """
        decision: Deferred[Login] = Deferred()
        first, second = FakeAuthenticator(decision), FakeAuthenticator(Login(True, "ann"))
        self.chain(first, second)
        result = self.authenticator.login(HANDSHAKE, {"a": 1})
        self.assertEqual((first.asked, second.asked), ([{"a": 1}], []))
        decision.callback(NOT_MINE)
        self.assertEqual(self.successResultOf(result), Login(True, "ann"))
        self.assertEqual(second.asked, [{"a": 1}])


class FailureTests(ChainCase):
    """
    Failures of an authenticator.
    """

    def test_no_decision(self) -> None:
        """
        An authenticator that fails refuses: the next one is not asked. The reason is in the log, without a traceback.
        """
        last = FakeAuthenticator(Login(True, "open"))
        self.chain(FakeAuthenticator(fail(AuthError("no answer"))), last)
        log = self.log()
        self.assertEqual(self.login(password="h1dden"), Login(False))
        self.assertEqual(last.asked, [])
        self.assertEqual(log.lines, ["AUTH_ERROR | no decision about a login of client (192.0.2.1): no answer"])
        self.assertFalse(log.holds("h1dden"))

    def test_busy(self) -> None:
        """
        A busy authenticator makes no decision, and the next one is not asked.
        """
        last = FakeAuthenticator()
        self.chain(FakeAuthenticator(fail(BusyError("too many"))), last)
        self.failureResultOf(self.authenticator.login(HANDSHAKE, {}), BusyError)
        self.assertEqual(last.asked, [])

    def test_w16_exception(self) -> None:
        """
        W16: an exception in an authenticator, at once or later, is logged and refuses that one login.
        """

        def broken() -> Any:
            raise ValueError("a mistake")

        for decide in (broken, lambda: fail(ValueError("a mistake"))):
            last = FakeAuthenticator()
            self.chain(Full(decide), last)
            self.assertEqual(self.login(), Login(False))
            self.assertEqual(last.asked, [])
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_no_login(self) -> None:
        """
        A result that is no L{Login} refuses the client, even if it is true in Python.
        """
        for nonsense in (True, None, {"isValid": True}, object()):
            self.chain(Full(partial(succeed, nonsense)))
            log = self.log()
            self.assertEqual(self.login(), Login(False))
            self.assertIn("expected a Login", log.lines[0])

    def test_no_text_for_a_user_id(self) -> None:
        """
        A user id that is no text refuses the client, too: neither clients nor rules could use it.
        """
        for user in (5, True, ["ann"], b"ann"):
            self.chain(Full(partial(succeed, Login(True, user))))  # type: ignore[arg-type]
            log = self.log()
            self.assertEqual(self.login(), Login(False))
            self.assertIn(f"Full returned a user id of type {type(user).__name__}", log.lines[0])

    def test_plain_and_async(self) -> None:
        """
        An authenticator may decide by a coroutine, or at once without a Deferred.
        """

        async def later() -> Login:
            return Login(True, "ann")

        for decide in (later, lambda: Login(True, "ann")):
            self.chain(Full(decide))
            self.assertEqual(self.login(), Login(True, "ann"))


class LifeTests(ChainCase):
    """
    Start, stop, and who leaves.
    """

    def test_life(self) -> None:
        """
        Those that want to are started, told of departures, and stopped.
        """
        full = Full()
        self.chain(FakeAuthenticator(), full)
        self.authenticator.departed("ann")
        self.successResultOf(self.authenticator.stop())
        self.assertEqual(full.calls, ["start", "departed ann", "stop"])
        self.assertEqual(self.authenticator.departures, [full])

    def test_early_login(self) -> None:
        """
        A login that comes before all have started waits for that.
        """
        slow = Full()
        slow.started = Deferred()
        self.authenticator = ChainAuthentication([slow])
        start = self.authenticator.start()
        early, lost = (self.authenticator.login(HANDSHAKE, {}) for _ in range(2))
        lost.cancel()
        self.assertEqual(self.successResultOf(lost), Login(False))
        self.assertEqual(slow.calls, ["start"])
        slow.started.callback(None)
        self.successResultOf(start)
        self.assertEqual(self.successResultOf(early), Login(True, "full"))

    def test_not_started(self) -> None:
        """
        If an authenticator fails to start, the error is passed on, those before it are stopped, and no login is
        accepted.
        """
        first, broken, last = Full(), Full(), Full()
        broken.started = fail(ValueError("no"))
        self.authenticator = ChainAuthentication([first, broken, last])
        self.failureResultOf(self.authenticator.start(), ValueError)
        self.assertEqual([part.calls for part in (first, broken, last)], [["start", "stop"], ["start"], []])
        result = self.authenticator.login(HANDSHAKE, {})
        self.assertNoResult(result)
        self.successResultOf(self.authenticator.stop())
        self.assertEqual(self.successResultOf(result), Login(False))

    def test_given_up(self) -> None:
        """
        A cancelled login ends without a log line, and the next authenticator is not asked.
        """
        stopped: list[Any] = []
        last = FakeAuthenticator()
        self.chain(Full(lambda: Deferred(stopped.append)), last)
        log = self.log()
        result = self.authenticator.login(HANDSHAKE, {})
        result.cancel()
        self.assertEqual(self.successResultOf(result), Login(False))
        self.assertEqual((len(stopped), last.asked, log.lines), (1, [], []))

    def test_stop_under_way(self) -> None:
        """
        Logins that are under way when the server stops are given up, and not complained about.
        """
        decision: Deferred[Login] = Deferred()
        self.chain(Full(lambda: decision))
        result = self.authenticator.login(HANDSHAKE, {})
        log = self.log()
        self.successResultOf(self.authenticator.stop())
        self.assertEqual(self.successResultOf(result), Login(False))
        self.assertEqual(log.lines, [])

    def test_failing_neighbours(self) -> None:
        """
        One that fails to stop, or to be told of a departure, does not keep the others from it.
        """
        full = Full()

        class Broken(Full):
            def stop(self) -> Any:
                raise ValueError("stop")

            def departed(self, user: str) -> None:
                raise ValueError("departed")

        self.chain(Broken(), full)
        self.authenticator.departed("ann")
        self.successResultOf(self.authenticator.stop())
        self.assertEqual(full.calls, ["start", "departed ann", "stop"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
