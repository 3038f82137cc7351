"""
Whether the server at the other end of a connection is still there.

A connection can be half-open: the other end is gone, and nothing says so. Bytes that do not come are the only sign.

==========================================  ==========================================================================
no byte has come for                        then
==========================================  ==========================================================================
C{probe_interval}, and no answer is due     the server is asked for one (PING)
C{command_timeout}, and an answer is due    the connection is given up
==========================================  ==========================================================================

The time is counted in steps of a timer, not by a clock: a clock that is set, or a process that was stopped for a while,
must not end a connection that works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.errors import StoreError
from dstwist.redis.protocol import RedisProtocol

#: How many times the shorter of the two intervals is looked at.
STEPS = 4


class Watch:
    """
    Watches one connection, from the start to L{stop}.

    @param probed: called with the answer to PING.
    """

    def __init__(
        self,
        connection: RedisProtocol,
        command_timeout: float,
        probe_interval: float,
        clock: IReactorTime,
        probed: Callable[[Any], object],
    ) -> None:
        self._connection = connection
        self._command_timeout = command_timeout
        self._probe_interval = probe_interval
        self._clock = clock
        self._probed = probed
        self._step = min(command_timeout, probe_interval) / STEPS
        self._silence = 0.0
        self._timer: IDelayedCall | None = clock.callLater(self._step, self._look)

    def stop(self) -> None:
        """
        Watch no more.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        connection = self._connection
        self._timer = self._clock.callLater(self._step, self._look)
        if connection.heard or connection.paused:
            connection.heard = False
            self._silence = 0.0
            return
        self._silence += self._step
        if connection.unanswered:
            if self._silence >= self._command_timeout:
                connection.give_up(StoreError(f"it did not answer for {self._command_timeout:g} s"))
        elif self._silence >= self._probe_interval:
            connection.ask("PING").addCallback(self._probed)
