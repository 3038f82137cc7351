"""
Tests for L{dstwist.protocol.freeing}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.freeing import CONTAINERS_PER_STEP, ITEMS_PER_STEP, freeing
from dstwist.protocol.jsontext import loads
from dstwist.protocol.paths import set_many

#: An array is two blocks of memory, and an object is three.
MOST_BLOCKS = 3 * CONTAINERS_PER_STEP + ITEMS_PER_STEP + 1000


def nested(depth: int) -> Any:
    """
    Arrays within each other.
    """
    return loads("[" * depth + "]" * depth)


class FreeingTests(SynchronousTestCase):
    """
    L{freeing}.
    """

    def free(self, make: Callable[[], Any], blocks: int) -> None:
        """
        Free a value that has C{blocks} blocks of memory; each step may free only a small part.
        """
        values = [make()]
        before = sys.getallocatedblocks()
        if not before:
            self.skipTest("this Python does not count its blocks")
        left, freed = before, []
        for _ in freeing(values):
            now = sys.getallocatedblocks()
            freed.append(left - now)
            left = now
        self.assertEqual(values, [])
        self.assertGreater(before - sys.getallocatedblocks(), blocks * 0.99)
        self.assertLess(max(freed), MOST_BLOCKS)

    def test_many_arrays(self) -> None:
        """
        An array of many.
        """
        self.free(lambda: [[] for _ in range(100_000)], 100_000)

    def test_nested(self) -> None:
        """
        Arrays within each other.
        """
        self.free(lambda: [nested(200) for _ in range(500)], 200_000)

    def test_many_texts(self) -> None:
        """
        An array that contains no container, but many items.
        """
        self.free(lambda: [f"a{number}" for number in range(100_000)], 100_000)

    def test_many_keys(self) -> None:
        """
        An object with many keys.
        """
        self.free(lambda: {f"a{number}": [] for number in range(100_000)}, 200_000)

    def test_wide_among_narrow(self) -> None:
        """
        Long arrays among short ones.
        """
        self.free(lambda: [[f"{number}" for number in range(size)] for size in (1, 60_000, 2, 60_000, 3)], 120_000)

    def test_many_wide(self) -> None:
        """
        Many arrays whose items are too many for one step, though those of each array are not.
        """
        self.free(lambda: [[f"{number}-{n}" for n in range(100)] for number in range(2000)], 200_000)

    def test_patched(self) -> None:
        """
        Patched containers, in small parts as well.
        """
        for size in (2000, 100_000):

            def make(size: int = size) -> Any:
                content: Any = {"a": {f"k{n}": [n] for n in range(size)}, "b": [[n] for n in range(size)]}
                for number in range(100):
                    content = set_many(content, [(("a", f"k{number}"), [[], []]), (("b", number), [[]])])
                return content

            self.free(make, 2 * size)

    def test_shared(self) -> None:
        """
        A part that has another reference stays as it is. So does the whole value.
        """
        part = [[1], {"a": [2]}, [f"{number}" for number in range(ITEMS_PER_STEP + 5)]]
        for _ in freeing([{"b": part, "c": [part]}, part]):
            pass
        self.assertEqual((part[:2], len(part[2])), ([[1], {"a": [2]}], ITEMS_PER_STEP + 5))

    def test_no_containers(self) -> None:
        """
        Scalars are freed as well.
        """
        values = [1, "text", None, 1.5, {}]
        self.assertEqual(len(list(freeing(values))), 1)
        self.assertEqual(values, [])
