"""
The two clocks of a process.

==============  ======================  ===============================================================================
clock           of Python               tells
==============  ======================  ===============================================================================
wall clock      C{time.time}            moments that mean something outside this process, or after its end: the ends of
                                        tokens and certificates, times in a store, C{now} in a rule. It may be set
steady clock    C{time.monotonic}       how long something takes: leases, time-outs, limits. It is never set
==============  ======================  ===============================================================================

The C{seconds} of a reactor are its one clock, also for its timers. Twisted gives it the wall clock: if that is put back
by an hour, no timer fires for an hour. The server gives its reactor the steady clock
(L{dstwist.process.steady_timers}); a program that embeds a node may have either.

So C{seconds} of a reactor is only good for durations. For the time of day there is L{wall_time}; parts that must not
stop when the clock is set take L{steady_clock}.

The clock of a test stands for both clocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


def wall_time(clock: IReactorTime) -> Callable[[], float]:
    """
    The time in seconds since 1970.
    """
    return time.time if clock.seconds in (time.time, time.monotonic) else clock.seconds


def steady_time(clock: IReactorTime) -> Callable[[], float]:
    """
    The time in seconds since any moment, by a clock that is never set.
    """
    return time.monotonic if clock.seconds == time.time else clock.seconds


def steady_clock(reactor: IReactorTime) -> IReactorTime:
    """
    A clock whose C{seconds} are never set, with the timers of C{reactor}.
    """
    return SteadyClock(reactor) if reactor.seconds == time.time else reactor


@implementer(IReactorTime)
class SteadyClock:
    """
    The steady clock beside a reactor that has the wall clock.

    @ivar reactor: has the timers.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self.reactor = reactor
        self.seconds = time.monotonic

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:
        return self.reactor.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Any:
        return self.reactor.getDelayedCalls()
