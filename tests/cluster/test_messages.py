"""
Tests for L{dstwist.cluster.messages}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.fields import number
from dstwist.cluster.messages import Envelope, check, decode, encode
from dstwist.protocol.jsontext import dumps

KINDS = {"table": (number,)}

BAD: list[Any] = [
    None,
    [],
    [1],
    ["table"],
    ["table", -1],
    ["table", 1.5],
    ["table", True],
    ["table", 1, 2],
]


class MessageTests(SynchronousTestCase):
    """
    L{encode}, L{decode} and L{check}.
    """

    def test_round_trip(self) -> None:
        """
        A message arrives as it was.
        """
        envelope = Envelope("ann#1", "bob#2", 3, [["table", 7]])
        self.assertEqual(decode(encode(envelope)), envelope)

    def test_kinds(self) -> None:
        """
        An item is of a kind that is known, or of another one.
        """
        self.assertTrue(check(["table", 7], KINDS))
        self.assertFalse(check(["chair", 7], KINDS))

    def test_wrong_items(self) -> None:
        """
        An item that is not well formed is refused.
        """
        for item in BAD:
            self.assertRaises(ValueError, check, item, KINDS)

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
