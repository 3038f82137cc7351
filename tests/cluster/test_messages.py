"""
Tests for L{dstwist.cluster.messages}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster import messages
from dstwist.cluster.messages import Envelope, check, decode, encode
from dstwist.protocol.jsontext import dumps

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
    ["table", 7],
]

BAD: list[Any] = [
    None,
    [],
    [1],
    ["nonsense"],
    ["table"],
    ["table", -1],
    ["table", 1.5],
    ["table", True],
    ["table", 1, 2],
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


class MessageTests(SynchronousTestCase):
    """
    L{encode}, L{decode} and L{check}.
    """

    def test_round_trip(self) -> None:
        """
        A message arrives as it was.
        """
        envelope = Envelope("ann#1", "bob#2", 3, GOOD)
        self.assertEqual(decode(encode(envelope)), envelope)

    def test_every_kind(self) -> None:
        """
        There is an example of each kind, and each is well formed.
        """
        kinds = {value for name, value in vars(messages).items() if name.isupper() and isinstance(value, str)}
        self.assertEqual({item[0] for item in GOOD}, {kind for kind in kinds if len(kind) > 1})
        for item in GOOD:
            check(item)

    def test_wrong_items(self) -> None:
        """
        An item that is not well formed is refused.
        """
        for item in BAD:
            self.assertRaises(ValueError, check, item)

    def test_wrong_payloads(self) -> None:
        """
        A payload that is no message of this format is refused.
        """
        values: tuple[Any, ...] = (
            None,
            [],
            {},
            [2, "a", "b", 1, []],
            [1],
            [1, "a", "b", "1", []],
            [1, 1, "b", 1, []],
            [1, "a", "b", 1, 2],
        )
        for value in values:
            self.assertRaises(ValueError, decode, dumps(value))
        self.assertRaises(ValueError, decode, b"\xff")
