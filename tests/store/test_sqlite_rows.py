"""
Tests for L{dstwist.store.sqlite_rows}.
"""

from __future__ import annotations

import sqlite3

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from dstwist.interfaces import IStoreStatus, Record
from dstwist.store import sqlite_rows
from tests.store.stage import SqliteTestCase


class RowTests(SqliteTestCase):
    """
    Records that cannot be rows, and rows that are no records.
    """

    def test_no_json(self) -> None:
        """
        A record that cannot be stored fails alone; those beside it, and an earlier version of it, are written.
        """
        store = self.started(self.make())
        blocker = store.set("first", 1, {})
        good, earlier = store.set("good", 1, {}), store.set("bad", 1, {})
        bad: Deferred[None] = store.set("bad", 2, {"a": object()})
        read = store.get("bad")
        huge = store.set("huge", 2**63, {})
        name = store.set("\ud800", 1, {})
        for write in (blocker, good, earlier):
            self.result(write)
        self.assertIn("the record 'bad' cannot be stored", self.failure(bad))
        self.assertIn("the record 'huge' cannot be stored", self.failure(huge))
        self.assertIn("the record '\\ud800' cannot be stored", self.failure(name))
        self.assertEqual(self.result(read), Record(1, {}))
        self.assertEqual(self.result(store.get("good")), Record(1, {}))
        self.assertIsNone(self.result(store.get("huge")))

    def test_no_such_name(self) -> None:
        """
        A name that no file can hold is of no record: reading finds nothing, and deleting fails alone.
        """
        store = self.started(self.make())
        blocker = store.set("first", 1, {})
        good, deleted = store.set("good", 1, {}), store.delete("\ud800")
        self.result(blocker)
        self.result(good)
        self.assertIn("the record '\\ud800' cannot be stored", self.failure(deleted))
        self.assertIsNone(self.result(store.get("\ud800")))
        self.assertEqual(self.result(store.get("good")), Record(1, {}))

    def test_foreign_rows(self) -> None:
        """
        What another program has put into the file and is no record is not served as one; the name is told.
        """
        store = self.started(self.make())
        rows = {"a": (1, "5"), "b": ("x", "{}"), "c": (1, b"\xff"), "d": (1, ""), "e": (1.5, "{}")}
        other = self.other_program()
        for name, (version, data) in rows.items():
            other.execute("INSERT INTO records VALUES (?, ?, ?)", (name, version, data))
        for name in rows:
            for asked in (store.get(name), store.replace(name, None, Record(0, {})), store.remove(name, 7)):
                self.assertIn(f"what is stored for the record '{name}' is no", self.failure(asked))
        self.assertEqual(self.result(store.heads("abcde")), {"a": 1, "b": -1, "c": 1, "d": 1, "e": -1})

    def test_damaged_record(self) -> None:
        """
        A record somebody has spoiled is named; others can be read.
        """
        store = self.started(self.make())
        self.result(store.set("a", 1, {}))
        self.result(store.set("b", 1, {}))
        self.other_program().execute("UPDATE records SET data = '{bad' WHERE name = 'a'")
        self.assertIn("what is stored for the record 'a' is no JSON", self.failure(store.get("a")))
        self.assertEqual(self.result(store.get("b")), Record(1, {}))


class ContentsTests(SqliteTestCase):
    """
    The log lines about the file.
    """

    def found(self) -> str:
        """
        The records that a start finds.
        """
        store = self.make()
        self.result(store.start())
        contents = store.contents()
        self.result(store.stop())
        return contents

    def test_interface(self) -> None:
        """
        The store provides L{IStoreStatus}.
        """
        verifyObject(IStoreStatus, self.make())

    def test_count(self) -> None:
        """
        A start says that the file is new, or how many records there are.
        """
        self.assertEqual(self.found(), "a new file")
        self.assertEqual(self.found(), "0 records")
        store = self.make()
        self.result(store.start())
        self.result(store.set("a", 1, {}))
        self.result(store.stop())
        self.assertEqual(self.found(), "1 record")
        store = self.make()
        self.result(store.start())
        for name in ("b", "c"):
            self.result(store.set(name, 1, {}))
        self.result(store.delete("a"))
        self.result(store.stop())
        self.assertEqual(self.found(), "2 records")

    def test_too_many(self) -> None:
        """
        If counting takes long the start does not wait for it, and says how large they are.
        """
        self.found()
        with sqlite3.connect(self.path) as connection:
            connection.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                " INSERT INTO records SELECT i, 1, '{}' FROM n"
            )
        connection.close()
        self.assertEqual(self.found(), "20000 records")
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        self.assertIn("MiB of records, so many that counting", sqlite_rows.count(connection, -1.0))
        self.assertEqual(sqlite_rows.count(connection), "20000 records")
