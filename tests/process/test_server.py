"""
Tests for L{dstwist.process.server}.
"""

from __future__ import annotations

import os
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import StartError, StoppedError
from dstwist.process import signals
from dstwist.process.server import Server, make_files
from dstwist.process.service_manager import ServiceManager
from tests.logs import Lines
from tests.process.reactor import SignalledReactor


class FakeNode:
    """
    A node that obeys.
    """

    longest_start = 6.0
    longest_stop = 40.0

    def __init__(self) -> None:
        self.port_problem: str | None = None
        self.fails_at_once: str | None = None
        self.reloads = 0
        self.reports = 0
        self.started: Deferred[None] = Deferred()
        self.stopped: Deferred[None] = Deferred()

    def on_fatal_error(self, callback: Any) -> None:
        self.lose = callback

    def bind(self) -> None:
        if self.port_problem:
            raise StartError(self.port_problem)

    def start(self) -> Deferred[None]:
        if self.fails_at_once:
            self.fail(self.fails_at_once)
        return self.started

    def stop(self) -> Deferred[None]:
        if not self.started.called:
            self.started.errback(StoppedError("stopped"))
        return self.stopped

    def log_figures(self) -> None:
        self.reports += 1

    def reload(self) -> bool:
        self.reloads += 1
        return True

    def fail(self, reason: str) -> None:
        self.started.errback(StartError(reason))


class FakeReport:
    """
    The report to the terminal.
    """

    def __init__(self) -> None:
        self.said: list[object] = []

    def ready(self) -> None:
        self.said.append("ready")

    def failed(self, reason: str) -> None:
        self.said.append(reason)


