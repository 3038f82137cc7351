"""
Tests for L{dstwist.transfer.backup}.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dstwist.errors import TransferError
from dstwist.transfer.backup import back_up
from tests.transfer.stage import FilesTestCase


class BackupTests(FilesTestCase):
    """
    L{back_up}.
    """

    def test_backup(self) -> None:
        """
        The backup has the records, and its owner alone can read it.
        """
        store = self.store()
        self.result(store.set("a", 3, {}))
        self.assertEqual(back_up(self.path, self.copy, False), 1)
        self.assertEqual(self.contents(self.copy), {"a": 3})
        self.assertEqual(stat.S_IMODE(os.stat(self.copy).st_mode), 0o600)

    def test_existing(self) -> None:
        """
        An existing file is replaced only if that is allowed.
        """
        self.put("a")
        Path(self.copy).write_text("precious")
        with self.assertRaisesRegex(TransferError, "exists already"):
            back_up(self.path, self.copy, False)
        self.assertEqual(Path(self.copy).read_text(), "precious")
        back_up(self.path, self.copy, True)
        self.assertEqual(self.contents(self.copy), {"a": 1})

    def test_damaged(self) -> None:
        """
        A backup that would be damaged does not replace the one before, and leaves nothing behind.
        """
        self.put(*(f"record{number}" for number in range(1000)))
        back_up(self.path, self.copy, False)
        self.damage(self.path)
        with self.assertRaisesRegex(TransferError, "is damaged"):
            back_up(self.path, self.copy, True)
        self.assertEqual(len(self.contents(self.copy)), 1000)
        self.assertEqual([path.name for path in self.directory.iterdir() if path.is_file()], ["copy.sqlite"])

    def test_store_itself(self) -> None:
        """
        A backup never replaces a file of the store, whatever its name is.
        """
        store = self.store()
        self.result(store.set("a", 1, {}))
        link = self.directory / "link"
        link.symlink_to(self.path)
        second = self.directory / "second"
        os.link(self.path, second)
        wal = self.directory / "data" / ".." / "data" / "records.sqlite-wal"
        for name in (self.path, f"{self.path}-wal", f"{self.path}-shm", f"{self.path}.lock", link, second, wal):
            with self.assertRaisesRegex(TransferError, "is a file of the store itself"):
                back_up(self.path, str(name), True)
        second.unlink()
        self.result(store.set("b", 1, {}))

    def test_no_directory(self) -> None:
        """
        The error names what is missing.
        """
        self.put("a")
        with self.assertRaisesRegex(TransferError, "nowhere/b.partial: No such file or directory"):
            back_up(self.path, str(self.directory / "nowhere" / "b"), False)
        with self.assertRaisesRegex(TransferError, "there is no file"):
            back_up(str(self.directory / "none.sqlite"), self.copy, False)
        self.assertFalse(os.path.exists(self.copy))
