"""
Tests for L{dstwist.limits.failed_logins}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.limits.failed_logins import FailedLogins

ANN = {"username": "ann", "password": "x"}


class FailedLoginsTests(SynchronousTestCase):
    """
    L{FailedLogins}.
    """

    def limited(self, **limits: Any) -> None:
        self.clock = Clock()
        self.failures = FailedLogins(LimitSettings(**limits), self.clock)

    def let_fail(self, count: int, address: str = "192.0.2.1", credentials: Any = ANN) -> None:
        for _ in range(count):
            self.assertIsNone(self.failures.check(address, credentials))
            self.failures.failed(address, credentials)

    def limit(self, address: str = "192.0.2.1", credentials: Any = ANN, remembered: bool = False) -> str | None:
        exceeded = self.failures.check(address, credentials, remembered)
        return exceeded and exceeded.limit

    def test_per_address(self) -> None:
        """
        After so many failures no login from that address is looked at, until the window is over.
        """
        self.limited(max_failed_logins_per_address=3, failed_login_window=60.0)
        self.let_fail(2)
        self.clock.advance(50)
        self.let_fail(1, credentials={"username": "bob"})
        self.assertEqual(self.limit(credentials={"username": "cat"}), "maxFailedLoginsPerAddress")
        self.assertIsNone(self.limit("192.0.2.2"))
        self.clock.advance(10.01)
        self.assertIsNone(self.limit())

    def test_per_user(self) -> None:
        """
        After so many failures under one name no client can log in under it, from any address, until the window is over.
        """
        self.limited(max_failed_logins_per_user=2)
        self.let_fail(1, "192.0.2.1")
        self.let_fail(1, "192.0.2.2")
        self.assertEqual(self.limit("192.0.2.3"), "maxFailedLoginsPerUser")
        self.assertIsNone(self.limit(credentials={"username": "bob"}))
        self.clock.advance(60.01)
        self.assertIsNone(self.limit("192.0.2.3"))

    def test_success(self) -> None:
        """
        A login clears the count of the user name, but not that of the address: a client with an account could otherwise
        try others.
        """
        self.limited(max_failed_logins_per_user=2, max_failed_logins_per_address=3)
        self.let_fail(1)
        self.failures.succeeded(ANN)
        self.let_fail(1)
        self.assertIsNone(self.limit())
        self.let_fail(1)
        self.assertEqual(self.limit(), "maxFailedLoginsPerAddress")

    def test_unnamed(self) -> None:
        """
        Credentials without a name count for the address only; a name without end counts as its beginning.
        """
        self.limited(max_failed_logins_per_user=1)
        unnamed: list[Any] = [{}, [], {"username": 5}, {"token": "x"}]
        for credentials in unnamed:
            self.let_fail(3, credentials=credentials)
        self.let_fail(1, credentials={"username": "x" * 1000000})
        self.assertEqual(self.limit(credentials={"username": "x" * 2000000}), "maxFailedLoginsPerUser")

    def test_several(self) -> None:
        """
        Equal logins that were decided together count each.
        """
        self.limited(max_failed_logins_per_user=3)
        self.failures.failed("192.0.2.1", ANN, 3)
        self.assertEqual(self.limit(), "maxFailedLoginsPerUser")

    def test_remembered(self) -> None:
        """
        A login that is remembered is refused after twice as many tries. Only tries past a limit count, and only for
        that limit.
        """
        self.limited(max_failed_logins_per_address=2, max_failed_logins_per_user=3)
        self.failures.guessed("192.0.2.1", ANN)
        self.let_fail(2)
        self.assertEqual((self.limit(), self.limit(remembered=True)), ("maxFailedLoginsPerAddress", None))
        self.failures.guessed("192.0.2.1", ANN)
        self.assertIsNone(self.limit(remembered=True))
        self.failures.guessed("192.0.2.1", ANN)
        self.assertEqual(self.limit(remembered=True), "maxFailedLoginsPerAddress")
        self.assertIsNone(self.limit("192.0.2.2"))
        self.let_fail(1, "192.0.2.2")
        for _ in range(3):
            self.assertIsNone(self.limit("192.0.2.2", remembered=True))
            self.failures.guessed("192.0.2.2", ANN)
        self.assertEqual(self.limit("192.0.2.2", remembered=True), "maxFailedLoginsPerUser")

    def test_off(self) -> None:
        """
        null is no limit.
        """
        self.limited(max_failed_logins_per_address=None)
        self.let_fail(5000)

    def test_stop(self) -> None:
        """
        After a stop no timer is left.
        """
        self.limited(max_failed_logins_per_address=3)
        self.failures.failed("192.0.2.1", ANN)
        self.failures.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
