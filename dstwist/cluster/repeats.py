"""
When a message that is not answered is repeated: after one interval, then after two more, then four, and so on.

A node may have very many messages to answer, or need long for each answer. If all of them were repeated each interval,
the answers would take longer still, and more messages would be repeated. So the time doubles, up to L{LONGEST}
intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from dstwist.scheduling.deadlines import Deadlines

K = TypeVar("K")

#: The longest time between two repeats, in intervals: a power of two.
LONGEST = 16


class Repeats(Generic[K]):
    """
    Calls C{due} with each key when its message is to be repeated.
    """

    def __init__(self, interval: float, clock: IReactorTime, due: Callable[[K], None]) -> None:
        self._times: list[Deadlines[K]] = [
            Deadlines(interval * 2**doubled, clock, due) for doubled in range(LONGEST.bit_length())
        ]

    def __contains__(self, key: K) -> bool:
        return any(key in keys for keys in self._times)

    def add(self, key: K, repeated: int = 0) -> None:
        """
        Have the message of C{key} repeated, if it is not to be repeated already.

        @param repeated: how often this message was repeated before.
        """
        if key not in self:
            self._times[min(repeated, len(self._times) - 1)].add(key)

    def remove(self, key: K) -> None:
        """
        The message of C{key} was answered.
        """
        for keys in self._times:
            if keys.remove(key):
                return

    def stop(self) -> None:
        """
        Repeat nothing any more.
        """
        for keys in self._times:
            keys.stop()
