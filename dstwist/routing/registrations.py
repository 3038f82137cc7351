"""
Candidates: listeners, each under one of its patterns, that may be asked to provide names; and the search that asks
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
class Listened:
    """
    A pattern to which somebody listens. Who does, in the order in which they began to.
    """

    text: str
    matches: Callable[[str], bool]
    candidates: dict[IConnection, Candidate] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Candidate:
    """
    A listener under one of its patterns. Who stops listening and begins again is another one.

    @ivar number: those who begin later have greater ones.
    @ivar unanswered: the questions that the connection let pass: pattern and name, the oldest first.
    @ivar hears: is told when a name that it provides is not wanted any more.
    @ivar refused: the log says that it may not hear of some names.
    """

    connection: IConnection
    listened: Listened
    number: int
    unanswered: dict[tuple[str, str], None]
    listens: bool = True
    hears: bool = True
    refused: bool = False
    # The names about which it is being asked, and those that it provides.
    asked: dict[str, None] = field(default_factory=dict)
    provides: dict[str, None] = field(default_factory=dict)

    def owes_answer(self, name: str) -> None:
        """
        It was asked about C{name}, and is not waited for any longer.
        """
        if self.listens:
            self.unanswered.pop((self.listened.text, name), None)
            self.unanswered[self.listened.text, name] = None
            if len(self.unanswered) > MAX_UNANSWERED:
                del self.unanswered[next(iter(self.unanswered))]

    def settles(self, name: str) -> bool:
        """
        Whether it owes an answer about C{name}; after this it no longer does.
        """
        if (self.listened.text, name) not in self.unanswered:
            return False
        del self.unanswered[self.listened.text, name]
        return True

    def settle_all(self) -> None:
        """
        It owes no answer any more.
        """
        for key in [key for key in self.unanswered if key[0] == self.listened.text]:
            del self.unanswered[key]


#: Which of so many is tried first, by its place.
Choose = Callable[[Sequence[int]], int]

_NOTHING: frozenset[Any] = frozenset()


@dataclass(eq=False, slots=True)
class Search:
    """
    The search for a provider of one name.

    @ivar after: candidates up to this number are not asked; 0 if all are.
    @ivar began: the number of the last candidate that had begun to listen before the search began.
    @ivar asked: the candidate that is asked now, or whose permission is being decided now.
    @ivar told: that candidate has been told the name.
    @ivar tried: some candidate matched.
    @ivar past: candidates that were asked and have not accepted, or that must not hear of the name.
    @ivar refused: the connections that must not hear of the name.
    """

    name: str
    after: int
    began: int
    asked: Candidate | None = None
    told: bool = False
    tried: bool = False
    # Most searches need neither: a set is made when there is something to remember.
    past: Set[Candidate] = _NOTHING
    refused: Set[IConnection] = _NOTHING

    def waiting(self, matching: Iterable[Listened]) -> tuple[list[Candidate], list[Candidate]]:
        """
        The candidates that are still to be tried: those that listened when the search began, in the order of the
        table, and those that came later, with the latest first.
        """
        after, began, past = self.after, self.began, self.past
        early: list[Candidate] = []
        late: list[Candidate] = []
        for listened in matching:
            for candidate in listened.candidates.values():
                number = candidate.number
                if number > after and candidate not in past:
                    (early if number <= began else late).append(candidate)
        if len(late) > 1:
            late.sort(key=lambda candidate: -candidate.number)
        return early, late

    def pass_over(self, candidate: Candidate) -> None:
        """
        Do not try C{candidate} again.
        """
        if not isinstance(self.past, set):
            self.past = set()
        self.past.add(candidate)

    def refuse(self, candidate: Candidate) -> None:
        """
        C{candidate} must not hear of the name, and neither must its connection under another pattern.
        """
        self.pass_over(candidate)
        if not isinstance(self.refused, set):
            self.refused = set()
        self.refused.add(candidate.connection)


def next_of(early: list[Candidate], late: list[Candidate], choose: Choose | None) -> Candidate | None:
    """
    Take out the candidate that is tried next.

    @param early: those that listened when the search began.
    @param late: those that came later.
    @param choose: which of C{early}; C{None} for the last one.
    """
    if choose is not None and len(early) > 1:
        place = choose(range(len(early)))
        early[place], early[-1] = early[-1], early[place]
    waiting = early or late
    return waiting.pop() if waiting else None
