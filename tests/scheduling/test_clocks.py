"""
Tests for L{dstwist.scheduling.clocks}.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.scheduling import clocks
from dstwist.scheduling.clocks import steady_clock, steady_seconds, steady_time, wall_time


class Timers(Clock):
    """
    The timers of a real reactor, which has one of the clocks of Python.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = seconds

    @property
    def seconds(self) -> Callable[[], float]:
        return self._seconds


class ClockTests(SynchronousTestCase):
    """
    The time of day, and durations.
    """

    def test_reactor(self) -> None:
        """
        Whichever clock a reactor has, there are both.
        """
        for seconds in (time.time, time.monotonic, steady_seconds):
            reactor = Timers(seconds)
            self.assertIs(wall_time(reactor), time.time)
            self.assertIs(steady_time(reactor), steady_seconds)
            self.assertIs(steady_clock(reactor).seconds, steady_seconds)

    def test_suspended(self) -> None:
        """
        The steady clock is the one that goes on while the machine is suspended. A system that does not have it, or does
        not give it, has the other one.
        """
        asked: list[int] = []

        def give(number: int) -> float:
            asked.append(number)
            return 7.0

        def refuse(number: int) -> float:
            raise OSError(number)

        self.patch(time, "clock_gettime", give)
        self.patch(time, "CLOCK_BOOTTIME", 7)
        self.assertEqual(clocks._steady_seconds()(), 7.0)
        self.assertEqual(set(asked), {7})
        self.patch(time, "clock_gettime", refuse)
        self.assertIs(clocks._steady_seconds(), time.monotonic)
        self.patch(time, "CLOCK_BOOTTIME", None)
        self.assertIs(clocks._steady_seconds(), time.monotonic)

    def test_other_clock(self) -> None:
        """
        The clock of a test is both.
        """
        clock = Clock()
        clock.advance(5)
        self.assertEqual((wall_time(clock)(), steady_time(clock)()), (5.0, 5.0))
        self.assertIs(steady_clock(clock), clock)

    def test_timers(self) -> None:
        """
        The steady clock beside a reactor has its timers.
        """
        reactor = Timers(time.time)
        clock = steady_clock(reactor)
        verifyObject(IReactorTime, clock)
        call = clock.callLater(5, print, "x", end="y")
        self.assertEqual((call.func, call.args, call.kw), (print, ("x",), {"end": "y"}))  # type: ignore[attr-defined]
        self.assertEqual(clock.getDelayedCalls(), [call])
        self.assertEqual(reactor.getDelayedCalls(), [call])
