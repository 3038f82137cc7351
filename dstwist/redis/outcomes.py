"""
Hands out the outcomes of calls, in their order.

An outcome continues the request of a client, and thousands of answers may come at once. So outcomes get a time slice
in each turn (L{dstwist.scheduling.turns}); the rest waits, and meanwhile no more bytes are read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.log import Logger
from dstwist.redis.call import Call
from dstwist.scheduling.turns import Turns


class Outcomes:
    """
    The outcomes of one link.

    @param paused: called with C{True} when outcomes begin to wait, and with C{False} when the last one was handed out.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, paused: Callable[[bool], object]) -> None:
        self._turns = Turns.of(clock)
        self._now = self._turns.now
        self._paused = paused
        self._end = 0.0
        self._waiting: deque[tuple[Call, Exception | None, Any]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, call: Call, error: Exception | None, reply: Any) -> None:
        """
        Hand out an outcome: at once, if the turn has time left and no other one waits.
        """
        if self._waiting:
            self._waiting.append((call, error, reply))
            return
        if self._now() > self._end:
            self._end = self._turns.slice_end()
            if not self._end:
                self._waiting.append((call, error, reply))
                self._paused(True)
                self._turns.later(self._go_on)
                return
        self._hand_out(call, error, reply)

    def _hand_out(self, call: Call, error: Exception | None, reply: Any) -> None:
        try:
            call.done(call.argument, error, reply)
        except Exception:
            # The other calls have their outcomes all the same.
            self._log.failure("the outcome of a call to Redis was not taken")

    def _go_on(self) -> None:
        self._end = self._turns.slice_end()
        waiting = self._waiting
        while waiting:
            # It stays the first while it is handed out, so that outcomes that come meanwhile wait behind it.
            self._hand_out(*waiting[0])
            waiting.popleft()
            if self._now() > self._end:
                break
        if waiting:
            self._turns.later(self._go_on)
        else:
            self._paused(False)
