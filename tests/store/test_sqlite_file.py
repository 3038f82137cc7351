"""
Tests for L{dstwist.store.sqlite_file}.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from dstwist.interfaces import Record
from dstwist.store import sqlite, sqlite_file, sqlite_schema
from dstwist.store.sqlite import SqliteStore
from tests.store.stage import SqliteTestCase
from tests.store.test_sqlite_files_in_place import NamesTestCase


class FileTests(SqliteTestCase):
    """
    The open file, and other programs that use it.
    """

    def test_log_shrinks(self) -> None:
        """
        The log that grew while another program read the file for long gives the disk back afterwards.
        """
        self.patch(sqlite_schema, "MAX_EMPTY_LOG_BYTES", 100_000)
        store = self.started(self.make(synchronous="normal"))
        self.result(store.set("a", 1, {}))
        other = self.other_program()
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM records").fetchone()
        for version in range(60):
            self.result(store.set("a", version, [chr(48 + version) * 100_000]))
        self.assertGreater(os.path.getsize(f"{self.path}-wal"), 5_000_000)
        other.execute("COMMIT")
        for version in range(3):
            self.result(store.set("a", version, ["x"]))
        self.assertLessEqual(os.path.getsize(f"{self.path}-wal"), 100_000)

    def test_copied_meanwhile(self) -> None:
        """
        The file can be copied by SQLite's own means while the server runs.
        """
        store = self.started(self.make())
        self.result(store.set("a", 1, {}))
        copy = sqlite3.connect(":memory:")
        self.addCleanup(copy.close)
        self.other_program().backup(copy)
        self.assertEqual(copy.execute("SELECT name, version FROM records").fetchall(), [("a", 1)])

    def test_damaged_file(self) -> None:
        """
        A file that is damaged is called so.
        """
        store = self.make()
        self.result(store.start())
        self.result(store.set("a", 1, {}))
        self.result(store.stop())
        with open(self.path, "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (os.path.getsize(self.path) - 4096))
        store = self.started(self.make())
        self.assertIn(f"{self.path} is damaged", self.failure(store.get("a")))

    def test_moved(self) -> None:
        """
        When the file was deleted, or another one put into its place, writes fail rather than go where no restart would
        find them.
        """
        self.patch(sqlite_file, "FILE_CHECK_INTERVAL", 0)
        for replacement in (None, b"", b"another"):
            store = self.make()
            self.result(store.start())
            self.result(store.set("a", 1, {}))
            os.rename(self.path, f"{self.path}.old")
            if replacement is not None:
                Path(self.path).write_bytes(replacement)
            self.assertIn(f"{self.path} has been moved or deleted", self.failure(store.set("a", 2, {})))
            self.assertEqual(self.result(store.get("a")), Record(1, {}))
            os.replace(f"{self.path}.old", self.path)
            self.result(store.set("a", 3, {}))
            self.result(store.stop())


class ProblemTests(NamesTestCase):
    """
    Whether the store can write.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(sqlite_file, "WRITE_CHECK_INTERVAL", 0.0)
        self.patch(sqlite, "FILE_CHECK_INTERVAL", 0.01)

    def full(self, store: SqliteStore) -> None:
        """
        No commit succeeds from now on.
        """
        connection = store._file._connection
        assert connection is not None

        class Full:
            def execute(self, statement: str, *arguments: Any) -> Any:
                if statement == "COMMIT" or statement.startswith("INSERT"):
                    error = sqlite3.OperationalError("database or disk is full")
                    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
                    raise error
                assert connection is not None
                return connection.execute(statement, *arguments)

            def __getattr__(self, name: str) -> object:
                return getattr(connection, name)

        store._file._connection = Full()  # type: ignore[assignment]
        self.addCleanup(setattr, store._file, "_connection", connection)

    def test_full_disk(self) -> None:
        """
        A store whose disk is full cannot write, until there is room; it finds that out without a write of a client.
        The log says both.
        """
        store = self.open()
        real = store._file._connection
        self.assertIsNone(store.problem())
        self.full(store)
        self.failure(store.set("b", 1, {}))
        self.assertIn("the disk is full", str(store.problem()))
        self.assertIn("the disk is full", self.lines.last("critical"))
        self.failure(store.set("b", 1, {}))
        self.assertEqual(len(self.lines.of("critical")), 1)
        store._file._connection = real
        self.reactor.run_until(lambda: "can be written to again" in "".join(self.lines.of("warn")))
        self.assertIsNone(store.problem())

    def test_moved(self) -> None:
        """
        A store whose file was moved away cannot write either, until the file is back.
        """
        store = self.open()
        os.rename(self.path, f"{self.path}.away")
        self.failure(store.set("b", 1, {}))
        self.assertIn("has been moved", str(store.problem()))
        os.rename(f"{self.path}.away", self.path)
        self.reactor.run_until(lambda: "in place again" in "".join(self.lines.of("warn")))
        self.assertIsNone(store.problem())

    def test_moved_while_idle(self) -> None:
        """
        The store notices that even if no client writes.
        """
        store = self.open()
        os.rename(self.path, f"{self.path}.away")
        self.reactor.run_until(lambda: bool(self.lines.of("critical")))
        self.assertIn("has been moved", str(store.problem()))
        os.rename(f"{self.path}.away", self.path)
        self.reactor.run_until(lambda: "in place again" in "".join(self.lines.of("warn")))
        self.assertIsNone(store.problem())

    def test_one_record(self) -> None:
        """
        A write that fails alone says nothing about the others.
        """
        store = self.open()
        self.failure(store.set("\ud800", 1, {}))
        self.assertIsNone(store.problem())

    def test_quota(self) -> None:
        """
        A limit that the operator has set is no problem: clients can reach it.
        """
        store = self.started(self.make(max_bytes=1_000_000))
        while not (error := self.error_of(store, "x" * 100_000)):
            pass
        self.assertIn("maxBytes", error)
        self.assertIsNone(store.problem())

    def error_of(self, store: SqliteStore, text: str) -> str:
        """
        Why a record cannot be written; empty if it can.
        """
        self.written = getattr(self, "written", 0) + 1
        outcome: list[str] = []
        deferred = store.set(f"r{self.written}", 1, {"a": text})
        deferred.addCallbacks(lambda result: outcome.append(""), lambda failure: outcome.append(str(failure.value)))
        self.reactor.run_until(lambda: bool(outcome))
        return outcome[0]
