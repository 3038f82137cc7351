"""
Threads for hashing passwords. One hash takes a large part of a second, which would block the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from dstwist.auth.concurrency import ConcurrencyLimit
from dstwist.errors import AuthError


class _DaemonPool(ThreadPool):
    """
    Threads that do not prevent the end of a process which forgets to stop them.
    """

    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]


class HashPool:
    """
    Runs functions in at most C{threads} threads, while at most C{waiting} others wait.
    """

    def __init__(self, reactor: Any, threads: int, waiting: int, pool: Any = None) -> None:
        """
        @param pool: the thread pool; by default one of its own.
        """
        self._reactor = reactor
        self._threads = pool or _DaemonPool(minthreads=0, maxthreads=threads, name="passwords")
        full = "too many logins wait for their passwords to be checked"
        # A thread cannot be interrupted.
        self._limit = ConcurrencyLimit(threads, waiting, full, interruptible=False)
        self._running = 0
        # Fires when the threads have ended; None before L{stop}.
        self._stopped: Deferred[None] | None = None

    def start(self) -> None:
        """
        Accept work.
        """
        self._threads.start()

    def stop(self) -> Deferred[None]:
        """
        End the threads. Fires when the running functions have ended; waiting ones fail.
        """
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        self._end_threads()
        return stopped

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Call C{function} in a thread. Fails with L{dstwist.errors.BusyError} if too many functions wait. A function
        whose Deferred is cancelled while it waits is never called.
        """
        return self._limit.run(self._submit, function, *args)

    def _submit(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if self._stopped is not None:
            return fail(AuthError("the server is stopping"))
        self._running += 1
        return deferToThreadPool(self._reactor, self._threads, function, *args).addBoth(self._ended)

    def _ended(self, result: Any) -> Any:
        self._running -= 1
        self._end_threads()
        return result

    def _end_threads(self) -> None:
        # To end busy threads would block the reactor, and all other parts of the program with it.
        if self._stopped is not None and not self._running:
            self._threads.stop()
            self._stopped.callback(None)