class ServerTests(SynchronousTestCase):
    """
    A node and the process around it.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.reactor: Any = SignalledReactor()
        self.node = FakeNode()
        self.report = FakeReport()
        self.quits: list[int] = []
        self.pid_file = Path(self.mktemp())
        self.pid_file.write_text(str(os.getpid()))
        for name in ("hold", "ignore"):
            self.patch(signals, name, lambda: None)
        self.patch(signal, "signal", lambda number, handler: None)
        self.patch(sys, "__stderr__", StringIO())

    def make(self, **options: Any) -> Server:
        node: Any = self.node
        report: Any = self.report
        twistd = {"pidfile": str(self.pid_file), "nodaemon": True, **options}
        return Server(node, self.reactor, twistd, ServiceManager({}, self.reactor), report, [], self.quits.append)

    def start(self, **options: Any) -> Server:
        server = self.make(**options)
        server.privilegedStartService()
        server.startService()
        self.reactor.running = True
        return server

    def test_ready(self) -> None:
        """
        The terminal is told that the server is ready when it accepts connections, not when it begins to start.
        """
        self.start()
        self.assertEqual(self.report.said, [])
        self.node.started.callback(None)
        self.assertEqual(self.report.said, ["ready"])

    def test_stop(self) -> None:
        """
        A server that was asked to stop waits for its node, and ends with status 0. The log names the signal.
        """
        server = self.start()
        self.node.started.callback(None)
        server.signals.on_stop(15, None)
        self.assertTrue(self.reactor.hasStopped)
        self.assertIn("INFO | SIGTERM: dstwist is stopping", self.lines.of("info"))
        stopped = server.stopService()
        self.assertNoResult(stopped)
        self.node.stopped.callback(None)
        self.successResultOf(stopped)
        server.at_exit()
        self.assertEqual(self.quits, [])
        self.assertFalse(self.pid_file.exists())

    def test_port_taken(self) -> None:
        """
        If the port cannot be had the process ends, says why, and leaves no pid file.
        """
        self.node.port_problem = "port 6020 is taken"
        self.assertEqual(self.assertRaises(SystemExit, self.start).code, 1)
        self.assertEqual(self.report.said, ["port 6020 is taken (--host, --port and --listen say where to listen)"])
        self.assertIn("port 6020 is taken", self.lines.last("critical"))
        self.assertFalse(self.pid_file.exists())

    def test_fails_at_once(self) -> None:
        """
        The process ends in the same way if a part fails at once.
        """
        self.node.fails_at_once = "storage: no"
        self.assertEqual(self.assertRaises(SystemExit, self.start).code, 1)
        self.assertEqual(self.report.said[0], "storage: no")
        self.assertFalse(self.pid_file.exists())

    def test_fails_later(self) -> None:
        """
        If a part fails while the reactor runs, the reactor stops, and the process ends with status 1.
        """
        server = self.start()
        self.node.fail("storage: locked")
        self.assertTrue(self.reactor.hasStopped)
        self.node.stopped.callback(None)
        server.stopService()
        self.assertEqual(self.report.said, ["storage: locked"])
        server.at_exit()
        self.assertEqual(self.quits, [1])
        self.assertFalse(self.pid_file.exists())

    def test_lost(self) -> None:
        """
        If a store is lost, the server stops in order, and the process ends with status 1 and the reason.
        """
        server = self.start()
        self.node.started.callback(None)
        self.node.lose("the storage is lost")
        self.assertTrue(self.reactor.hasStopped)
        stopped = server.stopService()
        self.assertNoResult(stopped)
        self.node.stopped.callback(None)
        self.successResultOf(stopped)
        server.at_exit()
        self.assertEqual(self.quits, [1])
        self.assertIn("dstwist: the storage is lost", sys.__stderr__.getvalue())

    def test_lost_too_late(self) -> None:
        """
        A server that stops already ends with status 0.
        """
        server = self.start()
        self.node.started.callback(None)
        server.signals.on_stop(15, None)
        self.node.lose("the storage is lost")
        server.at_exit()
        self.assertEqual(self.quits, [])

    def test_terminal(self) -> None:
        """
        The reason is the last line on the terminal, wherever the log goes. A server in the background has no terminal.
        """
        for options, expected in (
            ({"logfile": "x.log"}, "dstwist: storage: locked\ndstwist: really\n"),
            ({}, "dstwist: storage: locked\ndstwist: really\n"),
            ({"logfile": "x.log", "nodaemon": False}, ""),
        ):
            stderr = StringIO()
            self.patch(sys, "__stderr__", stderr)
            server = self.start(**options)
            self.node.fail("storage: locked\nreally")
            self.assertEqual(stderr.getvalue(), "")
            server.at_exit()
            self.assertEqual(stderr.getvalue(), expected)
            self.node.started, self.reactor.hasStopped = Deferred(), False

    def test_stopped_too_early(self) -> None:
        """
        A server that is stopped before it was ready has not started: the waiting process reports that.
        """
        server = self.start()
        self.node.stopped.callback(None)
        server.stopService()
        self.assertEqual(self.report.said, ["the server was stopped before it was ready"])

    def test_second_stop(self) -> None:
        """
        A second request to stop, after a second, ends the process and leaves no pid file.
        """
        server = self.start()
        now = [0.0]
        server.signals._clock = lambda: now[0]
        server.signals.on_stop(15, None)
        server.signals.on_stop(15, None)
        self.assertEqual(self.quits, [])
        now[0] = 1.5
        server.signals.on_stop(15, None)
        self.assertEqual(self.quits, [143])
        self.assertFalse(self.pid_file.exists())

    def test_figures(self) -> None:
        """
        On SIGUSR2 the node writes its figures to the log.
        """
        self.start().signals.on_figures(1, None)
        self.assertEqual(self.node.reports, 1)

    def test_reload(self) -> None:
        """
        SIGHUP has the node read its configuration again, but not while it stops.
        """
        server = self.start()
        self.node.started.callback(None)
        server.signals.on_reload(1, None)
        self.assertEqual(self.node.reloads, 1)
        server.stopService()
        server.signals.on_reload(1, None)
        self.assertEqual(self.node.reloads, 1)


class FileTests(SynchronousTestCase):
    """
    Files and directories that are created before the start.
    """

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.given: list[str] = []
        self.patch(os, "chown", lambda path, uid, gid: self.given.append(os.path.relpath(path, self.root.parent)))

    def test_missing(self) -> None:
        """
        With C{--uid}, data directory, log and the directory of the pid file are made for that user.
        """
        options = {
            "uid": 1001,
            "gid": 1002,
            "nodaemon": False,
            "logfile": str(self.root / "log" / "d.log"),
            "pidfile": str(self.root / "run" / "d.pid"),
        }
        make_files(options, str(self.root / "data"))
        name = self.root.name
        self.assertEqual(self.given, [name, *(f"{name}/{path}" for path in ("data", "log", "log/d.log", "run"))])

    def test_no_log_file(self) -> None:
        """
        No file is made for a log that goes elsewhere.
        """
        self.root.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)
        for more in ({"nodaemon": True}, {"nodaemon": True, "logfile": "-"}, {"syslog": True, "nodaemon": False}):
            make_files({"uid": 1, "gid": 1, "pidfile": "", **more}, None)
        self.assertEqual(os.listdir(self.root), [])

    def test_refused(self) -> None:
        """
        If a file or directory cannot be created, the error names the option that asks for it.
        """
        self.root.write_text("")
        for option, options, data_dir in (
            ("--data-dir", {}, str(self.root / "d")),
            ("--logfile", {"logfile": str(self.root / "l")}, None),
            ("--pidfile", {"pidfile": str(self.root / "p")}, None),
        ):
            error = self.assertRaises(StartError, make_files, options, data_dir)
            self.assertTrue(str(error).startswith(f"{option} {self.root}"), str(error))
