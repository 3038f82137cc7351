"""
Registrations: listeners, each under one of its patterns, that may be asked to provide names; and the search that asks
them about one name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from dstwist.interfaces import IConnection

#: How many unanswered questions are remembered of one connection, so that late answers are recognised. A listener
#: that never answers is asked again and again: without a bound it would fill the memory with its silence.
MAX_UNANSWERED = 1000


@dataclass(eq=False, slots=True)
class ListenerPattern:
    """
    A pattern to which somebody listens. Who does, in the order in which they began to.
    """

    text: str
    matches: Callable[[str], bool]
    registrations: dict[IConnection, Registration] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Registration:
    """
    A listener under one of its patterns. Who stops listening and begins again is another one.

    @ivar number: those who begin later have greater ones.
    @ivar unanswered: the questions that the connection let pass: pattern and name, the oldest first.
    @ivar notified: is told when a name that it provides is not wanted any more.
    @ivar refused: the log says that it may not hear of some names.
    """

    connection: IConnection
    pattern: ListenerPattern
    number: int
    unanswered: dict[tuple[str, str], None]
    listens: bool = True
    notified: bool = True
    refused: bool = False
    # The names about which it is being asked, and those that it provides.
    asked: dict[str, None] = field(default_factory=dict)
    provides: dict[str, None] = field(default_factory=dict)

    def remember_unanswered(self, name: str) -> None:
        """
        It was asked about C{name}, and is not waited for any longer.
        """
        if self.listens:
            self.unanswered.pop((self.pattern.text, name), None)
            self.unanswered[self.pattern.text, name] = None
            if len(self.unanswered) > MAX_UNANSWERED:
                del self.unanswered[next(iter(self.unanswered))]

    def forget_unanswered(self, name: str) -> bool:
        """
        Whether it owes an answer about C{name}; after this it no longer does.
        """
        if (self.pattern.text, name) not in self.unanswered:
            return False
        del self.unanswered[self.pattern.text, name]
        return True

    def forget_all_unanswered(self) -> None:
        """
        It owes no answer any more.
        """
        for key in [key for key in self.unanswered if key[0] == self.pattern.text]:
            del self.unanswered[key]


#: Which of so many is tried first, by its place.
Choose = Callable[[Sequence[int]], int]

_NOTHING: frozenset[Any] = frozenset()


@dataclass(eq=False, slots=True)
class ProviderSearch:
    """
    The search for a provider of one name.

    @ivar after: registrations up to this number are not asked; 0 if all are.
    @ivar began: the number of the last registration that had begun to listen before the search began.
    @ivar asked: the registration that is asked now, or whose permission is being decided now.
    @ivar told: that registration has been told the name.
    @ivar tried: some registration matched.
    @ivar past: registrations that were asked and have not accepted, or that must not hear of the name.
    @ivar refused: the connections that must not hear of the name.
    """

    name: str
    after: int
    began: int
    asked: Registration | None = None
    told: bool = False
    tried: bool = False
    # Most searches need neither: a set is made when there is something to remember.
    past: Set[Registration] = _NOTHING
    refused: Set[IConnection] = _NOTHING

    def waiting(self, matching: Iterable[ListenerPattern]) -> tuple[list[Registration], list[Registration]]:
        """
        The registrations that are still to be tried: those that listened when the search began, in the order of the
        table, and those that came later, with the latest first.
        """
        after, began, past = self.after, self.began, self.past
        early: list[Registration] = []
        late: list[Registration] = []
        for listener_pattern in matching:
            for registration in listener_pattern.registrations.values():
                number = registration.number
                if number > after and registration not in past:
                    (early if number <= began else late).append(registration)
        if len(late) > 1:
            late.sort(key=lambda registration: -registration.number)
        return early, late

    def pass_over(self, registration: Registration) -> None:
        """
        Do not try C{registration} again.
        """
        if not isinstance(self.past, set):
            self.past = set()
        self.past.add(registration)

    def refuse(self, registration: Registration) -> None:
        """
        C{registration} must not hear of the name, and neither must its connection under another pattern.
        """
        self.pass_over(registration)
        if not isinstance(self.refused, set):
            self.refused = set()
        self.refused.add(registration.connection)


def next_of(early: list[Registration], late: list[Registration], choose: Choose | None) -> Registration | None:
    """
    Take out the registration that is tried next.

    @param early: those that listened when the search began.
    @param late: those that came later.
    @param choose: which of C{early}; C{None} for the last one.
    """
    if choose is not None and len(early) > 1:
        place = choose(range(len(early)))
        early[place], early[-1] = early[-1], early[place]
    waiting = early or late
    return waiting.pop() if waiting else None
