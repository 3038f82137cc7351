"""
Tests for L{dstwist.transfer.sqlite_reader}.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from zope.interface.verify import verifyObject

from dstwist.errors import StoreError, TransferError
from dstwist.interfaces import Change, IEnumerableStore, Record
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.store import sqlite_rows
from dstwist.store.sqlite_changes import MIN_SIZE, changed
from dstwist.transfer import sqlite_reader
from dstwist.transfer.sqlite_reader import SqliteReader
from tests.store.test_sqlite_changes import LONG, patched
from tests.transfer.stage import FilesTestCase


class SqliteReaderTests(FilesTestCase):
    """
    L{SqliteReader}.
    """

    def reader(self) -> SqliteReader:
        reader: SqliteReader = self.started(SqliteReader(self.path))
        return reader

    def all_names(self, reader: SqliteReader, limit: int) -> list[list[str]]:
        """
        The names of all pages.
        """
        pages = []
        cursor = None
        while True:
            names, cursor = self.result(reader.names(cursor, limit))
            pages.append(list(names))
            if cursor is None:
                return pages

    def test_interface(self) -> None:
        """
        It is an L{IEnumerableStore}.
        """
        verifyObject(IEnumerableStore, SqliteReader(self.path))

    def test_names(self) -> None:
        """
        Each name is on one page, whatever characters it has.
        """
        names = ["a", "A", "\u00e9", "nul\x00inside", "'", "", " "]
        store = self.store()
        for name in names:
            self.result(store.set(name, 1, {}))
        reader = self.reader()
        for limit in (1, 2, 3, 7, 100):
            pages = self.all_names(reader, limit)
            self.assertEqual(sorted(sum(pages, [])), sorted(names))
            self.assertTrue(all(len(page) <= limit for page in pages))

    def test_while_written(self) -> None:
        """
        Records that are made or deleted between two pages do not move the others.
        """
        store = self.store()
        for name in "bdfh":
            self.result(store.set(name, 1, {}))
        reader = self.reader()
        first, cursor = self.result(reader.names(None, 2))
        self.result(store.delete("b"))
        self.result(store.set("a", 1, {}))
        self.result(store.set("e", 1, {}))
        rest, cursor = self.result(reader.names(cursor, 10))
        self.assertEqual([*first, *rest], ["b", "d", "e", "f", "h"])
        self.assertIsNone(cursor)

    def test_changes(self) -> None:
        """
        A large record comes with the changes that the store has not folded into its row.
        """
        store = self.store()
        old = Record(1, {"long": "x" * MIN_SIZE, "x": 0})
        self.result(store.write("a", old))
        change = Change(old, Message(Topic.RECORD, RecordAction.PATCH, "a", b"1", path="x", version=2))
        new = Record(2, change.data)
        self.assertIsNone(self.result(store.replace("a", 1, new, (change,))))
        other = sqlite3.connect(self.path)
        self.addCleanup(other.close)
        self.assertEqual(other.execute("SELECT version FROM records").fetchall(), [(1,)])
        self.assertEqual(self.result(self.reader().get("a")), new)

    def test_get(self) -> None:
        """
        A record is read as it is at that moment.
        """
        store = self.store()
        self.result(store.set("a", 1, {"x": [1]}))
        reader = self.reader()
        self.assertEqual(self.result(reader.get("a")), Record(1, {"x": [1]}))
        self.result(store.set("a", 2, {}))
        self.assertEqual(self.result(reader.get("a")), Record(2, {}))
        self.assertIsNone(self.result(reader.get("b")))

    def test_folded_meanwhile(self) -> None:
        """
        If the server folds the changes of a record while the record is read, the result is the record as it was before.
        """
        store = self.store()
        old = Record(1, {"long": LONG, "n": 1})
        self.result(store.set("a", old.version, old.data))
        new, changes = patched(old, "n", 2)
        self.result(store.replace("a", 1, new, changes))
        reader = self.reader()
        self.assertEqual(self.result(reader.get("a")), new)

        def folded(connection: sqlite3.Connection, *rest: Any) -> Any:
            self.result(store.set("a", 3, {"long": LONG, "n": 3}))
            return changed(connection, *rest)

        self.patch(sqlite_rows, "changed", folded)
        self.assertEqual(self.result(reader.get("a")), new)
        self.assertEqual(self.result(reader.get("a")).version, 3)

    def test_log_not_kept(self) -> None:
        """
        Between two calls the write-ahead log can be emptied.
        """
        store = self.store()
        for name in "abc":
            self.result(store.set(name, 1, {}))
        reader = self.reader()
        self.result(reader.names(None, 2))
        self.result(reader.get("a"))
        other = sqlite3.connect(self.path, timeout=0)
        self.addCleanup(other.close)
        self.assertEqual(other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone(), (0, 0, 0))

    def test_unreadable(self) -> None:
        """
        A row that is no record fails alone.
        """
        self.put("a", "b")
        connection = sqlite3.connect(self.path)
        connection.execute("UPDATE records SET data = '[' WHERE name = 'a'")
        connection.commit()
        connection.close()
        reader = self.reader()
        self.assertIn("'a' is no JSON", self.failure(reader.get("a")))
        self.assertIsNotNone(self.result(reader.get("b")))

    def test_damaged(self) -> None:
        """
        A damaged file is a L{StoreError}.
        """
        self.put(*(f"record{number}" for number in range(1000)))
        self.damage(self.path)
        reader = self.reader()
        self.failureResultOf(reader.names(None, 2000), StoreError)

    def test_versions(self) -> None:
        """
        A file of an older or newer dstwist is refused, and the text says what to do.
        """
        self.put("a")
        for version, text in ((0, "written by a newer dstwist"), (99, "Start the server once")):
            self.patch(sqlite_reader, "SCHEMA_VERSION", version)
            failure = self.failureResultOf(SqliteReader(self.path).start(), TransferError)
            self.assertIn(text, str(failure.value))
