"""
Tests for L{dstwist.store.sqlite_lock}.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dstwist.store.sqlite import SqliteStore
from tests.logs import Lines
from tests.store.stage import SqliteTestCase


class LockTests(SqliteTestCase):
    """
    Only one server has a database.
    """

    def test_second_server(self) -> None:
        """
        A file belongs to one server; the second one is told which file is locked. When the first has stopped it may.
        """
        first = self.make()
        self.result(first.start())
        self.assertEqual(self.refusal(), f"{self.path} is in use by another dstwist, which has locked {self.path}.lock")
        self.result(first.stop())
        self.started(self.make())

    def test_start_again(self) -> None:
        """
        A store that could not start can be started when the reason has gone.
        """
        os.mkdir(self.path)
        store = self.make()
        self.failure(store.start())
        os.rmdir(self.path)
        self.result(self.started(store).set("a", 1, {}))

    def test_other_name(self) -> None:
        """
        A second server that comes to the same file by a symbolic link is refused, too.
        """
        self.started(self.make())
        os.symlink(self.path, f"{self.path}.link")
        self.assertIn("is in use by another dstwist", self.refusal(f"{self.path}.link"))


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
