"""
The end of a turn of the reactor, when all that has come in is handled.

A function that is to run then could be a delayed call of no time. But a delayed call runs in the next turn. So the
reactor asks the system once more whether anything has come in, which takes a good part of the time of one message to
one client. A process that serves nothing else has the reactor's turns watched instead (L{TurnEnds.watch})::

    turn without watch    [ delayed calls | ask the system, handle what has come ] [ ends | ask the system ...
    turn with watch       [ delayed calls | ask the system, handle what has come | ends ] [ ...

Always true: a function runs once for each call of L{TurnEnds.call}, and before the reactor waits for anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dstwist.log import Logger
from dstwist.scheduling.clocks import OneEach


class TurnEnds:
    """
    Calls functions at the end of the turn.

    @param clock: a reactor, or a clock.
    """

    _log = Logger()

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._iterate: Callable[[Any], None] | None = None
        self._is_handling = False
        self._functions: list[Callable[[], object]] = []

    @classmethod
    def of(cls, clock: Any) -> TurnEnds:
        """
        The ends of the turns of C{clock}. All users of one reactor share them.
        """
        return _ends.of(clock, cls)

    def call(self, function: Callable[[], object]) -> None:
        """
        Call C{function} when all that has come in is handled.
        """
        if self._is_handling:
            self._functions.append(function)
        else:
            # The reactor may be about to wait.
            self._clock.callLater(0, function)

    def watch(self) -> None:
        """
        Know the ends of the turns from now on, if the reactor is one of Twisted's own; others give delayed calls.
        """
        iterate = getattr(self._clock, "doIteration", None)
        if self._iterate is None and iterate is not None:
            self._iterate = iterate
            self._clock.doIteration = self._turn

    def _turn(self, timeout: Any) -> None:
        """
        One turn: the reactor calls this between two rounds of delayed calls.
        """
        assert self._iterate is not None
        if self._functions:
            # An event is being handled, and has the reactor make a turn.
            self._end()
        self._is_handling = True
        try:
            self._iterate(timeout)
        finally:
            self._is_handling = False
            if self._functions:
                self._end()

    def _end(self) -> None:
        functions, self._functions = self._functions, []
        for function in functions:
            try:
                function()
            except Exception:
                self._log.failure("work at the end of a turn failed")


_ends: OneEach[TurnEnds] = OneEach()
