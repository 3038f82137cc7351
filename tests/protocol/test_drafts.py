"""
Tests for L{dstwist.protocol.drafts}: changes of data with large containers. C{test_paths.py} has the changes of small
data.
"""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import drafts, patched, paths
from dstwist.protocol.drafts import Limits
from dstwist.protocol.patched import ARRAYS, OBJECTS, PATCHED, PatchedArray, PatchedObject, plain
from dstwist.protocol.path_tokens import InvalidPath, parse
from dstwist.protocol.paths import filled, set_at, set_many, write_at
from dstwist.protocol.typed import UNDEFINED
from tests.protocol.test_paths import CHANGES, KEYS, PATHS, VALUES, as_javascript

LARGE_VALUES = st.recursive(
    st.none() | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)
RECORDS = st.dictionaries(KEYS, LARGE_VALUES, max_size=5) | st.lists(LARGE_VALUES, max_size=6)

#: Paths that meet each other often.
FEW_PATHS = st.sampled_from(
    ["a", "b", "a.a", "a.b", "a.0", "a[1]", "a[5]", "a.b.a", "a.b[0]", "0", "1", "2.a", "7", "b.a.1", "b.a.a"]
)
FEW_CHANGES = st.tuples(FEW_PATHS, st.integers(0, 9) | VALUES | st.just(UNDEFINED))

#: The changes of one write, and whether somebody needs the result as an ordinary value.
WRITES = st.tuples(
    st.lists(CHANGES | FEW_CHANGES, min_size=1, max_size=4) | FEW_CHANGES.map(lambda change: [change]),
    st.sampled_from([False, False, False, True]),
)

LARGE = 1500


def text(value: Any) -> str:
    """
    A text that is the same for equal values. Unlike with C{==}, C{True} is not 1.
    """
    return json.dumps(value, sort_keys=True)


def patched_within(value: Any) -> list[Any]:
    """
    The patched containers anywhere in an ordinary value.
    """
    found: list[Any] = []
    seen = [value]
    for each in seen:
        if type(each) in PATCHED:
            found.append(each)
            seen += [each.base, each.changed]
        elif isinstance(each, dict):
            seen += each.values()
        elif isinstance(each, list):
            seen += each
    return found


def ordinary_parts(value: Any) -> list[Any]:
    """
    The ordinary values in patched containers that begin at the root.
    """
    if type(value) not in PATCHED:
        return [value]
    items = [*(value.base.values() if isinstance(value.base, dict) else value.base), *value.changed.values()]
    return [part for item in items for part in ordinary_parts(item)]


class ModelTests(SynchronousTestCase):
    """
    Data in which three items are large, and two changed items are many.
    """

    def setUp(self) -> None:
        for module in (drafts, paths):
            self.patch(module, "LARGE_ITEMS", 3)
        self.patch(patched, "_MIN_CHANGES", 2)

    @settings(max_examples=250, deadline=None, derandomize=True)
    @given(RECORDS, st.lists(WRITES, max_size=20))
    def test_model(self, data: Any, writes: list[tuple[list[tuple[str, Any]], bool]]) -> None:
        """
        Any writes come out as the specification's algorithm would have them on a deep copy. Whoever keeps a version,
        or a value that was written, never sees it change.
        """
        content = data
        kept = [(data, text(data))]
        for changes, is_read in writes:
            tokens = [(parse(path), value) for path, value in changes]
            values = [(value, text(value)) for _, value in changes if value is not UNDEFINED]
            try:
                expected = plain(content)
                for place, value in tokens:
                    expected = as_javascript(expected, place, value)
            except LookupError:
                self.assertRaises(InvalidPath, set_many, content, tokens)
                continue
            if len(changes) > 1:
                content = set_many(content, tokens)
            else:
                ((path, value),) = changes
                ordinary = plain(content)
                self.assertEqual(filled(content, parse(path)), filled(ordinary, parse(path)))
                alike = write_at(ordinary, path, value)[1]
                content, found_alike, _ = write_at(content, path, value)
                self.assertEqual(found_alike, alike)
            self.assertEqual(text(plain(content)), text(expected))
            for part in ordinary_parts(content):
                self.assertEqual(patched_within(part), [])
            kept += [(content, text(expected)), *values]
            if is_read:
                content = plain(content)
        for value, before in kept:
            self.assertEqual(text(plain(value)), before)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(RECORDS, st.lists(st.tuples(PATHS, VALUES), max_size=6))
    def test_read(self, data: Any, changes: list[tuple[str, Any]]) -> None:
        """
        Patched containers are read as ordinary ones are.
        """
        content = data
        for path, value in changes:
            try:
                content = set_at(content, parse(path), value)
            except InvalidPath:
                continue
        pairs = [(content, plain(content))]
        for container, ordinary in pairs:
            if type(container) in OBJECTS:
                for key in ["a", "b", "0", "1", "2", "missing"]:
                    self.assertEqual(key in container, key in ordinary)
                    pairs.append((container.get(key), ordinary.get(key)))
                    self.assertIs(container.get(key, UNDEFINED) is UNDEFINED, key not in ordinary)
            elif type(container) in ARRAYS:
                self.assertEqual(len(container), len(ordinary))
                pairs += [(container[index], ordinary[index]) for index in range(len(ordinary))]
            else:
                self.assertEqual(text(container), text(ordinary))


