"""
Tests for L{dstwist.cluster.fields}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.fields import Check, flag, key, list_of, number, row, text, text_or_none

CASES: list[tuple[Check, list[Any], list[Any]]] = [
    (text, ["", "a"], [None, 1, [], True]),
    (text_or_none, ["", None], [1, False]),
    (key, ["a"], ["", None, 1]),
    (number, [0, 7, 2**63 - 1], [-1, 1.0, True, None, "1", 2**63]),
    (flag, [True, False], [0, 1, None]),
    (list_of(number), [[], [1, 2]], [None, "", [1, "a"], {}]),
    (row(text, number), [["a", 1]], [[], ["a"], ["a", 1, 1], [1, "a"], "ab", None]),
]


class FieldsTests(SynchronousTestCase):
    """
    The checks.
    """

    def test_values(self) -> None:
        """
        Each check lets through the values of its field, and no others.
        """
        for check, good, bad in CASES:
            self.assertEqual([value for value in good if not check(value)], [])
            self.assertEqual([value for value in bad if check(value)], [])
