"""
Tests for L{dstwist.permission.valve.values}.
"""

from __future__ import annotations

import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve import values
from dstwist.permission.valve.regex import Regex
from dstwist.permission.valve.values import ActionName, Function, Meter, Thrown, TooMuch
from dstwist.protocol.typed import UNDEFINED

OBJECT: dict[str, Any] = {}
ARRAY = [1]


def meter(steps: int = 10**6) -> Meter:
    return Meter(steps)


class ConversionTests(SynchronousTestCase):
    """
    From one type to another, as JavaScript does it.
    """

    def test_truthy(self) -> None:
        """
        False are undefined, null, false, zeros, NaN and the empty text, and nothing else.
        """
        for nothing in (UNDEFINED, None, False, 0, 0.0, -0.0, math.nan, ""):
            self.assertIs(values.truthy(nothing), False, repr(nothing))
        something: list[Any] = [True, 1, -0.5, math.inf, "0", "false", {}, [], Function("trim"), ActionName(2, "X")]
        for value in [*something, Regex("a")]:
            self.assertIs(values.truthy(value), True, repr(value))

    def test_to_number(self) -> None:
        """
        Texts are numbers as a whole or not at all, and Python's own spellings of numbers do not count.
        """
        for value, expected in (
            ("", 0),
            (" \t\u00a0\ufeff\n", 0),
            (" 12 ", 12),
            ("1e3", 1000),
            ("+.5", 0.5),
            ("-5.", -5),
            ("0x1F", 31),
            ("0b101", 5),
            ("0o17", 15),
            ("Infinity", math.inf),
            ("-Infinity", -math.inf),
            ("1e999", math.inf),
            (None, 0),
            (True, 1),
            (False, 0),
            ([], 0),
            ([7], 7),
            (["7"], 7),
            ([[["7"]]], 7),
            ([None], 0),
            (10**400, math.inf),
            (-(10**400), -math.inf),
            (ActionName(18, "UPDATE"), 18),
        ):
            self.assertEqual(values.to_number(value, meter()), expected, repr(value))
        nothing: list[Any] = ["1_0", "nan", "inf", "infinity", "0x", "-0x1", "1 2", "\u0661", "1e", ".", "12px"]
        for value in [*nothing, UNDEFINED, {}, [1, 2]]:
            self.assertTrue(math.isnan(values.to_number(value, meter())), repr(value))

    def test_to_text(self) -> None:
        """
        Numbers are written as JavaScript does, arrays joined, objects not shown.
        """
        for value, expected in (
            (1.0, "1"),
            (-0.0, "0"),
            (1e21, "1e+21"),
            (123456789012345680000.0, "123456789012345680000"),
            (1e-7, "1e-7"),
            (0.000001, "0.000001"),
            (0.1 + 0.2, "0.30000000000000004"),
            (math.nan, "NaN"),
            (-math.inf, "-Infinity"),
            (True, "true"),
            (None, "null"),
            (UNDEFINED, "undefined"),
            ({"a": 1}, "[object Object]"),
            ([], ""),
            ([1, "a", None, UNDEFINED, True], "1,a,,,true"),
            ([[], []], ","),
            ([1, [2, [3, []]], {}], "1,2,3,,[object Object]"),
            (Regex("a+", "i"), "/a+/i"),
            (Function("trim"), "function trim() { [native code] }"),
            (ActionName(19, "PATCH"), "PATCH"),
        ):
            self.assertEqual(values.to_text(value, meter()), expected)

    def test_to_text_of_lookalikes(self) -> None:
        """
        An object with a member toString is no text: JavaScript would call the member.
        """
        self.assertRaises(Thrown, values.to_text, {"toString": "x"}, meter())

    def test_nested_arrays(self) -> None:
        """
        However deep an array is, its text can be made.
        """
        array: list[Any] = [1]
        for _ in range(5000):
            array = [array]
        self.assertEqual(values.to_text(array, meter()), "1")

    def test_type_of(self) -> None:
        """
        The words of C{typeof}.
        """
        for value, expected in (
            (UNDEFINED, "undefined"),
            (None, "object"),
            ({}, "object"),
            ([], "object"),
            (Regex("a"), "object"),
            (True, "boolean"),
            (1, "number"),
            (math.nan, "number"),
            ("", "string"),
            (ActionName(1, "A"), "string"),
            (Function("trim"), "function"),
        ):
            self.assertEqual(values.type_of(value), expected)


