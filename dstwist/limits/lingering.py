"""
Names that the server keeps for a while after the last client that wanted them, because they may be wanted again.

Clients choose how many names these are, and how long, at no cost: a name that is not wanted any more counts for none of
them. So the names that were wanted longest ago are given up early if there are too many, or if they are too long.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from dstwist.protocol.weights import weigh_name
from dstwist.scheduling.deadlines import Deadlines

#: The most names of one kind.
MAX_LINGERING = 10000

#: The bytes of memory that they may take.
MAX_LINGERING_BYTES = 2**22

#: The most names that are given up when one is added. Some of them may be added again at once.
MAX_GIVEN_UP = 100


class LingeringNames(Deadlines[str]):
    """
    Calls C{expired} with each name that is not removed in time, or for which there is no room any more. C{expired} may
    add the name again.
    """

    def __init__(self, delay: float, clock: IReactorTime, expired: Callable[[str], object]) -> None:
        super().__init__(delay, clock, self._ended)
        self._give_up = expired
        self._bytes = 0
        self._is_trimming = False

    def add(self, key: str) -> None:
        super().add(key)
        self._bytes += weigh_name(key)
        if self._is_full() and not self._is_trimming:
            self._is_trimming = True
            try:
                # Not the new one itself.
                for _ in range(min(len(self) - 1, MAX_GIVEN_UP)):
                    self.expire_first()
                    if not self._is_full():
                        break
            finally:
                self._is_trimming = False

    def remove(self, key: str) -> bool:
        removed = super().remove(key)
        if removed:
            self._bytes -= weigh_name(key)
        return removed

    def stop(self) -> None:
        super().stop()
        self._bytes = 0

    def _is_full(self) -> bool:
        return len(self) > MAX_LINGERING or self._bytes > MAX_LINGERING_BYTES

    def _ended(self, name: str) -> None:
        self._bytes -= weigh_name(name)
        self._give_up(name)
