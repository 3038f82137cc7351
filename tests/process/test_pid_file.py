"""
Tests for L{dstwist.process.pid_file}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.pid_file import remove_pid_file


class PidFileTests(SynchronousTestCase):
    """
    Removing a pid file.
    """

    def test_own(self) -> None:
        """
        That of the process is removed, and no other.
        """
        path = Path(self.mktemp())
        for text, stays in (("12", False), ("12\n", False), ("13", True), ("", True), ("x", True)):
            path.write_text(text)
            remove_pid_file(str(path), 12)
            self.assertEqual(path.exists(), stays, text)
        path.unlink()
        remove_pid_file(str(path), 12)
