"""
The calls that the API owes the application: answers, and news of subscriptions.

The server must not call the application while it serves a request or sends an event to many: the application may call
the API again. So a call is kept, and made in a later turn of the reactor, when this party has its time slice.

Always true: calls are made in the order in which they were added. A call that raises an exception is logged, and the
others are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.log import Logger, labelled
from dstwist.scheduling.turns import Turns


class Deliveries:
    """
    The calls for the holder of one handle.

    @param node: the label of the node, for logs.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, node: str = "") -> None:
        self._node = node
        self._turns = Turns.of(clock)
        self._waiting: deque[tuple[Callable[[Any], object], Any]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, call: Callable[[Any], object], argument: Any) -> None:
        """
        Call C{call(argument)} in a later turn.
        """
        self._waiting.append((call, argument))
        if len(self._waiting) == 1:
            self._turns.later(self._deliver)

    def _deliver(self) -> None:
        with labelled(self._node):
            self._make_calls()

    def _make_calls(self) -> None:
        waiting = self._waiting
        now, end = self._turns.now, self._turns.slice_end()
        try:
            while waiting:
                # It stays in the queue until it is done, so that a call that is added by it does not ask for a turn.
                call, argument = waiting[0]
                try:
                    call(argument)
                except Exception:
                    self._log.failure("the application failed in a callback of the API", contained=True)
                finally:
                    waiting.popleft()
                if now() > end:
                    break
        finally:
            # Also after a SystemExit, which the reactor logs.
            if waiting:
                self._turns.later(self._deliver)
