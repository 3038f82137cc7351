"""
Heartbeats of many connections on one timer.

Connections are spread over slots, and each tick serves one slot. So ten thousand pings do not leave in the same
instant, and no connection needs a timer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.log import Logger
from dstwist.scheduling.time_slices import TimeSlices

#: How many slots an interval has.
SLOTS_PER_INTERVAL = 10


class Heartbeat:
    """
    Calls every registered C{beat} once an interval.

    @param interval: in seconds. The first call comes one interval after L{add}, one slot sooner or later.
    """

    _log = Logger()

    def __init__(self, interval: float, clock: IReactorTime) -> None:
        self._pause = interval / SLOTS_PER_INTERVAL
        self._clock = clock
        # A slot may have thousands of connections.
        self._slices = TimeSlices(clock)
        self._slots: list[dict[object, Callable[[], None]]] = [{} for _ in range(SLOTS_PER_INTERVAL)]
        self._slot_of: dict[object, int] = {}
        self._current = 0
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._slot_of)

    def add(self, key: object, beat: Callable[[], None]) -> None:
        """
        Call C{beat} every interval from now on, in place of the earlier C{beat} of C{key}. It may call L{add} and
        L{remove}.
        """
        self.remove(key)
        self._slots[self._current][key] = beat
        self._slot_of[key] = self._current
        if self._call is None:
            self._call = self._clock.callLater(self._pause, self._tick)

    def remove(self, key: object) -> None:
        """
        Stop calling the beat of C{key}.
        """
        slot = self._slot_of.pop(key, None)
        if slot is not None:
            del self._slots[slot][key]
        if not self._slot_of and self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        self._call = self._clock.callLater(self._pause, self._tick)
        self._current = (self._current + 1) % SLOTS_PER_INTERVAL
        self._slices.do(self._beats(self._slots[self._current]))

    def _beats(self, slot: dict[object, Callable[[], None]]) -> Iterator[None]:
        for key, beat in list(slot.items()):
            # An earlier call may have removed this one.
            if slot.get(key) is beat:
                try:
                    beat()
                except Exception:
                    # The other connections still need their heartbeats.
                    self._log.failure("a heartbeat failed")
                yield
