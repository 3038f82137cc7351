"""
Tests for L{dstwist.protocol.typed}.
"""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.jsontext import is_json, loads
from dstwist.protocol.typed import (
    UNDEFINED,
    format_number,
    forwardable,
    has_separators,
    is_typed,
    parse_number,
    to_json,
    to_typed,
    utf8,
    value_of,
    without_separators,
)

#: typed value, JSON text, Python value; both encodings say the same.
VALUES: list[tuple[str, bytes | None, Any]] = [
    ("Sx", b'"x"', "x"),
    ("S", b'""', ""),
    ("S\xfc\U0001f600\\", '"\xfc\U0001f600\\\\"'.encode(), "\xfc\U0001f600\\"),
    ("N0", b"0", 0),
    ("N1", b"1", 1),
    ("N-7", b"-7", -7),
    ("N1.5", b"1.5", 1.5),
    ("N1e+21", b"1e+21", 1e21),
    ("N1e-7", b"1e-7", 1e-7),
    ("N9007199254740991", b"9007199254740991", 9007199254740991),
    ("L", b"null", None),
    ("T", b"true", True),
    ("F", b"false", False),
    ("U", None, UNDEFINED),
    ('O{"a":1}', b'{"a":1}', {"a": 1}),
    ("O[]", b"[]", []),
    ('O {"a" : 1.50}', b' {"a" : 1.50}', {"a": 1.5}),
]

#: Typed values that no server would write, and their JSON text.
ODD: list[tuple[str, bytes | None]] = [
    ("N12abc", b"12"),
    ("N1e3", b"1000"),
    ("N1.50", b"1.5"),
    ("N0x10", b"0"),
    ("N-0", b"0"),
    ("N007", b"7"),
    ("N.5", b"0.5"),
    ("N5.", b"5"),
    ("N+5", b"5"),
    ("N \t\ufeff5", b"5"),
    ("N1e", b"1"),
    ("N12345678901234567890", b"12345678901234567000"),
    ("N", b"null"),
    ("Nabc", b"null"),
    ("N\x1c5", b"null"),
    ("N\u0665", b"null"),
    ("NInfinity", b"null"),
    ("N-Infinityx", b"null"),
    ("N1e999", b"null"),
    ("Txyz", b"true"),
    ("F0", b"false"),
    ("Lx", b"null"),
    ("Ux", None),
    ("O0", b"0"),
    ("Onull", b"null"),
    ("Ofalse", b"false"),
    ('O""', b'""'),
]

BAD = ["", "Q1", "O", "O{bad", "Oundefined", "ONaN", 'O{"a":[1e400]}', "O-1e400", "s", "\xdc1", "O" + "[" * 5000]

