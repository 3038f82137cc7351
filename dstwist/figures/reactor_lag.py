"""
How late the reactor is: how long a client waits before the server looks at its message.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.counters.histogram import Histogram
from dstwist.scheduling.clocks import steady_time

#: How often the timer fires, in seconds.
LAG_INTERVAL = 1.0


class ReactorLag:
    """
    Measures how much later than it should a timer fires.

    @ivar times: the delays.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.times = Histogram()
        self._clock = clock
        self._seconds: Callable[[], float] = steady_time(clock)
        self._due = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """
        Measure from now on.
        """
        self._due = self._seconds() + LAG_INTERVAL
        self._timer = self._clock.callLater(LAG_INTERVAL, self._fired)

    def stop(self) -> None:
        """
        Measure no more.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _fired(self) -> None:
        self.times.observe(max(self._seconds() - self._due, 0.0))
        self.start()
