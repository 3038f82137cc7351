"""
Tests for L{dstwist.cluster.readings}.
"""

from __future__ import annotations

import random

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.readings import Readings
from dstwist.errors import StoreError
from tests.logs import Lines

INTERVAL = 1.0


class ReadingsTests(SynchronousTestCase):
    """
    L{Readings}.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.clock = Clock()
        self.began: list[float] = []
        # The readings that are under way, if they do not end at once.
        self.under_way: list[Deferred[None]] = []
        self.is_slow = False
        self.readings = Readings(self.read, self.clock, INTERVAL, random.Random(1))
        self.readings.begin()

    def read(self, now: float) -> Deferred[None]:
        self.assertEqual(now, self.clock.seconds())
        self.began.append(round(now, 2))
        if not self.is_slow:
            return succeed(None)
        self.under_way.append(Deferred())
        return self.under_way[-1]

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)

    def begin_slow(self) -> Deferred[None]:
        """
        Begin a reading that does not end.
        """
        self.is_slow = True
        self.readings.look()
        self.wait(0.5)
        self.is_slow = False
        (reading,) = self.under_way
        self.began.clear()
        return reading

    def test_pace(self) -> None:
        """
        Readings begin about once an interval, but not at the same pace at all nodes.
        """
        self.wait(10)
        pauses = {round(later - before, 2) for before, later in zip(self.began, self.began[1:], strict=False)}
        self.assertTrue(all(0.9 <= pause <= 1.11 for pause in pauses), pauses)
        self.assertGreater(len(pauses), 1)

    def test_looks(self) -> None:
        """
        However often a reading is asked for, there is one only now and then. The first one begins at once.
        """
        self.wait(0.5)
        self.began.clear()
        for _ in range(300):
            self.readings.look()
            self.clock.advance(0.001)
        self.assertEqual(self.began, [0.5, 0.6, 0.7])

    def test_one_at_a_time(self) -> None:
        """
        A reading that is asked for while another one is under way begins a moment after its end.
        """
        reading = self.begin_slow()
        self.readings.look()
        self.wait(5)
        self.assertEqual(self.began, [])
        reading.callback(None)
        self.wait(0.08)
        self.assertEqual(self.began, [])
        self.wait(0.04)
        self.assertEqual(len(self.began), 1)

    def test_long(self) -> None:
        """
        So does the next one after a reading that took longer than an interval.
        """
        reading = self.begin_slow()
        self.wait(2)
        reading.callback(None)
        self.wait(0.2)
        self.assertEqual(len(self.began), 1)

    def test_begin_again(self) -> None:
        """
        The next reading can be had at once.
        """
        self.began.clear()
        reading = self.begin_slow()
        self.readings.begin_again()
        reading.callback(None)
        self.clock.advance(0)
        self.assertEqual(len(self.began), 1)

    def test_failure(self) -> None:
        """
        The log says why a reading has failed. The next one begins as usual.
        """
        for failure, problem in (
            (StoreError("away"), "away"),
            (TimeoutError(), "the store has not answered for 1 s"),
        ):
            self.begin_slow().errback(failure)
            self.under_way.clear()
            expected = f"CLUSTER | the membership table cannot be read or written: {problem}"
            self.assertEqual(self.lines.last("warn"), expected)
            self.wait(1.1)
            self.assertEqual(len(self.began), 1)

    def test_stop(self) -> None:
        """
        After the stop no reading begins, not even when the one that is under way has ended.
        """
        reading = self.begin_slow()
        self.readings.stop()
        reading.callback(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        other = Readings(self.read, self.clock, INTERVAL, random.Random(1))
        other.begin()
        other.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
