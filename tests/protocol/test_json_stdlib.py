"""
Tests for L{dstwist.protocol.json_stdlib}. That it agrees with orjson is tested in C{test_jsontext.py}.
"""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.json_stdlib import decode, stdlib_dumps


class DecodeTests(SynchronousTestCase):
    """
    L{decode}.
    """

    def test_integers(self) -> None:
        """
        Integers are exact up to 64 bits; JavaScript has only doubles for larger ones.
        """
        for text, value in (("18446744073709551615", 2**64 - 1), ("18446744073709551616", 2.0**64)):
            self.assertEqual((type(decode(text)), decode(text)), (type(value), value))

    def test_no_numbers(self) -> None:
        """
        Python's names for numbers that JSON does not have are refused, and so are numbers that no double can hold.
        """
        for text in ("NaN", "[-Infinity]", "1e400", "9" * 400):
            self.assertRaises(ValueError, decode, text)

    def test_stack(self) -> None:
        """
        A text that would exhaust the stack is refused like any other.
        """
        self.assertRaises(ValueError, decode, "[" * 1_000_000)


class DumpsTests(SynchronousTestCase):
    """
    L{stdlib_dumps}.
    """

    def test_not_finite(self) -> None:
        """
        A number that is not finite is written as null, as in JavaScript; the other values stay as they are.
        """
        self.assertEqual(stdlib_dumps({"a": [math.nan, 1.5, (-math.inf, "NaN")]}), b'{"a":[null,1.5,[null,"NaN"]]}')

    def test_lone_surrogates(self) -> None:
        """
        Half a character is written as an escape, because UTF-8 has no form for it.
        """
        self.assertEqual(stdlib_dumps("\u00e9"), b'"\xc3\xa9"')
        self.assertEqual(stdlib_dumps(["\u00e9\ud800"]), b'["\\u00e9\\ud800"]')
