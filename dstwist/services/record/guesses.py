"""
Guesses: the records of a cache in a server of its own, as this node has seen them last.

If there is no storage, such a cache is the arbiter (L{dstwist.store.tiers}). Other nodes may write to it, so it is
asked for each read. A write is decided on a guess, without a read. The arbiter compares the version of the guess, and a
request that would be refused is confirmed first. So a guess that is outdated costs time only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IReplaceableStore, IStore, Record, Work
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.store.memory import MemoryStore

#: How many guesses are freed in one step.
_FREED_AT_ONCE = 50


class Guesses:
    """
    The guesses. Those that are not used are forgotten if there are too many.

    @ivar known: the guess about a record; C{None} if there is none.
    @param max_bytes: the limit for their weight.
    @param free: frees the data of a large guess (L{dstwist.scheduling.large_values}).
    """

    def __init__(
        self, arbiter: IStore, max_bytes: int, clock: IReactorTime, free: Callable[[list[Any]], object] | None
    ) -> None:
        self._records = MemoryStore(max_bytes=max_bytes, free=free)
        self._slices = TimeSlices(clock)
        self.known: Callable[[str], Record | None] = self._records.known
        replaceable = IReplaceableStore(arbiter, None)
        if replaceable is not None:
            replaceable.on_reconnected(self._forget)

    def learn(self, name: str, record: Record | None) -> None:
        """
        The arbiter has this record; C{None}, and a record without data: it has none.
        """
        if record is None or record.data is None:
            self._records.delete(name)
        else:
            self._records.keep(name, record)

    def _forget(self, reason: str | None) -> None:
        """
        The arbiter was away, and may have gone back, so that a version may mean another record now.
        """
        self._records.set_aside()
        self._slices.do(self._freeing())

    def _freeing(self) -> Work:
        records = self._records
        while names := records.next_aside(_FREED_AT_ONCE):
            for name in names:
                records.drop(name)
            yield None
