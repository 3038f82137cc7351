"""
Tests for L{dstwist.store.sqlite_errors}.
"""

from __future__ import annotations

import os
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import StoreError
from dstwist.store.sqlite_errors import explained, no_room
from dstwist.store.sqlite_quota import QuotaError
from tests.store.stage import NOBODY, SqliteTestCase


class FailureTests(SqliteTestCase):
    """
    Failures of real files, as an operator reads them.
    """

    def test_busy(self) -> None:
        """
        A program that keeps the file locked for too long makes writes fail; when it has gone they succeed.
        """
        store = self.started(self.make(busy_timeout=0.01))
        other = self.other_program()
        other.execute("BEGIN IMMEDIATE")
        write = store.set("a", 1, {})
        read = store.get("a")
        self.assertIn("is locked by another program", self.failure(write))
        self.assertIsNone(self.result(read))
        other.execute("ROLLBACK")
        self.result(store.set("a", 1, {}))

    def test_no_directory(self) -> None:
        """
        A directory that is not there is not made, and named.
        """
        path = f"{self.path}/missing/records.sqlite"
        self.assertEqual(self.refusal(path), f"{path} cannot be opened: No such file or directory")

    def test_read_only_directory(self) -> None:
        """
        A directory that nothing may be written to is told as such.
        """
        os.mkdir(self.path, 0o500)
        if os.geteuid() == 0:
            # Root may write everywhere.
            os.chown(self.path, NOBODY, NOBODY)
            os.seteuid(NOBODY)
            self.addCleanup(os.seteuid, 0)
        path = f"{self.path}/records.sqlite"
        self.assertEqual(self.refusal(path), f"{path} cannot be opened: Permission denied")


class ExplainedTests(SynchronousTestCase):
    """
    L{explained} and L{no_room}.
    """

    def sqlite_error(self, code: int, name: str) -> sqlite3.Error:
        error = sqlite3.OperationalError("words of SQLite")
        error.sqlite_errorcode, error.sqlite_errorname = code, name
        return error

    def test_known(self) -> None:
        """
        Known codes of SQLite are explained, extended ones like their primary code; of all others the words of SQLite
        remain. The name of the code is there in any case.
        """
        for code, name, words in (
            (sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT", "is damaged"),
            (sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE", "the disk fails"),
            (sqlite3.SQLITE_TOOBIG, "SQLITE_TOOBIG", "words of SQLite"),
        ):
            error = explained("/a", self.sqlite_error(code, name))
            self.assertIsInstance(error, StoreError)
            self.assertTrue(str(error).startswith("/a "), error)
            self.assertIn(words, str(error))
            self.assertIn(f"({name})", str(error))

    def test_others(self) -> None:
        """
        So are failures of the system, of the quota and for want of memory; a mistake in dstwist is left as it is.
        """
        for problem, words in (
            (OSError(2, "No such file"), "/a cannot be opened: No such file"),
            (QuotaError("is too small"), "/a is too small"),
            (MemoryError(), "/a cannot be read or written: not enough memory"),
        ):
            error = explained("/a", problem)
            self.assertEqual((type(error), str(error)), (StoreError, words))
        mistake = KeyError("a")
        self.assertIs(explained("/a", mistake), mistake)

    def test_no_room(self) -> None:
        """
        A smaller transaction may have room on a full disk and within the quota, and helps against nothing else.
        """
        self.assertTrue(no_room(QuotaError("is too small")))
        self.assertTrue(no_room(self.sqlite_error(sqlite3.SQLITE_FULL, "SQLITE_FULL")))
        self.assertFalse(no_room(self.sqlite_error(sqlite3.SQLITE_IOERR, "SQLITE_IOERR")))
        self.assertFalse(no_room(MemoryError()))
