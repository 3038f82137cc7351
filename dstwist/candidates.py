"""
Who may be asked to provide names: listeners, each under one of its patterns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
    """

    connection: IConnection
    listened: Listened
    number: int
    unanswered: dict[tuple[str, str], None]
    listens: bool = True
    hears: bool = True
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
