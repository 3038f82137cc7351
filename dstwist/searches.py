"""
The search for providers of names among those who listen, and who was found.

See L{dstwist.listeners} for what a search is. One that is under way remembers whom it has asked, not whom it is going
to ask: names are many, and so may be listeners. Whom it asks next is decided when it comes to that. So that nobody is
asked twice, and nobody is left out, candidates are numbered in the order in which they began to listen:

===========================  =========================================================================================
a search                     asks those who are in the table at that moment and match, but were not asked by it
a search for newcomers       leaves out as well who has a number up to that of the last search that had no success
whoever began after a        is asked by it after those who listened when it began, in the order of their numbers
search
===========================  =========================================================================================

It follows that whoever begins to listen has only to be looked for the names about which nobody is asked at the moment,
and that a name for which all searches had no success need not be looked at until somebody comes, or the next rematch.

What concerns many names, as a provider that leaves, a newcomer, a rematch, is done in slices (L{dstwist.slices}).
Until its turn has come a name is still provided by the one who left, or still waits for an answer of it: that one is
told nothing more, what it answers counts as unasked, and whoever subscribes or leaves meanwhile hears what is so.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.candidates import Candidate, Listened
from dstwist.config.settings import ListenSettings
from dstwist.deadlines import Deadlines
from dstwist.interfaces import IConnection
from dstwist.log import Logger
from dstwist.matching import PatternTable
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.slices import Slices
from dstwist.subscriptions import SubscriptionRegistry

#: Of so many newcomers it is seen one by one whether they match a name; of more, by asking the table.
_FEW = 4


_NOBODY: Container[Candidate] = frozenset()


@dataclass(eq=False, slots=True)
class _Search:
    """
    The search for a provider of one name.

    @ivar after: those up to this number are not asked; 0 if all are.
    @ivar began: the number of the last one who had begun to listen before it.
    @ivar past: those who were asked and have not accepted.
    """

    name: str
    after: int
    began: int
    asked: Candidate | None = None
    past: set[Candidate] | None = None


class _Failure(NamedTuple):
    """
    All who listen were asked in vain.

    @ivar time: when.
    @ivar latest: those up to this number were asked, then or later.
    """

    time: float
    latest: int


class Searches:
    """
    The searches of one topic.

    @param patterns: to which somebody listens.
    @param announce: tell subscribers when their name gets or loses its provider.
    @param choose: which of several candidates is asked first; C{None} for the first one.
    """

    _log = Logger()

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        patterns: PatternTable[Listened],
        settings: ListenSettings,
        clock: IReactorTime,
        announce: bool,
        choose: Callable[[list[Candidate]], Candidate] | None,
    ) -> None:
        self._topic = topic
        self._actions = ACTIONS[topic]
        self._subscriptions = subscriptions
        self._patterns = patterns
        self._settings = settings
        self._clock = clock
        self._announce = announce
        self._choose = choose
        self._searches: dict[str, _Search] = {}
        self._providers: dict[str, Candidate] = {}
        self._failed: dict[str, _Failure] = {}
        self._latest = 0
        # Who has not been looked for yet, and for whom the names are being gone through.
        self._newcomers: dict[Candidate, None] = {}
        self._welcomed: dict[Candidate, None] = {}
        self._welcoming = False
        self._rematching = False
        self._rematch: IDelayedCall | None = None
        self._overdue: Deadlines[_Search] = Deadlines(settings.response_timeout, clock, self._timed_out)
        self._slices = Slices(clock)
        self._stopped = False
        subscriptions.observe(self._search, self._forget)

    def provided(self, name: str) -> bool:
        return name in self._providers

    def stop(self) -> None:
        """
        Cancel all timers, and ask nobody any more.
        """
        self._stopped = True
        self._slices.stop()
        self._rest()

    # -- who listens

    def candidate(
        self, connection: IConnection, listened: Listened, unanswered: dict[tuple[str, str], None]
    ) -> Candidate:
        """
        C{connection} begins to listen: it is among those who are asked from now on.
        """
        self._latest += 1
        candidate = listened.candidates[connection] = Candidate(connection, listened, self._latest, unanswered)
        return candidate

    def welcome(self, candidate: Candidate) -> None:
        """
        Offer C{candidate} what is wanted already.
        """
        if not candidate.listens or self._stopped:
            return
        self._newcomers[candidate] = None
        if not self._welcoming:
            self._welcoming = True
            self._slices.do(self._welcome_all())
        self._schedule_rematch()

    def dismiss(self, leaving: list[Candidate]) -> None:
        """
        Have C{leaving}, candidates of one connection that are in no table any more, provide and be asked nothing more.
        """
        for candidate in leaving:
            candidate.listens = False
            self._newcomers.pop(candidate, None)
            self._welcomed.pop(candidate, None)
        self._log_stopped(leaving)
        if not self._patterns:
            self._rest()
        self._slices.do(self._replace(leaving))

    def _log_stopped(self, leaving: list[Candidate]) -> None:
        count = sum(len(candidate.provides) for candidate in leaving)
        if not count:
            return
        # What clients can bring about with one message costs one line.
        what = "{topic}:{name}" if count == 1 else "{count} names of {topic}"
        self._log.info(
            f"LISTEN_PROVIDER_STOPPED | listen provider has stopped for {what}",
            topic=self._topic.name,
            name=next(name for candidate in leaving for name in candidate.provides),
            count=count,
            event="LISTEN_PROVIDER_STOPPED",
        )

    def _rest(self) -> None:
        """
        With nobody to ask there is nothing to wait for.
        """
        self._overdue.stop()
        if self._rematch is not None:
            self._rematch.cancel()
            self._rematch = None

    # -- what they answer

    def accept(self, candidate: Candidate, name: str) -> bool:
        """
        C{candidate} wants to provide C{name}; whether it was asked, now or earlier.
        """
        search = self._searches.get(name)
        if search is not None and search.asked is candidate:
            self._stop_asking(search)
            del self._searches[name]
            self._provide(name, candidate)
        elif self._providers.get(name) is candidate:
            pass
        elif not candidate.settles(name):
            return False
        elif search is None and name not in self._providers and name in self._subscriptions:
            self._provide(name, candidate)
        else:
            self._tell(candidate, name, "SUBSCRIPTION_FOR_PATTERN_REMOVED")
        return True

    def reject(self, candidate: Candidate, name: str) -> bool:
        """
        C{candidate} does not want to provide C{name}; whether it was asked, now or earlier.
        """
        search = self._searches.get(name)
        if search is None or search.asked is not candidate:
            return candidate.settles(name)
        self._ask_next(search)
        return True

    def _provide(self, name: str, candidate: Candidate) -> None:
        self._providers[name] = candidate
        candidate.provides[name] = None
        self._failed.pop(name, None)
        self._announce_provider(name, "SUBSCRIPTION_HAS_PROVIDER")

    # -- asking. Whatever is sent may close a connection, and so dismiss candidates and end subscriptions: what follows
    # such a call must not rely on what was true before it.

    def _search(self, name: str) -> None:
        """
        Look for a provider of C{name} among all who listen.
        """
        if self._patterns:
            self._start(name, 0)

    def _start(self, name: str, after: int) -> None:
        search = _Search(name, after, self._latest)
        candidate = self._next(search)
        if candidate is not None:
            self._searches[name] = search
            self._ask(search, candidate)

    def _next(self, search: _Search) -> Candidate | None:
        """
        Who is to be asked next.
        """
        if self._stopped:
            return None
        after, began, past = search.after, search.began, search.past or _NOBODY
        early: list[Candidate] = []
        late: Candidate | None = None
        for listened in self._patterns.matching(search.name):
            for candidate in listened.candidates.values():
                number = candidate.number
                if number <= after or candidate in past:
                    continue
                if number <= began:
                    if self._choose is None:
                        return candidate
                    early.append(candidate)
                elif late is None or number < late.number:
                    late = candidate
        return self._choose(early) if early and self._choose is not None else late

    def _ask(self, search: _Search, candidate: Candidate) -> None:
        search.asked = candidate
        candidate.asked[search.name] = None
        self._overdue.add(search)
        self._tell(candidate, search.name, "SUBSCRIPTION_FOR_PATTERN_FOUND")

    def _ask_next(self, search: _Search) -> None:
        self._pass_over(search)
        candidate = self._next(search)
        if candidate is not None:
            self._ask(search, candidate)
            return
        del self._searches[search.name]
        # One who comes, declines, and comes again must not keep all others from being asked: the time stays.
        failed = self._failed.get(search.name)
        time = self._clock.seconds() if failed is None else failed.time
        self._failed[search.name] = _Failure(time, self._latest)

    def _stop_asking(self, search: _Search) -> None:
        if search.asked is not None:
            del search.asked.asked[search.name]
            search.asked = None
            self._overdue.remove(search)

    def _pass_over(self, search: _Search) -> None:
        asked = search.asked
        self._stop_asking(search)
        if asked is not None and asked.listens:
            if search.past is None:
                search.past = set()
            search.past.add(asked)

    def _timed_out(self, search: _Search) -> None:
        asked = search.asked
        assert asked is not None
        self._pass_over(search)
        if asked.listens:
            asked.owes_answer(search.name)
            action = self._actions["LISTEN_RESPONSE_TIMEOUT"]
            asked.connection.send(Message(self._topic, action, subscription=search.name))
        if self._searches.get(search.name) is search:
            self._ask_next(search)

    # -- what concerns many names

    def _welcome_all(self) -> Iterator[None]:
        """
        Start searches for newcomers. Those who come meanwhile share the next round: there is one list of names at a
        time, however many come.
        """
        try:
            while self._newcomers:
                self._welcomed, self._newcomers = self._newcomers, {}
                for name in list(self._subscriptions.names()):
                    if not self._welcomed:
                        break
                    if self._is_idle(name):
                        failed = self._failed.get(name)
                        after = 0 if failed is None else failed.latest
                        if self._may_want(name, after):
                            self._start(name, after)
                    yield
        finally:
            self._welcoming = False
            self._welcomed = {}

    def _is_idle(self, name: str) -> bool:
        return name not in self._searches and name not in self._providers and name in self._subscriptions

    def _may_want(self, name: str, after: int) -> bool:
        """
        Whether a search could find one of those who are welcomed.
        """
        return len(self._welcomed) > _FEW or any(
            candidate.number > after and candidate.listened.matches(name) for candidate in self._welcomed
        )

    def _replace(self, leaving: Iterable[Candidate]) -> Iterator[None]:
        """
        Look for others in place of those who are C{leaving}.
        """
        for candidate in leaving:
            for name in list(candidate.asked):
                search = self._searches.get(name)
                if search is not None and search.asked is candidate:
                    self._ask_next(search)
                yield
            for name in list(candidate.provides):
                if self._providers.get(name) is candidate:
                    self._stop_providing(name, candidate)
                    self._announce_provider(name, "SUBSCRIPTION_HAS_NO_PROVIDER")
                    if self._is_idle(name):
                        self._search(name)
                yield

    def _stop_providing(self, name: str, provider: Candidate) -> None:
        del self._providers[name], provider.provides[name]
        if provider.hears:
            self._tell(provider, name, "SUBSCRIPTION_FOR_PATTERN_REMOVED")

    def _schedule_rematch(self) -> None:
        interval = self._settings.rematch_interval
        if interval is not None and self._rematch is None:
            self._rematch = self._clock.callLater(interval, self._rematch_all)

    def _rematch_all(self) -> None:
        self._rematch = None
        self._schedule_rematch()
        if not self._rematching:
            self._rematching = True
            self._slices.do(self._rematch_due())

    def _rematch_due(self) -> Iterator[None]:
        """
        Ask all about the names that nobody took, unless all were asked a moment ago.
        """
        try:
            now, cooldown = self._clock.seconds(), self._settings.match_cooldown
            for name in list(self._failed):
                failed = self._failed.get(name)
                # While newcomers are being asked about it nobody else is.
                if failed is not None and now - failed.time >= cooldown and name not in self._searches:
                    del self._failed[name]
                    self._search(name)
                yield
        finally:
            self._rematching = False

    # -- endings

    def _forget(self, name: str) -> None:
        """
        Nobody wants C{name} any more.
        """
        self._failed.pop(name, None)
        search = self._searches.pop(name, None)
        if search is not None and search.asked is not None:
            search.asked.owes_answer(name)
            self._stop_asking(search)
        provider = self._providers.get(name)
        if provider is not None:
            self._stop_providing(name, provider)

    # -- what is said

    def _tell(self, candidate: Candidate, name: str, action: str) -> None:
        candidate.connection.send(
            Message(self._topic, self._actions[action], name=candidate.listened.text, subscription=name)
        )

    def _announce_provider(self, name: str, action: str) -> None:
        if self._announce:
            self._subscriptions.publish(Message(self._topic, self._actions[action], name=name))
