"""
Tests for L{dstwist.process.background}.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.background import UNEXPLAINED, PassingOn, Report, wait


class PipeTests(SynchronousTestCase):
    """
    The pipe between the server and the process that waits for it.
    """

    def setUp(self) -> None:
        self.told: list[str] = []
        self.pids: list[int] = []
        self.pid_file = str(Path(self.mktemp()).absolute())
        Path(self.pid_file).write_text(str(os.getpid()))

    def wait(self, *steps: Any) -> int:
        """
        The status of a process that waits while a server does C{steps}, and then ends.
        """
        read, write = os.pipe()
        report = Report()

        def serve() -> None:
            report.open(write)
            for step in steps:
                step(report)
            if report._pipe is not None:
                os.close(write)

        server = threading.Thread(target=serve)
        server.start()
        try:
            with os.fdopen(read, "rb") as pipe:
                return wait(pipe, self.pid_file, self.told.append, self.pids.append)
        finally:
            server.join()

    def test_ready(self) -> None:
        """
        When the server is ready, the waiting process ends with status 0.
        """
        self.assertEqual(self.wait(Report.ready), 0)
        self.assertEqual(self.told, [])
        self.assertEqual(self.pids, [os.getpid()])
        self.assertTrue(Path(self.pid_file).exists())

    def test_failed(self) -> None:
        """
        If the server cannot start, the waiting process prints the whole reason, and leaves no pid file.
        """
        reason = "storage: /srv/r\u00e9cords.sqlite cannot be opened\n" + "x" * 1000
        self.assertEqual(self.wait(lambda report: report.failed(reason)), 1)
        self.assertEqual(self.told, [reason])
        self.assertFalse(Path(self.pid_file).exists())

    def test_status(self) -> None:
        """
        The status is the one that the server names; only the first outcome counts.
        """
        self.assertEqual(self.wait(lambda report: report.failed("no", 78), lambda report: report.failed("later")), 78)
        self.assertEqual(self.told, ["no"])

    def test_killed(self) -> None:
        """
        If the server ends without a report, the waiting process says so, and does not wait for ever.
        """
        self.assertEqual(self.wait(), 1)
        self.assertEqual(self.told, [UNEXPLAINED])
        self.assertFalse(Path(self.pid_file).exists())

    def test_killed_at_once(self) -> None:
        """
        The same if the server has not reported its pid. Then the pid file belongs to another process.
        """
        read, write = os.pipe()
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            self.assertEqual(wait(pipe, self.pid_file, self.told.append), 1)
        self.assertEqual(self.told, [UNEXPLAINED])
        self.assertTrue(Path(self.pid_file).exists())

    def test_other_pid_file(self) -> None:
        """
        The pid file of another process stays.
        """
        Path(self.pid_file).write_text("1")
        self.assertEqual(self.wait(), 1)
        self.assertTrue(Path(self.pid_file).exists())

    def test_no_process_waits(self) -> None:
        """
        A server in the foreground, where no process waits, and a server whose waiting process was killed do not fail.
        """
        Report().ready()
        Report().failed("no")
        read, write = os.pipe()
        report = Report()
        report.open(write)
        os.close(read)
        report.ready()


class SignalTests(SynchronousTestCase):
    """
    Signals to the process that waits.
    """

    def test_passed_on(self) -> None:
        """
        The server gets all signals, also those that come before its pid is known.
        """
        kills: list[tuple[int, int]] = []
        passing_on = PassingOn(lambda pid, number: kills.append((pid, number)))
        passing_on.on_signal(2, None)
        self.assertEqual(kills, [])
        passing_on.start(123)
        passing_on.on_signal(15, None)
        self.assertEqual(kills, [(123, 2), (123, 15)])

    def test_ended(self) -> None:
        """
        A signal for a server that has just ended is no failure.
        """

        def kill(pid: int, number: int) -> None:
            raise ProcessLookupError

        passing_on = PassingOn(kill)
        passing_on.start(123)
        passing_on.on_signal(15, None)
