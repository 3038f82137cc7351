"""
Tests for L{dstwist.process.pid_file}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.file_owner import Owner
from dstwist.process.pid_file import keep_pid_file, remove_pid_file


class RemoveTests(SynchronousTestCase):
    """
    Removing a pid file.
    """

    def test_own(self) -> None:
        """
        The pid file of the process is removed, and no other.
        """
        path = Path(self.mktemp())
        for text, stays in (("12", False), ("12\n", False), ("13", True), ("", True), ("x", True)):
            path.write_text(text)
            remove_pid_file(str(path), 12)
            self.assertEqual(path.exists(), stays, text)
        path.unlink()
        remove_pid_file(str(path), 12)


class KeepTests(SynchronousTestCase):
    """
    The process that removes the pid file of a server with fewer privileges.
    """

    def setUp(self) -> None:
        self.forks = 0
        self.path = str(Path(self.mktemp()).absolute())
        self.patch(os, "fork", self.fork)

    def fork(self) -> int:
        self.forks += 1
        return 1

    def keep(self, uid: int | None) -> bool:
        """
        The same, in the server. It keeps the writing end of the pipe, which is closed here.
        """
        read, write = os.pipe()
        patch = self.patch(os, "pipe", lambda: (os.dup(read), write))
        kept = keep_pid_file(self.path, Owner(uid))
        patch.restore()
        os.close(read)
        os.close(write)
        return kept

    def test_other_user(self) -> None:
        """
        The process is started if the server runs as another user, and the directory does not belong to that user.
        """
        self.assertTrue(self.keep(os.geteuid() + 1))
        self.assertEqual(self.forks, 1)

    def test_not_needed(self) -> None:
        """
        The process is not started if the server can remove the file itself.
        """
        directory = os.stat(os.path.dirname(self.path))
        self.patch(os, "geteuid", lambda: directory.st_uid + 1)
        for uid in (None, directory.st_uid + 1, directory.st_uid):
            self.assertFalse(self.keep(uid))
        self.assertEqual(self.forks, 0)
