"""
Tests for L{dstwist.transfer.restore}.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

from dstwist.errors import TransferError
from dstwist.store import sqlite_schema
from dstwist.transfer import restore as module
from dstwist.transfer.backup import back_up
from dstwist.transfer.restore import restore
from tests.transfer.stage import FilesTestCase


class RestoreTests(FilesTestCase):
    """
    L{restore}. The backup has the record C{old}, and the store has C{new}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.put("old")
        back_up(self.path, self.copy, False)
        os.unlink(self.path)
        self.put("new")

    def files(self) -> list[str]:
        return sorted(path.name for path in Path(self.path).parent.iterdir())

    def restored(self) -> str:
        """
        Restore; the name that the replaced file has now.
        """
        records, replaced = restore(self.copy, self.path)
        self.assertEqual(records, 1)
        self.assertEqual(self.contents(self.path), {"old": 1})
        assert replaced is not None
        return replaced

    def test_restore(self) -> None:
        """
        The store has the records of the backup, and the replaced file is kept. A server can use both.
        """
        replaced = self.restored()
        self.assertEqual(self.contents(replaced), {"new": 1})
        self.assertEqual(self.files(), ["records.sqlite", "records.sqlite.lock", os.path.basename(replaced)])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)
        self.assertEqual(os.stat(replaced).st_nlink, 1)
        self.assertIsNotNone(self.result(self.store().get("old")))
        self.assertIsNotNone(self.result(self.store(replaced).get("new")))

    def test_twice(self) -> None:
        """
        Each replaced file has a name of its own.
        """
        self.patch(time, "strftime", lambda format: "now")
        self.assertNotEqual(self.restored(), self.restored())

    def test_no_store(self) -> None:
        """
        A new data directory gets the records as well.
        """
        path = str(self.directory / "new.sqlite")
        self.assertEqual(restore(self.copy, path), (1, None))
        self.assertIsNotNone(self.result(self.store(path).get("old")))

    def test_in_use(self) -> None:
        """
        While a server has the store, nothing changes.
        """
        store = self.store()
        with self.assertRaisesRegex(TransferError, "is in use by another dstwist.* Stop the server first"):
            restore(self.copy, self.path)
        self.assertIsNotNone(self.result(store.get("new")))

    def test_locked_meanwhile(self) -> None:
        """
        No server can start while the store is restored.
        """
        refusals: list[str] = []

        def start(done: int, total: int) -> None:
            from dstwist.store.sqlite import SqliteStore

            refusals.append(self.failure(SqliteStore(self.path, self.reactor).start()))

        restore(self.copy, self.path, start)
        self.assertIn("is in use by another dstwist", refusals[0])

    def test_other_program(self) -> None:
        """
        If another program reads the store, nothing changes.
        """
        self.patch(module, "BUSY_TIMEOUT", 0.0)
        reader = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM records").fetchone()
        with self.assertRaisesRegex(TransferError, "locked by another program"):
            restore(self.copy, self.path)
        reader.execute("COMMIT")
        self.assertEqual(reader.execute("SELECT name FROM records").fetchall(), [("new",)])
        self.assertEqual([name for name in self.files() if "replaced" in name or "partial" in name], [])

    def test_after_a_crash(self) -> None:
        """
        The replaced file has the records that were in its write-ahead log only, and the log is not applied to the
        restored file. The next server is not told of a crash.
        """
        store = self.store()
        self.result(store.set("last", 7, {}))
        dead = self.directory / "dead"
        dead.mkdir()
        for end in ("", "-wal", ".lock"):
            (dead / f"records.sqlite{end}").write_bytes(Path(self.path + end).read_bytes())
        self.path = str(dead / "records.sqlite")
        replaced = self.restored()
        self.assertEqual(self.contents(replaced), {"new": 1, "last": 7})
        self.assertEqual(Path(f"{self.path}.lock").read_bytes(), b"closed\n")

    def test_damaged_store(self) -> None:
        """
        A store that is damaged is replaced, and kept.
        """
        Path(self.path).write_bytes(b"no database " * 1000)
        self.assertEqual(Path(self.restored()).read_bytes(), b"no database " * 1000)

    def test_damaged_log(self) -> None:
        """
        A write-ahead log that cannot be moved into its file is kept beside the replaced file.
        """
        Path(f"{self.path}-wal").write_bytes(b"log")
        self.patch(module, "_fold", lambda store: None)
        replaced = self.restored()
        self.assertEqual(Path(f"{replaced}-wal").read_bytes(), b"log")
        self.assertFalse(os.path.exists(f"{self.path}-wal"))

    def test_lost_file(self) -> None:
        """
        The write-ahead log of a file that is lost is not applied to the restored file.
        """
        os.unlink(self.path)
        Path(f"{self.path}-wal").write_bytes(b"log")
        replaced = self.restored()
        self.assertEqual(Path(replaced).read_bytes(), b"log")
        self.assertTrue(replaced.endswith("-wal"))

    def test_damaged_backup(self) -> None:
        """
        A backup that is damaged changes nothing.
        """
        path = str(self.directory / "big.sqlite")
        self.put(*(f"record{number}" for number in range(1000)), path=path)
        self.damage(path)
        with self.assertRaisesRegex(TransferError, "big.sqlite is damaged"):
            restore(path, self.path)
        self.assertEqual(self.files(), ["records.sqlite", "records.sqlite.lock"])
        self.assertEqual(self.contents(self.path), {"new": 1})

    def test_newer_backup(self) -> None:
        """
        A backup of a newer dstwist is refused.
        """
        connection = sqlite3.connect(self.copy)
        connection.execute(f"PRAGMA user_version = {sqlite_schema.SCHEMA_VERSION + 1}")
        connection.close()
        with self.assertRaisesRegex(TransferError, "was written by a newer dstwist"):
            restore(self.copy, self.path)
        self.assertEqual(self.contents(self.path), {"new": 1})

    def test_store_itself(self) -> None:
        """
        The file of the store is no backup of it.
        """
        with self.assertRaisesRegex(TransferError, "is the file of the store itself"):
            restore(self.path, self.path)

    def test_killed(self) -> None:
        """
        Whenever the process is killed, the store has all old records, or all of the backup.
        """

        class Killed(BaseException):
            pass

        def killed(*arguments: Any) -> Any:
            raise Killed

        for name in ("_fold", "_set_aside"):
            with self.subTest(name):
                patched = self.patch(module, name, killed)
                self.assertRaises(Killed, restore, self.copy, self.path)
                patched.restore()
                self.assertEqual(self.contents(self.path), {"new": 1})
        patched = self.patch(os, "rename", killed)
        self.assertRaises(Killed, restore, self.copy, self.path)
        patched.restore()
        self.assertEqual(self.contents(self.path), {"new": 1})

    def test_no_hard_links(self) -> None:
        """
        A file system without hard links will do.
        """

        def link(*arguments: Any) -> None:
            raise PermissionError

        self.patch(os, "link", link)
        self.assertEqual(self.contents(self.restored()), {"new": 1})

    def test_owner(self) -> None:
        """
        Files that root makes belong to the owner of the store.
        """
        if os.geteuid():
            return
        os.chown(self.path, 12345, 12345)
        self.restored()
        for path in (self.path, f"{self.path}.lock"):
            self.assertEqual(os.stat(path).st_uid, 12345)
