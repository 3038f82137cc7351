"""
The records that this node has written while its bus was lost.

News of these writes was dropped. Other nodes compare their records when their own bus is back, which may be before this
node has written, or may not happen at all if only the bus of this node was lost. So when it is back, this node tells
the others to look at these records (L{Change.LOOK<dstwist.cluster.record_news.Change.LOOK>}), a limited number in each
turn. Beyond L{MAX_NAMES} names it remembers no more; such records are compared in the next C{compareInterval}.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.interfaces import IBus

#: How many names are remembered.
MAX_NAMES = 100000

#: How many are told in one turn.
NAMES_PER_TURN = 500


class UnsentNews:
    """
    The names of such records.

    @param tell_to_look: publishes that nodes are to look at a record.
    """

    def __init__(self, bus: IBus, clock: IReactorTime, tell_to_look: Callable[[str], object]) -> None:
        self._bus = bus
        self._clock = clock
        self._tell_to_look = tell_to_look
        # A dict is a set that keeps its order.
        self._names: dict[str, None] = {}
        self._call: IDelayedCall | None = None
        bus.observe(self._lost, self._back)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str) -> None:
        """
        News of C{name} was dropped, because the bus is lost.
        """
        if len(self._names) < MAX_NAMES:
            self._names[name] = None

    def stop(self) -> None:
        """
        Tell nothing any more.
        """
        self._names.clear()
        self._lost()

    def _lost(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _back(self) -> None:
        if self._names:
            self._call = self._clock.callLater(0, self._tell)

    def _tell(self) -> None:
        names = list(islice(self._names, NAMES_PER_TURN))
        for name in names:
            del self._names[name]
            self._tell_to_look(name)
        self._call = None
        if not self._bus.is_lost:
            self._back()
