"""
Listener registrations: which connections listen to which patterns.

=======================  ============================================================================================
L{Registrations}         all registrations of one topic, by pattern
L{ListenerPattern}       one pattern, and the registrations for it
L{Registration}          one connection under one pattern: what it is offered, what it provides, what it left unanswered
=======================  ============================================================================================

Always true: a pattern is in L{Registrations} exactly while it has a registration. Registrations are numbered in the
order in which the clients began to listen; a client that stops and begins again gets a new registration and a new
number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dstwist.interfaces import IRequester
from dstwist.patterns.javascript import compile_pattern
from dstwist.patterns.table import PatternTable

#: The number of unanswered offers that are remembered for one connection, so that late answers are recognised. A
#: listener that never answers is offered names again and again: without a bound its silence would fill the memory.
MAX_UNANSWERED_OFFERS = 1000

#: Offers that a connection left unanswered: pattern and name, the oldest first.
Unanswered = dict[tuple[str, str], None]


@dataclass(eq=False, slots=True)
class ListenerPattern:
    """
    A pattern that at least one connection listens to.

    @ivar registrations: by connection, in the order in which they began to listen.
    """

    text: str
    matches: Callable[[str], bool]
    registrations: dict[IRequester, Registration] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Registration:
    """
    A connection that listens to a pattern.

    @ivar number: a later registration has a greater one.
    @ivar unanswered: the offers that the connection left unanswered, under all of its patterns.
    @ivar listens: the client has not ended it, and is connected.
    @ivar notified: the client is told when a name that it provides is not wanted any more.
    @ivar refused: the log says already that the client may not hear of some names.
    @ivar asked: the names that it is offered now, or will be offered if the permission allows that.
    @ivar provides: the names that it provides.
    """

    connection: IRequester
    pattern: ListenerPattern
    number: int
    unanswered: Unanswered
    listens: bool = True
    notified: bool = True
    refused: bool = False
    asked: dict[str, None] = field(default_factory=dict)
    provides: dict[str, None] = field(default_factory=dict)

    def remember_unanswered(self, name: str) -> None:
        """
        Remember that C{name} was offered, and that no answer came in time.
        """
        if self.listens:
            self.unanswered.pop((self.pattern.text, name), None)
            self.unanswered[self.pattern.text, name] = None
            if len(self.unanswered) > MAX_UNANSWERED_OFFERS:
                del self.unanswered[next(iter(self.unanswered))]

    def forget_unanswered(self, name: str) -> bool:
        """
        Forget the unanswered offer of C{name}.

        @return: whether there was one.
        """
        if (self.pattern.text, name) not in self.unanswered:
            return False
        del self.unanswered[self.pattern.text, name]
        return True

    def forget_all_unanswered(self) -> None:
        """
        Forget the unanswered offers under this pattern.
        """
        for key in [key for key in self.unanswered if key[0] == self.pattern.text]:
            del self.unanswered[key]


class Registrations:
    """
    The registrations of one topic.

    @ivar latest: the number of the latest registration; 0 if there was none yet.
    """

    def __init__(self) -> None:
        self._patterns: PatternTable[ListenerPattern] = PatternTable()
        self.latest = 0

    def __len__(self) -> int:
        return len(self._patterns)

    def add(self, connection: IRequester, text: str, max_length: int, unanswered: Unanswered) -> Registration:
        """
        Register C{connection}, which is not registered for it, for the pattern C{text}.

        @raise InvalidPattern: C{text} is not a pattern, or is longer than C{max_length}.
        """
        pattern = self._patterns.get(text)
        if pattern is None:
            compiled = compile_pattern(text, max_length)
            pattern = ListenerPattern(text, compiled.matches)
            self._patterns.add(text, compiled, pattern)
        self.latest += 1
        registration = pattern.registrations[connection] = Registration(connection, pattern, self.latest, unanswered)
        return registration

    def remove(self, registration: Registration) -> None:
        """
        Remove C{registration}, which is in here.
        """
        pattern = registration.pattern
        del pattern.registrations[registration.connection]
        if not pattern.registrations:
            self._patterns.remove(pattern.text)

    def matching(self, name: str) -> list[ListenerPattern]:
        """
        The patterns that C{name} matches, in the order in which they were added.
        """
        return self._patterns.matching(name)
