"""
Tests for L{dstwist.api.deliveries}.
"""

from __future__ import annotations

import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.deliveries import Deliveries
from tests.fakes import BusyClock
from tests.logs import Lines
from tests.turns import LONGEST, turn_lengths


class DeliveriesTests(SynchronousTestCase):
    """
    L{Deliveries}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.deliveries = Deliveries(self.clock)
        self.made: list[object] = []

    def test_order(self) -> None:
        """
        Calls are made in a later turn, in their order; those that are added meanwhile come last.
        """
        self.deliveries.add(lambda argument: self.deliveries.add(self.made.append, 3), None)
        self.deliveries.add(self.made.append, 1)
        self.deliveries.add(self.made.append, 2)
        self.assertEqual(self.made, [])
        self.clock.advance(0)
        self.assertEqual((self.made, len(self.deliveries)), ([1, 2, 3], 0))
        self.deliveries.add(self.made.append, 4)
        self.clock.advance(0)
        self.assertEqual(self.made[3:], [4])

    def test_failure(self) -> None:
        """
        A call that fails is logged, and the others are made.
        """
        self.deliveries.add(lambda argument: 1 // 0, None)
        self.deliveries.add(self.made.append, 1)
        self.clock.advance(0)
        self.assertEqual(self.made, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_exit(self) -> None:
        """
        A call that wants to end the process does not keep the others from being made.
        """
        self.deliveries.add(sys.exit, 1)
        self.deliveries.add(self.made.append, 1)
        self.assertRaises(SystemExit, self.clock.advance, 0)
        self.clock.advance(0)
        self.assertEqual(self.made, [1])

    def test_label(self) -> None:
        """
        Log lines have the label of the node.
        """
        lines = Lines(self)
        deliveries = Deliveries(self.clock, "left")
        deliveries.add(lambda argument: 1 // 0, None)
        self.clock.advance(0)
        self.assertTrue(lines.last("critical").endswith(" [left]"))
        self.flushLoggedErrors(ZeroDivisionError)

    def test_slices(self) -> None:
        """
        Many calls that take long are made in several turns, none of which is long.
        """
        clock = BusyClock()
        deliveries = Deliveries(clock)

        def begin() -> None:
            clock.tick = 0.0005
            for number in range(200):
                deliveries.add(self.made.append, number)

        lengths = turn_lengths(clock, begin)
        self.assertEqual(self.made, list(range(200)))
        self.assertGreater(len(lengths), 3)
        self.assertLess(max(lengths[1:]), LONGEST)
