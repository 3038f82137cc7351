"""
Tests for L{dstwist.process.log_priorities}.
"""

from __future__ import annotations

import io
import os
import tempfile
from typing import Any

from twisted.logger import ILogObserver, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.process.log_priorities import (
    SyslogLines,
    is_journal,
    priority_of,
    text_without_time,
    with_priorities,
    write_error,
)


def event(text: str = "INFO | up", level: Any = LogLevel.info, **fields: Any) -> dict[str, Any]:
    return {"log_format": "{text}", "text": text, "log_level": level, "log_namespace": "n", "log_time": 1.0, **fields}


class PriorityTests(SynchronousTestCase):
    """
    Priorities, and the text that they stand before.
    """

    def test_priorities(self) -> None:
        """
        Each level has the priority of syslog; so has a line without a level.
        """
        levels = [LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical, None]
        self.assertEqual([priority_of(event(level=level)) for level in levels], [7, 6, 4, 3, 3, 6])

    def test_text(self) -> None:
        """
        A line has the module and the level, and no time.
        """
        self.assertEqual(text_without_time(event()), "[n#info] INFO | up")
        self.assertIsNone(text_without_time({"log_level": LogLevel.info}))

    def test_each_line(self) -> None:
        """
        Each line of a text has its priority, since the journal reads lines one by one.
        """
        form = with_priorities(text_without_time)
        self.assertEqual(form(event("a\nb", LogLevel.warn)), "<4>[n#warn] a\n<4>\tb")
        self.assertIsNone(form({"log_level": LogLevel.info}))
        lines = (form(event("it fell", LogLevel.critical, log_failure=Failure(ValueError("no")))) or "").split("\n")
        self.assertEqual(lines[0], "<3>[n#critical] it fell")
        self.assertTrue(all(line.startswith("<3>\t") for line in lines[1:]), lines)
        self.assertIn("builtins.ValueError: no", "".join(lines))

    def test_not_forged(self) -> None:
        """
        A text with control characters, or halves of surrogate pairs, can be written.
        """
        self.assertEqual(text_without_time(event("a\0b\x1b\ud800")), "[n#info] a?b??")


class JournalTests(SynchronousTestCase):
    """
    L{is_journal}.
    """

    def test_journal(self) -> None:
        """
        A file is connected to the journal if the variable of systemd names it.
        """
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as other:
            found = os.fstat(file.fileno())
            stream = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
            self.assertTrue(is_journal(file, stream))
            self.assertFalse(is_journal(other, stream))
            self.assertFalse(is_journal(file, {}))
            for wrong in ("", "no", f"{found.st_ino}:{found.st_dev}"):
                self.assertFalse(is_journal(file, {"JOURNAL_STREAM": wrong}))

    def test_errors(self) -> None:
        """
        The text of an error before the log begins has the priority of an error in each line, in the journal alone.
        """
        with tempfile.TemporaryFile("w+") as file:
            found = os.fstat(file.fileno())
            write_error("two\nlines", file, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
            write_error("two\nlines", file, {})
            file.seek(0)
            self.assertEqual(file.read(), "<3>two\n<3>lines\ntwo\nlines\n")

    def test_no_file(self) -> None:
        """
        An object without a descriptor is not.
        """
        self.assertFalse(is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"}))
        self.assertFalse(is_journal(object(), {"JOURNAL_STREAM": "1:2"}))


class SyslogTests(SynchronousTestCase):
    """
    L{SyslogLines}.
    """

    def test_lines(self) -> None:
        """
        Each line is a message with its priority.
        """
        written: list[tuple[int, str]] = []
        lines = SyslogLines(text_without_time, lambda priority, text: written.append((priority, text)))
        verifyObject(ILogObserver, lines)
        lines(event("a\nb", LogLevel.warn))
        lines({"log_level": LogLevel.info})
        lines(event("c", LogLevel.error))
        self.assertEqual(written, [(4, "[n#warn] a"), (4, "\tb"), (3, "[n#error] c")])
