"""
Tests for L{dstwist.protocol.paths}, by the table of C{services.md} section 4.11.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import patched
from dstwist.protocol.drafts import Limits
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.nesting import MAX_DEPTH, deeper_than
from dstwist.protocol.path_tokens import InvalidPath, parse
from dstwist.protocol.paths import DEFAULT_LIMITS, filled, set_at, set_many, write_at
from dstwist.protocol.typed import UNDEFINED

# Before, path, value, after: what the Node server does and loses nothing by.
SET: list[tuple[Any, str, Any, Any]] = [
    ({}, "a", 1, {"a": 1}),
    ({"a": 1}, "a", None, {"a": None}),
    ({}, "a.b.c", 1, {"a": {"b": {"c": 1}}}),
    ({}, "a[1].b", 1, {"a": [None, {"b": 1}]}),
    ({}, "a[0][1]", 9, {"a": [[None, 9]]}),
    ({"a": [[1], [2]]}, "a[1][0]", 9, {"a": [[1], [9]]}),
    ({"a": [1]}, "a[1]", [2, [3]], {"a": [1, [2, [3]]]}),
    ({}, "a.0", 9, {"a": {"0": 9}}),
    ({"a": [1, 2, 3]}, "a.1", 9, {"a": [1, 9, 3]}),
    ({"a": [1, {"b": 2}]}, "a.1.c", 9, {"a": [1, {"b": 2, "c": 9}]}),
    ([1, 2], "1", 9, [1, 9]),
    ([1], "3", 9, [1, None, None, 9]),
    ({"a": 3}, "a.name", 1, {"a": {"name": 1}}),
    ({"a": "text"}, "a[1]", 1, {"a": [None, 1]}),
    ({"a": [True]}, "a[0].b", 1, {"a": [{"b": 1}]}),
    ({"a": {"b": 1}}, "a.c", 2, {"a": {"b": 1, "c": 2}}),
    ({"a": {"b": 1}}, "a", [1], {"a": [1]}),
    ({"a": [1, 2]}, "a", {"b": 1}, {"a": {"b": 1}}),
    ({"a": {}}, "a[2]", 9, {"a": {"2": 9}}),
    ({"a": {}}, "a[-1]", 9, {"a": {"-1": 9}}),
    ({"a": {}}, "a[x].b", 9, {"a": {"NaN": {"b": 9}}}),
    ({"a": {}}, "a[70000][2]", 9, {"a": {"70000": [None, None, 9]}}),
    ({"a": [1, 2]}, "a[ 1 ]", 9, {"a": [1, 9]}),
    ({}, "a[ ]", 9, {"a": [9]}),
    ({"a": {}}, "a[1.5]", 9, {"a": {"1": {"5": 9}}}),
    ({"a": [1]}, "a[5]", 9, {"a": [1, None, None, None, None, 9]}),
    ({}, ".[0]", 9, {"": [9]}),
    ({}, "[1]", 9, {"": [None, 9]}),
    ({}, "g[0", 9, {"g": [9]}),
    ({}, "g]0", 9, {"g": [9]}),
    ({}, "a b.c", 1, {"a b": {"c": 1}}),
    ({"length": 1}, "length", 2, {"length": 2}),
    (None, "a", 1, {"a": 1}),
    (3, "a.b", 1, {"a": {"b": 1}}),
]

ERASED: list[tuple[Any, str, Any]] = [
    ({"a": [1, 2, 3]}, "a[1]", {"a": [1, None, 3]}),
    ({"a": [1, 2, 3]}, "a[2]", {"a": [1, 2, None]}),
    ({"a": [1, 2, 3]}, "a.0", {"a": [None, 2, 3]}),
    ({"a": [1]}, "a[7]", {"a": [1]}),
    ({"a": 1, "b": 2}, "a", {"b": 2}),
    ({"b": 2}, "a", {"b": 2}),
    ({"a": {"b": 1, "c": 2}}, "a.b", {"a": {"c": 2}}),
    ({"a": {"1": 1}}, "a[1]", {"a": {}}),
    ({}, "x.y", {"x": {}}),
    ({}, "x[3]", {"x": []}),
    ({"a": 3}, "a.b", {"a": {}}),
    ([1, 2], "0", [None, 2]),
]

# What the Node server accepts, and loses the value of.
LOST: list[tuple[Any, str]] = [
    ({"a": [1, 2]}, "a.foo"),
    ({"a": [1, 2]}, "a[-1]"),
    ({"a": [1, 2]}, "a[x]"),
    ({"a": [1, 2]}, "a.01"),
    ({"a": [1, 2]}, "a.foo.b"),
    ({"a": [1, 2]}, "a.length"),
    ({}, "a[x]"),
    ({}, "a[-1]"),
    ({"a": 3}, "a[15e-1].b"),
    ([1, 2], "[1]"),
    ([1, 2], "a"),
    ([1, 2], "length"),
]

KEYS = st.sampled_from(["a", "b", "0", "1", "2"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.just("x"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=3) | st.lists(VALUES, max_size=3)
PATHS = st.lists(st.sampled_from(["a", "b", ".a", ".0", ".1", "[0]", "[2]", "[x]", ". b"]), min_size=1, max_size=5).map(
    "".join
)
CHANGES = st.tuples(PATHS, VALUES | st.just(UNDEFINED))


def as_javascript(data: Any, tokens: tuple[str | int, ...], value: Any) -> Any:
    """
    The pseudo code of the specification, on a deep copy: objects and arrays as maps from text to value. C{LookupError}
    where an array would get a key that JSON drops.
    """
    root = plain(data)
    node = root
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        key = str(token)
        if node["array"] and (not key.isdigit() or str(int(key)) != key):
            raise LookupError(key)
        if following is None:
            if value is UNDEFINED:
                if not node["array"]:
                    node["items"].pop(key, None)
                elif key in node["items"]:
                    node["items"][key] = None
            else:
                node["items"][key] = plain(value)
        else:
            if not isinstance(node["items"].get(key), dict):
                node["items"][key] = {"array": type(following) is not str, "items": {}}
            node = node["items"][key]
    return python(root)


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return {"array": True, "items": {str(i): plain(item) for i, item in enumerate(value)}}
    if isinstance(value, dict):
        return {"array": False, "items": {key: plain(item) for key, item in value.items()}}
    return value


def python(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: python(item) for key, item in value["items"].items()}
    if not value["array"]:
        return items
    return [items.get(str(i)) for i in range(max(map(int, items), default=-1) + 1)]


def nested(depth: int) -> Any:
    """
    A value of that many arrays in each other.
    """
    return loads("[" * depth + "]" * depth)


class AlikeTests(SynchronousTestCase):
    """
    Which changes come out the same in clients of v2 and in later ones.
    """

    def alike(self, data: Any, *paths: str) -> None:
        for path in paths:
            for value in (1, [1]):
                self.assertEqual(
                    write_at(data, path, value)[:2], (set_at(data, parse(path), value), True), (data, path)
                )

    def different(self, data: Any, *paths: str) -> None:
        for path in paths:
            for value in (1, [1], UNDEFINED):
                self.assertEqual(
                    write_at(data, path, value)[:2], (set_at(data, parse(path), value), False), (data, path)
                )

    def test_ordinary(self) -> None:
        """
        All clients find existing places alike, and create the same containers if no number follows a point.
        """
        self.alike(
            {"a": {"b": [[0], {"c": 1}]}}, "a", "0", "a.b", "a.b[0]", "a.b.0", "a.b[1].c", "a.b[0][7]", "a.x.y.z"
        )
        self.alike({}, "a.b.c", "a[3].b", "a[0][1]", " a . b ")
        self.alike([{"a": 1}], "0.a", "7.a")

    def test_erase(self) -> None:
        """
        Where there is nothing to erase in, clients of v2 do nothing, the others make what leads there.
        """
        for path in ("a.b", "a[0].b", "l[3].b"):
            self.assertEqual(write_at({"l": []}, path, UNDEFINED)[1], False)
            self.assertEqual(write_at({"l": []}, path, 1)[1], True)
        self.assertEqual(write_at({"a": {}}, "a.b", UNDEFINED)[:2], ({"a": {}}, True))

    def test_on_the_way(self) -> None:
        """
        Clients of v2 throw on scalars and null on the way, whatever has brought them there.
        """
        for value in (None, 0, "", "text", False, [None]):
            self.different({"a": {"b": value}}, "a.b[0].c", "a.b.0.c")
        self.alike({"a": {"b": None}}, "a.b", "a.c.d")

    def test_dotted_numbers(self) -> None:
        """
        Where nothing is yet clients of v2 make an array for any number, the others for numbers in brackets.
        """
        self.different({}, "a.0", "a.b.1.c", "a.-1", "a.1e3", "a.Infinity", "pets.0.name", "users.48213.name")
        self.alike({"a": {}}, "a.0")
        self.alike({"a": []}, "a.0", "a.0.b")

    def test_split(self) -> None:
        """
        Clients of v2 split paths at blanks, have no keys without a name, and cannot be told paths with separators.
        """
        self.different({}, "a\x1eb", "a.b\x1f", "a b", "[1]", "a.[1]", "a[01]", "a" * 300 + " b")
        self.different({"a": {}}, "a[x]")
        self.alike({}, "a" * 300)

    def test_numbers_as_keys(self) -> None:
        """
        A number behind a dot is a key where nothing is yet, as on the Node server since 2.3.7 and in the Java client,
        even if the client that writes makes an array: that would have 48213 elements before the first user.
        """
        for path, data in (
            ("users.48213.name", {"users": {"48213": {"name": "Max"}}}),
            ("users.1499772893123.name", {"users": {"1499772893123": {"name": "Max"}}}),
            ("pets.0.name", {"pets": {"0": {"name": "Max"}}}),
        ):
            self.assertEqual(write_at({}, path, "Max")[:2], (data, False))


class SetTests(SynchronousTestCase):
    """
    Writing at a path.
    """

    def change(self, data: Any, path: str, value: Any) -> Any:
        before = copy.deepcopy(data)
        try:
            return set_at(data, parse(path), value)
        finally:
            self.assertEqual(data, before)

    def test_set(self) -> None:
        """
        Each row of the table comes out as on the Node server, and the old data stays as it was.
        """
        for data, path, value, expected in SET:
            self.assertEqual(self.change(data, path, value), expected, path)

    def test_erase(self) -> None:
        """
        Keys go; elements of an array become null, so that those behind them keep their place.
        """
        for data, path, expected in ERASED:
            before = copy.deepcopy(data)
            self.assertEqual(set_at(data, parse(path), UNDEFINED), expected, path)
            self.assertEqual(data, before)

    def test_w3_null(self) -> None:
        """
        W3: null on the way is nothing; it gives place to an object or array, like any other scalar.
        """
        self.assertEqual(self.change({"a": None}, "a.b", 1), {"a": {"b": 1}})
        self.assertEqual(self.change({"a": [None]}, "a[0][1]", 1), {"a": [[None, 1]]})
        self.assertEqual(self.change({"a": None}, "a.b", UNDEFINED), {"a": {}})

    def test_w3_not_an_index(self) -> None:
        """
        W3: what is no index of an array, C{length} above all, is refused with a reason, whether written or erased.
        """
        for data, path in LOST:
            for value in (9, "text", UNDEFINED):
                error = self.assertRaises(InvalidPath, self.change, data, path, value)
                self.assertIn("is no index", str(error))

    def test_w3_huge_index(self) -> None:
        """
        W3: an index far behind the end of an array is refused instead of filling the memory with null.
        """
        most = DEFAULT_LIMITS.gap
        self.assertEqual(len(self.change({}, f"a[{most}]", 1)["a"]), most + 1)
        for path in (f"a[{most + 1}]", f"a[{most + 1}].b", "a[4000000000]"):
            self.assertIn(str(most), str(self.assertRaises(InvalidPath, self.change, {}, path, 1)))
        for path in ("a.4000000000", "a[4000000000]", f"a[{most}][9]", f"a[{most // 2}][{most}]"):
            self.assertRaises(InvalidPath, self.change, {"a": []}, f"{path}[9]", 1)

    def test_gap_is_a_setting(self) -> None:
        """
        The limit for a gap is what the caller says, for one change and for several.
        """
        limits = Limits(gap=2)
        data: Any
        for data, path, change in (({}, "a[2]", [None, None, 9]), ({"a": [1]}, "a.3", [1, None, None, 9])):
            expected = {"a": change}
            self.assertEqual(write_at(data, path, 9, limits)[0], expected)
            self.assertEqual(set_at(data, parse(path), 9, limits), expected)
            self.assertEqual(set_many(data, [(parse(path), 9)], limits), expected)
        for data, path in (({}, "a[3]"), ({}, "a[1][2]"), ({"a": [1]}, "a[4]"), ([], "[0].a[3]")):
            self.assertRaises(InvalidPath, write_at, data, path, 9, limits)
            self.assertRaises(InvalidPath, write_at, data, f" {path}", 9, limits)
            self.assertRaises(InvalidPath, set_many, data, [(parse(path), 9)], limits)

    def test_filled(self) -> None:
        """
        How many elements a write fills in is known without doing it.
        """
        for data, path, count in (
            ({}, "a.b", 0),
            ({}, "a[3]", 3),
            ({"a": [1, 2]}, "a[1]", 0),
            ({"a": [1, 2]}, "a[2]", 0),
            ({"a": [1, 2]}, "a.7", 5),
            ({"a": [1, [2]]}, "a[1][4]", 3),
            ({"a": 1}, "a[4][5]", 9),
            ({"a": {}}, "a[4]", 0),
            ([], "4", 4),
            ({"a": {"4": []}}, "a[4][2]", 2),
            ({"a": [1]}, "a.b", 0),  # another change of the same message may have made an object of it
        ):
            self.assertEqual(filled(data, parse(path)), count, (data, path))

    def test_growth(self) -> None:
        """
        The paths of a message make only so much: a long path, and many paths in one message, are refused before the
        containers on their way are all made.
        """
        limits = Limits(gap=1000, growth=4000)
        self.assertEqual(write_at({}, "a" + ".a" * 10, 9, limits)[:2], (set_at({}, ("a",) * 11, 9), True))
        for path in ("a" + ".a" * 16, "a" + "[0]" * 16, "a[600].b", "a[400].b[400].c"):
            self.assertIn("too large", str(self.assertRaises(InvalidPath, write_at, {}, path, 9, limits)))
        paths = [(f"{number}", "b", "c") for number in range(8)]
        self.assertRaises(InvalidPath, set_many, {}, [(tokens, 9) for tokens in paths], limits)
        # What is there already is not made again.
        data: Any = {tokens[0]: {"b": {}} for tokens in paths}
        self.assertEqual(len(set_many(data, [(tokens, 9) for tokens in paths], limits)), 8)

    def test_long_array(self) -> None:
        """
        The limit is for what has to be filled in: an array that is long already may grow at its end.
        """
        items = [0] * (DEFAULT_LIMITS.gap + 10)
        changed = set_at({"a": items}, parse(f"a[{len(items)}]"), 1)
        self.assertEqual(patched.plain(changed), {"a": [*items, 1]})

    def test_depth(self) -> None:
        """
        A record never becomes nested so deeply that it could not be read again.
        """
        deepest = self.change({}, ".".join("a" * (MAX_DEPTH - 5)), nested(5))
        self.assertEqual(loads(dumps(deepest)), deepest)
        self.assertFalse(deeper_than(deepest, MAX_DEPTH))
        error = self.assertRaises(InvalidPath, self.change, {}, ".".join("a" * (MAX_DEPTH - 5)), nested(6))
        self.assertIn("nested", str(error))
        deepest = self.change({}, ".".join("a" * MAX_DEPTH), 1)
        self.assertEqual(loads(dumps(deepest)), deepest)

    def test_shared(self) -> None:
        """
        Data that a write does not change is shared with the old data, and not copied.
        """
        data: Any = {"a": {"b": {"c": 1}, "d": {}}, "e": [{}]}
        changed = set_at(data, parse("a.b.c"), 2)
        self.assertIs(changed["e"], data["e"])
        self.assertIs(changed["a"]["d"], data["a"]["d"])
        self.assertIsNot(changed["a"]["b"], data["a"]["b"])

    def test_no_token(self) -> None:
        """
        Without a token there is no place.
        """
        self.assertRaises(InvalidPath, set_at, {}, (), 1)

    def test_long_key_in_reason(self) -> None:
        """
        A reason does not repeat keys of any length.
        """
        error = self.assertRaises(InvalidPath, self.change, [1], "x" * 5000, 1)
        self.assertLess(len(str(error)), 200)

    @settings(max_examples=400, deadline=None, derandomize=True)
    @given(RECORDS, PATHS, VALUES | st.just(UNDEFINED))
    def test_model(self, data: Any, path: str, value: Any) -> None:
        """
        Any write comes out as the specification's algorithm would have it on a deep copy, and changes no old data.
        """
        tokens = parse(path)
        before, given_value = json.dumps(data), copy.deepcopy(value)
        try:
            expected = as_javascript(data, tokens, value)
        except LookupError:
            self.assertRaises(InvalidPath, set_at, data, tokens, value)
        else:
            changed = set_at(data, tokens, value)
            self.assertEqual(json.dumps(changed, sort_keys=True), json.dumps(expected, sort_keys=True))
            # Nor does a write to the result reach the value that was written.
            set_at(changed, tokens, 0)
        self.assertEqual(json.dumps(data), before)
        self.assertEqual(value, given_value)


class SetManyTests(SynchronousTestCase):
    """
    Writing at several paths at once.
    """

    def test_in_order(self) -> None:
        """
        Later changes see earlier ones; a value without anything erases.
        """
        changes = [(parse("a.b"), 1), (parse("a.c"), 2), (parse("a.b"), UNDEFINED), (parse("l[1]"), 3)]
        self.assertEqual(set_many({"x": 0}, changes), {"x": 0, "a": {"c": 2}, "l": [None, 3]})
        self.assertEqual(set_many({"x": 0}, []), {"x": 0})

    def test_values_untouched(self) -> None:
        """
        A value that is written and then written into stays what it was: it is also what subscribers are sent.
        """
        value = {"deep": [1]}
        changed = set_many({}, [(parse("a"), value), (parse("a.deep[0]"), 2), (parse("b"), value)])
        self.assertEqual(changed, {"a": {"deep": [2]}, "b": {"deep": [1]}})
        self.assertEqual(value, {"deep": [1]})

    def test_w3_all_or_nothing(self) -> None:
        """
        W3: one place that cannot be refuses all, and the old data stays as it was.
        """
        data = {"a": {"b": [1]}}
        self.assertRaises(InvalidPath, set_many, data, [(parse("a.b[0]"), 2), (parse("a.b.length"), 0)])
        self.assertEqual(data, {"a": {"b": [1]}})

    def test_w3_gaps_together(self) -> None:
        """
        W3: the limit for filling gaps is for all changes of a message together; many small paths make no huge record.
        """
        half = DEFAULT_LIMITS.gap // 2
        changed = set_many({}, [(parse(f"a[{half}]"), 1), (parse(f"b[{half}]"), 1)])
        self.assertEqual([len(changed["a"]), len(changed["b"])], [half + 1, half + 1])
        self.assertRaises(
            InvalidPath, set_many, {}, [(parse(f"a[{half}]"), 1), (parse(f"b[{half}]"), 1), (parse("c[2]"), 1)]
        )

    def test_copied_once(self) -> None:
        """
        However many places of a big array are written, it is copied once.
        """

        class Counting(list[Any]):
            copies = 0

            def copy(self) -> list[Any]:
                Counting.copies += 1
                return list(self)

        set_many({"a": Counting([0] * 100)}, [(parse(f"a[{i}]"), 1) for i in range(100)])
        self.assertEqual(Counting.copies, 1)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(RECORDS, st.lists(CHANGES, max_size=5))
    def test_one_by_one(self, data: Any, changes: list[tuple[str, Any]]) -> None:
        """
        Several changes at once are what they are one after the other.
        """
        before = copy.deepcopy((data, changes))
        expected = data
        try:
            for path, value in changes:
                expected = set_at(expected, parse(path), value)
        except InvalidPath:
            self.assertRaises(InvalidPath, set_many, data, [(parse(path), value) for path, value in changes])
        else:
            self.assertEqual(set_many(data, [(parse(path), value) for path, value in changes]), expected)
        self.assertEqual((data, changes), before)
