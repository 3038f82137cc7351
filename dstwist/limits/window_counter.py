"""
Counts by key within a time window, for limits like "so many failed logins a minute".

The window of a key begins with its first count, and when it ends the key is forgotten. Always true: no more than
L{MAX_COUNTED_KEYS} keys are remembered, however many clients there are; the oldest key is forgotten to make room for a
new one.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from dstwist.scheduling.deadlines import Deadlines

#: How many keys one counter remembers.
MAX_COUNTED_KEYS = 100_000


class WindowCounter:
    """
    The counts of one limit.

    @param most: the count at which a key is full.
    @param seconds: the length of a window.
    """

    def __init__(self, most: int, seconds: float, clock: IReactorTime) -> None:
        self._most = most
        self._counts: dict[str, int] = {}
        self._ends: Deadlines[str] = Deadlines(seconds, clock, self._forget)

    def __len__(self) -> int:
        return len(self._counts)

    def is_full(self, key: str, times: int = 1) -> bool:
        """
        Whether the limit is reached for C{key}, so many times over.
        """
        return self._counts.get(key, 0) >= self._most * times

    def add(self, key: str, number: int = 1) -> None:
        """
        Count C{number} more for C{key}.
        """
        count = self._counts.get(key, 0)
        if not count:
            if len(self._counts) >= MAX_COUNTED_KEYS:
                self._ends.expire_first()
            self._ends.add(key)
        self._counts[key] = count + number

    def clear(self, key: str) -> None:
        """
        Forget the count of C{key}.
        """
        self._counts.pop(key, None)
        self._ends.remove(key)

    def stop(self) -> None:
        """
        Forget all counts, and cancel the timer.
        """
        self._counts.clear()
        self._ends.stop()

    def _forget(self, key: str) -> None:
        del self._counts[key]


def window_counter(most: int | None, seconds: float, clock: IReactorTime) -> WindowCounter | None:
    """
    The counter of a limit; C{None} if there is no limit.
    """
    return None if most is None else WindowCounter(most, seconds, clock)
