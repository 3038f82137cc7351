"""
The records of which this node's news may not have left, because its bus was lost.

News is dropped while the bus is lost, and in the time before that is noticed. Other nodes compare their records when
their own bus is back, which may be before this node has written, or may not happen at all if only the bus of this node
was lost. So when it is back, this node tells the others to look at these records (L{Change.LOOK
<dstwist.cluster.record_news.Change.LOOK>}), a limited number in each turn.

==========================  =========================================================================================
news of a record            its name is remembered
==========================  =========================================================================================
while the bus is lost       until the bus is back
while it is not             for C{busNoticeTime} to twice that time; if the bus is lost meanwhile, until it is back
==========================  =========================================================================================

It remembers a limited number of names (L{dstwist.cluster.remembered_names}). The records of all others are compared in
the next C{compareInterval}.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster.remembered_names import RememberedNames
from dstwist.config.cluster import ClusterSettings
from dstwist.interfaces import IBus

#: How many names are told in one turn.
NAMES_PER_TURN = 500


class UnsentNews:
    """
    The names of such records.

    @param tell_to_look: publishes that nodes are to look at a record.
    """

    def __init__(
        self, bus: IBus, clock: IReactorTime, settings: ClusterSettings, tell_to_look: Callable[[str], object]
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._notice_time = settings.bus_notice_time
        self._tell_to_look = tell_to_look
        self._names = RememberedNames()
        self._recent = RememberedNames()
        self._earlier = RememberedNames()
        self._call: IDelayedCall | None = None
        self._rotation: IDelayedCall | None = None
        self._stopped = False
        bus.observe(self._lost, self._back)

    def __len__(self) -> int:
        return len(self._names)

    def published(self, name: str) -> None:
        """
        News of C{name} is published, or would be if the bus were not lost.
        """
        (self._names if self._bus.is_lost else self._recent).add(name)
        if self._rotation is None and not self._stopped:
            self._rotation = self._clock.callLater(self._notice_time, self._rotate)

    def stop(self) -> None:
        """
        Tell nothing any more. Writes that are under way may still be published.
        """
        self._stopped = True
        for call in (self._call, self._rotation):
            if call is not None and call.active():
                call.cancel()

    def _rotate(self) -> None:
        self._earlier, self._recent = self._recent, RememberedNames()
        self._rotation = self._clock.callLater(self._notice_time, self._rotate) if self._earlier else None

    def _lost(self) -> None:
        unsent = RememberedNames()
        for name in chain(self._earlier.names, self._recent.names, self._names.names):
            unsent.add(name)
        self._names, self._earlier, self._recent = unsent, RememberedNames(), RememberedNames()
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _back(self) -> None:
        if self._names and not self._stopped:
            self._call = self._clock.callLater(0, self._tell)

    def _tell(self) -> None:
        for name in self._names.take(NAMES_PER_TURN):
            self._tell_to_look(name)
        self._call = None
        if not self._bus.is_lost:
            self._back()
