"""
Tests for L{dstwist.limits.rates}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.limits.rates import MAX_PAUSE_SECONDS, RateLimit, TokenBucket, UserRateLimits, token_buckets
from dstwist.protocol.constants import UNNAMED_USER
from tests.fakes import FakeConnection
from tests.logs import Lines, limit_lines


class CountingClock(Clock):
    """
    A clock that knows how often it was looked at.
    """

    looks = 0

    def seconds(self) -> float:
        self.looks += 1
        return super().seconds()


class BucketTests(SynchronousTestCase):
    """
    L{TokenBucket}.
    """

    def test_burst(self) -> None:
        """
        As much as for one second may come at once; what is more has to be waited for, exactly as long as it takes.
        """
        clock = Clock()
        bucket = TokenBucket("x", 100, clock)
        self.assertEqual([bucket.spend(50), bucket.spend(50)], [0.0, 0.0])
        self.assertAlmostEqual(bucket.spend(150), 1.5)
        clock.advance(1)
        self.assertAlmostEqual(bucket.wait(), 0.5)
        clock.advance(0.5)
        self.assertEqual(bucket.wait(), 0.0)

    def test_rate(self) -> None:
        """
        Over time, exactly the rate comes through.
        """
        clock = Clock()
        bucket = TokenBucket("x", 100, clock)
        spent, start = 0, clock.seconds()
        while clock.seconds() - start < 100:
            spent += 7
            clock.advance(bucket.spend(7))
        self.assertTrue(100 * 101 <= spent <= 100 * 101 + 20, spent)

    def test_full(self) -> None:
        """
        Silence is not saved up for longer than a second.
        """
        clock = Clock()
        bucket = TokenBucket("x", 100, clock)
        bucket.spend(100)
        clock.advance(1000)
        self.assertEqual(bucket.spend(100), 0.0)
        self.assertAlmostEqual(bucket.spend(100), 1.0)

    def test_time_goes_back(self) -> None:
        """
        A time of day that is set back takes nothing away.
        """
        clock = Clock()
        clock.advance(1000)
        bucket = TokenBucket("x", 100, clock)
        bucket.spend(100)
        clock.rightNow = 10.0
        self.assertAlmostEqual(bucket.spend(50), 0.5)
        clock.advance(0.5)
        self.assertEqual(bucket.wait(), 0.0)

    def test_cheap(self) -> None:
        """
        While a bucket has tokens, it does not look at the clock.
        """
        clock = CountingClock()
        bucket = TokenBucket("x", 1000, clock)
        before = clock.looks
        for _ in range(1000):
            bucket.spend(1)
        self.assertEqual(clock.looks, before)


class Recorder(FakeConnection):
    """
    A requester that notes when it is paused.
    """

    def __init__(self, events: list[str]) -> None:
        super().__init__("ann")
        self.events = events

    def pause(self) -> None:
        self.events.append("pause")

    def resume(self) -> None:
        self.events.append("resume")


class RateLimitTests(SynchronousTestCase):
    """
    One requester and its limits.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[str] = []

    def rate_limit(self, rate_of_bytes: int | None = None, messages: int | None = None, **limits: Any) -> RateLimit:
        self.users = UserRateLimits(LimitSettings(**limits), self.clock)
        return self.another(rate_of_bytes, messages)

    def another(self, rate_of_bytes: int | None = None, messages: int | None = None) -> RateLimit:
        return RateLimit(
            token_buckets("maxByteRate", rate_of_bytes, self.clock),
            token_buckets("maxMessageRate", messages, self.clock),
            self.users,
            self.clock,
            Recorder(self.events),
        )

    def test_bytes(self) -> None:
        """
        A client that sends more bytes than it may is read from again when the time for them is over.
        """
        rate_limit = self.rate_limit(1000)
        rate_limit.count_bytes(1000)
        self.assertEqual(self.events, [])
        rate_limit.count_bytes(500)
        rate_limit.count_bytes(100)
        self.assertEqual(self.events, ["pause"])
        self.clock.advance(0.59)
        self.assertEqual(self.events, ["pause"])
        self.clock.advance(0.02)
        self.assertEqual(self.events[-1], "resume")

    def test_messages(self) -> None:
        """
        The same with messages, however short they are.
        """
        rate_limit = self.rate_limit(None, 10)
        rate_limit.count_bytes(1000000)
        rate_limit.count_messages(10)
        self.assertEqual(self.events, [])
        rate_limit.count_messages(5)
        self.assertEqual(self.events, ["pause"])
        self.clock.advance(0.51)
        self.assertEqual(self.events[-1], "resume")

    def test_long_pause(self) -> None:
        """
        A long pause is checked again and again, since the time of day may be set back.
        """
        rate_limit = self.rate_limit(1000)
        rate_limit.count_bytes(6000)
        self.clock.pump([MAX_PAUSE_SECONDS] * 4)
        self.assertEqual(self.events, ["pause"])
        self.clock.pump([MAX_PAUSE_SECONDS] * 2)
        self.assertEqual(self.events, ["pause", "resume"])

    def test_short_pause(self) -> None:
        """
        A pause ends, however short the rest of it is: the clock always moves on.
        """
        # Far from zero, a number cannot tell a nanosecond.
        self.clock.rightNow = 1e8
        rate_limit = self.rate_limit(10**9)
        rate_limit.count_bytes(10**9)
        rate_limit.count_bytes(1)
        self.assertEqual(self.events, ["pause"])
        (call,) = self.clock.getDelayedCalls()
        self.assertGreater(call.getTime(), self.clock.seconds())
        self.clock.advance(0.01)
        self.assertEqual(self.events, ["pause", "resume"])

    def test_user(self) -> None:
        """
        The connections of one user share the limits of the user; other users have their own.
        """
        one = self.rate_limit(max_byte_rate_per_user=1000)
        two, other = self.another(), self.another()
        for rate_limit, user in ((one, "ann"), (two, "ann"), (other, "bob")):
            rate_limit.count_bytes(5000)
            rate_limit.logged_in(user)
        one.count_bytes(900)
        self.assertEqual(self.events, [])
        two.count_bytes(200)
        self.assertEqual(self.events, ["pause"])
        other.count_bytes(1000)
        self.assertEqual(self.events, ["pause"])

    def test_messages_of_user(self) -> None:
        """
        The limit of messages is shared in the same way. Clients without a user name share it with no other client.
        """
        one = self.rate_limit(max_message_rate_per_user=10)
        one.logged_in("ann")
        one.count_messages(11)
        self.assertEqual(self.events, ["pause"])
        unnamed = self.another()
        unnamed.logged_in(UNNAMED_USER)
        unnamed.count_messages(1000)
        self.assertEqual(self.events, ["pause"])

    def test_gone(self) -> None:
        """
        Nothing is left of connections that are gone, throttled or not.
        """
        one, two = self.rate_limit(1000, max_byte_rate_per_user=1000), self.another()
        for rate_limit in (one, two):
            rate_limit.logged_in("ann")
            rate_limit.count_bytes(2000)
        one.stop()
        self.assertEqual(len(self.users), 1)
        two.stop()
        self.assertEqual((len(self.users), self.clock.getDelayedCalls()), (0, []))
        self.assertNotIn("resume", self.events)
        one.count_bytes(5000)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_log(self) -> None:
        """
        A client that is slowed down is one line in the log, with the limit and the user, however often it happens.
        """
        limit_lines(self)
        lines = Lines(self)
        rate_limit = self.rate_limit(None, 10, max_byte_rate_per_user=1000)
        rate_limit.logged_in("ann")
        for _ in range(5):
            rate_limit.count_messages(20)
            self.clock.pump([1.0] * 3)
        self.assertEqual(
            lines.of("warn"),
            [
                "LIMIT_EXCEEDED | maxMessageRate: ann (192.0.2.1, /deepstream, #7) sends more than 10 a second, "
                "reading it more slowly"
            ],
        )
