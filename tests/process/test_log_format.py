"""
Tests for L{dstwist.process.log_format}.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import LogBeginner, LogPublisher, textFileLogObserver
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import LoggerOptions
from dstwist.log import Logger
from dstwist.process.log_file import keep_log_file
from dstwist.process.log_format import format_log


class FormatTests(SynchronousTestCase):
    """
    The form of the lines, by the place that the log goes to.
    """

    def setUp(self) -> None:
        self.publisher = LogPublisher()
        self.log = Logger(namespace="dstwist.here", observer=self.publisher)
        self.reopens: list[Callable[[], object]] = []
        self.to_syslog: list[tuple[int, str]] = []

    def begin(
        self,
        target: Any,
        json: bool,
        options: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """
        Begin to log, as twistd does.
        """
        stream: Any = io.StringIO()
        warnings = type("Warnings", (), {"showwarning": None})()
        beginner = LogBeginner(self.publisher, stream, stream, warnings)
        self.log.info("INFO | early", event="INFO")
        logger = LoggerOptions(json=json, **settings)
        keep_log_file(beginner, logger, self.reopens)
        format_log(beginner, logger, options or {}, environ or {}, lambda *line: self.to_syslog.append(line))
        beginner.beginLoggingTo([textFileLogObserver(target)], redirectStandardIO=False)

    def test_terminal(self) -> None:
        """
        Text has a time, for people; lines of JSON are whole objects. Lines from before the log began are there too.
        """
        self.begin(stream := io.StringIO(), json=False)
        self.log.info("INFO | up", event="INFO")
        first, second = stream.getvalue().splitlines()
        self.assertRegex(first, r"^\d{4}-\d\d-\d\dT\S+ \[dstwist.here#info\] INFO \| early$")
        self.assertRegex(second, r"^\d{4}-\d\d-\d\dT\S+ \[dstwist.here#info\] INFO \| up$")

    def test_json(self) -> None:
        """
        A line of JSON is a whole object. Lines from before the log began have the same form.
        """
        self.begin(stream := io.StringIO(), json=True)
        self.log.warn("INFO | two\nlines", event="INFO")
        self.assertEqual(
            [(line["level"], line["message"]) for line in map(json.loads, stream.getvalue().splitlines())],
            [(30, "early"), (40, "two\nlines")],
        )

    def journal(self, json: bool) -> list[str]:
        with tempfile.TemporaryFile("w+") as file:
            found = os.fstat(file.fileno())
            self.begin(file, json=json, environ={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
            self.log.warn("INFO | up", event="INFO")
            file.seek(0)
            return file.read().splitlines()

    def test_journal(self) -> None:
        """
        In the journal, each line of either form has a priority, and text has no time of its own.
        """
        self.assertEqual(
            self.journal(json=False), ["<6>[dstwist.here#info] INFO | early", "<4>[dstwist.here#warn] INFO | up"]
        )

    def test_json_in_journal(self) -> None:
        """
        JSON has the same priorities.
        """
        first, second = self.journal(json=True)
        self.assertEqual((first[:3], json.loads(first[3:])["message"]), ("<6>", "early"))
        self.assertEqual((second[:3], json.loads(second[3:])["message"]), ("<4>", "up"))

    def test_other_stream(self) -> None:
        """
        A log file of a service of systemd has neither priorities nor lines without a time.
        """
        self.begin(stream := io.StringIO(), json=False, environ={"JOURNAL_STREAM": "1:2"})
        self.assertRegex(stream.getvalue(), r"^\d{4}-")

    def test_syslog(self) -> None:
        """
        syslog gets each line with its priority.
        """
        self.begin(io.StringIO(), json=False, options={"syslog": True})
        self.log.warn("INFO | up", event="INFO")
        self.assertEqual(
            self.to_syslog, [(6, "[dstwist.here#info] INFO | early"), (4, "[dstwist.here#warn] INFO | up")]
        )

    def test_json_to_syslog(self) -> None:
        """
        JSON goes there without anything before it.
        """
        self.begin(io.StringIO(), json=True, options={"syslog": True})
        ((priority, text),) = self.to_syslog
        self.assertEqual((priority, json.loads(text)["message"]), (6, "early"))

    def test_own_observer(self) -> None:
        """
        An observer of the operator (C{twistd --logger}) keeps its form.
        """
        self.begin(stream := io.StringIO(), json=True, options={"logger": lambda: None, "syslog": True})
        self.assertIn("[dstwist.here#info] INFO | early", stream.getvalue())
        self.assertEqual(self.to_syslog, [])

    def test_rotation(self) -> None:
        """
        The file is rotated, and reopened, with JSON as with text. No object is cut.
        """
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        path = os.path.join(directory, "dstwist.log")
        self.begin(file := LogFile.fromFullPath(path), json=True, max_file_size=10_000, max_files=2)
        self.addCleanup(file.close)
        for number in range(300):
            self.log.info("INFO | line {number}", number=number)
        self.assertEqual(sorted(os.listdir(directory)), ["dstwist.log", "dstwist.log.1", "dstwist.log.2"])
        os.rename(path, f"{path}.moved")
        (reopen,) = self.reopens
        reopen()
        self.log.info("INFO | after")
        with open(path) as log:
            self.assertEqual(json.loads(log.read().splitlines()[-1])["message"], "after")
        numbers = []
        for name in ("dstwist.log.2", "dstwist.log.1", "dstwist.log.moved"):
            with open(os.path.join(directory, name)) as log:
                numbers += [json.loads(line)["message"] for line in log]
        self.assertEqual(numbers, [f"line {number}" for number in range(300 - len(numbers), 300)])