class LargeTests(SynchronousTestCase):
    """
    Data that is really large.
    """

    def setUp(self) -> None:
        self.copies = 0

        def counting(container: Any) -> Any:
            self.copies += len(container) >= LARGE
            return copy.copy(container)

        self.patch(patched, "copied", counting)
        self.patch(drafts, "copied", counting)

    def test_not_copied(self) -> None:
        """
        A write to a large container copies only what has changed, wherever the container is.
        """
        keys = {f"k{number}": number for number in range(LARGE)}
        rows = [{"n": number} for number in range(LARGE)]
        for data, path in (
            (keys, "k7"),
            ({"a": {"b": keys}}, "a.b.k7"),
            (rows, "7.n"),
            ({"rows": rows}, "rows[7].n"),
            ({"rows": rows}, f"rows[{LARGE}]"),
            ([{"rows": rows if number == 7 else []} for number in range(LARGE)], "7.rows[7].n"),
        ):
            content: Any = data
            for value in range(100):
                content = write_at(content, path, value)[0]
                self.assertEqual(self.copies, 0, path)
            expected = as_javascript(data, parse(path), 99)
            self.assertTrue(plain(content) == expected, path)
            self.copies = 0

    def test_erase_not_copied(self) -> None:
        """
        Nor does an erasure copy it.
        """
        content: Any = {f"k{number}": number for number in range(LARGE)}
        for number in range(100):
            content = set_at(content, (f"k{number}",), UNDEFINED)
            self.assertNotIn(f"k{number}", content)
        for value in (1, UNDEFINED):
            content = set_at(content, ("new",), value)
        self.assertNotIn("new", content)
        self.assertEqual(self.copies, 0)
        self.assertEqual(len(plain(content)), LARGE - 100)

    def test_merged(self) -> None:
        """
        One write in many merges, and then the changed items are few again.
        """
        count = 2000
        content: Any = {f"k{number}": 0 for number in range(LARGE)}
        most = 0
        for number in range(count):
            content = write_at(content, f"k{number % LARGE}", number)[0]
            most = max(most, len(content.changed))
        self.assertLess(self.copies, count / 100)
        self.assertGreater(self.copies, count / 200)
        self.assertLess(most, 150)

    def test_array_grows(self) -> None:
        """
        So it is if an array grows at its end.
        """
        content: Any = [0] * LARGE
        for number in range(1000):
            content = write_at(content, f"{LARGE + number}", number)[0]
        self.assertEqual(len(content), LARGE + 1000)
        self.assertLess(self.copies, 10)
        self.assertEqual(plain(content), [0] * LARGE + list(range(1000)))

    def test_merged_together(self) -> None:
        """
        When a container is merged, so are those above it. None of them keeps the base of before.
        """
        inner = {f"k{number}": number for number in range(LARGE)}
        content: Any = {f"a{number}": number for number in range(LARGE)} | {"inner": {"b": inner}}
        for number in range(300):
            content = write_at(content, f"inner.b.k{number}", -1)[0]
            if number in (100, 140, 299):
                self.assertEqual(len({id(each) for each in containers(content) if len(each) >= LARGE}), 2)

    def test_several_merge_once(self) -> None:
        """
        Several changes by one message copy a container at most once.
        """
        content = set_many([0] * LARGE, [((index,), 1) for index in range(500)])
        self.assertEqual((self.copies, plain(content)), (0, [1] * 500 + [0] * (LARGE - 500)))
        self.copies = 0
        content = set_many(content, [((index,), 2) for index in range(1000)])
        self.assertEqual((self.copies, plain(content)), (1, [2] * 1000 + [0] * (LARGE - 1000)))

    def test_several_merge_together(self) -> None:
        """
        A change that merges a container merges those above it, even if an earlier one of the same message has changed
        them.
        """
        content: Any = {f"a{number}": 0 for number in range(LARGE)} | {"b": [0] * LARGE}
        for number in range(128):
            content = set_at(content, ("b", number), 1)
        self.assertEqual(self.copies, 0)
        content = set_many(content, [(("a1",), 1), (("b", 1), 2), (("a2",), 2)])
        self.assertEqual(len({id(each) for each in containers(content) if len(each) >= LARGE}), 2)
        self.assertEqual([plain(content)[key] for key in ("a1", "a2")], [1, 2])
        self.assertEqual(plain(content)["b"][:2], [1, 2])
        content = {str(number): 0 for number in range(LARGE)} | {"m": {str(number): 0 for number in range(LARGE)}}
        content["m"]["b"] = [0] * LARGE
        for number in range(128):
            content = set_at(content, ("m", "b", number), 1)
        content = set_many(content, [(("m", "1"), 1), (("m", "b", 1), 2)])
        self.assertEqual(len({id(each) for each in containers(content) if len(each) >= LARGE}), 3)

    def test_limits(self) -> None:
        """
        The limits for what a path creates hold for large arrays as well.
        """
        for content in (
            [0] * LARGE,
            set_at([0] * LARGE, (3,), 1),
            set_many([0] * LARGE, [((n,), 1) for n in range(200)]),
        ):
            limits = Limits(gap=2)
            self.assertEqual(plain(set_at(content, (LARGE + 2,), 9, limits))[-3:], [None, None, 9])
            self.assertRaises(InvalidPath, set_at, content, (LARGE + 3,), 9, limits)
            self.assertRaises(InvalidPath, set_at, content, (LARGE, "a"), 9, Limits(growth=200))
            self.assertRaises(InvalidPath, set_at, content, ("length",), 9)
            self.assertEqual(len(content), LARGE)

    def test_other_classes(self) -> None:
        """
        A store may return containers of its own classes, which a write may refuse, but never loses.
        """
        keys = OrderedDict((f"k{number}", 0) for number in range(LARGE))
        for data, path in ((keys, "k7"), ({"a": keys}, "a.k7"), ([0] * LARGE + [keys], f"{LARGE}.k7")):
            for value in (1, [1], UNDEFINED):
                self.assertRaises(InvalidPath, write_at, data, path, value)

    def test_retained(self) -> None:
        """
        A write says how much memory it could not free, since the base has it. The next write to the same place frees
        what it replaces.
        """
        rows: Any = [{f"k{number}": 0 for number in range(100)} for _ in range(LARGE)]
        first = set_at({"rows": rows}, parse("rows[7].k1"), 1)
        self.assertGreater(first.retained, 64 * 100)
        self.assertLess(first.retained, 64 * 110)
        second = set_at(first, parse("rows[7].k2"), 2)
        self.assertEqual(second.retained, 0)
        third = set_many(second, [(parse("rows[7].k2"), 3), (parse("rows[8].k2"), 3), (parse("rows[9].k2"), 3)])
        self.assertEqual(third.retained, 2 * first.retained)
        self.assertEqual(set_at(rows, (7,), 1).retained, 0)
        for path, least in (("7.k1", 64 * 100), ("7.new", 64 * 100), ("7.large[3]", 64 * 101)):
            content: Any = [dict(rows[0]) | {"large": [0] * LARGE} for _ in range(LARGE)]
            content = write_at(content, path, 1)[0]
            self.assertGreater(content.retained, least)
            self.assertLess(content.retained, least + 1500)
            self.assertLess(write_at(content, path, 2)[0].retained, 300)
            self.assertLess(write_at(content, path, [2])[0].retained, 300)
            self.assertGreater(write_at([*plain(content)], path, [2])[0].retained, least)

    def test_beside(self) -> None:
        """
        A write beside a patched container leaves it as it is.
        """
        for path in ("x", "new", "o.x", "o.new"):
            content: Any = {"x": 0, "o": {"x": 0, "rows": [0] * LARGE}, "rows": [0] * LARGE}
            for each in ("rows[7]", "o.rows[7]", path):
                content = write_at(content, each, 1)[0]
            made = plain(content)
            self.assertEqual((made["rows"][7], made["o"]["rows"][7]), (1, 1))
            self.assertEqual(json.loads(json.dumps(made))["rows"][7], 1)


def containers(value: Any) -> list[Any]:
    """
    All ordinary containers that a value keeps in memory.
    """
    found: list[Any] = []
    seen = [value]
    for each in seen:
        if isinstance(each, (PatchedObject, PatchedArray)):
            seen += [each.base, each.changed]
        elif isinstance(each, dict | list):
            found.append(each)
            seen += each.values() if isinstance(each, dict) else each
    return found
