"""
The two clocks of a process.

==============  ======================  ===============================================================================
clock           function                tells
==============  ======================  ===============================================================================
wall clock      C{time.time}            moments that mean something outside this process, or after its end: the ends of
                                        tokens and certificates, times in a store, C{now} in a rule. It may be set
steady clock    L{steady_seconds}       how long something takes: leases, time-outs, limits. It is never set, and goes
                                        on while the machine is suspended
==============  ======================  ===============================================================================

C{time.monotonic} stands still while the machine is suspended: a node that wakes up would believe in a lease that the
others have seen run out. So the steady clock is C{CLOCK_BOOTTIME}, if the system has it.

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
from functools import partial
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

T = TypeVar("T")


def _steady_seconds() -> Callable[[], float]:
    """
    The best function of this system.
    """
    number = getattr(time, "CLOCK_BOOTTIME", None)
    if number is not None:
        read = partial(time.clock_gettime, number)
        try:
            read()
        except OSError:
            # The kernel is too old, or a sandbox does not allow it.
            return time.monotonic
        return read
    return time.monotonic


#: The time of the steady clock, in seconds since any moment.
steady_seconds: Callable[[], float] = _steady_seconds()


def wall_time(clock: IReactorTime) -> Callable[[], float]:
    """
    The time in seconds since 1970.
    """
    return time.time if clock.seconds in (time.time, time.monotonic, steady_seconds) else clock.seconds


def steady_time(clock: IReactorTime) -> Callable[[], float]:
    """
    The time in seconds since any moment, by a clock that is never set.
    """
    return steady_seconds if clock.seconds in (time.time, time.monotonic) else clock.seconds


def steady_clock(reactor: IReactorTime) -> IReactorTime:
    """
    A clock whose C{seconds} are never set, with the timers of C{reactor}.
    """
    return SteadyClock(reactor) if steady_time(reactor) != reactor.seconds else reactor


@implementer(IReactorTime)
class SteadyClock:
    """
    The steady clock beside a reactor that has another one.

    @ivar reactor: has the timers.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self.reactor = reactor
        self.seconds = steady_seconds

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:
        return self.reactor.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Any:
        return self.reactor.getDelayedCalls()


class OneEach(Generic[T]):
    """
    The objects of a kind of which each reactor has one, as long as anyone uses it.
    """

    def __init__(self) -> None:
        # By the id of the clock. The objects have the clock, so its id is not used again while they exist. A mapping
        # with the clock as a weak key would never free it: the value refers to the key.
        self._made: WeakValueDictionary[int, T] = WeakValueDictionary()

    def of(self, clock: Any, make: Callable[[Any], T]) -> T:
        """
        The object of C{clock}. A L{SteadyClock} shares that of its reactor.

        @param make: makes the object of a reactor that has none. The object has to keep the reactor.
        """
        while isinstance(clock, SteadyClock):
            clock = clock.reactor
        found = self._made.get(id(clock))
        if found is None:
            found = self._made[id(clock)] = make(clock)
        return found
