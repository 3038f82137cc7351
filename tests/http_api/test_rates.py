"""
Tests for L{dstwist.http_api.rates}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.http_api.rates import KEPT_SECONDS, RequestRates
from dstwist.limits.rates import UserRateLimits
from dstwist.log import Client
from tests.logs import Lines


class RateTests(SynchronousTestCase):
    """
    The limits of users.
    """

    def make(self, **settings: Any) -> RequestRates:
        self.clock = Clock()
        self.users = UserRateLimits(LimitSettings(**settings), self.clock)
        return RequestRates(self.users, self.clock)

    def spend(self, rates: RequestRates, messages: int = 1, size: int = 1, user: str | None = "ann") -> int:
        return rates.spend(Client(user, "192.0.2.1", "/api", 0), messages, size)

    def test_no_limit(self) -> None:
        """
        Without limits nothing is counted.
        """
        rates = self.make()
        self.assertEqual(self.spend(rates, 10**9, 10**9), 0)
        self.assertEqual((len(rates), self.clock.getDelayedCalls()), (0, []))

    def test_limits(self) -> None:
        """
        The request that exceeds a limit is served; later ones are refused for as long as the limit says.
        """
        for settings, spent in (
            ({"max_message_rate_per_user": 10}, (25, 1)),
            ({"max_byte_rate_per_user": 10}, (1, 25)),
        ):
            rates = self.make(**settings)
            lines = Lines(self)
            self.assertEqual(self.spend(rates, *spent), 0)
            self.assertEqual(self.spend(rates), 2)
            self.assertIn("LIMIT_EXCEEDED | ", lines.last("warn"))
            self.assertEqual(self.spend(rates, user="bob"), 0)
            self.clock.advance(1.0)
            self.assertEqual(self.spend(rates), 1)
            self.clock.advance(0.5)
            self.assertEqual(self.spend(rates), 0)

    def test_shared(self) -> None:
        """
        The limit is one for all requests and connections of the user.
        """
        rates = self.make(max_message_rate_per_user=10)
        (_, (bucket,)) = self.users.join("ann")
        bucket.spend(20)
        self.assertEqual(self.spend(rates), 1)

    def test_kept(self) -> None:
        """
        A user who has sent nothing for a while is forgotten, but not with a debt.
        """
        rates = self.make(max_message_rate_per_user=10)
        self.spend(rates, 100)
        self.clock.pump([KEPT_SECONDS] * 4)
        self.assertEqual((self.spend(rates), len(rates)), (1, 1))
        self.clock.pump([KEPT_SECONDS] * 3)
        self.assertEqual((len(rates), len(self.users), self.clock.getDelayedCalls()), (0, 0, []))

    def test_unnamed(self) -> None:
        """
        Users without a name share no limit.
        """
        rates = self.make(max_message_rate_per_user=1)
        for user in ("OPEN", None):
            self.assertEqual([self.spend(rates, 100, user=user) for _ in range(3)], [0, 0, 0])

    def test_stop(self) -> None:
        """
        A stop leaves nothing behind.
        """
        rates = self.make(max_message_rate_per_user=10)
        self.spend(rates)
        rates.stop()
        self.assertEqual((len(rates), len(self.users), self.clock.getDelayedCalls()), (0, 0, []))
