"""
Tests for L{dstwist.api.values}.
"""

from __future__ import annotations

import datetime
from collections import OrderedDict
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.errors import InvalidValue
from dstwist.api.values import check_name, from_data, to_json
from dstwist.protocol.nesting import MAX_DEPTH


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class ValueTests(SynchronousTestCase):
    """
    From values to JSON, and back.
    """

    def test_round_trip(self) -> None:
        """
        Each kind of value.
        """
        values: list[Any] = [None, True, 0, -1.5, "", "\u00e9\U0001f600", [], {}, {"a": [1, {"b": None}]}]
        for value in (*values, nested(MAX_DEPTH)):
            self.assertEqual(from_data(to_json(value)), value)
        self.assertEqual(to_json((1, OrderedDict(a=2))), b'[1,{"a":2}]')

    def test_typed(self) -> None:
        """
        Values of text clients; no value is C{None}.
        """
        for data, value in (("N1.5", 1.5), ("Sx", "x"), ("T", True), ("L", None), ('O{"a":1}', {"a": 1}), ("U", None)):
            self.assertEqual(from_data(data), value)
        self.assertIsNone(from_data(None))

    def test_problems(self) -> None:
        """
        The error names the part that is no JSON, and its place.
        """
        for value, problem in (
            (object(), "value: of type object is no JSON"),
            ({"a": [1, {"b": {2}}]}, "value['a'][1]['b']: of type set is no JSON"),
            ({"a": {1: 2}}, "value['a']: the key 1 is of type int, not a text"),
            ([float("nan")], "value[0]: nan is no JSON number"),
            ([float("-inf")], "value[0]: -inf is no JSON number"),
            ({"a": b"x"}, "value['a']: of type bytes is no JSON"),
            ([datetime.date(2000, 1, 1)], "value[0]: of type date is no JSON"),
        ):
            with self.assertRaises(InvalidValue) as refused:
                to_json(value)
            self.assertEqual(refused.exception.detail, problem)
        for value in (nested(MAX_DEPTH + 1), nested(100_000)):
            with self.assertRaises(InvalidValue) as refused:
                to_json(value)
            self.assertIn("levels deep", str(refused.exception))
        circle: list[Any] = []
        circle.append(circle)
        self.assertRaises(InvalidValue, to_json, circle)

    def test_names(self) -> None:
        """
        A name is a text that is not empty.
        """
        check_name("a")
        check_name("\U0001f375")
        for name, problem in (
            (3, "the user is of type int, not a text"),
            ("", "the user is empty"),
            ("a\ud83c", "the user has half of a surrogate pair at 1"),
        ):
            with self.assertRaises(InvalidValue) as refused:
                check_name(name, "user")
            self.assertEqual(refused.exception.detail, problem)
