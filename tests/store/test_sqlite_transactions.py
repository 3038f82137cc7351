"""
Tests for L{dstwist.store.sqlite_transactions}.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError
from dstwist.interfaces import Record
from dstwist.record import NO_RECORD
from dstwist.store import sqlite_transactions
from dstwist.store.sqlite_files_in_place import FilesInPlace
from dstwist.store.sqlite_removed import RemovedVersions
from dstwist.store.sqlite_rows import Write, get
from dstwist.store.sqlite_schema import create_tables
from dstwist.store.sqlite_transactions import Transactions

LARGE = {"x": "y" * 10_000}


class TransactionsTests(SynchronousTestCase):
    """
    L{Transactions} in a database in memory.
    """

    def setUp(self) -> None:
        self.connection = self.enterContext(contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)))
        create_tables(self.connection)
        removed = RemovedVersions(RecordSettings(), Clock().seconds)
        self.transactions = Transactions("x.sqlite", None, 1.0, removed)
        # Only a quota needs the files.
        self.files: FilesInPlace = None  # type: ignore[assignment]

    def write(self, name: str, expected: int | None, data: Any) -> Write:
        record = None if data is None else Record(0 if expected is None else expected + 1, data)
        return Write(name, expected, record, (), lambda *details: None, None)

    def run_all(self, *writes: Write) -> dict[str, StoreError] | None:
        problems = self.transactions.run(self.connection, self.files, list(writes))
        self.transactions.ended(list(writes), problems or {})
        return problems

    def fill(self) -> None:
        """
        Leave no room for another large record.
        """
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        self.connection.execute(f"PRAGMA max_page_count = {pages}")

    def test_written(self) -> None:
        """
        Each write is decided on what the ones before it have left.
        """
        late = self.write("a", 0, {"late": 1})
        self.assertEqual(self.run_all(self.write("a", None, {}), self.write("a", 0, {"x": 1}), late), {})
        self.assertEqual(get(self.connection, "a"), Record(1, {"x": 1}))
        self.assertEqual(late.found, Record(1, {"x": 1}))
        self.assertEqual(self.run_all(self.write("a", 1, None)), {})
        self.assertIsNone(get(self.connection, "a"))

    def test_nothing_to_write(self) -> None:
        """
        If all writes are refused, there is no transaction.
        """
        late = self.write("a", 3, {})
        self.assertIsNone(self.run_all(late))
        self.assertIs(late.found, NO_RECORD)

    def test_no_room(self) -> None:
        """
        Only the writes that have no room fail. It is known that their records do not exist.
        """
        self.run_all(self.write("old", None, LARGE))
        self.fill()
        large, small = self.write("large", None, LARGE), self.write("small", None, {})
        problems = self.run_all(large, small)
        self.assertEqual(list(problems or ()), ["large"])
        self.assertIsInstance(large.error, StoreError)
        self.assertIsNone(small.error)
        self.assertEqual(get(self.connection, "small"), Record(0, {}))
        self.assertEqual(self.run_all(self.write("large", None, LARGE), self.write("old", 0, None)), {})
        self.assertEqual(get(self.connection, "large"), Record(0, LARGE))

    def test_gives_up(self) -> None:
        """
        If many writes had no room, the others are not attempted.
        """
        self.patch(sqlite_transactions, "MAX_REFUSED_WRITES", 1)
        self.fill()
        writes = [self.write("large", None, LARGE), self.write("small", None, {})]
        problems = self.run_all(*writes)
        self.assertEqual(list(problems or ()), ["large", "small"])
        self.assertIn("x.sqlite has no room", str(writes[1].error))

    def test_other_problem(self) -> None:
        """
        If it fails for another reason, no smaller transaction is attempted.
        """
        self.connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON records WHEN NEW.name = 'b' BEGIN"
            " SELECT RAISE(ABORT, 'broken'); END"
        )
        with self.assertRaises(StoreError) as raised:
            self.run_all(self.write("a", None, {}), self.write("b", None, {}))
        self.assertIn("broken", str(raised.exception))
        self.assertFalse(self.connection.in_transaction)
        self.assertIsNone(get(self.connection, "a"))
