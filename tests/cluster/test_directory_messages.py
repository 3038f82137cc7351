"""
Tests for L{dstwist.cluster.directory_messages}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.directory_messages import FIELDS
from dstwist.cluster.messages import check

GOOD: list[list[Any]] = [
    ["report", 1, 2, ["hua", "wub", "au"], []],
    ["digests", [[1, 2, 3, 2**62]]],
    ["ask", [[1, 2]]],
    ["whole", 1, 2, 0, 1, ["hua"], ["ub"]],
    ["question", 1, 2, 3, ["ua"]],
    ["answer", 1, 2, 3, ["ua"], [["ub", 17]]],
    ["states", 1, 2, [["ua", 1, ["n"]], ["ub", 0, []], ["uc", -1, []]]],
    ["sums", []],
    ["unequal", 1, 2],
    ["all", 1, 2, 0, 1, [["ua", 1, []]]],
]

BAD: list[Any] = [
    ["report"],
    ["unequal", 1],
    ["unequal", 1, 2, 3],
    ["report", 1, 2, ["x"], []],
    ["report", 1, 2, ["zua"], []],
    ["report", 1, 2, "hua", []],
    ["ask", [[1]]],
    ["ask", [1]],
    ["question", 1, 2, 3, [""]],
    ["states", 1, 2, [["ua", 2, []]]],
    ["states", 1, 2, [["ua", 1, [1]]]],
    ["answer", 1, 2, 3, ["ua"], [["ub", -1]]],
]


class FieldsTests(SynchronousTestCase):
    """
    L{FIELDS}.
    """

    def test_every_kind(self) -> None:
        """
        There is an example of each kind, and each is well formed.
        """
        self.assertEqual({item[0] for item in GOOD}, set(FIELDS))
        for item in GOOD:
            self.assertTrue(check(item, FIELDS))

    def test_wrong_items(self) -> None:
        """
        An item that is not well formed is refused.
        """
        for item in BAD:
            self.assertRaises(ValueError, check, item, FIELDS)
