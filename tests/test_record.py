"""
Records, and changes of them.
"""

from __future__ import annotations

import resource
from collections.abc import Generator
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import paths
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, loads
from dstwist.protocol.message import Message
from dstwist.protocol.nesting import MAX_DEPTH, looking_deeper
from dstwist.protocol.patched import PATCHED
from dstwist.protocol.path_tokens import InvalidPath
from dstwist.protocol.paths import set_at
from dstwist.protocol.typed import UNDEFINED
from dstwist.record import NO_RECORD, Change, Record

A = RecordAction
OLD = Record(3, {"a": 1, "b": {"c": 2}})


def change(action: RecordAction, data: Any = None, path: str | None = None, old: Record = OLD) -> Change:
    """
    The change that a write makes of C{old}.
    """
    return Change(old, Message(Topic.RECORD, action, "r", data, path=path, version=4))


class RecordTests(SynchronousTestCase):
    """
    L{Record}.
    """

    def test_equal(self) -> None:
        """
        Records with the same version and data are equal, whether or not their JSON text has been made.
        """
        record = Record(1, {"a": 1})
        self.assertEqual(record.json, b'{"a":1}')
        self.assertEqual(record, Record(1, {"a": 1}))
        self.assertNotEqual(record, Record(2, {"a": 1}))

    def test_json_is_made_once(self) -> None:
        """
        All that need the JSON text of a record get the same object.
        """
        record = Record(1, {"a": [1, 2]})
        self.assertIs(record.json, record.json)

    def test_json_is_no_larger_than_it_is(self) -> None:
        """
        The JSON text of a small record takes no more memory than its length: orjson's own has a buffer of 4 KiB.
        """
        records = [Record(1, {"n": number}) for number in range(2000)]
        # That these buffers were touched makes them resident; all others are not counted.
        before = resident()
        kept = [record.json for record in records]
        self.assertLess(resident() - before, 2000 * 1024)
        self.assertEqual(len(kept), 2000)

    def test_patched(self) -> None:
        """
        The data of a record is always ordinary, and its content until then shares memory with the versions before it.
        """
        data = {f"k{number}": number for number in range(2000)}
        record = Record(1, set_at(data, ("k7",), 1))
        self.assertIn(type(record.content), PATCHED)
        expected = data | {"k7": 1}
        for new in (lambda: record.data, lambda: loads(record.json), lambda: Record(1, record.content).data):
            self.assertEqual(new(), expected)
            self.assertIs(type(new()), dict)
        self.assertIs(record.data, record.content)
        self.assertEqual(record, Record(1, expected))
        self.assertEqual(Record(1, set_at(data, ("k7",), 1)), record)
        self.assertEqual(Record(1, set_at(data, ("k7",), 1)).weigh(), record.weigh())
        self.assertEqual(data["k7"], 7)

    def test_other_thread(self) -> None:
        """
        A thread that writes the JSON text of a version gets that version, whatever is written meanwhile.
        """
        record = Record(0, {"rows": [{"n": 0} for _ in range(1000)]})
        expected, versions = [], []
        rows = [0] * 1000
        for number in range(1, 1001):
            rows[number % 7] = number
            record = Record(number, set_at(record.content, ("rows", number % 7, "n"), number))
            versions.append(record)
            expected.append(sum(rows))
        made: list[int] = []
        thread = Thread(
            target=lambda: made.extend(sum(row["n"] for row in loads(each.json)["rows"]) for each in versions)
        )
        thread.start()
        while thread.is_alive():
            record = Record(0, set_at(record.content, ("rows", 7, "n"), 0))
        thread.join()
        self.assertEqual(made, expected)


