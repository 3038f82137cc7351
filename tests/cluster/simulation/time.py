"""
The time of a simulated world, and the clocks of its nodes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IDelayedCall)
class Call:
    """
    A call that is due at C{time}.
    """

    __slots__ = ("_time", "args", "due", "func", "kw", "state")

    def __init__(self, time: Time, due: float, func: Callable[..., object], args: Any, kw: Any) -> None:
        self._time = time
        self.due = due
        self.func = func
        self.args = args
        self.kw = kw
        self.state = "active"

    def getTime(self) -> float:
        return self.due

    def cancel(self) -> None:
        assert self.state == "active", self.state
        self.state = "cancelled"

    def delay(self, secondsLater: float) -> None:
        self.due += secondsLater
        self._time.push(self)

    def reset(self, secondsFromNow: float) -> None:
        assert self.state == "active", self.state
        self.due = self._time.now + secondsFromNow
        self._time.push(self)

    def active(self) -> bool:
        return self.state == "active"


@implementer(IReactorTime)
class Time:
    """
    The time of the world. It moves when calls are made.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Call]] = []
        self._number = 0

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> Call:
        # A delay that is lost in rounding would be over before any time has passed.
        call = Call(self, self.now + (max(delay, 1e-6) if delay else 0), callable, args, kw)
        self.push(call)
        return call

    def getDelayedCalls(self) -> list[Call]:
        return [call for _, _, call in self._heap if call.active()]

    def push(self, call: Call) -> None:
        self._number += 1
        heapq.heappush(self._heap, (call.due, self._number, call))

    def run(self, until: float) -> None:
        """
        Make all calls that are due until then.
        """
        heap = self._heap
        while heap and heap[0][0] <= until:
            due, _, call = heapq.heappop(heap)
            if call.state != "active" or call.due != due:
                continue
            self.now = max(self.now, due)
            call.state = "called"
            call.func(*call.args, **call.kw)
        self.now = until


class BusyTime(Time):
    """
    The time of the world, in which each look at it takes some.
    """

    tick = 0.0

    def seconds(self) -> float:
        self.now += self.tick
        return self.now

    def run_next(self) -> None:
        """
        Make the next call.
        """
        self.run(min(call.getTime() for call in self.getDelayedCalls()))


@implementer(IReactorTime)
class NodeClock:
    """
    The clock of one node. While the node sleeps, what is due waits; when it has died, nothing is due any more.
    """

    def __init__(self, time: Time) -> None:
        self.time = time
        self.sleeps_until = 0.0
        #: For how long the clock has stood still.
        self.lag = 0.0
        self.dead = False

    def seconds(self) -> float:
        return self.time.now - self.lag

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> Call:
        call = self.time.callLater(delay, self._due, callable, args, kw)
        call.args = (call, callable, args, kw)
        return call

    def getDelayedCalls(self) -> list[Call]:
        return self.time.getDelayedCalls()

    def _due(self, call: Call, callable: Callable[..., object], args: Any, kw: Any) -> None:
        if self.dead:
            return
        if self.time.now < self.sleeps_until:
            call.state = "active"
            call.due = self.sleeps_until
            self.time.push(call)
            return
        callable(*args, **kw)
