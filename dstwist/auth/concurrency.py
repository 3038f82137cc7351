"""
At most so many at a time, at most so many waiting: what keeps a flood of logins from taking all threads or sockets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred

from dstwist.errors import BusyError


class ConcurrencyLimit:
    """
    Lets calls pass in the order in which they come.
    """

    def __init__(self, at_once: int, waiting: int, full: str, interruptible: bool = True) -> None:
        """
        @param full: what to say to those that not even may wait.
        @param interruptible: whether calls under way end when they are cancelled. Those that do not keep their place
            until they end by themselves.
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
        Call C{function}, now or when it is its turn, and give what it gives. Fails with L{BusyError} if too many wait.
        Cancelling what waits takes it out of the queue.
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
        # What ends at once must not start the next from within: a thousand of them would exhaust the stack.
        if not self._draining:
            self._draining = True
            while self._waiting and self._running < self._at_once:
                self._waiting.popleft().callback(None)
            self._draining = False
        return result


def _shielded(job: Deferred[Any]) -> Deferred[Any]:
    """
    The outcome of C{job}, which goes on when that is cancelled; its result is then of no interest any more.
    """
    outcome: Deferred[Any] = Deferred()

    def pass_on(result: Any) -> None:
        # One that was cancelled has been called already, and ignores this.
        outcome.callback(result)

    job.addBoth(pass_on)
    return outcome
