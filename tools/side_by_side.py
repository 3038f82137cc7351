"""
Several processes that run test modules side by side.

Each process takes one module after the other: servers and clients that tests share are started once in each process.
trial gives each process a temporary directory of its own. A process reports outcomes over a socket, one JSON text for
each. It writes to a file, and what it wrote about a module is printed when the module is through.

A test in which its process ends has failed. Another process runs the rest of the module.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import deque
from functools import partial
from typing import Any

from twisted.trial.itrial import ITestCase
from twisted.trial.runner import TestLoader, TestSuite, TrialRunner
from twisted.trial.unittest import decorate

from tools.outcomes import Outcomes, Recorder, flatten

#: How many seconds a process that was told to stop has for that.
PATIENCE = 10.0


class Beside:
    """
    A shell command that runs while the tests do.
    """

    def __init__(self, command: str) -> None:
        self._file = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, shell=True, stdin=subprocess.DEVNULL, stdout=self._file, stderr=subprocess.STDOUT
        )

    def end(self, stopped: bool) -> bool:
        """
        Wait for its end, or bring that about if the tests were stopped. Print what it wrote, and give whether it was a
        success.
        """
        if stopped:
            self._process.terminate()
        succeeded = self._process.wait() == 0
        self._file.seek(0)
        print(self._file.read().decode("utf-8", "replace"), end="", flush=True)
        return succeeded


class Run:
    """
    A run of many tests; C{command} starts a process for some of them, given the number of its socket.
    """

    def __init__(self, command: list[str], outcomes: Outcomes) -> None:
        self._command = command
        self._outcomes = outcomes
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._waiting: deque[list[str]] = deque()
        self._failures: list[str] = []

    def run(self, groups: list[list[str]], jobs: int) -> None:
        """
        Run all tests of C{groups}, of which each stays in one process, in C{jobs} processes.
        """
        self._waiting.extend(groups)
        threads = [threading.Thread(target=self._guarded) for _ in range(min(jobs, len(groups)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._stop(threads)

    def print_failures(self) -> None:
        """
        Print what each process wrote at its end, so that failures are found at the end of the output.
        """
        for text in self._failures:
            print(text, flush=True)

    def _stop(self, threads: list[threading.Thread]) -> None:
        """
        Stop all processes: in good order, and by force the second time, or if that takes long.
        """
        self._outcomes.stopped = True
        self._waiting.clear()
        try:
            self._signal(signal.SIGINT)
            for thread in threads:
                thread.join(PATIENCE)
        finally:
            self._signal(signal.SIGKILL)
            for thread in threads:
                thread.join()

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            for worker in self._workers:
                worker.process.send_signal(number)

    def _guarded(self) -> None:
        try:
            self._serve()
        except BaseException:
            self._fail(__name__, f"A mistake of the test runner itself:\n{traceback.format_exc()}")

    def _serve(self) -> None:
        worker: _Worker | None = None
        while not self._outcomes.stopped:
            try:
                tests = self._waiting.popleft()
            except IndexError:
                break
            while tests and not self._outcomes.stopped:
                if worker is None:
                    worker = self._start()
                tests = worker.run(tests)
                if worker.ended:
                    self._end(worker)
                    worker = None
                else:
                    self._print(worker.output())
                    for test in tests:
                        self._fail(test, f"{test} was not run.")
                    tests = []
        if worker is not None:
            self._end(worker)

    def _start(self) -> _Worker:
        with self._lock:
            worker = _Worker(self._command, self._take)
            self._workers.add(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        """
        Let a process end, and keep the text that trial writes at the end: the failures once more, and a summary.
        """
        status = worker.end()
        with self._lock:
            self._workers.remove(worker)
            self._failures.append(worker.output())
        if status != 0 and not self._outcomes.stopped:
            where = worker.current or f"process-{worker.process.pid}"
            self._fail(where, f"The process ended with {status} in {where}; what it wrote is above.")

    def _fail(self, test: str, why: str) -> None:
        with self._lock:
            self._failures.append(why)
            self._outcomes.take("failed", test)

    def _take(self, outcome: str, test: str, wall: float = 0.0, cpu: float = 0.0) -> None:
        with self._lock:
            self._outcomes.take(outcome, test, wall, cpu)

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, end="", flush=True)


class _Worker:
    """
    One process, from outside.
    """

    def __init__(self, command: list[str], take: Any) -> None:
        self._take = take
        self.current = ""
        self.ended = False
        self._file = tempfile.TemporaryFile()
        self._printed = 0
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._file,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C comes to the run, which then stops this process, and not to servers that a test has started.
                start_new_session=True,
            )
        self._socket = ours
        self._lines = ours.makefile("r", encoding="utf-8")

    def run(self, tests: list[str]) -> list[str]:
        """
        Run C{tests}, and give those that were not run: if the process has C{ended}, another one can run them.
        """
        left = dict.fromkeys(tests)
        try:
            self._socket.sendall(json.dumps(tests).encode("ascii") + b"\n")
            for line in self._lines:
                outcome, test, wall, cpu = json.loads(line)
                if outcome == "through":
                    return list(left)
                if outcome == "started":
                    self.current = test
                elif outcome == "ended":
                    self.current = ""
                    left.pop(test, None)
                self._take(outcome, test, wall, cpu)
        except (OSError, json.JSONDecodeError):
            # It has ended.
            pass
        self.ended = True
        # The test in which it ended is not run again; if it ended between tests, the next test is not run again.
        self.current = self.current or next(iter(left), "")
        left.pop(self.current, None)
        return list(left)

    def output(self) -> str:
        """
        The output of the process since the last call.
        """
        size = os.fstat(self._file.fileno()).st_size
        text = os.pread(self._file.fileno(), size - self._printed, self._printed)
        self._printed = size
        return text.decode("utf-8", "replace")

    def end(self) -> int:
        """
        Let the process end, and return its exit status.
        """
        try:
            self._socket.shutdown(socket.SHUT_WR)
            for line in self._lines:
                self._take(*json.loads(line))
        except (OSError, json.JSONDecodeError):
            # Its exit status tells.
            pass
        self._lines.close()
        self._socket.close()
        return self.process.wait()


def work(number: int) -> None:
    """
    Be one of the processes; C{number} is the file descriptor of the socket to the run.
    """
    connection = socket.socket(fileno=number)
    # Nothing that a test starts is to have it.
    connection.set_inheritable(False)
    requests = connection.makefile("r", encoding="utf-8")

    def take(outcome: str, test: str, wall: float = 0.0, cpu: float = 0.0) -> None:
        connection.sendall(json.dumps([outcome, test, wall, cpu]).encode("ascii") + b"\n")

    class Requested(TestSuite):
        """
        The tests that are asked for.
        """

        def run(self, result: Any, debug: bool = False) -> Any:
            for line in requests:
                for test in flatten(decorate(TestLoader().loadByNames(json.loads(line)), ITestCase)):
                    if result.shouldStop:
                        return result
                    test(result)
                take("through", "")
            return result

    TrialRunner(partial(Recorder, take), realTimeErrors=True, stream=sys.stdout).run(Requested())
