"""
Listening: active data providers.

A *listener* registers a *pattern*. Whenever a name that matches has subscribers and nobody who provides it, the
listeners are asked, one at a time, whether they will; the first to accept becomes the *provider* of the name and is
told when it is no longer wanted. Authority: C{services.md} section 7, with what its section 13.3 asks of a better
server.

::

    unprovided --- a name gets its first subscriber, or a listener comes, or a provider goes ---> searching
    searching  --- the asked one accepts ----------------------------------------------------> provided
    searching  --- the asked one rejects, leaves, or is silent for listen.responseTimeout ------> the next one is asked
    searching  --- nobody is left to ask -----------------------------------------------------> unprovided
    provided   --- the provider leaves -------------------------------------------------------> searching
    any        --- the last subscriber leaves ------------------------------------------------> forgotten

Only who is being asked can accept: a connection that was asked and did not answer in time (a late answer) may still
get the name while it is free, and is otherwise told to stop; one that never was asked is refused. A new listener is
offered what nobody provides, without asking again who had declined. Names that nobody took are offered to all again
every C{listen.rematchInterval}, but not within C{listen.matchCooldown} of the last time that all were asked.

Only for records are the subscribers told whether their name is provided (SUBSCRIPTION_HAS_PROVIDER).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from dstwist.config.settings import ListenSettings
from dstwist.interfaces import IConnection, IRevocable
from dstwist.log import Logger
from dstwist.patterns import InvalidPattern, compile_pattern
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.subscriptions import SubscriptionRegistry

#: How many unanswered questions are remembered of one connection, so that late answers are recognised. A listener
#: that never answers is asked again and again: without a bound it would fill the memory with its silence.
MAX_UNANSWERED = 1000


@dataclass(frozen=True)
class _Candidate:
    """
    A listener under one of its patterns.
    """

    connection: IConnection
    pattern: str


@dataclass(eq=False)
class _Pattern:
    matches: Callable[[str], bool]
    listeners: dict[IConnection, _Candidate] = field(default_factory=dict)


@dataclass(eq=False)
class _Listener:
    """
    What one connection has to do with listening.
    """

    patterns: dict[str, _Candidate] = field(default_factory=dict)
    provides: dict[str, _Candidate] = field(default_factory=dict)
    # Oldest first.
    unanswered: dict[tuple[str, str], None] = field(default_factory=dict)
    # The names about which it is being asked.
    asked: set[str] = field(default_factory=set)
    # The patterns that it has lost, and may not have noticed.
    revoked: set[str] = field(default_factory=set)


@dataclass(eq=False)
class _Search:
    """
    The search for a provider of one name.
    """

    name: str
    waiting: deque[_Candidate]
    # Whether all who listen are asked, not just one who came later.
    complete: bool
    asked: _Candidate | None = None
    timeout: IDelayedCall | None = None

    def stop_waiting(self) -> None:
        if self.timeout is not None and self.timeout.active():
            self.timeout.cancel()
        self.asked = self.timeout = None


@implementer(IRevocable)
class ListenerRegistry:
    """
    The listeners of one topic, and who provides which of its names.

    @param announce: tell subscribers when their name gets or loses its provider.
    @param shuffle: puts candidates in the order in which they are asked.
    """

    _log = Logger()

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        settings: ListenSettings,
        clock: IReactorTime,
        announce: bool = False,
        shuffle: Callable[[list[_Candidate]], None] = random.shuffle,
    ) -> None:
        self._topic = topic
        self._actions = actions = ACTIONS[topic]
        self._subscriptions = subscriptions
        self._settings = settings
        self._clock = clock
        self._announce = announce
        self._shuffle = shuffle if settings.shuffle_providers else None
        self._patterns: dict[str, _Pattern] = {}
        self._listeners: dict[IConnection, _Listener] = {}
        self._searches: dict[str, _Search] = {}
        self._providers: dict[str, _Candidate] = {}
        self._failed: dict[str, float] = {}
        self._rematch: IDelayedCall | None = None
        self._handlers = {
            actions["LISTEN"]: self._listen,
            actions["UNLISTEN"]: self._unlisten,
            actions["LISTEN_ACCEPT"]: self._accept,
            actions["LISTEN_REJECT"]: self._reject,
        }
        subscriptions.observe(self._search, self._forget)

    def handle(self, message: Message, sender: IConnection) -> None:
        """
        Serve a message of the listen family.
        """
        self._handlers[message.action](message, sender)

    def provided(self, name: str) -> bool:
        """
        Whether C{name} has an active provider.
        """
        return name in self._providers

    def stop(self) -> None:
        """
        Cancel all timers.
        """
        for search in self._searches.values():
            search.stop_waiting()
        if self._rematch is not None:
            self._rematch.cancel()
            self._rematch = None

    # -- what clients ask

    def _listen(self, message: Message, sender: IConnection) -> None:
        if sender.closed:
            return
        text = _name(message)
        listener = self._listeners.get(sender)
        if listener is not None and text in listener.patterns:
            sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", flagged=False))
            if sender.dialect.acks_what_changed_nothing:
                sender.send(message.ack())
            return
        if listener is not None and len(listener.patterns) >= self._settings.max_patterns:
            self._exceeded(sender)
            return
        pattern = self._patterns.get(text)
        if pattern is None:
            try:
                pattern = _Pattern(compile_pattern(text, self._settings.max_pattern_length))
            except InvalidPattern as reason:
                detail = f"SyntaxError: Invalid regular expression: /{text}/: {reason}"
                sender.send(message.error("INVALID_LISTEN_REGEX", detail=detail))
                return
            self._patterns[text] = pattern
        if listener is None:
            listener = self._listeners[sender] = _Listener()
            sender.on_close(self._closed)
        listener.revoked.discard(text)
        candidate = listener.patterns[text] = pattern.listeners[sender] = _Candidate(sender, text)
        sender.send(message.ack())
        for name in [name for name in self._subscriptions.names() if pattern.matches(name)]:
            search = self._searches.get(name)
            if search is not None:
                search.waiting.append(candidate)
            elif name not in self._providers:
                self._start(name, [candidate], complete=False)
        self._schedule_rematch()

    def _exceeded(self, sender: IConnection) -> None:
        self._log.warn(
            "LIMIT_EXCEEDED | listen.maxPatterns: {user} ({address}) listens to more than {limit} patterns of {topic}, "
            "closing",
            user=sender.user,
            address=sender.address,
            limit=self._settings.max_patterns,
            topic=self._topic.name,
            event="LIMIT_EXCEEDED",
        )
        sender.close("too many patterns")

    def _unlisten(self, message: Message, sender: IConnection) -> None:
        listener = self._listeners.get(sender)
        candidate = listener.patterns.pop(_name(message), None) if listener is not None else None
        if listener is not None and candidate is not None:
            self._dismiss([candidate], listener)
        elif listener is not None and _name(message) in listener.revoked:
            listener.revoked.discard(_name(message))
        elif not sender.dialect.acks_what_changed_nothing:
            sender.send(message.error("NOT_SUBSCRIBED", flagged=False))
            return
        sender.send(message.ack())

    def _accept(self, message: Message, sender: IConnection) -> None:
        name, candidate = _subscription(message), _Candidate(sender, _name(message))
        search = self._searches.get(name)
        if search is not None and search.asked == candidate:
            self._stop_asking(search)
            del self._searches[name]
            self._provide(name, candidate)
        elif self._providers.get(name) == candidate:
            return
        elif not self._was_asked(candidate, name):
            self._unasked(message, sender)
        elif search is None and name not in self._providers and name in self._subscriptions:
            self._provide(name, candidate)
        else:
            self._tell(candidate, name, "SUBSCRIPTION_FOR_PATTERN_REMOVED")

    def _reject(self, message: Message, sender: IConnection) -> None:
        name, candidate = _subscription(message), _Candidate(sender, _name(message))
        search = self._searches.get(name)
        if search is not None and search.asked == candidate:
            self._ask_next(search)
        elif not self._was_asked(candidate, name) and sender.dialect.complains_of_unasked_answers:
            self._unasked(message, sender)

    def _unasked(self, message: Message, sender: IConnection) -> None:
        if sender.dialect.complains_of_unasked_answers:
            sender.send(message.error("INVALID_MESSAGE"))
        else:
            self._tell(_Candidate(sender, _name(message)), _subscription(message), "SUBSCRIPTION_FOR_PATTERN_REMOVED")

    def _was_asked(self, candidate: _Candidate, name: str) -> bool:
        """
        Whether C{candidate} owes an answer about C{name}; after this it no longer does.
        """
        listener = self._listeners.get(candidate.connection)
        if listener is None or (candidate.pattern, name) not in listener.unanswered:
            return False
        del listener.unanswered[candidate.pattern, name]
        return True

    # -- what they have

    def connections(self) -> Iterable[IConnection]:
        return self._listeners.keys()

    def names_of(self, connection: IConnection) -> list[str]:
        listener = self._listeners.get(connection)
        return [] if listener is None else list(listener.patterns)

    def wants(self, name: str, connection: IConnection) -> bool:
        listener = self._listeners.get(connection)
        return listener is not None and name in listener.patterns

    def revoke(self, name: str, connection: IConnection) -> bool:
        listener = self._listeners.get(connection)
        candidate = None if listener is None else listener.patterns.pop(name, None)
        if listener is None or candidate is None:
            return False
        if len(listener.revoked) < self._settings.max_patterns:
            listener.revoked.add(name)
        for provided, provider in listener.provides.items():
            if provider == candidate:
                self._tell(candidate, provided, "SUBSCRIPTION_FOR_PATTERN_REMOVED")
        self._dismiss([candidate], listener)
        return True

    # -- searching

    def _search(self, name: str) -> None:
        """
        Look for a provider of C{name} among all listeners whose patterns match it.
        """
        self._start(
            name,
            [
                candidate
                for pattern in self._patterns.values()
                if pattern.matches(name)
                for candidate in pattern.listeners.values()
            ],
            complete=True,
        )

    def _start(self, name: str, candidates: list[_Candidate], complete: bool) -> None:
        if not candidates:
            return
        if self._shuffle is not None:
            self._shuffle(candidates)
        search = self._searches[name] = _Search(name, deque(candidates), complete)
        self._ask_next(search)

    def _ask_next(self, search: _Search) -> None:
        self._stop_asking(search)
        waiting = search.waiting
        # Whoever has gone meanwhile is still among them: to look for all who go would take far longer.
        while waiting and not self._listens(waiting[0]):
            waiting.popleft()
        if not waiting:
            del self._searches[search.name]
            # One who comes, declines, and comes again must not keep all others from being asked.
            if search.complete:
                self._failed[search.name] = self._clock.seconds()
            return
        search.asked = waiting.popleft()
        self._listeners[search.asked.connection].asked.add(search.name)
        search.timeout = self._clock.callLater(self._settings.response_timeout, self._timed_out, search)
        self._tell(search.asked, search.name, "SUBSCRIPTION_FOR_PATTERN_FOUND")

    def _listens(self, candidate: _Candidate) -> bool:
        listener = self._listeners.get(candidate.connection)
        return listener is not None and listener.patterns.get(candidate.pattern) is candidate

    def _stop_asking(self, search: _Search) -> None:
        if search.asked is not None:
            self._listeners[search.asked.connection].asked.discard(search.name)
        search.stop_waiting()

    def _timed_out(self, search: _Search) -> None:
        assert search.asked is not None
        self._owes_answer(search.asked, search.name)
        search.asked.connection.send(
            Message(self._topic, self._actions["LISTEN_RESPONSE_TIMEOUT"], subscription=search.name)
        )
        self._ask_next(search)

    def _owes_answer(self, candidate: _Candidate, name: str) -> None:
        unanswered = self._listeners[candidate.connection].unanswered
        unanswered.pop((candidate.pattern, name), None)
        unanswered[candidate.pattern, name] = None
        if len(unanswered) > MAX_UNANSWERED:
            del unanswered[next(iter(unanswered))]

    def _provide(self, name: str, candidate: _Candidate) -> None:
        self._providers[name] = candidate
        self._listeners[candidate.connection].provides[name] = candidate
        self._failed.pop(name, None)
        self._announce_provider(name, "SUBSCRIPTION_HAS_PROVIDER")

    def _schedule_rematch(self) -> None:
        interval = self._settings.rematch_interval
        if interval is not None and self._rematch is None:
            self._rematch = self._clock.callLater(interval, self._rematch_all)

    def _rematch_all(self) -> None:
        self._rematch = None
        now = self._clock.seconds()
        for name in list(self._subscriptions.names()):
            failed = self._failed.get(name)
            if name in self._providers or name in self._searches:
                continue
            if failed is None or now - failed >= self._settings.match_cooldown:
                self._search(name)
        self._schedule_rematch()

    # -- endings

    def _forget(self, name: str) -> None:
        """
        Nobody wants C{name} any more.
        """
        self._failed.pop(name, None)
        search = self._searches.pop(name, None)
        if search is not None:
            if search.asked is not None:
                self._owes_answer(search.asked, name)
            self._stop_asking(search)
        provider = self._providers.pop(name, None)
        if provider is not None:
            del self._listeners[provider.connection].provides[name]
            self._tell(provider, name, "SUBSCRIPTION_FOR_PATTERN_REMOVED")

    def _closed(self, connection: IConnection) -> None:
        listener = self._listeners[connection]
        candidates = list(listener.patterns.values())
        listener.patterns.clear()
        self._dismiss(candidates, listener)
        del self._listeners[connection]

    def _dismiss(self, leaving: list[_Candidate], listener: _Listener) -> None:
        """
        Have C{leaving}, candidates of one C{listener}, provide and be asked nothing more.
        """
        for candidate in leaving:
            pattern = self._patterns[candidate.pattern]
            del pattern.listeners[candidate.connection]
            if not pattern.listeners:
                del self._patterns[candidate.pattern]
        if not self._patterns and self._rematch is not None:
            self._rematch.cancel()
            self._rematch = None
        gone = set(leaving)
        patterns = {candidate.pattern for candidate in gone}
        listener.unanswered = {key: None for key in listener.unanswered if key[0] not in patterns}
        for name in list(listener.asked):
            search = self._searches[name]
            if search.asked in gone:
                self._ask_next(search)
        for name in [name for name, candidate in listener.provides.items() if candidate in gone]:
            del listener.provides[name], self._providers[name]
            self._log.info(
                "LISTEN_PROVIDER_STOPPED | listen provider has stopped for {topic}:{name}",
                topic=self._topic.name,
                name=name,
                event="LISTEN_PROVIDER_STOPPED",
            )
            self._announce_provider(name, "SUBSCRIPTION_HAS_NO_PROVIDER")
            self._search(name)

    # -- what is said

    def _tell(self, candidate: _Candidate, name: str, action: str) -> None:
        candidate.connection.send(
            Message(self._topic, self._actions[action], name=candidate.pattern, subscription=name)
        )

    def _announce_provider(self, name: str, action: str) -> None:
        if self._announce:
            self._subscriptions.publish(Message(self._topic, self._actions[action], name=name))


def _name(message: Message) -> str:
    assert message.name is not None, "codecs let no listen message through without its pattern"
    return message.name


def _subscription(message: Message) -> str:
    assert message.subscription is not None, "codecs let no answer through without its name"
    return message.subscription
