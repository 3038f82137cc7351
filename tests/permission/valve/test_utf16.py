"""
Tests for L{dstwist.permission.valve.utf16}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve import utf16


class UnitTests(SynchronousTestCase):
    """
    Texts in UTF-16 units.
    """

    def test_length(self) -> None:
        """
        A character above U+FFFF counts for two.
        """
        self.assertEqual([utf16.length(text) for text in ("", "abc", "é", "\U0001f600", "\ud83d")], [0, 3, 1, 2, 1])

    def test_units_and_back(self) -> None:
        """
        A text can be taken apart into units and put together again.
        """
        for text in ("", "abc", "é", "x\U0001f600y", "\ude00\ud83d", "\uffff\U0010ffff"):
            self.assertEqual(len(utf16.units(text)), utf16.length(text))
            self.assertEqual(utf16.characters(utf16.units(text)), text)
