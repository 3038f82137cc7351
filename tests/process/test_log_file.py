"""
Tests for L{dstwist.process.log_file}.
"""

from __future__ import annotations

import faulthandler
import io
import os
from collections.abc import Callable
from typing import Any

from twisted.logger import LogBeginner, Logger, LogPublisher, textFileLogObserver
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import LoggerOptions
from dstwist.process.log_file import keep_log_file
from tests.logs import Lines


class LogFileTests(SynchronousTestCase):
    """
    A log that goes to a file, as twistd begins it.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        was_enabled = faulthandler.is_enabled()
        self.addCleanup(lambda: faulthandler.enable() if was_enabled else faulthandler.disable())
        directory = self.mktemp()
        os.mkdir(directory)
        self.path = os.path.join(os.path.abspath(directory), "dstwist.log")
        self.reopens: list[Callable[[], object]] = []
        self.publisher = LogPublisher()
        self.log = Logger(observer=self.publisher)

    def begin(self, target: Any = None, **options: Any) -> None:
        """
        Begin to log.
        """
        stream: Any = io.StringIO()
        warnings = type("Warnings", (), {"showwarning": None})()
        beginner = LogBeginner(self.publisher, stream, stream, warnings)
        keep_log_file(beginner, LoggerOptions(**options), self.reopens)
        target = target if target is not None else LogFile.fromFullPath(self.path)
        if isinstance(target, LogFile):
            self.addCleanup(target.close)
        beginner.beginLoggingTo([textFileLogObserver(target)], redirectStandardIO=False)

    def content(self, path: str) -> str:
        with open(path) as file:
            return file.read()

    def reopen(self) -> None:
        (reopen,) = self.reopens
        reopen()

    def test_moved(self) -> None:
        """
        After the file was moved away and made anew, as by logrotate with C{create}, the log goes on in the new one.
        """
        self.begin()
        self.log.info("before")
        os.rename(self.path, f"{self.path}.1")
        self.log.info("between")
        open(self.path, "w").close()
        os.chmod(self.path, 0o640)
        self.reopen()
        self.log.info("after")
        self.assertIn("before", old := self.content(f"{self.path}.1"))
        self.assertIn("between", old)
        self.assertNotIn("after", old)
        self.assertIn("after", new := self.content(self.path))
        self.assertNotIn("between", new)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o640)

    def test_moved_away(self) -> None:
        """
        If no file was made in its place, it is made.
        """
        self.begin()
        os.rename(self.path, f"{self.path}.1")
        self.reopen()
        self.log.info("after")
        self.assertIn("after", self.content(self.path))

    def test_not_moved(self) -> None:
        """
        Nothing is lost if the file is where it was.
        """
        self.begin()
        self.log.info("before")
        self.reopen()
        self.log.info("after")
        self.assertRegex(self.content(self.path), r"before\n.*after\n$")

    def test_old_is_closed(self) -> None:
        """
        A file that was moved away is not held open: its room on the disk is free when it is deleted.
        """
        self.begin()
        for number in range(3):
            os.rename(self.path, f"{self.path}.{number}")
            self.reopen()
        held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
        self.assertEqual([path for path in held if path.startswith(f"{self.path}.")], [])

    def test_cannot_open(self) -> None:
        """
        If the file cannot be reopened, the log continues in the old one, and says so.
        """
        self.begin()
        old = f"{self.path}.1"
        os.rename(self.path, old)
        os.mkdir(self.path)
        self.reopen()
        self.log.info("after")
        self.assertIn("after", self.content(old))
        (line,) = self.lines.of("error")
        self.assertTrue(line.startswith(f"LOG_FILE | cannot open {self.path} anew"), line)

    def test_rotation(self) -> None:
        """
        The log is rotated at a size, and at most the configured number of old files is kept.
        """
        self.begin(max_file_size=10_000, max_files=2)
        for number in range(400):
            self.log.info(f"line {number} " + "x" * 100)
        names = sorted(os.listdir(os.path.dirname(self.path)))
        self.assertEqual(names, ["dstwist.log", "dstwist.log.1", "dstwist.log.2"])
        self.assertIn("line 399 ", self.content(self.path))
        self.assertLess(os.stat(f"{self.path}.1").st_size, 10_300)

    def test_no_rotation(self) -> None:
        """
        Without a size it never does.
        """
        self.begin(max_file_size=None)
        for _ in range(30):
            self.log.info("x" * 100_000)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["dstwist.log"])

    def test_no_file(self) -> None:
        """
        A log that goes to the terminal is left alone.
        """
        self.begin(stream := io.StringIO())
        self.log.info("line")
        self.assertEqual(self.reopens, [])
        self.assertIn("line", stream.getvalue())

    def test_crashes(self) -> None:
        """
        The traceback of a crash goes to the file that is open now.
        """
        self.begin(max_file_size=10_000)
        for number in range(200):
            self.log.info(f"line {number} " + "x" * 100)
        os.rename(self.path, f"{self.path}.moved")
        self.reopen()
        keeper: Any = self.reopens[0]
        faulthandler.dump_traceback(keeper.__self__._crashes)
        self.assertIn("most recent call first", self.content(self.path))


def _is_link(fd: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{fd}")
