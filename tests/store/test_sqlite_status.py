"""
The state of an SQLite store: the records that a start finds, and whether it can write.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from zope.interface.verify import verifyObject

from dstwist.interfaces import IStoreStatus
from dstwist.store import sqlite, sqlite_file, sqlite_rows
from dstwist.store.sqlite import SqliteStore
from tests.logs import Lines
from tests.store.test_sqlite import SqliteTestCase
from tests.store.test_sqlite_open_files import NamesTestCase


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


class CrashTests(SqliteTestCase):
    """
    A start after a crash.
    """

    def setUp(self) -> None:
        super().setUp()
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.path = str(directory / "records.sqlite")
        self.lines = Lines(self)

    def run_once(self, path: str) -> list[str]:
        """
        The warnings of a server that starts and stops.
        """
        self.lines.clear()
        store = SqliteStore(path, self.reactor)
        self.result(store.start())
        self.result(store.stop())
        return self.lines.of("warn")

    def crashed(self, *without: str) -> str:
        """
        The files that a killed server leaves.
        """
        store = self.make()
        self.result(store.start())
        self.result(store.set("a", 1, {}))
        copies = str(Path(self.mktemp()).absolute())
        shutil.copytree(os.path.dirname(self.path), copies)
        self.result(store.stop())
        for name in without:
            os.unlink(os.path.join(copies, f"records.sqlite{name}"))
        return os.path.join(copies, "records.sqlite")

    def test_in_order(self) -> None:
        """
        After a server that was stopped in order there is no warning.
        """
        for _ in range(3):
            self.assertEqual(self.run_once(self.path), [])

    def test_killed(self) -> None:
        """
        After one that was killed there is one, once.
        """
        path = self.crashed()
        (line,) = self.run_once(path)
        self.assertIn(f"STORAGE_FILE | storage: {path} was not closed", line)
        self.assertEqual(self.run_once(path), [])

    def test_without_log(self) -> None:
        """
        Also if the write-ahead log is empty or gone, since all of it was in the database.
        """
        self.assertEqual(len(self.run_once(self.crashed("-wal", "-shm"))), 1)

    def test_older_version(self) -> None:
        """
        An older dstwist left no note of it, but its write-ahead log.
        """
        self.assertEqual(len(self.run_once(self.crashed(".lock"))), 1)
        path = self.crashed(".lock", "-wal", "-shm")
        self.assertEqual(self.run_once(path), [])

    def test_failed_start(self) -> None:
        """
        A start that fails does not hide a crash before it.
        """
        path = self.crashed()
        for ending in ("-wal", "-shm"):
            os.unlink(path + ending)
        content = Path(path).read_bytes()
        Path(path).write_bytes(b"x" * 8192)
        self.refusal(path)
        Path(path).write_bytes(content)
        self.assertEqual(len(self.run_once(path)), 1)


class ProblemTests(NamesTestCase):
    """
    Whether the store can write.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(sqlite_file, "TRY_INTERVAL", 0.0)
        self.patch(sqlite, "LOOK_INTERVAL", 0.01)

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
