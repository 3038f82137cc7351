"""
Decisions that searches wait for: a limited number at a time, since a new listener may match very many names, and
each of them may need a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from dstwist.log import Logger
from dstwist.routing.registrations import Registration
from dstwist.routing.search_order import ProviderSearch
from dstwist.scheduling.time_slices import TimeSlices

#: So many are awaited at a time.
MAX_UNDECIDED = 100


class PendingDecisions:
    """
    Awaits decisions, and has searches queue for which there is no room.

    @param go_on: called with each search that has queued, when there is room again.
    """

    _log = Logger()

    def __init__(self, slices: TimeSlices, go_on: Callable[[ProviderSearch], None]) -> None:
        self._slices = slices
        self._go_on = go_on
        self._awaited = 0
        self._queue: dict[ProviderSearch, None] = {}
        self._running = False

    def queue(self, search: ProviderSearch) -> bool:
        """
        Have C{search} queue, if there is no room; whether it has to.
        """
        if self._awaited < MAX_UNDECIDED:
            return False
        self._queue[search] = None
        return True

    def forget(self, search: ProviderSearch) -> None:
        """
        C{search} is over.
        """
        self._queue.pop(search, None)

    def wait(
        self,
        decision: Deferred[bool],
        decided: Callable[[bool, ProviderSearch, Registration], None],
        search: ProviderSearch,
        registration: Registration,
    ) -> None:
        """
        Have C{decided} called when C{decision}, which never fails, is there.
        """
        self._awaited += 1
        decision.addCallback(self._arrived)
        decision.addCallback(decided, search, registration)
        decision.addErrback(lambda failure: self._log.failure("a decision on a name for a listener was lost", failure))

    def _arrived(self, allowed: bool) -> bool:
        self._awaited -= 1
        if self._queue and not self._running:
            self._running = True
            self._slices.do(self._let_in())
        return allowed

    def _let_in(self) -> Iterator[None]:
        try:
            while self._queue and self._awaited < MAX_UNDECIDED:
                search = next(iter(self._queue))
                del self._queue[search]
                self._go_on(search)
                yield
        finally:
            self._running = False