NUMBERS = [
    (0, "0"),
    (-0.0, "0"),
    (1, "1"),
    (1.0, "1"),
    (-1.5, "-1.5"),
    (0.1, "0.1"),
    (100.25, "100.25"),
    (1e20, "100000000000000000000"),
    (123456789012345680000.0, "123456789012345680000"),
    (1e21, "1e+21"),
    (-1.5e300, "-1.5e+300"),
    (0.000001, "0.000001"),
    (0.00000123, "0.00000123"),
    (1e-7, "1e-7"),
    (-1.25e-9, "-1.25e-9"),
    (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (2**53, "9007199254740992"),
    (12345678901234567890, "12345678901234567000"),
    (10**400, "Infinity"),
    (-(10**400), "-Infinity"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    (math.nan, "NaN"),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TypedTests(SynchronousTestCase):
    """
    Values cross from one generation of clients to the other.
    """

    def test_both_ways(self) -> None:
        """
        Each value is told alike in both encodings, and means the same in either.
        """
        for typed, text, value in VALUES:
            self.assertEqual(to_typed(text), typed)
            self.assertEqual(to_json(typed), text)
            for data in (typed, text):
                self.assertEqual(value_of(data), value)
                self.assertIs(type(value_of(data)), type(value))
            self.assertTrue(is_typed(typed))

    def test_unchanged(self) -> None:
        """
        Data in the required encoding is not changed.
        """
        self.assertEqual(to_typed("N1.50"), "N1.50")
        self.assertEqual(to_json(b" 1.50 "), b" 1.50 ")
        self.assertIsNone(to_json(None))
        self.assertEqual(to_typed(None), "U")

    def test_odd(self) -> None:
        """
        Unusual values are read as JavaScript reads them.
        """
        for typed, text in ODD:
            self.assertEqual(to_json(typed), text, typed)
            self.assertEqual(to_json(forwardable(typed)), text, typed)

    def test_odd_numbers(self) -> None:
        """
        A number that is none is null to all: to rules and stores, and to those it is forwarded to.
        """
        for typed in (
            *("N", "Nabc", "N\u0665", "NNaN", "NInfinity", "N-Infinity", "N1e400", "N-1e400", "N" + "9" * 400),
            *("N1" + "0" * 309, "N1.7976931348623159e308", "N\xb2", "N \u3000", "NI", "N-", "N.", "Ne5"),
        ):
            self.assertEqual((is_typed(typed), forwardable(typed)), (False, "L"), typed)
            self.assertEqual((value_of(typed), to_json(typed)), (None, b"null"), typed)
        for typed in ("N1e308", "N" + "9" * 308, "N1.7976931348623157e+308", "N-1e-400", "N" + "0" * 500 + "1"):
            self.assertEqual((is_typed(typed), forwardable(typed)), (True, typed))
            self.assertTrue(math.isfinite(value_of(typed)), typed)
        self.assertEqual(value_of("N1e3"), 1000)
        self.assertIs(type(value_of("N1e3")), int)

    @settings(deadline=None, derandomize=True)
    @given(st.text("0123456789.eE+-INafity\u0665\xb2 x", max_size=330) | st.text(max_size=6))
    def test_any_number(self, text: str) -> None:
        """
        For every number, the forwarded value is the value that is kept.
        """
        typed = "N" + text
        forwarded = forwardable(typed)
        self.assertEqual(loads(to_json(typed) or b""), value_of(forwarded))
        self.assertEqual(forwarded == typed, value_of(typed) is not None)

    def test_bad(self) -> None:
        """
        An unknown letter, or an object that is no JSON, is no typed value.
        """
        for field in BAD:
            self.assertFalse(is_typed(field), field[:20])
            self.assertIsNone(forwardable(field), field[:20])

    def test_unknown_letter(self) -> None:
        """
        A field with an unknown letter counts as no value.
        """
        for field in ("", "Q1"):
            self.assertIsNone(to_json(field))
            self.assertIs(value_of(field), UNDEFINED)

    def test_json_spaces(self) -> None:
        """
        JSON may have white space around it.
        """
        self.assertEqual([to_typed(text) for text in (b' "x"\n', b"\ttrue ", b" 1.0 ")], ["Sx", "T", "N1"])

    def test_separators(self) -> None:
        """
        Strings with the two characters that no field can hold stay JSON on their way to text clients.
        """
        self.assertEqual(to_typed(b'"a\\u001eb\\u001Fc"'), 'O"a\\u001eb\\u001Fc"')
        self.assertEqual(value_of('O"a\\u001eb\\u001Fc"'), "a\x1eb\x1fc")
        self.assertEqual(to_typed(b'"a\\u001d\\\\u001e"'), "Sa\x1d\\u001e")
        self.assertEqual(to_typed(b'{"a":"\\u001e"}'), 'O{"a":"\\u001e"}')

    def test_has_separators(self) -> None:
        """
        A text with one of them can be shown to people.
        """
        self.assertEqual([has_separators(text) for text in ("a", "\x1d", "\x1e", "a\x1f")], [False, False, True, True])
        self.assertEqual(without_separators("plain"), "plain")
        self.assertEqual(without_separators("a\x1e\x1f"), "a\\u001e\\u001f")

    def test_lone_surrogates(self) -> None:
        """
        Half a character, which UTF-8 cannot carry, is replaced as browsers do it.
        """
        self.assertEqual(utf8("a\ud800b"), "a\ufffdb".encode())
        self.assertEqual(utf8(to_typed(b'"\\ud800"')), "S\ufffd".encode())
        self.assertEqual(to_json('O"\ud800"'), '"\ufffd"'.encode())

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(JSON)
    def test_round_trip(self, value: Any) -> None:
        """
        A value keeps its meaning from JSON to typed and back.
        """
        text = json.dumps(value).encode()
        back = to_json(to_typed(text))
        assert back is not None
        before, after = value_of(text), value_of(back)
        if isinstance(before, int | float):  # JavaScript has doubles only
            before, after = float(before), float(after)
        self.assertEqual(after, before)

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.text() | st.text("SNOTFLU{}[]0123456789.eE+-Infinity"))
    def test_anything(self, field: str) -> None:
        """
        Every typed value has a JSON text, or is "no value".
        """
        if is_typed(field):
            text = to_json(field)
            value_of(field)
            if text is not None:
                self.assertTrue(is_json(text))
                self.assertTrue(is_typed(to_typed(text)))


class NumberTests(SynchronousTestCase):
    """
    Numbers print and read as in JavaScript.
    """

    def test_format(self) -> None:
        """
        A number has JavaScript's text.
        """
        for number, text in NUMBERS:
            self.assertEqual(format_number(number), text)

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.floats(allow_nan=False))
    def test_round_trip(self, number: float) -> None:
        """
        The text of a number reads as that number.
        """
        self.assertEqual(parse_number(format_number(number)), number)


class UndefinedTests(SynchronousTestCase):
    """
    "No value" is a value of its own.
    """

    def test_undefined(self) -> None:
        """
        It is falsy, and is not null.
        """
        self.assertFalse(UNDEFINED)
        self.assertIsNot(UNDEFINED, None)
        self.assertEqual(repr(UNDEFINED), "UNDEFINED")
