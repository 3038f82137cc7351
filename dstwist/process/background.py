"""
The start in the background: C{twistd} without C{--nodaemon}, and how the server reports to the terminal.

::

    twistd ---- fork ---- waits for the pipe ---- ready: status 0; or the reason on the terminal, and its status
                  |
                  +------ fork ---- ends
                            |
                            +------ the server ---- pipe: its pid | "0", or a status and a reason | end of file

The C{daemonize} of Twisted leaves the writing end of the pipe open in the process that waits, which then never learns
that the server is dead. Its caller reports neither a C{SystemExit} nor a failure after the reactor runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, BinaryIO

from twisted.internet.interfaces import IReactorDaemonize
from twisted.scripts import _twistd_unix

from dstwist.process.pid_file import remove_pid_file

#: The reason for a server that ended without a report.
UNEXPLAINED = "the server ended before it was ready; its log says why"

_STOPS = (signal.SIGTERM, signal.SIGINT)


class Report:
    """
    The end of the pipe in the server. It reports the first outcome, if a process waits.
    """

    def __init__(self) -> None:
        self._pipe: int | None = None
        self._said = False

    def open(self, pipe: int) -> None:
        """
        A process waits for the outcome at the other end of C{pipe}.
        """
        self._pipe = pipe
        self._write(str(os.getpid()))

    def ready(self) -> None:
        """
        The server is ready: the waiting process can end.
        """
        self._say(0, "")
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)

    def failed(self, reason: str, status: int = 1) -> None:
        """
        The server cannot start. The waiting process also waits for the end of this one, which frees all that it has
        open.
        """
        self._say(status, reason)

    def _say(self, status: int, reason: str) -> None:
        if not self._said:
            self._said = True
            self._write(json.dumps([status, reason]))

    def _write(self, line: str) -> None:
        if self._pipe is not None:
            try:
                os.write(self._pipe, line.encode("ascii") + b"\n")
            except BrokenPipeError:
                # The waiting process was killed.
                pass


#: The report of this process.
report = Report()


def install() -> None:
    """
    Make twistd go into the background in this way.
    """
    runner: Any = _twistd_unix.UnixApplicationRunner
    runner.daemonize = _daemonize


def _daemonize(runner: Any, reactor: Any) -> None:
    """
    Continue in the background; the process that was called waits, and ends with the outcome.

    Without a result, Twisted has no pipe of its own to report to.
    """
    if IReactorDaemonize.providedBy(reactor):
        reactor.beforeDaemonize()
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    read, write = os.pipe()
    # Until both processes handle requests to stop in their own way, the system keeps them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    middle = os.fork()
    if middle:
        os.close(write)
        passing_on = PassingOn(os.kill)
        for number in _STOPS:
            signal.signal(number, passing_on.on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        os.waitpid(middle, 0)
        os._exit(_wait_and_tell(read, runner.config["pidfile"], passing_on))
    os.close(read)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.close(null)
    if IReactorDaemonize.providedBy(reactor):
        reactor.afterDaemonize()
    report.open(write)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _wait_and_tell(pipe: int, pid_file: str | None, passing_on: PassingOn) -> int:
    def tell(reason: str) -> None:
        for line in reason.splitlines():
            os.write(2, f"dstwist: {line}\n".encode("utf-8", "backslashreplace"))

    with os.fdopen(pipe, "rb") as file:
        return wait(file, pid_file, tell, passing_on.start)


class PassingOn:
    """
    Passes Ctrl-C and requests to stop on to the server while this process waits for it. Signals that come before the
    pid of the server is known are passed on later.

    @param kill: C{os.kill}.
    """

    def __init__(self, kill: Callable[[int, int], object]) -> None:
        self._kill = kill
        self._pid: int | None = None
        self._early: list[int] = []

    def start(self, pid: int) -> None:
        """
        Pass signals on to C{pid}.
        """
        self._pid = pid
        while self._early:
            self.on_signal(self._early.pop(0), None)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._pid is None:
            self._early.append(number)
            return
        # The server may have ended by itself.
        with contextlib.suppress(ProcessLookupError):
            self._kill(self._pid, number)


def wait(
    pipe: BinaryIO,
    pid_file: str | None,
    tell: Callable[[str], object],
    started: Callable[[int], object] = lambda pid: None,
) -> int:
    """
    Wait until the server is ready, or has ended.

    @param pid_file: the server's, removed if the server could not.
    @param tell: called with the reason why the server has not started.
    @param started: called with its pid.
    @return: the exit status.
    """
    pid = pipe.readline().strip().decode("ascii")
    if pid:
        started(int(pid))
    outcome = pipe.readline()
    status, reason = json.loads(outcome) if outcome else (1, UNEXPLAINED)
    if not status:
        return 0
    tell(reason)
    # Until the server has ended, its port, its files and its locks are not free.
    pipe.read()
    if pid_file and pid:
        remove_pid_file(pid_file, int(pid))
    return int(status)
