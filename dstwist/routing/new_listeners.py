"""
Listeners that have just begun to listen, and are offered what is wanted already.

All names are gone through in slices. Listeners that come meanwhile share the next round: there is one list of names at
a time, however many come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dstwist.routing.registrations import Registration
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.time_slices import TimeSlices

#: Of so many new listeners it is seen one by one whether they match a name; of more, by asking the table.
_FEW = 4


class NewListeners:
    """
    Has searches started for new listeners.

    @param subscriptions: has the names that are wanted.
    @param idle: whether a name has neither a provider nor a search under way.
    @param tried: registrations up to which number were asked about a name in vain.
    @param search: look for a provider of a name among the registrations behind that number.
    """

    def __init__(
        self,
        slices: TimeSlices,
        subscriptions: SubscriptionRegistry,
        idle: Callable[[str], bool],
        tried: Callable[[str], int],
        search: Callable[[str, int], None],
    ) -> None:
        self._slices = slices
        self._subscriptions = subscriptions
        self._idle = idle
        self._tried = tried
        self._search = search
        # Those for which the names are being gone through, and those for the next round.
        self._welcomed: dict[Registration, None] = {}
        self._next: dict[Registration, None] = {}
        self._running = False

    def add(self, registration: Registration) -> None:
        """
        Offer C{registration} what is wanted already.
        """
        self._next[registration] = None
        if not self._running:
            self._running = True
            self._slices.do(self._rounds())

    def remove(self, registration: Registration) -> None:
        """
        C{registration} does not listen any more.
        """
        self._next.pop(registration, None)
        self._welcomed.pop(registration, None)

    def _rounds(self) -> Iterator[None]:
        try:
            while self._next:
                self._welcomed, self._next = self._next, {}
                for name in list(self._subscriptions.names()):
                    if not self._welcomed:
                        break
                    if self._idle(name):
                        after = self._tried(name)
                        if self._may_want(name, after):
                            self._search(name, after)
                    yield
        finally:
            self._running = False
            self._welcomed = {}

    def _may_want(self, name: str, after: int) -> bool:
        """
        Whether a search could find one of those who are welcomed.
        """
        return len(self._welcomed) > _FEW or any(
            registration.number > after and registration.pattern.matches(name) for registration in self._welcomed
        )
