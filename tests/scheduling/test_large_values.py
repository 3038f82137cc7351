"""
Tests for L{dstwist.scheduling.large_values}.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.large_values import LargeValues
from tests.fakes import BusyClock
from tests.turns import next_turn, turn_lengths


class LargeValuesTests(SynchronousTestCase):
    """
    L{LargeValues}.
    """

    def setUp(self) -> None:
        self.clock: Any = BusyClock()
        self.values = LargeValues(self.clock)

    def test_later(self) -> None:
        """
        A value is not freed in the turn in which it is given up, because the caller still uses it. In the next turn it
        is freed, except for the parts that others use.
        """
        # After it, no pass is due that would free what earlier tests have left.
        gc.collect()
        part = ["used"]
        value = [part, [[] for _ in range(1000)]]
        before = sys.getallocatedblocks()
        self.values.free([value])
        self.assertEqual(len(value), 2)
        del value
        self.assertLess(before - sys.getallocatedblocks(), 500)
        next_turn(self.clock)
        self.assertGreater(before - sys.getallocatedblocks(), 500)
        self.assertEqual(part, ["used"])

    def test_slices(self) -> None:
        """
        A large value is freed in several turns.
        """
        self.clock.tick = 0.001
        self.values.free([[[] for _ in range(100_000)]])
        before = sys.getallocatedblocks()
        lengths = turn_lengths(self.clock, list)
        self.assertGreater(len(lengths), 5)
        self.assertGreater(before - sys.getallocatedblocks(), 99_000)
