"""
When this node renews its lease and reads the membership table: about once an interval, and sooner if it has a reason.

::

    begin --> under way --> ended -----------------> next one, an interval after the last one began
                  |           ^                          |  look()
                  |  look()   |                          v
                  +-----------+----- in a moment ----> next one

Always true: there is one reading at a time. Readings that L{Readings.look} asks for begin at least
L{LOOK_AGAIN_INTERVALS} apart: other nodes may ask for one with each message.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from dstwist.log import Logger

#: After this part of an interval the table is read again, if it was to be read while a reading was under way. No two
#: readings that were asked for begin within it.
LOOK_AGAIN_INTERVALS = 0.1


class Readings:
    """
    The readings of one node.

    @param read: called with the time at which the reading begins. The Deferred fires when the reading and all that
        follows from it has ended.
    @param interval: in seconds.
    """

    _log = Logger()

    def __init__(
        self, read: Callable[[float], Deferred[None]], clock: IReactorTime, interval: float, rng: random.Random
    ) -> None:
        self._read = read
        self._clock = clock
        self._interval = interval
        self._random = rng
        self._timer: IDelayedCall | None = None
        # When the last reading began.
        self._began = 0.0
        self._look_again = False
        self._stopped = False

    def begin(self) -> None:
        """
        Read now, and then each interval.
        """
        self._timer = None
        self._look_again = False
        now = self._began = self._clock.seconds()
        self._read(now).addErrback(self._failed).addBoth(self._ended)

    def begin_again(self) -> None:
        """
        Begin the next reading when the one that is under way has ended, without any pause.
        """
        self._timer = self._clock.callLater(0, self.begin)

    def look(self) -> None:
        """
        Read now, instead of at the end of the interval. If the last reading has just begun, the next one waits a
        moment.
        """
        if self._timer is None:
            self._look_again = True
        elif self._timer.active():
            pause = LOOK_AGAIN_INTERVALS * self._interval
            self._timer.reset(max(self._began + pause - self._clock.seconds(), 0.0))

    def stop(self) -> None:
        """
        Begin no reading any more.
        """
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _ended(self, ignored: Any) -> None:
        if not self._stopped and self._timer is None:
            # The pace is that of the beginnings: a reading that took long is followed by the next one at once.
            delay = self._began + self._interval * self._random.uniform(0.9, 1.1) - self._clock.seconds()
            if self._look_again or delay < 0:
                delay = self._interval * LOOK_AGAIN_INTERVALS
            self._timer = self._clock.callLater(delay, self.begin)

    def _failed(self, failure: Failure) -> None:
        late = failure.check(TimeoutError) is not None
        self._log.warn(
            "CLUSTER | the membership table cannot be read or written: {problem}",
            problem=f"the store has not answered for {self._interval:g} s" if late else failure.value,
            event="CLUSTER",
            once="the table of the cluster",
        )
