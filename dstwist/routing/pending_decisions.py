"""
Decisions of the permission that searches wait for: a limited number at a time, because a new listener may match very
many names, and the rule may need a record for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from dstwist.log import Logger
from dstwist.routing.provider_search import ProviderSearch
from dstwist.routing.registrations import Registration
from dstwist.scheduling.time_slices import TimeSlices

#: How many decisions are awaited at a time.
MAX_PENDING_DECISIONS = 100


class PendingDecisions:
    """
    Awaits decisions. Searches queue while there is no room for another decision.

    @param resume: called with each search in the queue, when there is room again.
    """

    _log = Logger()

    def __init__(self, time_slices: TimeSlices, resume: Callable[[ProviderSearch], None]) -> None:
        self._time_slices = time_slices
        self._resume = resume
        self._awaited = 0
        self._queue: dict[ProviderSearch, None] = {}
        self._running = False

    def queue(self, search: ProviderSearch) -> bool:
        """
        Put C{search} into the queue, if there is no room.

        @return: whether it is in the queue.
        """
        if self._awaited < MAX_PENDING_DECISIONS:
            return False
        self._queue[search] = None
        return True

    def forget(self, search: ProviderSearch) -> None:
        """
        Remove C{search}, which is over, from the queue.
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
        Call C{decided} with the result of C{decision}, which never fails.
        """
        self._awaited += 1
        decision.addCallback(self._arrived)
        decision.addCallback(decided, search, registration)
        decision.addErrback(lambda failure: self._log.failure("a decision on a name for a listener was lost", failure))

    def _arrived(self, allowed: bool) -> bool:
        self._awaited -= 1
        if self._queue and not self._running:
            self._running = True
            self._time_slices.do(self._resume_all())
        return allowed

    def _resume_all(self) -> Iterator[None]:
        try:
            while self._queue and self._awaited < MAX_PENDING_DECISIONS:
                search = next(iter(self._queue))
                del self._queue[search]
                self._resume(search)
                yield
        finally:
            self._running = False
