"""
The search for a provider of one name: which registrations it has tried, and which one it tries next.

A search remembers the registrations that it has tried, not those that it is going to try: there are many names, and
there may be many registrations. When the search needs the next registration, it chooses from those that match then:

=================================================  ===================================================================
registration                                       is tried
=================================================  ===================================================================
registered before the search began                 first: in the order of the table, or shuffled
registered while the search runs                   then: in the order of their numbers
numbered up to C{ProviderSearch.after}             not at all: an earlier search tried it in vain
tried by this search                               not again
=================================================  ===================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from dstwist.interfaces import IRequester
from dstwist.routing.registrations import ListenerPattern, Registration

#: Chooses the place of the registration that is tried next, as L{random.choice}.
Choose = Callable[[Sequence[int]], int]

_EMPTY_SET: frozenset[Any] = frozenset()


@dataclass(eq=False, slots=True)
class ProviderSearch:
    """
    The search for a provider of one name.

    @ivar after: registrations up to this number are not tried; 0 to try all.
    @ivar began: the number of the latest registration when the search began.
    @ivar current: the registration that is offered the name now, or that waits for its permission to hear of it.
    @ivar offered: C{current} has been sent the offer.
    @ivar matched: at least one registration was tried.
    @ivar tried: registrations that did not accept, or that may not hear of the name.
    @ivar refused: connections that may not hear of the name.
    """

    name: str
    after: int
    began: int
    current: Registration | None = None
    offered: bool = False
    matched: bool = False
    # Most searches need neither: a set is made when there is something to remember.
    tried: Set[Registration] = _EMPTY_SET
    refused: Set[IRequester] = _EMPTY_SET

    def waiting(self, matching: Iterable[ListenerPattern]) -> tuple[list[Registration], list[Registration]]:
        """
        The registrations that are still to be tried.

        @return: those that were there when the search began, in the order of the table; and those that came later,
            sorted so that the latest is first.
        """
        after, began, tried = self.after, self.began, self.tried
        early: list[Registration] = []
        late: list[Registration] = []
        for pattern in matching:
            for registration in pattern.registrations.values():
                number = registration.number
                if number > after and registration not in tried:
                    (early if number <= began else late).append(registration)
        if len(late) > 1:
            late.sort(key=lambda registration: -registration.number)
        return early, late

    def pass_over(self, registration: Registration) -> None:
        """
        Do not try C{registration} again.
        """
        if not isinstance(self.tried, set):
            self.tried = set()
        self.tried.add(registration)

    def refuse(self, registration: Registration) -> None:
        """
        C{registration} may not hear of the name, and neither may its connection under another pattern.
        """
        self.pass_over(registration)
        if not isinstance(self.refused, set):
            self.refused = set()
        self.refused.add(registration.connection)

    def readmit(self, connection: IRequester) -> None:
        """
        Try all registrations of C{connection} again.
        """
        self.tried = {registration for registration in self.tried if registration.connection is not connection}


def take_next(early: list[Registration], late: list[Registration], choose: Choose | None) -> Registration | None:
    """
    Take out the registration that is tried next.

    @param early: those that were there when the search began.
    @param late: those that came later.
    @param choose: chooses one of C{early}; C{None} for the last one.
    @return: C{None} if both are empty.
    """
    if choose is not None and len(early) > 1:
        place = choose(range(len(early)))
        early[place], early[-1] = early[-1], early[place]
    waiting = early or late
    return waiting.pop() if waiting else None
