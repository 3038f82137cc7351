"""
Tests for L{dstwist.services.record.attempts}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.services.record.attempts import IMMEDIATE_ATTEMPTS, MAX_WAIT_SECONDS, Attempts, RefusalCounts


class AttemptsTests(SynchronousTestCase):
    """
    L{Attempts}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.counts = RefusalCounts()
        self.attempts = Attempts(1.0, self.clock, self.counts)

    def another(self) -> Deferred[bool]:
        return Deferred.fromCoroutine(self.attempts.another())

    def test_immediate(self) -> None:
        """
        The first attempts need no time.
        """
        for _ in range(IMMEDIATE_ATTEMPTS - 1):
            self.assertTrue(self.successResultOf(self.another()))

    def test_waits(self) -> None:
        """
        Later attempts wait for a short time, which differs.
        """
        self.test_immediate()
        times = set()
        for _ in range(10):
            started = self.clock.seconds()
            another = self.another()
            self.assertNoResult(another)
            times.add(self.clock.getDelayedCalls()[0].getTime() - started)
            self.clock.advance(MAX_WAIT_SECONDS)
            self.assertTrue(self.successResultOf(another))
        self.assertGreater(len(times), 1)
        self.assertTrue(0 <= min(times) <= max(times) <= MAX_WAIT_SECONDS * 1.001)

    def test_counts(self) -> None:
        """
        Refusals are counted, and the most of one write.
        """
        self.test_immediate()
        self.attempts = Attempts(1.0, self.clock, self.counts)
        self.another()
        self.assertEqual((self.counts.refusals, self.counts.most), (IMMEDIATE_ATTEMPTS, IMMEDIATE_ATTEMPTS - 1))

    def test_over(self) -> None:
        """
        When the time is over there is no further attempt.
        """
        self.clock.advance(1.0)
        self.assertFalse(self.successResultOf(self.another()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