def resident() -> int:
    """
    The memory of this process, in bytes.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class ChangeTests(SynchronousTestCase):
    """
    L{Change}: the fields of a write say what it does, whatever its action is called.
    """

    #: Action, data, path; the effect, the changes, the new data.
    CASES: tuple[tuple[RecordAction, Any, str | None, RecordAction, list[tuple[str | None, Any]], Any], ...] = (
        (A.UPDATE, b'{"x":1}', None, A.UPDATE, [(None, {"x": 1})], {"x": 1}),
        (A.UPDATE, "O[1]", None, A.UPDATE, [(None, [1])], [1]),
        (A.UPDATE, b"5", "a", A.PATCH, [("a", 5)], {"a": 5, "b": {"c": 2}}),
        (A.UPDATE, None, "a", A.ERASE, [("a", UNDEFINED)], {"b": {"c": 2}}),
        (A.CREATEANDUPDATE, b"{}", None, A.UPDATE, [(None, {})], {}),
        (A.CREATEANDUPDATE, b"5", "a", A.PATCH, [("a", 5)], {"a": 5, "b": {"c": 2}}),
        (A.PATCH, b"5", "b.c", A.PATCH, [("b.c", 5)], {"a": 1, "b": {"c": 5}}),
        (A.PATCH, "N5", "b.c", A.PATCH, [("b.c", 5)], {"a": 1, "b": {"c": 5}}),
        (A.PATCH, b"null", "a", A.PATCH, [("a", None)], {"a": None, "b": {"c": 2}}),
        (A.PATCH, None, "a", A.ERASE, [("a", UNDEFINED)], {"b": {"c": 2}}),
        (A.PATCH, "U", "a", A.ERASE, [("a", UNDEFINED)], {"b": {"c": 2}}),
        (A.PATCH, b"{}", None, A.UPDATE, [(None, {})], {}),
        (A.CREATEANDPATCH, b"5", "a", A.PATCH, [("a", 5)], {"a": 5, "b": {"c": 2}}),
        (A.CREATEANDPATCH, None, "a", A.ERASE, [("a", UNDEFINED)], {"b": {"c": 2}}),
        (A.ERASE, None, "b", A.ERASE, [("b", UNDEFINED)], {"a": 1}),
        (A.ERASE, b"5", "b", A.PATCH, [("b", 5)], {"a": 1, "b": 5}),
        (A.ERASE, b"{}", None, A.UPDATE, [(None, {})], {}),
        (
            A.PATCH_MULTI,
            b'[{"path":"a","data":2},{"path":"b"}]',
            None,
            A.PATCH_MULTI,
            [("a", 2), ("b", UNDEFINED)],
            {"a": 2},
        ),
    )

    def test_effects(self) -> None:
        """
        The effect, the changes and the new data of every kind of write.
        """
        for action, data, path, effect, changes, new in self.CASES:
            made = change(action, data, path)
            self.assertEqual((made.action, made.changes, made.data), (effect, changes, new), (action, data, path))
            self.assertEqual(made.erases, any(value is UNDEFINED for _, value in changes))
            self.assertIs(made.old, OLD)
        self.assertEqual(OLD, Record(3, {"a": 1, "b": {"c": 2}}))

    def test_made_once(self) -> None:
        """
        The rules, the stores and the subscribers get the same data.
        """
        made = change(A.PATCH, b"5", "b.c")
        self.assertIs(made.data, made.data)
        self.assertIs(made.data["b"], made.data["b"])

    def test_long_values(self) -> None:
        """
        Of a long value at a path it is looked how deeply it is nested only if its text has enough brackets for that.
        """
        looked: list[Any] = []

        def looking(value: Any, depth: int) -> Generator[None, None, bool]:
            looked.append(value)
            return looking_deeper(value, depth)

        self.patch(paths, "looking_deeper", looking)
        numbers = b"[%s]" % b",".join([b"1"] * READ_IN_PARTS_LENGTH)
        for depth, seen in ((2, 0), (MAX_DEPTH - 1, 0), (MAX_DEPTH, 1)):
            value = b"[" * (depth - 1) + numbers + b"]" * (depth - 1)
            for data in (value, "O" + value.decode()):
                looked.clear()
                made = change(A.PATCH, data, "a")
                for _ in made.computing():
                    pass
                self.assertEqual(len(looked), seen)
                if seen:
                    self.assertRaises(InvalidPath, made.apply)
                else:
                    self.assertTrue(made.data["a"] == loads(value))

    def test_nothing(self) -> None:
        """
        A record that does not exist is changed as if it were an empty object.
        """
        self.assertEqual(change(A.PATCH, b"5", "b.c", NO_RECORD).data, {"b": {"c": 5}})

    def test_nonsense(self) -> None:
        """
        A write that makes no sense raises, as often as it is asked for its data.
        """
        for action, data, path, problem in (
            (A.UPDATE, b"5", None, ValueError),
            (A.UPDATE, None, None, ValueError),
            (A.PATCH, b"5", "constructor", InvalidPath),
            (A.PATCH, b"5", "", InvalidPath),
            (A.PATCH_MULTI, b"{}", None, ValueError),
            (A.PATCH_MULTI, b"[]", None, ValueError),
            (A.PATCH_MULTI, b'[{"data":1}]', None, ValueError),
        ):
            made = change(action, data, path)
            for _ in range(2):
                self.assertRaises(problem, lambda made=made: made.data)

    def test_large(self) -> None:
        """
        The new data of a large record is ordinary as well. The new record need not make it.
        """
        old = Record(3, [0] * 2000)
        made = change(A.PATCH, b"5", "7", old)
        self.assertIn(type(made.apply()), PATCHED)
        self.assertEqual(made.data, [0] * 7 + [5] + [0] * 1992)
        self.assertIs(made.apply(), made.data)
        self.assertEqual(old.data, [0] * 2000)
        self.assertEqual(change(A.PATCH_MULTI, b'[{"path":"7","data":5}]', None, old).data, made.data)

    def test_alike(self) -> None:
        """
        Clients of v2 and v3 take a dotted number for an index where nothing is yet, so they do not get to the new data
        by the path.
        """
        for path, alike in (("b.c", True), ("new.0", False)):
            made = change(A.PATCH, b"5", path)
            self.assertEqual((made.data is not None, made.alike), (True, alike))
