"""
Tests for L{dstwist.permission.valve.units}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve import units


class UnitTests(SynchronousTestCase):
    """
    Texts in UTF-16 units.
    """

    def test_length(self) -> None:
        """
        A character above U+FFFF counts for two.
        """
        self.assertEqual([units.length(text) for text in ("", "abc", "é", "\U0001f600", "\ud83d")], [0, 3, 1, 2, 1])

    def test_units_and_back(self) -> None:
        """
        A text can be taken apart into units and put together again.
        """
        for text in ("", "abc", "é", "x\U0001f600y", "\ude00\ud83d", "\uffff\U0010ffff"):
            self.assertEqual(len(units.units(text)), units.length(text))
            self.assertEqual(units.characters(units.units(text)), text)
