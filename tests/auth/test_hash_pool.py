"""
Threads for hashing passwords.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.auth.hash_pool import HashPool
from dstwist.errors import AuthError, BusyError


class FakeReactor:
    """
    A reactor that is always in its own thread.
    """

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        function(*args)


class FakeThreads:
    """
    Threads that work when they are told to.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.jobs: list[tuple[Callable[..., Any], Callable[[], Any]]] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def callInThreadWithCallback(self, done: Callable[..., Any], function: Callable[..., Any], *args: Any) -> None:
        self.jobs.append((done, lambda: function(*args)))

    def work(self) -> None:
        done, job = self.jobs.pop(0)
        try:
            result = job()
        except Exception:
            done(False, Failure())
        else:
            done(True, result)


class HashPoolTests(SynchronousTestCase):
    """
    L{HashPool}.
    """

    def setUp(self) -> None:
        self.threads = FakeThreads()
        self.pool = HashPool(FakeReactor(), 2, 3, self.threads)
        self.pool.start()

    def test_threads(self) -> None:
        """
        Work is done by the threads, not by the caller, and its result or failure comes back.
        """
        good, bad = self.pool.run(int, "5"), self.pool.run(int, "x")
        self.assertNoResult(good)
        self.threads.work()
        self.assertEqual(self.successResultOf(good), 5)
        self.threads.work()
        self.failureResultOf(bad, ValueError)

    def test_bounds(self) -> None:
        """
        C{maxConcurrentHashes} are worked on, C{maxQueuedHashes} wait, more fail at once.
        """
        accepted = [self.pool.run(int) for _ in range(5)]
        self.assertEqual(len(self.threads.jobs), 2)
        self.failureResultOf(self.pool.run(int), BusyError)
        for _ in accepted:
            self.threads.work()
        self.assertEqual([self.successResultOf(result) for result in accepted], [0] * 5)

    def test_cancelled(self) -> None:
        """
        A thread cannot be interrupted: what it works on keeps its place, though nobody waits for it. What has not begun
        is never done.
        """
        done: list[str] = []
        results = [self.pool.run(done.append, name) for name in "abcd"]
        for number in (0, 2):
            results[number].cancel()
            self.failureResultOf(results[number], CancelledError)
        self.assertEqual(len(self.threads.jobs), 2)
        for _ in range(3):
            self.threads.work()
        self.assertEqual((done, self.threads.jobs), (["a", "b", "d"], []))
        self.successResultOf(results[3])

    def test_cancelled_failure(self) -> None:
        """
        A failure after the cancellation is dropped.
        """
        result = self.pool.run(int, "x")
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.threads.work()

    def test_stop(self) -> None:
        """
        Stopping ends the threads when they have done their work, and blocks nothing meanwhile. What still waited for a
        thread fails, and so does what comes later.
        """
        results = [self.pool.run(int) for _ in range(3)]
        stopped = self.pool.stop()
        self.threads.work()
        self.successResultOf(results[0])
        self.failureResultOf(results[2], AuthError)
        self.failureResultOf(self.pool.run(int), AuthError)
        self.assertNoResult(stopped)
        self.assertEqual(self.threads.calls, ["start"])
        self.threads.work()
        self.successResultOf(stopped)
        self.assertEqual(self.threads.calls, ["start", "stop"])

    def test_stop_idle(self) -> None:
        """
        Idle threads end at once.
        """
        self.successResultOf(self.pool.stop())
        self.assertEqual(self.threads.calls, ["start", "stop"])

    def test_own_threads(self) -> None:
        """
        Unless told otherwise it has real threads.
        """
        calls: SimpleQueue[Callable[[], object]] = SimpleQueue()

        class QueueReactor:
            def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
                calls.put(partial(function, *args))

        pool = HashPool(QueueReactor(), 1, 1)
        pool.start()
        result = pool.run(threading.current_thread)
        stopped = pool.stop()
        self.assertNoResult(stopped)
        calls.get()()
        self.assertIsNot(self.successResultOf(result), threading.current_thread())
        self.successResultOf(stopped)
