"""
Makes the timers of the reactor independent of the wall clock.

Twisted's timers are due at a time of day. If the clock of the machine is put back by an hour, no timer of the process
fires for an hour: no heartbeat, no time-out, no renewal of a lease. If it is put forward, all of them fire at once.
With the steady clock they are due after a duration.

L{dstwist.scheduling.clocks} tells which parts need the time of day.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.base import ReactorBase

from dstwist.scheduling.clocks import steady_seconds


def steady_timers(reactor: Any) -> bool:
    """
    Make the timers of C{reactor}, also those that are set already, independent of the wall clock.

    @return: false if this is not known to work with the reactor, or was done before.
    """
    if not isinstance(reactor, ReactorBase) or reactor.seconds != time.time:
        return False
    now = reactor.seconds()
    waiting: list[tuple[Any, float]] = [(call, call.getTime() - now) for call in reactor.getDelayedCalls()]
    # The reactor asks this attribute whenever it needs the time, and hands it to each new timer.
    reactor.seconds = steady_seconds
    for call, left in waiting:
        call.seconds = steady_seconds
        call.reset(max(left, 0.0))
    return True
