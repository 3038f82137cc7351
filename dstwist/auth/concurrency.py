"""
A limit on concurrent calls, so that a flood of logins cannot take all threads or sockets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred

from dstwist.errors import BusyError


class ConcurrencyLimit:
    """
    Runs calls in the order in which they are made: at most C{at_once} at a time, while at most C{waiting} others wait.
    """

    def __init__(self, at_once: int, waiting: int, full: str, interruptible: bool = True) -> None:
        """
        @param full: the text of the L{BusyError} of calls that are refused because too many wait.
        @param interruptible: whether a running call ends when it is cancelled. If not, a cancelled call counts as
            running until it ends by itself.
        """
        self._at_once = at_once
        self._most_waiting = waiting
        self._full = full
        self._interruptible = interruptible
        self._running = 0
        self._waiting: deque[Deferred[None]] = deque()
        self._draining = False

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Call C{function}, now or at its turn. The Deferred fires with its result, and fails with L{BusyError} if too
        many calls wait. A waiting call that is cancelled leaves the queue.
        """
        if self._running < self._at_once:
            return self._start(function, args)
        if len(self._waiting) >= self._most_waiting:
            return fail(BusyError(self._full))
        turn: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        return turn.addCallback(lambda _: self._start(function, args))

    def _start(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Deferred[Any]:
        self._running += 1
        job = maybeDeferred(function, *args).addBoth(self._end)
        return job if self._interruptible else _shielded(job)

    def _end(self, result: Any) -> Any:
        self._running -= 1
        # A call that ends at once must not start the next one recursively: a thousand such calls would exhaust the
        # stack.
        if not self._draining:
            self._draining = True
            while self._waiting and self._running < self._at_once:
                self._waiting.popleft().callback(None)
            self._draining = False
        return result


def _shielded(job: Deferred[Any]) -> Deferred[Any]:
    """
    The outcome of C{job}. If the outcome is cancelled, C{job} goes on, and its result is dropped.
    """
    outcome: Deferred[Any] = Deferred()

    def pass_on(result: Any) -> None:
        # After a cancellation, Twisted ignores this call.
        outcome.callback(result)

    job.addBoth(pass_on)
    return outcome
