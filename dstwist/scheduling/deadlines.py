"""
Deadlines with one delay for all, on one timer.

The delay is the same for all keys, so keys fall due in the order in which they were added. To add or remove a key costs
no search and no timer, and a removed key leaves nothing behind. If very many keys fall due at once, some of these keys
wait for later turns of the reactor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.scheduling.turns import Turns

K = TypeVar("K")


class Deadlines(Generic[K]):
    """
    Calls C{expired} with each key that is not removed in time.

    @param delay: the time that a key has, in seconds.
    """

    def __init__(self, delay: float, clock: IReactorTime, expired: Callable[[K], None]) -> None:
        self._delay = delay
        self._clock = clock
        self._seconds = clock.seconds
        self._turns = Turns.of(clock)
        self._expired = expired
        # Not a dict: to find its first key, a dict walks past all keys that were removed before it.
        self._due: OrderedDict[K, float] = OrderedDict()
        self._call: IDelayedCall | None = None
        # More keys were due than the turn had time for.
        self._waits = False

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def __iter__(self) -> Iterator[K]:
        return iter(self._due)

    def add(self, key: K) -> None:
        """
        Start the time of C{key}, which is not in here.
        """
        self._due[key] = self._seconds() + self._delay
        if self._call is None and not self._waits:
            self._call = self._clock.callLater(self._delay, self._expire)

    def remove(self, key: K) -> bool:
        """
        Remove C{key}, if it is in here.

        @return: whether it was.
        """
        # The timer stays: when it fires, it looks which keys are due.
        return self._due.pop(key, None) is not None

    def expire_first(self) -> None:
        """
        Let the time of the oldest key be up now.
        """
        key, _ = self._due.popitem(last=False)
        self._expired(key)

    def stop(self) -> None:
        """
        Forget all keys, and cancel the timer.
        """
        self._due.clear()
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        if self._waits:
            # Only then: the search takes long if very many parties wait.
            self._waits = False
            self._turns.forget(self._go_on)

    def _expire(self) -> None:
        # The timer that has just fired stays in its place until the end, so that keys that are added meanwhile do not
        # start another one.
        now = self._seconds()
        end: float | None = None
        try:
            # Keys that were added at once fall due at once, but other parties must not wait for all of them.
            while self._due:
                key, due = next(iter(self._due.items()))
                if due > now:
                    break
                if end is None:
                    end = self._turns.slice_end()
                if not end:
                    break
                del self._due[key]
                self._expired(key)
                if self._turns.now() > end:
                    end = 0.0
        finally:
            first = next(iter(self._due.values()), None)
            if self._call is not None and not self._call.active():
                self._call = None
            if first is None or self._call is not None:
                # After a stop meanwhile, the first new key has started a timer.
                pass
            elif end != 0.0 or first > now:
                self._call = self._clock.callLater(max(first - now, 0), self._expire)
            else:
                self._waits = True
                self._turns.later(self._go_on)

    def _go_on(self) -> None:
        self._waits = False
        self._expire()
