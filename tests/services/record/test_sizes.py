"""
How large records may become, and what it costs to know that.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist import record as record_module
from dstwist.protocol import drafts, patched, paths
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Message
from dstwist.protocol.patched import PatchedArray, PatchedObject, plain
from dstwist.protocol.typed import to_typed
from dstwist.protocol.weights import weigh_json
from dstwist.record import NO_RECORD, Change, Record
from dstwist.services.record import sizes as record_sizes
from dstwist.services.record.sizes import WEIGHT_PER_TEXT_BYTE, RecordSizes


def write(path: str | None, text: bytes | str | None, action: RecordAction = RecordAction.PATCH) -> Message:
    return Message(Topic.RECORD, action, "a", text, path=path, version=1)


def several(*changes: tuple[str, Any]) -> Message:
    data = dumps([{"path": path, "data": value} for path, value in changes])
    return Message(Topic.RECORD, RecordAction.PATCH_MULTI, "a", data, version=1)


def memory(data: Any) -> int:
    """
    What data takes in memory, with its JSON text: from below, as every key may be shared. Patched containers take what
    their base takes as well; containers in both are counted once.
    """
    total = len(dumps(plain(data)))
    found = [data]
    shared: set[int] = set()
    for value in found:
        if isinstance(value, dict | list):
            if id(value) in shared:
                continue
            shared.add(id(value))
        if isinstance(value, PatchedObject | PatchedArray):
            total += 72
            found += [value.base, value.changed]
        elif isinstance(value, dict):
            total += 184 if 0 < len(value) <= 5 else 64 + 20 * len(value)
            found += value.values()
        elif isinstance(value, list):
            total += 56 + 8 * len(value)
            found += value
        elif isinstance(value, str):
            total += 49 + len(value)
        elif value is not None and not isinstance(value, bool):
            total += 24
    return total


TEXTS = st.text(max_size=12) | st.sampled_from(["\x00" * 20, '"' * 20, "\u20ac" * 9, "\U0001f600" * 9, "{[:,{[:,{[:,"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.just(1e15) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6), max_leaves=30
)
PATHS = st.sampled_from(
    [
        "a",
        "b",
        "a.b",
        "a.b.c",
        "d[0]",
        "d[3]",
        "d.1",
        "e[2][2]",
        "f\x00\x01\x02\x03",
        "\u20ac.x",
        "g.g.g.g.g.g.g.g",
        "a[1].b",
    ]
)
TEXT_OF: Any = {
    "compact": dumps,
    "blanks": lambda value: b" \t" + dumps(value) + b" ",
    "text client": lambda value: to_typed(dumps(value)),
}
WRITES = st.one_of(
    st.builds(lambda path, value, form: write(path, TEXT_OF[form](value)), PATHS, VALUES, st.sampled_from([*TEXT_OF])),
    st.builds(lambda path: write(path, None, RecordAction.ERASE), PATHS),
    st.builds(
        lambda value: write(None, dumps(value), RecordAction.UPDATE),
        st.dictionaries(TEXTS, VALUES, max_size=4) | st.lists(VALUES, max_size=4),
    ),
    st.lists(st.tuples(PATHS, VALUES), min_size=1, max_size=5).map(lambda changes: several(*changes)),
)


class SizesTests(SynchronousTestCase):
    """
    L{RecordSizes}.
    """

    def setUp(self) -> None:
        self.measured = 0
        real = dumps

        def counting(data: Any) -> bytes:
            self.measured += 1
            return real(data)

        self.patch(record_module, "dumps", counting)
        self.sizes = RecordSizes(1000, 100)

    def serve(self, record: Record, message: Message) -> Record:
        return self.sizes.make(record.version + 1, Change(record, message, self.sizes.limits))

    def refused(self, record: Record, message: Message) -> str:
        return str(self.assertRaises(ValueError, self.serve, record, message))

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.lists(WRITES, min_size=1, max_size=20), st.sampled_from([300, 1000, 10**6]))
    def test_from_above(self, writes: list[Message], limit: int) -> None:
        """
        Whatever is written, the weight of a record is not below the memory that it takes, and no record is larger than
        it may be. No write is refused for its size that has no right to be.
        """
        sizes = RecordSizes(limit, 100)
        record = Record(0, {})
        for message in writes:
            change = Change(record, message, sizes.limits)
            try:
                record = sizes.make(record.version + 1, change)
            except ValueError as error:
                if "a record" in str(error):
                    text = dumps(change.data)
                    self.assertTrue(len(text) > limit or weigh_json(text) > WEIGHT_PER_TEXT_BYTE * limit)
                continue
            assert record.weight is not None
            self.assertGreaterEqual(record.weight, 0.9 * memory(record.data), record)
            self.assertLessEqual(len(dumps(record.data)), limit)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.data())
    def test_large_from_above(self, data: st.DataObject) -> None:
        """
        The weight of a large record is not below the memory that it takes, with all that the bases keep of former
        versions. When the record is measured, its weight is that of an ordinary record with the same data.
        """
        for module in (drafts, paths):
            self.patch(module, "LARGE_ITEMS", 100)
        self.patch(patched, "_MIN_CHANGES", data.draw(st.sampled_from([4, 20])))
        sizes = RecordSizes(10**6, 100)
        rows = [{"n": number, "s": "text", "deep": {"a": [0]}} for number in range(120)]
        keys: Any = {f"k{number}": number for number in range(120)}
        record = Record(
            0, data.draw(st.sampled_from([rows, keys, {"rows": rows}, {"a": {"keys": keys, "rows": rows}}]))
        )
        places = ["k7", "k8", "k119", "new", "7.n", "8.deep.a[0]", "9.s", "120", "rows[7].n", "rows[8].deep.a[0]"]
        places += [
            "rows[9].s",
            "rows[120].x",
            "rows[10]",
            "a.keys.k7",
            "a.keys.new.x",
            "a.rows[7].deep.a[0]",
            "a.keys.k9",
        ]
        writes = st.one_of(
            st.builds(lambda path, value: write(path, dumps(value)), st.sampled_from(places), VALUES),
            st.builds(lambda path, value: write(path, dumps(value)), st.sampled_from(places), st.integers()),
            st.builds(lambda path: write(path, None, RecordAction.ERASE), st.sampled_from(places)),
            st.lists(st.tuples(st.sampled_from(places), VALUES), min_size=1, max_size=9).map(
                lambda each: several(*each)
            ),
        )
        for message in data.draw(st.lists(writes, min_size=1, max_size=60)):
            self.measured = 0
            try:
                record = sizes.make(record.version + 1, Change(record, message, sizes.limits))
            except ValueError:
                continue
            assert record.weight is not None
            if self.measured:
                self.assertEqual(record.weight, weigh_json(dumps(plain(record.content))))
            self.assertGreaterEqual(record.weight, 0.9 * memory(record.content))
        self.assertEqual(Record(0, record.content).weigh(), weigh_json(record.json))

    def test_memory(self) -> None:
        """
        A record whose text is short enough may be too large for the memory, whole or by path.
        """
        arrays = b"[" + b"[]," * 300 + b"[]]"
        self.assertIn("bytes of memory", self.refused(Record(0, {}), write(None, arrays, RecordAction.UPDATE)))
        self.assertIn("bytes of memory", self.refused(Record(0, {}), write("a", arrays)))
        self.assertIn("bytes of memory", self.refused(Record(0, {}), several(("a", loads(arrays)))))
        record = Record(0, {})
        for number in range(1000):
            message = write(f"a{number}.b", b"{}")
            try:
                record = self.serve(record, message)
            except ValueError as error:
                self.assertIn("bytes of memory", str(error))
                break
        self.assertLess(weigh_json(dumps(record.data)), WEIGHT_PER_TEXT_BYTE * 1000)
        self.assertGreater(weigh_json(dumps(record.data)), WEIGHT_PER_TEXT_BYTE * 900)

    def test_text(self) -> None:
        """
        The text has a limit of its own: for a long text the memory is the smaller part.
        """
        self.assertIn("more than 1000 bytes", self.refused(Record(0, {}), write("a", dumps("x" * 1000))))
        record = self.serve(Record(0, {}), write("a", dumps("x" * 900)))
        self.assertIn("more than 1000 bytes", self.refused(record, write("b", dumps("x" * 100))))

    def test_short_memory(self) -> None:
        """
        The text that measures a record is kept for the answers to clients, unless memory is short.
        """
        for plenty in (True, False):
            self.patch(record_sizes, "has_plenty", lambda plenty=plenty: plenty)
            self.sizes = RecordSizes(1000, 100)
            record = self.sizes._measured(Record(1, {"a": "x" * 500}), Record(0, {}))
            self.measured = 0
            self.assertEqual(loads(record.json), {"a": "x" * 500})
            self.assertEqual(self.measured, 0 if plenty else 1)

    def test_shrinks(self) -> None:
        """
        A record that is larger than it may be by now, in either way, may become smaller step by step.
        """
        for data in ({"a": "x" * 3000, "b": "y" * 500, "c": 0}, {"a": [[] for _ in range(300)], "b": [[[]]], "c": 0}):
            record = Record(0, data)
            self.refused(record, write("c", b"100"))
            self.refused(record, write("d", b"1"))
            record = self.serve(record, write("b", None, RecordAction.ERASE))
            self.refused(record, write("b", b'"yyyyyyyyyyyy"'))
            record = self.serve(record, write("a", b"1"))
            self.serve(record, write("b", b'"yyyyyyyyyyyy"'))

    def test_seldom_measured(self) -> None:
        """
        What a record weighs is estimated; small patches of a large record have it measured once in many times, as long
        as it is far from its limits.
        """
        self.sizes = RecordSizes(10**6, 1000)
        record = self.serve(NO_RECORD, write(None, dumps({f"k{n}": n for n in range(3000)}), RecordAction.UPDATE))
        for number in range(5000):
            record = self.serve(record, write(f"k{number % 3000}", dumps(number)))
        for number in range(1000):
            record = self.serve(record, write(f"n{number}", dumps(number)))
        self.assertLess(self.measured, 10)
        self.measured = 0
        small = Record(0, {"position": {"x": 1.5}})
        for number in range(5000):
            small = self.serve(small, write("position.x", dumps(number + 0.5)))
        self.assertLess(self.measured, 150)
        self.assertLess(small.weigh(), 10_000)

    def test_weighed_once(self) -> None:
        """
        A text that has the record measured for its length alone is not weighed before.
        """
        weighed: list[int] = []

        def weigh(text: bytes | str) -> int:
            weighed.append(len(text))
            return weigh_json(text)

        self.patch(record_sizes, "weigh_json", weigh)
        self.sizes = RecordSizes(10**6, 1000)
        for text in (dumps([1] * 50_000), to_typed(dumps([1] * 50_000))):
            self.serve(Record(0, {}), write("a", text))
            self.assertEqual(len(weighed), 1)
            weighed.clear()

    def test_large_keeps_copies(self) -> None:
        """
        The first write to an item of a large container counts the copy of the item, since the base keeps the item.
        """
        self.sizes = RecordSizes(8 * 10**6, 1000)
        rows = [{f"k{number}": 0 for number in range(100)} for _ in range(1000)]
        record = self.serve(NO_RECORD, write(None, dumps(rows), RecordAction.UPDATE))
        first = self.serve(record, write("7.k1", b"1"))
        second = self.serve(first, write("7.k2", b"1"))
        self.assertGreater(first.weigh() - record.weigh(), 5000)
        self.assertLess(second.weigh() - first.weigh(), 1000)

    def test_large_seldom_measured(self) -> None:
        """
        A large record is measured for the memory that it takes since the last time, and not for each patch.
        """
        self.sizes = RecordSizes(8 * 10**6, 1000)
        rows = [{"n": number, "name": f"the name of {number}"} for number in range(10_000)]
        record = self.serve(NO_RECORD, write(None, dumps({"rows": rows}), RecordAction.UPDATE))
        for number in range(5000):
            record = self.serve(record, write(f"rows[{number}].n", b"1"))
        self.assertLess(self.measured, 5)

    def test_appended(self) -> None:
        """
        An array that grows at its end is not measured each time, however long it is.
        """
        self.sizes = RecordSizes(10**6, 1000)
        record = self.serve(NO_RECORD, write(None, dumps({"list": [0] * 5000}), RecordAction.UPDATE))
        for number in range(5000, 5500):
            record = self.serve(record, write(f"list[{number}]", b"1"))
        self.assertLess(self.measured, 3)
