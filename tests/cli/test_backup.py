"""
Tests for L{dstwist.cli.backup}.
"""

from __future__ import annotations

import gzip
import os

from dstwist.transfer.lines import HEADER
from tests.cli.helpers import CommandTestCase
from tests.transfer.stage import FilesTestCase


class BackupTests(FilesTestCase, CommandTestCase):
    """
    C{dstwist backup} and C{dstwist restore}.
    """

    def setUp(self) -> None:
        FilesTestCase.setUp(self)
        CommandTestCase.setUp(self)
        self.data_dir = os.path.dirname(self.path)

    def test_both(self) -> None:
        """
        A backup is made while a server has the store, and is restored when it has stopped.
        """
        store = self.store()
        self.result(store.set("a", 1, {}))
        result = self.dstwist("backup", "-d", self.data_dir, self.copy)
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertRegex(result.stdout, rf"^{self.copy} is a backup of {self.path}: 1 record, \d+.* MB, \d+\.\d s\.\n$")
        result = self.dstwist("restore", "-d", self.data_dir, self.copy)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("is in use by another dstwist", result.stderr)
        self.assertIn("Stop the server first", result.stderr)
        self.result(store.set("b", 1, {}))
        self.result(store.stop())
        result = self.dstwist("restore", "-d", self.data_dir, self.copy)
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn(f"{self.path} has the 1 record of {self.copy} now.", result.stdout)
        self.assertIn(f"The file that was there is {self.path}.replaced-", result.stdout)
        self.assertEqual(self.contents(self.path), {"a": 1})

    def test_force(self) -> None:
        """
        An existing file is replaced with --force.
        """
        self.put("a")
        words = ["backup", "-d", self.data_dir, self.copy]
        self.assertEqual(self.dstwist(*words).exit_code, 0)
        result = self.dstwist(*words)
        self.assertEqual((result.exit_code, result.stderr), (1, f"{self.copy} exists already; --force replaces it\n"))
        self.assertEqual(self.dstwist(*words, "--force").exit_code, 0)

    def test_new_directory(self) -> None:
        """
        A backup is restored into a data directory that is missing. Its file is the one that the configuration names.
        """
        self.put("a")
        self.dstwist("backup", "-d", self.data_dir, self.copy)
        directory = str(self.directory / "new")
        self.assertEqual(self.dstwist("restore", "-d", directory, self.copy).exit_code, 0)
        self.assertEqual(self.contents(os.path.join(directory, "records.sqlite")), {"a": 1})
        self.assertEqual(os.stat(directory).st_mode & 0o777, 0o750)
        config = self.config("storage: {type: sqlite, options: {path: other.sqlite}}")
        self.assertEqual(self.dstwist("restore", "-c", str(config), self.copy).exit_code, 0)
        self.assertEqual(self.contents(str(config.parent / "other.sqlite")), {"a": 1})

    def test_no_backup(self) -> None:
        """
        A file that is no backup is refused before anything is made. For an export, the error names the other command.
        """
        directory = self.directory / "new"
        export = self.directory / "records.jsonl"
        export.write_bytes(HEADER)
        packed = self.directory / "records.jsonl.gz"
        packed.write_bytes(gzip.compress(HEADER))
        instead = "is an export, and not a backup: use dstwist import\n"
        for file, text in (
            (self.copy, f"there is no file {self.copy}\n"),
            (str(export), f"{export} {instead}"),
            (str(packed), f"{packed} {instead}"),
            (__file__, "is not an SQLite file"),
        ):
            result = self.dstwist("restore", "-d", str(directory), file)
            self.assertEqual(result.exit_code, 1)
            self.assertIn(text, result.stderr)
            self.assertFalse(directory.exists())

    def test_other_storage(self) -> None:
        """
        Other storages have no backup.
        """
        config = str(self.config("storage: {type: mine}"))
        for command, instead in (("backup", "export"), ("restore", "import")):
            result = self.dstwist(command, "-c", config, self.copy)
            self.assertEqual(result.exit_code, 1)
            self.assertIn(f"the storage is mine, and not an SQLite file: use dstwist {instead}", result.stderr)
            self.assertIn("--data-dir", self.dstwist(command, self.copy).stderr)
