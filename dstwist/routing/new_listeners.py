"""
New listeners: they are offered the names that have subscribers already.

A new listener is matched only against names without a provider and without a running search: a running search asks it
by itself (L{dstwist.routing.provider_search}). A round goes through all names, in slices. Listeners that come during a
round share the next one, so there is one list of names at a time, however many listeners come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dstwist.routing.registrations import Registration
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.time_slices import TimeSlices

#: The most new listeners that are matched with a name one by one; if there are more, the table of patterns is asked.
_MAX_MATCHED_ONE_BY_ONE = 4


class NewListeners:
    """
    Starts searches for new listeners.

    @param subscriptions: has the names.
    @param idle: whether a name has a subscriber, and neither a provider nor a search.
    @param tried_up_to: the number up to which registrations were offered a name in vain.
    @param search: searches for a provider of a name among the registrations above that number.
    """

    def __init__(
        self,
        time_slices: TimeSlices,
        subscriptions: SubscriptionRegistry,
        idle: Callable[[str], bool],
        tried_up_to: Callable[[str], int],
        search: Callable[[str, int], object],
    ) -> None:
        self._time_slices = time_slices
        self._subscriptions = subscriptions
        self._idle = idle
        self._tried_up_to = tried_up_to
        self._search = search
        # The listeners of this round, and those of the next one.
        self._current: dict[Registration, None] = {}
        self._next: dict[Registration, None] = {}
        self._running = False

    def add(self, registration: Registration) -> None:
        """
        Offer C{registration} the names that have subscribers.
        """
        self._next[registration] = None
        if not self._running:
            self._running = True
            self._time_slices.do(self._rounds())

    def remove(self, registration: Registration) -> None:
        """
        C{registration} has ended.
        """
        self._next.pop(registration, None)
        self._current.pop(registration, None)

    def _rounds(self) -> Iterator[None]:
        try:
            while self._next:
                self._current, self._next = self._next, {}
                for name in list(self._subscriptions.names()):
                    if not self._current:
                        break
                    if self._idle(name):
                        after = self._tried_up_to(name)
                        if self._may_want(name, after):
                            self._search(name, after)
                    yield
        finally:
            self._running = False
            self._current = {}

    def _may_want(self, name: str, after: int) -> bool:
        """
        Whether a search could find a listener of this round.
        """
        return len(self._current) > _MAX_MATCHED_ONE_BY_ONE or any(
            registration.number > after and registration.pattern.matches(name) for registration in self._current
        )
