"""
Tests for L{dstwist.transfer.sqlite_copy}.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from dstwist.errors import TransferError
from dstwist.transfer import sqlite_copy
from dstwist.transfer.sqlite_copy import copy, reading
from tests.transfer.stage import FilesTestCase


class CopyTests(FilesTestCase):
    """
    L{copy}.
    """

    def copied(self, path: str | None = None) -> int:
        return copy(path or self.path, self.copy, lambda done, total: None)

    def test_closed(self) -> None:
        """
        A copy of a file that no server has open has all records, and needs no other file.
        """
        self.put("a", "b")
        self.assertEqual(self.copied(), 2)
        self.assertEqual(self.contents(self.copy), {"a": 1, "b": 1})
        self.assertEqual([path.name for path in self.directory.iterdir() if path.is_file()], ["copy.sqlite"])

    def test_no_write_ahead_log(self) -> None:
        """
        The copy can be read from a place where nothing can be written.
        """
        self.put("a")
        self.copied()
        with open(self.copy, "rb") as file:
            self.assertEqual(file.read(20)[18:], b"\x01\x01")

    def test_open(self) -> None:
        """
        A copy of a file that a server has open has the records that are in its write-ahead log only. The server is not
        disturbed.
        """
        store = self.store()
        self.result(store.set("a", 1, {}))
        self.assertGreater(os.path.getsize(f"{self.path}-wal"), 0)
        self.assertEqual(self.copied(), 1)
        self.result(store.set("b", 1, {}))
        self.assertIsNone(store.problem())
        self.assertEqual(self.contents(self.copy), {"a": 1})

    def test_written_meanwhile(self) -> None:
        """
        A server that writes while the file is copied does not change the copy, and does not make it begin anew.
        """
        self.patch(sqlite_copy, "PAGES_PER_STEP", 1)
        store = self.store()
        for number in range(20):
            self.result(store.set(f"record{number}", 1, {"a": "x" * 3000}))
        steps: list[int] = []

        def write(done: int, total: int) -> None:
            steps.append(done)
            self.assertLess(len(steps), 200, "it begins anew")
            self.result(store.set(f"record{len(steps)}", 2, {}))
            self.result(store.set(f"more{len(steps)}", 1, {}))

        self.assertEqual(copy(self.path, self.copy, write), 20)
        self.assertEqual(set(self.contents(self.copy).values()), {1})
        self.assertEqual(steps, sorted(set(steps)))
        self.assertGreater(len(steps), 15)

    def test_log_emptied_afterwards(self) -> None:
        """
        The write-ahead log can be emptied as soon as all is copied, also before the copy is checked.
        """
        store = self.store()
        self.result(store.set("a", 1, {}))
        emptied: list[int] = []
        check = sqlite_copy._check

        def checked(source: str, connection: sqlite3.Connection) -> int:
            other = sqlite3.connect(self.path)
            emptied.extend(other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
            other.close()
            return check(source, connection)

        self.patch(sqlite_copy, "_check", checked)
        self.copied()
        self.assertEqual(emptied, [0, 0, 0])

    def test_after_a_crash(self) -> None:
        """
        A file whose server was killed is copied with its write-ahead log, and left as it is.
        """
        store = self.store()
        self.result(store.set("a", 1, {}))
        dead = self.directory / "dead"
        shutil.copytree(Path(self.path).parent, dead)
        path = str(dead / "records.sqlite")
        before = (dead / "records.sqlite").read_bytes(), (dead / "records.sqlite-wal").read_bytes()
        self.assertEqual(self.copied(path), 1)
        self.assertEqual(before, ((dead / "records.sqlite").read_bytes(), (dead / "records.sqlite-wal").read_bytes()))

    def test_damaged(self) -> None:
        """
        A copy of a damaged file fails.
        """
        self.put(*(f"record{number}" for number in range(1000)))
        self.damage(self.path)
        with self.assertRaisesRegex(TransferError, "records.sqlite is damaged"):
            self.copied()

    def test_no_room(self) -> None:
        """
        If there is no room for the copy, the error names the copy.
        """
        self.put(*(f"record{number}" for number in range(1000)))
        failed = sqlite3.OperationalError("full")
        failed.sqlite_errorcode = sqlite3.SQLITE_FULL
        failed.sqlite_errorname = "SQLITE_FULL"
        target = sqlite3.connect(self.copy)
        self.addCleanup(target.close)
        error = sqlite_copy._failed(self.path, target, failed)
        self.assertIn("copy.sqlite cannot grow: the disk is full", str(error))


class ReadingTests(FilesTestCase):
    """
    L{reading}.
    """

    def refusal(self, path: str) -> str:
        with self.assertRaises(TransferError) as caught:
            reading(path).__enter__()
        return str(caught.exception)

    def test_missing(self) -> None:
        """
        A file that is missing is not made.
        """
        self.assertEqual(self.refusal(self.path), f"there is no file {self.path}")
        self.assertFalse(os.path.exists(self.path))

    def test_other_files(self) -> None:
        """
        Only databases of dstwist are read.
        """
        Path(self.path).write_text("not a database, but a text that is longer than the head of a database" * 9)
        self.assertIn("is not an SQLite file", self.refusal(self.path))
        other = sqlite3.connect(self.copy)
        other.execute("CREATE TABLE records (name, version, data)")
        other.close()
        self.assertIn("is an SQLite file of another program", self.refusal(self.copy))
        Path(self.path).write_bytes(b"")
        self.assertIn("has no records", self.refusal(self.path))

    def test_read_only(self) -> None:
        """
        Nothing can be written.
        """
        self.put("a")
        with self.assertRaisesRegex(TransferError, "read-only"), reading(self.path) as connection:
            connection.execute("DELETE FROM records")

    def test_special_names(self) -> None:
        """
        Characters that have a meaning in a URI are parts of the name.
        """
        path = str(self.directory / "a?b#c%41 d.sqlite")
        self.put("a", path=path)
        with reading(path) as connection:
            self.assertEqual(connection.execute("SELECT name FROM records").fetchall(), [("a",)])
