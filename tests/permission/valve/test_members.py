"""
Tests for L{dstwist.permission.valve.members}. The tables in C{test_compiler.py} have more expressions with members.
"""

from __future__ import annotations

import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.members import call, has, member
from dstwist.permission.valve.regex import Regex
from dstwist.permission.valve.values import Function, Meter, Thrown, TooMuch
from dstwist.protocol.typed import UNDEFINED

#: An emoji: one character, and two UTF-16 units.
EMOJI = "\U0001f600"


class MemberTests(SynchronousTestCase):
    """
    L{member} and L{has}.
    """

    def member(self, value: Any, key: Any) -> Any:
        return member(value, key, Meter(1000))

    def test_own(self) -> None:
        """
        A value has its own members, and none of those that JavaScript's objects inherit.
        """
        owned: tuple[tuple[Any, Any, Any], ...] = (
            ({"a": 1}, "a", 1),
            ({"constructor": 1}, "constructor", 1),
            ({"1": "x"}, 1.0, "x"),
            ([5, 6], 1.0, 6),
            ([5, 6], "length", 2.0),
            ("abc", 1.0, "b"),
            (f"a{EMOJI}", "length", 3.0),
        )
        for value, key, expected in owned:
            self.assertEqual(self.member(value, key), expected, (value, key))
        inherited: tuple[tuple[Any, Any], ...] = (
            ({"a": 1}, "constructor"),
            ({}, "__proto__"),
            ({}, "toString"),
            ([5], "constructor"),
            ([5], 1.0),
            ([5], "01"),
            ("abc", "__class__"),
            ("abc", 3.0),
            (5.0, "toFixed"),
            (True, "x"),
        )
        for value, key in inherited:
            self.assertIs(self.member(value, key), UNDEFINED, (value, key))

    def test_methods(self) -> None:
        """
        The methods that rules may call can be seen, but are not equal to anything of Python.
        """
        self.assertIsInstance(self.member("a", "trim"), Function)
        self.assertIsInstance(self.member([], "includes"), Function)
        self.assertIs(self.member("a", "upper"), UNDEFINED)

    def test_nothing(self) -> None:
        """
        null and undefined have no members: the rule fails, and the error names the member.
        """
        for value, name in ((None, "null"), (UNDEFINED, "undefined")):
            error = self.assertRaises(Thrown, self.member, value, "x")
            self.assertIn(f"Cannot read properties of {name} (reading 'x')", str(error))

    def test_has(self) -> None:
        """
        C{in} finds keys and indices; values that are no objects have none.
        """
        meter = Meter(1000)
        self.assertTrue(has({"a": None}, "a", meter))
        self.assertTrue(has([5], 0.0, meter))
        self.assertFalse(has([5], 1.0, meter))
        self.assertFalse(has({}, "constructor", meter))
        match = call("abc", "match", [Regex("b")], meter)
        self.assertEqual(
            [has(match, key, meter) for key in ("index", "input", "length", "groups")], [True] * 3 + [False]
        )
        self.assertFalse(has([5], "index", meter))
        self.assertRaises(Thrown, has, "text", "length", meter)


class CallTests(SynchronousTestCase):
    """
    L{call}.
    """

    def test_units(self) -> None:
        """
        Positions in texts count UTF-16 units.
        """
        meter = Meter(1000)
        self.assertEqual(call(f"{EMOJI}ab", "indexOf", ["b"], meter), 3.0)
        self.assertTrue(call(f"{EMOJI}ab", "startsWith", ["a", 2.0], meter))
        self.assertTrue(call(f"{EMOJI}ab", "endsWith", [EMOJI, 2.0], meter))

    def test_arrays(self) -> None:
        """
        Arrays are searched by JavaScript's equality, from a position that counts from the end if it is negative.
        """
        array = [1, "a", None, math.nan, "a", True]
        for name, arguments, expected in (
            ("indexOf", ["a"], 1.0),
            ("indexOf", ["a", 2.0], 4.0),
            ("indexOf", ["a", -2.0], 4.0),
            ("indexOf", ["a", -1.0], -1.0),
            ("indexOf", ["b"], -1.0),
            ("indexOf", [1.0], 0.0),
            ("indexOf", [1.0, 1.0], -1.0),
            ("indexOf", [True], 5.0),
            ("indexOf", [math.nan], -1.0),
            ("includes", [math.nan], True),
            ("includes", [None], True),
            ("includes", [UNDEFINED], False),
            ("includes", [1.0, -5.0], False),
            ("includes", [], False),
        ):
            self.assertEqual(call(array, name, arguments, Meter(1000)), expected, (name, arguments))
        self.assertEqual(call([], "indexOf", ["a", 5.0], Meter(1000)), -1.0)

    def test_no_such_method(self) -> None:
        """
        Methods of Python, and methods of other values, cannot be called.
        """
        for value, name in (("a", "upper"), ("a", "replace"), ([], "append"), ([], "trim"), ({}, "get"), (5.0, "hex")):
            error = self.assertRaises(Thrown, call, value, name, [], Meter(1000))
            self.assertEqual(str(error), f"TypeError: {name} is not a function")

    def test_regular_expression(self) -> None:
        """
        C{startsWith} and its like refuse a regular expression, as in JavaScript.
        """
        for name in ("startsWith", "endsWith", "includes"):
            self.assertRaises(Thrown, call, "a", name, [Regex("a")], Meter(1000))

    def test_cost(self) -> None:
        """
        Searching a large text or array costs steps.
        """
        for value, name in (("a" * 100_000, "indexOf"), ([1.0] * 1000, "includes"), ("a" * 100_000, "toUpperCase")):
            call(value, name, ["b"], Meter(10_000))
            self.assertRaises(TooMuch, call, value, name, ["b"], Meter(100))
