"""
Files that change while the server runs.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.reload.files import FileWatch


class FileWatchTests(SynchronousTestCase):
    """
    L{FileWatch}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = self.mktemp()
        self.paths = [self.path]
        self.changes = 0
        self.write("one")
        self.watch = FileWatch(lambda: self.paths, self.changed)
        self.watch.start(10.0, self.clock)

    def changed(self) -> None:
        self.changes += 1

    def write(self, content: str) -> None:
        # Under a new name first: a file whose time and size are the same has another number then.
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(self.path + ".new", self.path)

    def look(self) -> int:
        self.clock.advance(10.0)
        return self.changes

    def test_changed(self) -> None:
        """
        A change counts when the file has not changed again since the look before, and once.
        """
        self.assertEqual([self.look(), self.look()], [0, 0])
        self.write("three")
        self.assertEqual(self.look(), 0)
        self.write("four, more")
        self.assertEqual([self.look(), self.look(), self.look()], [0, 1, 1])

    def test_taken_back(self) -> None:
        """
        A file that looks again as before has not changed.
        """
        os.rename(self.path, self.path + ".away")
        self.assertEqual(self.look(), 0)
        os.rename(self.path + ".away", self.path)
        self.assertEqual([self.look(), self.look()], [0, 0])

    def test_gone(self) -> None:
        """
        A file that is gone has changed, and one that comes has, too.
        """
        os.remove(self.path)
        self.assertEqual([self.look(), self.look(), self.look()], [0, 1, 1])
        self.write("again")
        self.assertEqual([self.look(), self.look()], [1, 2])

    def test_other_file(self) -> None:
        """
        Another file to watch is a change, unless the caller reads it and says so.
        """
        self.paths = [os.path.dirname(os.path.abspath(self.path))]
        self.watch.reset()
        self.assertEqual([self.look(), self.look()], [0, 0])
        self.paths = [self.path]
        self.assertEqual([self.look(), self.look()], [0, 1])

    def test_failure(self) -> None:
        """
        If C{changed} fails, the log has the failure, and the next change counts.
        """

        def fail() -> None:
            raise ZeroDivisionError

        watch = FileWatch(lambda: self.paths, fail)
        watch.start(10.0, self.clock)
        for content in ("two", "three and more"):
            self.write(content)
            self.clock.pump([10.0, 10.0])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop(self) -> None:
        """
        Nothing is looked at any more.
        """
        self.watch.stop()
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
