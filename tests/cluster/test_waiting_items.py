"""
Tests for L{dstwist.cluster.waiting_items}. L{tests.cluster.test_peers} has messages of limited length.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.messages import Envelope, encode
from dstwist.cluster.waiting_items import WaitingItems, size_of


class WaitingItemTests(SynchronousTestCase):
    """
    L{WaitingItems}.
    """

    def test_size(self) -> None:
        """
        The size is that of the items that wait, however they have come.
        """
        waiting = WaitingItems(1, 2)
        waiting.add(["text", "x" * 1000], True)
        for number in range(3):
            waiting.add_row("rows", [number, "y" * 1000])
        self.assertEqual(len(waiting), 3)
        sizes = [waiting.size]
        left: list[Any] = []
        while len(waiting):
            left += waiting.take()
            sizes.append(waiting.size)
        self.assertEqual(
            left,
            [
                ["text", "x" * 1000],
                ["rows", [[0, "y" * 1000], [1, "y" * 1000]]],
                ["rows", [[2, "y" * 1000]]],
            ],
        )
        self.assertEqual(sizes, [sum(map(size_of, left)), size_of(left[2]), 0])

    def test_long_characters(self) -> None:
        """
        The size is in bytes of memory: a character may take four.
        """
        self.assertGreater(size_of(["text", ["\U0001f600" * 1000]]), 4000)

    def test_shared_text(self) -> None:
        """
        A text that waits for several nodes has the same size when it has been sent to one of them.
        """
        item = ["names", ["\u00e9" * 1000]]
        first, second = WaitingItems(1, 2), WaitingItems(1, 2)
        for waiting in (first, second):
            waiting.add(item, False)
        encode(Envelope("ann", "bob", 1, first.take()))
        second.take()
        self.assertEqual((first.size, second.size), (0, 0))
