"""
Tests for L{dstwist.cluster.slices}.
"""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.slices import CHARACTERS_PER_MESSAGE, characters_of, for_message, parts_for, slices
from dstwist.protocol.jsontext import dumps


class SliceTests(SynchronousTestCase):
    """
    The functions of the module.
    """

    def test_slices(self) -> None:
        """
        A slice has so many names, or so many characters, at most; a name that is longer is alone.
        """
        long, longest = "x" * (CHARACTERS_PER_MESSAGE - 1), "x" * (CHARACTERS_PER_MESSAGE + 1)
        for names, expected in (
            ([], []),
            (["a", "b", "c"], [["a", "b"], ["c"]]),
            (["a", long, "b"], [["a", long], ["b"]]),
            ([long, "aa", longest, "b"], [[long], ["aa"], [longest], ["b"]]),
        ):
            self.assertEqual(list(slices(names, 2)), expected)

    def test_for_message(self) -> None:
        """
        A text that this node keeps does not grow when it is sent.
        """
        for text in ("", "a" * 100, "x\U0001f600" * 100):
            size = sys.getsizeof(text)
            self.assertEqual(for_message(text), text)
            dumps(for_message(text))
            self.assertEqual(sys.getsizeof(text), size)

    def test_parts(self) -> None:
        """
        There are parts enough for the names, and for their characters.
        """
        for names, characters, expected in (
            (0, 0, 1),
            (4, 4, 2),
            (5, 5, 3),
            (2, 3 * CHARACTERS_PER_MESSAGE, 3),
            (2, 3 * CHARACTERS_PER_MESSAGE + 1, 4),
        ):
            self.assertEqual(parts_for(names, characters, 2), expected)

    def test_characters(self) -> None:
        """
        The texts of lists and rows count, too.
        """
        for field, expected in (("abc", 3), (7, 0), (None, 0), (["a", "bc"], 3), ([["a", 1, ["bc", "d"]], ["e"]], 5)):
            self.assertEqual(characters_of(field), expected)
