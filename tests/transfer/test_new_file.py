"""
Tests for L{dstwist.transfer.new_file}.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import TransferError
from dstwist.transfer.new_file import PARTIAL, new_file


class NewFileTests(SynchronousTestCase):
    """
    L{new_file}.
    """

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.path = directory / "file"
        self.partial = directory / f"file{PARTIAL}"

    def write(self, text: str, replace: bool = False) -> None:
        with new_file(str(self.path), replace) as partial:
            Path(partial).write_text(text)

    def test_complete(self) -> None:
        """
        The file has its name after the block, and not before. Its owner alone can read it.
        """
        with new_file(str(self.path), False) as partial:
            Path(partial).write_text("a")
            self.assertFalse(self.path.exists())
        self.assertEqual(self.path.read_text(), "a")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertFalse(self.partial.exists())

    def test_failure(self) -> None:
        """
        After a failure nothing is left, and a file that was to be replaced is as it was.
        """
        self.path.write_text("old")

        def fail() -> None:
            with new_file(str(self.path), True) as partial:
                Path(partial).write_text("a")
                Path(f"{partial}-journal").write_text("of SQLite")
                raise KeyError

        self.assertRaises(KeyError, fail)
        self.assertEqual([path.name for path in self.path.parent.iterdir()], ["file"])
        self.assertEqual(self.path.read_text(), "old")

    def test_existing(self) -> None:
        """
        An existing file is replaced only if that is allowed.
        """
        self.path.write_text("old")
        with self.assertRaisesRegex(TransferError, "exists already"):
            self.write("new")
        self.assertEqual(self.path.read_text(), "old")
        self.write("new", replace=True)
        self.assertEqual(self.path.read_text(), "new")

    def test_existing_later(self) -> None:
        """
        A file that another program has made meanwhile is not replaced.
        """
        with self.assertRaisesRegex(TransferError, "exists already"), new_file(str(self.path), False):
            self.path.write_text("other")
        self.assertEqual(self.path.read_text(), "other")

    def test_not_a_file(self) -> None:
        """
        A directory is never replaced.
        """
        self.path.mkdir()
        with self.assertRaisesRegex(TransferError, "is not a file"):
            self.write("a", replace=True)

    def test_symbolic_link(self) -> None:
        """
        The file that a symbolic link names is replaced, not the link.
        """
        target = self.path.parent / "target"
        target.write_text("old")
        self.path.symlink_to(target)
        self.write("new", replace=True)
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(target.read_text(), "new")

    def test_two_processes(self) -> None:
        """
        Only one process can write a file at a time.
        """
        with new_file(str(self.path), False) as partial:
            Path(partial).write_text("first")
            with self.assertRaisesRegex(TransferError, "being written by another process"):
                self.write("second")
        self.assertEqual(self.path.read_text(), "first")

    def test_completed_meanwhile(self) -> None:
        """
        A file that another process completes before this one has locked it is not touched.
        """
        self.partial.write_text("complete")
        completed = self.path.parent / "completed"
        flock = fcntl.flock

        def late(descriptor: int, operation: int) -> None:
            if self.partial.exists() and not completed.exists():
                self.partial.rename(completed)
            flock(descriptor, operation)

        self.patch(fcntl, "flock", late)
        self.write("mine")
        self.assertEqual((completed.read_text(), self.path.read_text()), ("complete", "mine"))

    def test_killed(self) -> None:
        """
        The unfinished file of a process that was killed is written anew, without the files that SQLite had beside it.
        """
        self.partial.write_text("a long text of the killed process")
        journal = Path(f"{self.partial}-journal")
        journal.write_text("it would be rolled back")
        with new_file(str(self.path), False) as partial:
            self.assertEqual(os.path.getsize(partial), 0)
            self.assertFalse(journal.exists())
