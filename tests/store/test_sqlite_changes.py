"""
Tests for L{dstwist.store.sqlite_changes}, with real files.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.interfaces import ANY_VERSION, Record
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.drafts import Limits
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Change
from dstwist.store import sqlite_changes, sqlite_transactions
from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_changes import MIN_SIZE, Folding
from dstwist.store.sqlite_quota import QuotaError
from dstwist.store.sqlite_rows import commit
from tests.store.stage import SqliteTestCase

#: A text that makes a record large.
LONG = "x" * MIN_SIZE


def change(old: Record, path: str | None, *value: Any, action: RecordAction = RecordAction.PATCH) -> Change:
    """
    A write at a path; without a value it erases.
    """
    data = dumps(value[0]) if value else None
    return Change(old, Message(Topic.RECORD, action, "a", data, path=path, version=old.version + 1), Limits(10**6))


def after(*changes: Change) -> Record:
    """
    The record after changes.
    """
    last = changes[-1]
    return Record(last.old.version + 1, last.data)


def patched(old: Record, path: str, *value: Any) -> tuple[Record, tuple[Change, ...]]:
    """
    The record after one write at a path, and the change.
    """
    made = change(old, path, *value)
    return after(made), (made,)


class ChangesTestCase(SqliteTestCase):
    """
    A test with a store that has one large record.
    """

    def setUp(self) -> None:
        super().setUp()
        self.store: SqliteStore = self.started(self.make())
        self.first = Record(1, {"long": LONG, "x": 0, "list": [1, 2]})
        self.result(self.store.write("a", self.first))

    def row(self) -> tuple[Any, ...] | None:
        """
        The version of the record in its row; C{None} if it has no row.
        """
        found: tuple[Any, ...] | None = (
            self.other_program().execute("SELECT version FROM records WHERE name = 'a'").fetchone()
        )
        return found

    def changes(self, columns: str = "version") -> list[Any]:
        """
        The rows of changes.
        """
        rows = self.other_program().execute(f"SELECT {columns} FROM changes ORDER BY number").fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def replace(self, record: Record, changes: tuple[Change, ...]) -> None:
        """
        Replace the record on which the changes were made.
        """
        self.assertIsNone(self.result(self.store.replace("a", changes[0].old.version, record, changes)))

    def assert_stored(self, record: Record | None) -> None:
        """
        The store has that record, and so has the next one that opens the file.
        """
        self.assertEqual(self.result(self.store.get("a")), record)
        self.assertEqual(self.result(self.store.heads(["a"])), {"a": -1 if record is None else record.version})
        self.result(self.store.stop())
        self.store = self.started(self.make())
        found = self.result(self.store.get("a"))
        self.assertEqual(found, record)
        if record is not None:
            self.assertEqual(found.json, record.json)


class AddedTests(ChangesTestCase):
    """
    The writes that are added as changes.
    """

    def test_added(self) -> None:
        """
        A small write to a large record is a row of changes. The row of the record stays.
        """
        second, changes = patched(self.first, "x", 1)
        self.replace(second, changes)
        self.assertEqual(self.row(), (1,))
        self.assertEqual(self.changes("name, version, previous, data"), [("a", 2, 1, '[["x",1]]')])
        third, changes = patched(second, "y.z", [True])
        self.replace(third, changes)
        self.assertEqual(self.changes("version, previous"), [(2, 1), (3, 2)])
        self.assert_stored(third)

    def test_small_record(self) -> None:
        """
        A small record is written whole, whether its weight is known or not.
        """
        for weighed in (True, False):
            old = Record(1, {"x": 0})
            self.result(self.store.write("a", old))
            record, changes = patched(old, "x", 1)
            if weighed:
                record.weigh()
            self.replace(record, changes)
            self.assertEqual((self.row(), self.changes()), ((2,), []))

    def test_kinds(self) -> None:
        """
        All kinds of changes: nested values, new keys, erasures, gaps, several at once, and the typed values of text
        clients.
        """
        record = Record(1, {"long": LONG * 2, "x": 0, "list": [1, 2]})
        self.result(self.store.write("a", record))
        for path, *value in (
            ("x", {"deep": [{"er": None}]}),
            ("x.deep[0].er", "\u00e9\U0001f600\u2028"),
            ("list[5000]", 1.5),
            ("list[0]",),
            ("x.deep",),
            ("new.key[1].k", 2**63),
            ("missing",),
        ):
            record, changes = patched(record, path, *value)
            self.replace(record, changes)
        many = change(record, None, [{"path": "x", "data": 3}, {"path": "list"}], action=RecordAction.PATCH_MULTI)
        self.replace(after(many), (many,))
        record = after(many)
        for typed in ("N5.25", "Stext", "T", "F", "L", 'O{"a":1}', "U"):
            message = Message(Topic.RECORD, RecordAction.PATCH, "a", typed, path="typed", version=record.version + 1)
            made = Change(record, message)
            record = after(made)
            self.replace(record, (made,))
        self.assertEqual((self.row(), len(self.changes())), ((1,), 15))
        self.assert_stored(record)

    def test_batch(self) -> None:
        """
        The writes of one transaction are one row, if each follows the one before.
        """
        second, _ = patched(self.first, "x", 1)
        third, second_changes = patched(second, "x", 2)
        fourth, third_changes = patched(third, "y", 3)
        late = self.store.replace("a", 1, after(change(self.first, "x", 9)), (change(self.first, "x", 9),))
        writes = [
            self.store.replace("a", 2, third, second_changes),
            self.store.replace("a", 3, fourth, third_changes),
        ]
        self.assertIsNone(self.result(late))
        for write in writes:
            self.assertIsNone(self.result(write))
        self.assertEqual(self.changes("version, previous"), [(4, 1)])

    def test_whole_in_batch(self) -> None:
        """
        If a transaction writes the record whole or deletes it, later writes of the transaction are not added.
        """
        second = Record(2, {"long": LONG, "x": 5})
        third, changes = patched(second, "x", 6)
        asked: list[Deferred[Any]] = [self.store.write("a", second), self.store.replace("a", 2, third, changes)]
        for write in asked:
            self.result(write)
        self.assertEqual((self.row(), self.changes()), ((3,), []))
        fourth, changes = patched(third, "x", 7)
        asked = [
            self.store.replace("a", 3, fourth, changes),
            self.store.remove("a", 4),
            self.store.replace("a", None, Record(5, {"y": 1})),
        ]
        for write in asked:
            self.assertIsNone(self.result(write))
        self.assertEqual((self.row(), self.changes()), ((5,), []))
        self.assert_stored(Record(5, {"y": 1}))

    def test_refused(self) -> None:
        """
        A write that expects the version of the row, and not of the changes, is refused and gets the whole record.
        """
        second, changes = patched(self.first, "x", 1)
        self.replace(second, changes)
        found = self.result(self.store.replace("a", 1, second, changes))
        self.assertEqual(found, second)
        self.assertEqual(self.result(self.store.remove("a", 1)), second)

    def test_other_base(self) -> None:
        """
        Changes that were made on another version than the store has are not added. A write that takes effect whatever
        there is writes the whole record.
        """
        other = Record(6, {"long": LONG, "x": 5})
        record, changes = patched(other, "x", 6)
        told: list[Any] = []
        self.store.submit("a", ANY_VERSION, record, changes, lambda *outcome: told.append(outcome), None)
        self.reactor.run_until(lambda: bool(told))
        self.assertEqual(told, [(None, None, None)])
        self.assertEqual((self.row(), self.changes()), ((7,), []))
        # In one transaction: the second write was made on a record that the first one does not make.
        for base in (record, Record(20, {"long": LONG, "x": 8})):
            made = change(base, "x", base.version)
            self.store.submit("a", ANY_VERSION, after(made), (made,), lambda *outcome: told.append(outcome), None)
        self.reactor.run_until(lambda: len(told) == 3)
        self.assertEqual((self.row(), self.changes()), ((21,), []))
        self.assertEqual(self.result(self.store.get("a")), Record(21, {"long": LONG, "x": 20}))
        created = Change(NO_RECORD, Message(Topic.RECORD, RecordAction.PATCH, "b", b"1", path="x", version=1))
        self.assertIsNone(self.result(self.store.replace("b", None, Record(0, {"x": 1}), (created,))))
        self.assertEqual(self.result(self.store.get("b")), Record(0, {"x": 1}))

    def test_high_version(self) -> None:
        """
        A version that is too high fails the one write.
        """
        high = Record(2**63 - 1, self.first.data)
        self.result(self.store.write("a", high))
        record, changes = patched(high, "x", 1)
        good = self.store.set("b", 1, {})
        self.assertIn("the version is too high", self.failure(self.store.replace("a", high.version, record, changes)))
        self.result(good)
        self.assert_stored(high)


class FoldedTests(ChangesTestCase):
    """
    When changes end.
    """

    def test_whole_writes(self) -> None:
        """
        A write of the whole record deletes its changes; so does a deletion. Those of other records stay.
        """
        kept, changes = patched(Record(1, {"long": LONG, "y": 0}), "y", 1)
        self.result(self.store.write("b", changes[0].old))
        self.assertIsNone(self.result(self.store.replace("b", 1, kept, changes)))
        second, changes = patched(self.first, "x", 1)
        whole = change(second, None, {"whole": LONG}, action=RecordAction.UPDATE)
        endings: list[Callable[[], Deferred[Any]]] = [
            lambda: self.store.write("a", Record(1, {"long": LONG})),
            lambda: self.store.delete("a"),
            lambda: self.store.replace("a", 2, after(whole), (whole,)),
        ]
        for ending in endings:
            self.result(self.store.write("a", self.first))
            self.replace(second, changes)
            self.assertEqual(self.changes("name"), ["b", "a"])
            self.assertIsNone(self.result(ending()))
            self.assertEqual(self.changes("name"), ["b"])
        self.assert_stored(after(whole))
        self.assertEqual(self.result(self.store.get("b")), kept)

    def test_created_anew(self) -> None:
        """
        A record that is deleted and created with the same versions has nothing of the old one.
        """
        second, changes = patched(self.first, "x", 1)
        self.replace(second, changes)
        self.result(self.store.delete("a"))
        self.assertIsNone(self.row())
        self.result(self.store.write("a", Record(1, {"long": LONG})))
        self.assert_stored(Record(1, {"long": LONG}))

    def test_bounds(self) -> None:
        """
        However many writes there are, and however long: the changes of a record take no more bytes than the record, and
        are no more than so many. All writes together write less than 16 KB and ten times their size each, on average.
        """
        for size, count in ((1, 200), (400, 200), (6000, 60)):
            record = Record(1, {"long": LONG, "x": ""})
            self.result(self.store.write("a", record))
            folded = 0
            for number in range(count):
                before = self.row()
                record, changes = patched(record, "x", f"{number:03}" * (size // 3))
                self.replace(record, changes)
                folded += self.row() != before
                ((rows, total),) = self.changes("count(*), total(length(data))")
                self.assertLessEqual(total, len(record.json))
                self.assertLessEqual(rows, MIN_SIZE)
            self.assertGreater(folded, 1)
            self.assertLess(folded * sqlite_changes.FOLD_COST * len(record.json) / count, 6000 + 5 * size)
            self.assert_stored(record)

    def test_bounds_after_start(self) -> None:
        """
        The limit counts the changes that were there at the start.
        """
        record = self.first
        for number in range(100):
            record, changes = patched(record, "x", number)
            self.replace(record, changes)
            self.result(self.store.stop())
            self.store = self.started(self.make())
            if self.row() != (1,):
                break
        else:
            self.fail("the changes are never folded")
        self.assertGreater(number, 3)
        self.assert_stored(record)

    def test_many_records(self) -> None:
        """
        The store remembers the sizes of some records only; it asks the file about the others.
        """
        self.patch(sqlite_changes, "_MAX_REMEMBERED", 2)
        records = dict.fromkeys("bcde", self.first)
        for name in records:
            self.result(self.store.write(name, self.first))
        for number in range(3):
            for name, record in records.items():
                records[name], changes = patched(record, "x", number)
                self.assertIsNone(self.result(self.store.replace(name, record.version, records[name], changes)))
        self.assertEqual(len(self.changes()), 12)
        for name, record in records.items():
            self.assertEqual(self.result(self.store.get(name)), record)

    def test_failed(self) -> None:
        """
        A transaction that fails leaves the record and its changes as they were.
        """
        second, changes = patched(self.first, "x", 1)
        self.replace(second, changes)

        def broken(*arguments: object) -> Any:
            raise sqlite3.OperationalError("disk I/O error")

        self.patch(sqlite_transactions, "commit", broken)
        third, changes = patched(second, "x", 2)
        self.assertIn("disk I/O error", self.failure(self.store.replace("a", 2, third, changes)))
        self.patch(sqlite_transactions, "commit", commit)
        self.assertEqual(self.result(self.store.get("a")), second)
        self.replace(third, changes)
        self.assert_stored(third)

    def test_random(self) -> None:
        """
        Any sequence of writes, deletions and restarts leads to the same record as in memory.
        """
        for seed in range(20):
            chance = random.Random(seed)
            many = {f"k{number}": number for number in range(3000 if seed % 2 else 1)}
            first = Record(1, {**self.first.data, "many": many, "items": list(many)})
            record: Record | None = first
            self.result(self.store.write("a", first))
            for _ in range(40):
                kind = chance.random()
                if record is None or kind < 0.05:
                    record = Record(chance.randint(0, 5), {"long": LONG[: chance.choice((5, MIN_SIZE))], "x": 0})
                    self.result(self.store.write("a", record))
                elif kind < 0.08:
                    record = None
                    self.result(self.store.delete("a"))
                elif kind < 0.12:
                    self.assert_stored(record)
                else:
                    made: list[Change] = []
                    writes = []
                    for _ in range(chance.randint(1, 3)):
                        path = chance.choice(
                            (
                                "x",
                                "y.z",
                                "y",
                                "list[3]",
                                "list[0].a",
                                "list",
                                "long",
                                "w v",
                                "many.k7",
                                "many.k8",
                                "many.new",
                                "items[5]",
                                "items[3000]",
                                "many",
                            )
                        )
                        value = chance.choice(((), (1,), ({"z": [1]},), ([0, {"a": 1}],), ("t" * 2000,)))
                        made.append(change(record, path, *value))
                        try:
                            old, record = record, after(made[-1])
                        except ValueError:
                            continue  # There is an array in the place of an object.
                        writes.append(self.store.replace("a", old.version, record, (made[-1],)))
                    for write in writes:
                        self.assertIsNone(self.result(write))
            self.assert_stored(record)


class QuotaTests(SqliteTestCase):
    """
    Changes in a file with a limit.
    """

    def test_limit(self) -> None:
        """
        The file and its log stay within the limit while changes are added and folded. No write fails that has room as
        a whole record.
        """
        for limit, size in ((2_000_000, 100_000), (2_000_000, 210_000), (1_200_000, 110_000)):
            self.path = str(Path(self.mktemp()).absolute())
            store = self.make(max_bytes=limit)
            self.result(store.start())
            records = {name: Record(1, {"long": "x" * size, "x": 0}) for name in "abc"}
            for name, record in records.items():
                self.result(store.write(name, record))
            added = 0
            for number in range(150):
                name = "abc"[number % 3]
                record, changes = patched(records[name], "x", "y" * (number % 10 * 1000))
                self.assertIsNone(self.result(store.replace(name, record.version - 1, record, changes)))
                records[name] = record
                self.assertLessEqual(os.path.getsize(self.path), limit * 3 // 4)
                self.assertLessEqual(os.path.getsize(f"{self.path}-wal"), limit // 4)
                added += self.other_program().execute("SELECT count(*) FROM changes").fetchone() != (0,)
            self.assertGreater(added, 0)
            for name, record in records.items():
                self.assertEqual(self.result(store.get(name)), record)
            self.result(store.stop())

    def test_no_room(self) -> None:
        """
        If a file has no room for the changes, the whole record is written, which deletes them.
        """
        store = self.started(self.make())
        first = Record(1, {"long": LONG, "x": 0})
        self.result(store.write("a", first))
        second, changes = patched(first, "x", "y" * 5000)
        self.assertIsNone(self.result(store.replace("a", 1, second, changes)))

        def full(connection: sqlite3.Connection, rows: Any, *others: Any) -> None:
            if isinstance(rows[0], sqlite_changes.ChangeRow):
                raise QuotaError("is full")
            commit(connection, rows, *others)

        self.patch(sqlite_transactions, "commit", full)
        third, changes = patched(second, "x", 2)
        self.assertIsNone(self.result(store.replace("a", 2, third, changes)))
        other = self.other_program()
        self.assertEqual(other.execute("SELECT version FROM records").fetchall(), [(3,)])
        self.assertEqual(other.execute("SELECT * FROM changes").fetchall(), [])
        self.assertEqual(self.result(store.get("a")), third)


class ForeignTests(ChangesTestCase):
    """
    Other programs that write to the file.
    """

    def setUp(self) -> None:
        super().setUp()
        self.second, changes = patched(self.first, "x", 1)
        self.replace(self.second, changes)
        self.third, self.third_changes = patched(self.second, "x", 2)

    def test_row_written(self) -> None:
        """
        Another program that writes or deletes a row deletes the changes with it.
        """
        other = self.other_program()
        for statement, expected in (
            ("UPDATE records SET data = '{\"y\":1}'", Record(1, {"y": 1})),
            ("INSERT OR REPLACE INTO records VALUES ('a', 5, '{\"y\":2}')", Record(5, {"y": 2})),
            ("DELETE FROM records", None),
        ):
            other.execute(statement)
            self.assertEqual(self.changes(), [])
            self.assertEqual(self.result(self.store.get("a")), expected)
            self.result(self.store.write("a", self.first))
            self.replace(self.second, (change(self.first, "x", 1),))

    def test_not_added(self) -> None:
        """
        If another program writes the row just before changes are added, the whole record is written instead.
        """
        row = Folding.row

        def late(folding: Folding, *arguments: Any) -> Any:
            other = sqlite3.connect(self.path, isolation_level=None)
            other.execute("UPDATE records SET version = 1, data = '{}'")
            other.close()
            return row(folding, *arguments)

        self.patch(Folding, "row", late)
        self.replace(self.third, self.third_changes)
        self.assertEqual((self.row(), self.changes()), ((3,), []))
        self.assert_stored(self.third)

    def test_gap(self) -> None:
        """
        A record whose changes do not follow each other is not served. It can be written again.
        """
        self.replace(self.third, self.third_changes)
        other = self.other_program()
        for statement, problem in (
            ("UPDATE changes SET data = '[[5]]' WHERE version = 3", "has changes that cannot be made"),
            ("UPDATE changes SET data = '[[\"\", 1]]' WHERE version = 3", "has changes that cannot be made"),
            ("UPDATE changes SET data = 'x' WHERE version = 3", "has changes that cannot be made"),
            ("DELETE FROM changes WHERE version = 2", "no change that follows version 1"),
        ):
            other.execute(statement)
            reason = self.failure(self.store.get("a"))
            self.assertIn("what is stored for the record 'a' has", reason)
            self.assertIn(problem, reason)
        self.result(self.store.write("a", Record(4, {})))
        self.assert_stored(Record(4, {}))


class FoldingTests(SynchronousTestCase):
    """
    L{Folding}.
    """

    def test_bounded(self) -> None:
        """
        It remembers no small records, and not too many large ones.
        """
        self.patch(sqlite_changes, "_MAX_REMEMBERED", 10)
        folding = Folding()
        for number in range(100):
            folding.wrote(f"small{number}", 10)
        self.assertEqual(len(folding), 0)
        for number in range(100):
            folding.wrote(f"large{number}", MIN_SIZE)
            self.assertLessEqual(len(folding), 10)
        folding.wrote("large99", 10)
        folding.deleted("large99")
        folding.forget()
        self.assertEqual(len(folding), 0)
