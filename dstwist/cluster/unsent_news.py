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

Beyond L{MAX_NAMES} names it remembers no more; such records are compared in the next C{compareInterval}.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.config.cluster import ClusterSettings
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

    def __init__(
        self, bus: IBus, clock: IReactorTime, settings: ClusterSettings, tell_to_look: Callable[[str], object]
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._notice_time = settings.bus_notice_time
        self._tell_to_look = tell_to_look
        # Dicts are sets that keep their order.
        self._names: dict[str, None] = {}
        self._recent: dict[str, None] = {}
        self._earlier: dict[str, None] = {}
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
        names = self._names if self._bus.is_lost else self._recent
        if len(names) < MAX_NAMES:
            names[name] = None
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
        self._earlier, self._recent = self._recent, {}
        self._rotation = self._clock.callLater(self._notice_time, self._rotate) if self._earlier else None

    def _lost(self) -> None:
        self._names = dict(islice({**self._earlier, **self._recent, **self._names}.items(), MAX_NAMES))
        self._earlier, self._recent = {}, {}
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _back(self) -> None:
        if self._names and not self._stopped:
            self._call = self._clock.callLater(0, self._tell)

    def _tell(self) -> None:
        names = list(islice(self._names, NAMES_PER_TURN))
        for name in names:
            del self._names[name]
            self._tell_to_look(name)
        self._call = None
        if not self._bus.is_lost:
            self._back()