class OperatorTests(SynchronousTestCase):
    """
    Operators on values.
    """

    def test_equality(self) -> None:
        """
        C{===} looks at the type, C{==} converts, and objects are equal only to themselves.
        """
        for left, right, strict, loose in (
            (1, 1.0, True, True),
            (1, True, False, True),
            (0, False, False, True),
            (0, "", False, True),
            (0, "0", False, True),
            ("", "0", False, False),
            (0.0, -0.0, True, True),
            (math.nan, math.nan, False, False),
            (None, UNDEFINED, False, True),
            (None, 0, False, False),
            (None, False, False, False),
            (UNDEFINED, 0, False, False),
            ("1", 1, False, True),
            ("true", True, False, False),
            (OBJECT, OBJECT, True, True),
            (OBJECT, {}, False, False),
            (ARRAY, ARRAY, True, True),
            (ARRAY, [1], False, False),
            (ARRAY, 1, False, True),
            (ARRAY, "1", False, True),
            (ARRAY, True, False, True),
            ({}, "[object Object]", False, True),
            (9007199254740993, 9007199254740992.0, True, True),
            ("a", "a", True, True),
            ("a", "A", False, False),
            (math.inf, "Infinity", False, True),
        ):
            for one, other in ((left, right), (right, left)):
                self.assertIs(values.strict_equals(one, other), strict, (one, other))
                self.assertIs(values.loose_equals(one, other, meter()), loose, (one, other))

    def test_action(self) -> None:
        """
        An action is equal to its number and to each of its names, and in order as a number.
        """
        emit = ActionName(2, "EMIT", "EVENT")
        for same in (2, 2.0, "EMIT", "EVENT"):
            self.assertTrue(values.strict_equals(emit, same))
            self.assertTrue(values.strict_equals(same, emit))
            self.assertTrue(values.loose_equals(same, emit, meter()))
        for other in (3, "E", "emit", True, None, UNDEFINED, ActionName(2, "EMIT")):
            self.assertFalse(values.strict_equals(emit, other), other)
        self.assertTrue(values.compare("<", emit, 3, meter()))
        self.assertEqual(values.add(emit, "!", meter()), "EMIT!")

    def test_compare(self) -> None:
        """
        Texts by UTF-16 units, all else by number; NaN is in no order.
        """
        for left, operator, right, expected in (
            ("10", "<", "9", True),
            (10, "<", "9", False),
            ("a", "<", "B", False),
            # Beyond U+FFFF a character begins with a unit that is lower than some characters below.
            ("\U0001f600", "<", "\uffff", True),
            ("\ud83d", "<", "\U0001f600", True),
            (None, ">=", 0, True),
            (None, ">", 0, False),
            (UNDEFINED, ">=", 0, False),
            (UNDEFINED, "<", 0, False),
            (math.nan, "<=", math.nan, False),
            ([2], ">", 1, True),
            ({}, ">", 1, False),
            (True, "<", 2, True),
            ("", "<", "a", True),
        ):
            self.assertIs(values.compare(operator, left, right, meter()), expected, (left, operator, right))

    def test_add(self) -> None:
        """
        C{+} adds numbers, and joins as soon as one side is a text or becomes one.
        """
        for left, right, expected in (
            (1, 2, 3.0),
            (1, "2", "12"),
            ("1", 2, "12"),
            (None, 1, 1.0),
            (True, True, 2.0),
            ([], [], ""),
            ([1], 1, "11"),
            ({}, "!", "[object Object]!"),
            (1e21, "", "1e+21"),
            ("\ud83d", "\ude00", "\U0001f600"),
        ):
            self.assertEqual(values.add(left, right, meter()), expected)
        self.assertTrue(math.isnan(values.add(UNDEFINED, 1, meter())))

    def test_arithmetic(self) -> None:
        """
        Numbers never end in an exception, and bits are those of 32-bit integers.
        """
        nan, inf = math.nan, math.inf
        for left, operator, right, expected in (
            (1, "/", 0, inf),
            (-1, "/", 0, -inf),
            (1, "/", -0.0, -inf),
            (0, "/", 0, nan),
            (-4, "%", 3, -1),
            (4, "%", -3, 1),
            (5.5, "%", 2, 1.5),
            (1, "%", 0, nan),
            (inf, "%", 2, nan),
            (2, "%", inf, 2),
            (2, "**", 10, 1024),
            (2, "**", -1, 0.5),
            (-8, "**", 1 / 3, nan),
            (0, "**", -1, inf),
            (-0.0, "**", -1, -inf),
            (-0.0, "**", -2, inf),
            (10, "**", 400, inf),
            (-10, "**", 401, -inf),
            (1, "**", inf, nan),
            (-1, "**", inf, nan),
            (nan, "**", 0, 1),
            (1, "**", nan, nan),
            (5, "&", 3, 1),
            (5, "|", 3, 7),
            (5, "^", 3, 6),
            (2**32 + 5, "|", 0, 5),
            (2**31, "|", 0, -(2**31)),
            (-1, ">>>", 0, 2**32 - 1),
            (-8, ">>", 1, -4),
            (1, "<<", 31, -(2**31)),
            (1, "<<", 33, 2),
            (nan, "|", 0, 0),
            (inf, "|", 0, 0),
            (1e300, "|", 0, 0),
            (-1.9, "|", 0, -1),
            (1e308, "*", 10, inf),
        ):
            result = values.ARITHMETIC[operator](float(left), float(right))
            same = result == expected or (result != result and expected != expected)
            self.assertTrue(same, f"{left} {operator} {right} is {result}")
        self.assertEqual(math.copysign(1, values.remainder(-4.0, 2.0)), -1)
        self.assertEqual([values.bitwise_not(number) for number in (-1.0, 0.0, 2.0**31)], [0, -1, 2**31 - 1])

    def test_identity_of_zero_and_nan(self) -> None:
        """
        For C{includes} NaN is NaN.
        """
        self.assertTrue(values.same_value_zero(math.nan, math.nan))
        self.assertTrue(values.same_value_zero(0.0, -0.0))
        self.assertFalse(values.same_value_zero("NaN", math.nan))


class LimitTests(SynchronousTestCase):
    """
    Limits of values.
    """

    def test_long_text(self) -> None:
        """
        No text of more than a megabyte is put together, be it from texts or from an array.
        """
        half = "x" * (values.MAX_TEXT_CHARACTERS // 2)
        self.assertEqual(len(values.concatenated(half, half, meter())), values.MAX_TEXT_CHARACTERS)
        self.assertRaises(TooMuch, values.concatenated, half + "x", half, meter())
        self.assertRaises(TooMuch, values.to_text, [half, half, half], meter())

    def test_steps(self) -> None:
        """
        Steps run out, by elements of arrays and by the lengths of texts.
        """
        self.assertRaises(TooMuch, values.to_text, [1] * 1001, meter(1000))
        self.assertRaises(TooMuch, values.concatenated, "x" * 300_000, "", meter(1000))
        self.assertRaises(TooMuch, values.to_number, "1" * 300_000, meter(1000))
        self.assertEqual(values.to_text([1] * 10, meter(1000)), ",".join("1" * 10))
