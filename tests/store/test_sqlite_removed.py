"""
Tests for L{dstwist.store.sqlite_removed}.
"""

from __future__ import annotations

import contextlib
from typing import Any

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import Record
from dstwist.store import sqlite
from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_removed import is_utf8
from tests.store.stage import SqliteTestCase


class RemovedTests(SqliteTestCase):
    """
    A store that remembers the versions of removed records. L{tests.store.contract.TombstoneContract} has the rest.
    """

    def remember(self, **settings: Any) -> SqliteStore:
        """
        A store that remembers so much.
        """
        store: SqliteStore = self.started(self.make(record=RecordSettings(**settings)))
        return store

    def remove(self, store: SqliteStore, *names: str) -> None:
        """
        Remove records at version 7.
        """
        for name in names:
            self.result(store.set(name, 7, {}))
            self.assertIsNone(self.result(store.remove(name, 7)))

    def remembered(self) -> list[str]:
        """
        The names in the table.
        """
        with contextlib.closing(self.other_program()) as other:
            return [name for (name,) in other.execute("SELECT name FROM removed ORDER BY number")]

    def test_restart(self) -> None:
        """
        The versions survive a restart.
        """
        store = self.remember()
        self.remove(store, "a")
        self.result(store.stop())
        store = self.remember()
        self.assertEqual(self.result(store.replace("a", None, Record(7, {}))), Record(7, None))
        self.assertIsNone(self.result(store.replace("a", None, Record(8, {}))))

    def test_time_of_day(self) -> None:
        """
        The file has the time of day, because the timers of another process measure from another moment.
        """
        self.patch(sqlite, "wall_time", lambda clock: lambda: 1.7e9)
        store = self.remember()
        self.remove(store, "a")
        with contextlib.closing(self.other_program()) as other:
            self.assertEqual(other.execute("SELECT name, time FROM removed").fetchall(), [("a", 1.7e9)])

    def test_one_transaction(self) -> None:
        """
        The operations of one transaction are decided one after the other. The last removal counts, also if the file
        has not had the record.
        """
        store = self.remember()
        asked = [
            store.replace("a", None, Record(4, {})),
            store.remove("a", 4),
            store.replace("a", None, Record(0, {})),
            store.get("a"),
            store.replace("a", None, Record(5, {})),
            store.remove("a", 5),
            store.replace("a", None, Record(5, {})),
        ]
        self.assertEqual(
            [self.result(deferred) for deferred in asked],
            [None, None, Record(4, None), None, None, None, Record(5, None)],
        )
        self.assertEqual(self.result(store.replace("a", None, Record(5, {}))), Record(5, None))

    def test_atomic(self) -> None:
        """
        If the version cannot be remembered, the record is not removed.
        """
        store = self.remember()
        self.result(store.set("a", 7, {}))
        with contextlib.closing(self.other_program()) as other:
            other.execute("CREATE TRIGGER failing BEFORE INSERT ON removed BEGIN SELECT RAISE(ABORT, 'no'); END")
        self.assertIn("no", self.failure(store.remove("a", 7)))
        self.assertEqual(self.result(store.get("a")), Record(7, {}))

    def test_age(self) -> None:
        """
        After C{deletionMemory} a version does not count, and the next removal deletes its row.
        """
        store = self.remember(deletion_memory=10.0)
        self.remove(store, "a", "b")
        self.reactor.advance(9.0)
        self.remove(store, "c")
        self.assertEqual(self.result(store.replace("a", None, Record(0, {}))), Record(7, None))
        self.reactor.advance(1.0)
        self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))
        self.remove(store, "d")
        self.assertEqual(self.remembered(), ["c", "d"])

    def test_off(self) -> None:
        """
        With a C{deletionMemory} of 0 nothing is remembered.
        """
        store = self.remember(deletion_memory=0)
        self.remove(store, "a")
        self.assertEqual(self.remembered(), [])
        self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))

    def test_number(self) -> None:
        """
        The oldest removals are forgotten if there are too many.
        """
        store = self.remember(max_deletion_memory=3)
        self.remove(store, *"abcdea")
        self.assertEqual(self.remembered(), ["d", "e", "a"])
        self.assertIsNone(self.result(store.replace("b", None, Record(0, {}))))

    def test_bytes(self) -> None:
        """
        Long names take the room of several short ones. The last removal is remembered in any case.
        """
        store = self.remember(max_deletion_memory=10, max_deletion_bytes=10_000)
        long = "x" * 5000
        self.remove(store, *"abcdefgh", long)
        self.assertEqual(self.remembered(), [*"efgh", long])
        self.remove(store, "y" * 50_000)
        self.assertEqual(self.remembered(), ["y" * 50_000])

    def test_full(self) -> None:
        """
        A file without room still removes records. It forgets the earlier removals for that.
        """
        store = self.started(self.make(max_bytes=400_000))
        names = [f"{number:04}" + "n" * 300 for number in range(600)]
        kept = []
        for name in names:
            written = store.set(name, 7, {})
            with contextlib.suppress(Exception):
                self.result(written)
                kept.append(name)
        for name in kept:
            self.assertIsNone(self.result(store.remove(name, 7)))
        self.assertEqual(self.result(store.replace(kept[-1], None, Record(0, {}))), Record(7, None))

    def test_strange_rows(self) -> None:
        """
        A row of another program that is no version counts as missing. A name that no row can have has no version.
        """
        store = self.remember()
        with contextlib.closing(self.other_program()) as other:
            other.execute("INSERT INTO removed VALUES (1, 'a', 'x', 1e99)")
        self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))
        deferreds = [store.replace("\ud800", None, Record(0, {})), store.replace("b", None, Record(0, {}))]
        self.assertIn("cannot be stored", self.failure(deferreds[0]))
        self.assertIsNone(self.result(deferreds[1]))
        self.assertEqual([is_utf8(name) for name in ("a", "\xe9", "\ud800")], [True, True, False])

    def test_unreadable(self) -> None:
        """
        A file whose table cannot be read is refused at the start.
        """
        self.result(self.remember().stop())
        with contextlib.closing(self.other_program()) as other:
            other.execute("DROP TABLE removed")
        self.assertIn("no such table: removed", self.refusal())
