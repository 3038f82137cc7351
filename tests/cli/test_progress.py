"""
Tests for L{dstwist.cli.progress}.
"""

from __future__ import annotations

import sys

import click
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cli.progress import INTERVAL, Progress, number, size


class ProgressTests(SynchronousTestCase):
    """
    L{Progress}.
    """

    def setUp(self) -> None:
        self.said: list[str] = []
        self.now = 100.0
        self.patch(click, "echo", lambda text, err, nl=True: self.said.append(text + "\n" * nl))

    def progress(self, terminal: bool = True) -> Progress:
        self.patch(sys.stderr, "isatty", lambda: terminal)
        return Progress(lambda: self.now)

    def test_line(self) -> None:
        """
        A line replaces the one before, all of it.
        """
        progress = self.progress()
        progress.show(lambda: "a long line")
        self.now += INTERVAL
        progress.show(lambda: "short")
        progress.tell("problem")
        self.assertEqual(self.said, ["\ra long line", "\rshort      ", "\r     \r", "problem\n"])
        progress.clear()
        self.assertEqual(len(self.said), 4)

    def test_rarely(self) -> None:
        """
        Texts that follow each other quickly are not even made.
        """
        progress = self.progress()
        progress.show(lambda: "a")
        progress.show(lambda: self.fail("too early"))
        self.assertEqual(len(self.said), 1)

    def test_no_terminal(self) -> None:
        """
        In a log file there are no such lines.
        """
        progress = self.progress(terminal=False)
        progress.show(lambda: "a")
        progress.tell("problem")
        self.assertEqual(self.said, ["problem\n"])

    def test_words(self) -> None:
        """
        Numbers, for people.
        """
        self.assertEqual([number(count) for count in (0, 1, 2)], ["0 records", "1 record", "2 records"])
        self.assertEqual([size(count) for count in (9999, 12_345_678)], ["9999 bytes", "12.35 MB"])
