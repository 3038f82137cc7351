"""
Tests for L{dstwist.cluster.remembered_names}.
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster import remembered_names
from dstwist.cluster.remembered_names import RememberedNames


class RememberedNamesTests(SynchronousTestCase):
    """
    L{RememberedNames}.
    """

    def setUp(self) -> None:
        self.names = RememberedNames()

    def add(self, *names: str) -> None:
        for name in names:
            self.names.add(name)

    def test_order(self) -> None:
        """
        Names are taken in the order in which they were added first.
        """
        self.add("b", "a", "b", "c")
        self.assertEqual((self.names.take(2), self.names.take(2), len(self.names)), (["b", "a"], ["c"], 0))

    def test_number(self) -> None:
        """
        There is room for so many names. A name that is remembered already takes none.
        """
        with patch.object(remembered_names, "MAX_NAMES", 2):
            self.add("a", "b", "a")
            self.assertFalse(self.names.is_full)
            self.add("c")
        self.assertTrue(self.names.is_full)
        self.assertEqual(self.names.take(3), ["a", "b"])

    def test_bytes(self) -> None:
        """
        There is room for so many bytes of names. Names that are taken leave room.
        """
        long = [f"{number}" + "x" * 600 for number in range(6)]
        with patch.object(remembered_names, "MAX_BYTES", 1000):
            self.add(*long[:3])
            self.assertEqual(self.names.take(2), long[:2])
            self.add(*long[3:])
        self.assertEqual(self.names.take(3), long[3:5])
