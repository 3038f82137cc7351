"""
Tests for L{dstwist.protocol.nesting}.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import nesting

#: The time, in seconds, to look at an item of a value.
ITEM = 50e-9


class ContainersTests(SynchronousTestCase):
    """
    L{nesting.containers}.
    """

    def test_not_too_few(self) -> None:
        """
        No object or array is missed; brackets in strings may be counted as well.
        """
        for text, least in (("1", 0), ("[]", 1), ('{"a":[{}]}', 3), ('["[{"]', 1)):
            self.assertGreaterEqual(nesting.containers(text), least)
            self.assertEqual(nesting.containers(text), nesting.containers(text.encode()))
        self.assertEqual(nesting.containers('{"a":[{}]}'), 3)


class DeeperThanTests(SynchronousTestCase):
    """
    L{nesting.deeper_than} counts levels.
    """

    def test_levels(self) -> None:
        """
        A scalar has no level, each object or array one more than its deepest item.
        """
        for value, depth in [(1, 0), ([], 1), ({"a": 1}, 1), ([1, {"a": []}], 3), ({"a": [[]], "b": 1}, 3)]:
            self.assertFalse(nesting.deeper_than(value, depth))
            if depth:
                self.assertTrue(nesting.deeper_than(value, depth - 1))

    def test_steps(self) -> None:
        """
        L{nesting.looking_deeper} finds the same, and looks at few items in one step, however they are spread.
        """
        clock = Clock()

        def charged(items: Iterator[Any], count: int) -> list[Any]:
            some = list(islice(items, count))
            clock.rightNow += ITEM * len(some)
            return some

        self.patch(nesting, "islice", charged)
        flat = [1] * 100_000
        for value, depth in [(flat, 1), (dict.fromkeys(range(100_000), []), 2), ([*flat, [flat]], 3), ([[]] * 9000, 2)]:
            for allowed in (depth, depth - 1):
                work = nesting.looking_deeper(value, allowed)
                longest = 0.0
                try:
                    while True:
                        began = clock.seconds()
                        next(work)
                        longest = max(longest, clock.seconds() - began)
                except StopIteration as end:
                    self.assertIs(end.value, allowed < depth)
                self.assertLess(longest, 0.001)
        self.assertGreater(clock.seconds(), 0.01)
