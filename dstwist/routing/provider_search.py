"""
The search for providers of names among the listeners. L{dstwist.routing.providers} keeps the providers that were found.

See L{dstwist.routing.listeners} for what a search is. One that is under way remembers whom it has asked, not whom it is
going to ask: names are many, and so may be listeners. Whom it asks next is decided when it comes to that. So that
nobody is asked twice, and nobody is left out, registrations are numbered in the order in which they began to listen:

===========================  =========================================================================================
a search                     asks those who are in the table at that moment and match, but were not asked by it
a search for new listeners       leaves out as well who has a number up to that of the last search that had no success
whoever began after a        is asked by it after those who listened when it began, in the order of their numbers
search
===========================  =========================================================================================

It follows that whoever begins to listen has only to be looked for the names about which nobody is asked at the moment,
and that a name for which all searches had no success need not be looked at until somebody comes, or the next rematch.

Before a registration is told the name, the permission decides whether it may hear of it (L{dstwist.routing.offers}).
That may take a while: the search then waits for the decision on this registration, as it waits for the answer of one
that was told. A registration that is refused is passed over. A limited number of decisions is awaited at a time
(L{dstwist.routing.pending_decisions}).

A listener of v2 or v3 is not asked about a name whose only subscriber it is (L{dstwist.routing.own_subscriptions}).

What concerns many names, as a provider that leaves, a new listener, a rematch, is done in slices
(L{dstwist.scheduling.time_slices}). Until its turn has come a name is still provided by the one who left, or still
waits for an answer of it: that one is told nothing more, what it answers counts as unasked, and whoever subscribes or
leaves meanwhile hears what is so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import ListenSettings
from dstwist.interfaces import IConnection
from dstwist.patterns.table import PatternTable
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.routing.new_listeners import NewListeners
from dstwist.routing.offers import OfferRules
from dstwist.routing.own_subscriptions import OwnSubscriptions
from dstwist.routing.pending_decisions import PendingDecisions
from dstwist.routing.providers import Providers
from dstwist.routing.registrations import Choose, ListenerPattern, ProviderSearch, Registration, next_of
from dstwist.routing.rematch import Rematch
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import Steps, TimeSlices


class ProviderSearches:
    """
    The searches of one topic.

    @param patterns: to which somebody listens.
    @param rules: which names a registration may hear of.
    @param announce: tell subscribers when their name gets or loses its provider.
    @param choose: which of several registrations is tried first; C{None} for the first one.
    """

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        patterns: PatternTable[ListenerPattern],
        settings: ListenSettings,
        clock: IReactorTime,
        rules: OfferRules,
        announce: bool,
        choose: Choose | None,
    ) -> None:
        self._topic = topic
        self._actions = ACTIONS[topic]
        self._subscriptions = subscriptions
        self._patterns = patterns
        self._settings = settings
        self._clock = clock
        self._rules = rules
        self._choose = choose
        self._searches: dict[str, ProviderSearch] = {}
        self._providers = Providers(topic, subscriptions, announce)
        self._latest = 0
        self._overdue: Deadlines[ProviderSearch] = Deadlines(settings.response_timeout, clock, self._timed_out)
        self._slices = TimeSlices(clock)
        self._rematch = Rematch(settings, clock, self._slices, self._search, self._searches.__contains__)
        self._new_listeners = NewListeners(
            self._slices, lambda: subscriptions.names(), self._is_idle, self._rematch.tried, self._start
        )
        self._decisions = PendingDecisions(self._slices, self._go_on_if_wanted)
        self._own = OwnSubscriptions(subscriptions)
        self._stopped = False
        subscriptions.observe(self._search, self._forget)
        subscriptions.observe_few(self._joined, self._left)

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

    def registration(
        self, connection: IConnection, listener_pattern: ListenerPattern, unanswered: dict[tuple[str, str], None]
    ) -> Registration:
        """
        C{connection} begins to listen: it is among those who are asked from now on.
        """
        self._latest += 1
        registration = listener_pattern.registrations[connection] = Registration(
            connection, listener_pattern, self._latest, unanswered
        )
        return registration

    def welcome(self, registration: Registration) -> None:
        """
        Offer C{registration} what is wanted already.
        """
        if not registration.listens or self._stopped:
            return
        self._new_listeners.add(registration)
        self._rematch.start()

    def dismiss(self, leaving: list[Registration]) -> None:
        """
        Have C{leaving}, registrations of one connection that are in no table any more, provide and be asked nothing
        more.
        """
        for registration in leaving:
            registration.listens = False
            self._new_listeners.remove(registration)
        self._providers.log_stopped(leaving)
        if not self._patterns:
            self._rest()
        self._slices.do(self._replace(leaving))

    def _rest(self) -> None:
        """
        With nobody to ask there is nothing to wait for.
        """
        self._overdue.stop()
        self._rematch.stop()

    def holder(self, name: str) -> Registration | None:
        """
        The registration that is asked about C{name}, or provides it; C{None} if there is none, or if it has left.
        """
        search = self._searches.get(name)
        holder = self._providers.get(name) if search is None else search.asked
        return holder if holder is not None and holder.listens else None

    def withdraw(self, registration: Registration, name: str) -> None:
        """
        The L{holder} of C{name} must not hear of it any more: it is asked no longer, or stops providing.
        """
        search = self._searches.get(name)
        if search is not None and search.asked is registration:
            if search.told:
                registration.remember_unanswered(name)
            self._stop_asking(search)
            self._refuse(search, registration)
            self._go_on(search)
        else:
            self._replace_provider(name, registration)

    # -- what they answer

    def accept(self, registration: Registration, name: str) -> bool:
        """
        C{registration} wants to provide C{name}; whether it was asked, now or earlier.
        """
        search = self._searches.get(name)
        if search is not None and search.asked is registration and search.told:
            self._stop_asking(search)
            del self._searches[name]
            self._provide(name, registration)
        elif self._providers.get(name) is registration:
            pass
        elif not registration.forget_unanswered(name):
            return False
        elif self._is_idle(name):
            # The rules may have changed since it was asked.
            decision = self._rules.allow(registration, name)
            if isinstance(decision, Deferred):
                decision.addCallback(self._accept_late, registration, name)
            else:
                self._accept_late(decision, registration, name)
        else:
            self._providers.tell(registration, name, "SUBSCRIPTION_FOR_PATTERN_REMOVED")
        return True

    def _accept_late(self, allowed: bool, registration: Registration, name: str) -> None:
        only = self._own.only(name, registration.connection)
        if allowed and registration.listens and self._is_idle(name) and not only:
            self._provide(name, registration)
        elif registration.notified:
            self._providers.tell(registration, name, "SUBSCRIPTION_FOR_PATTERN_REMOVED")

    def reject(self, registration: Registration, name: str) -> bool:
        """
        C{registration} does not want to provide C{name}; whether it was asked, now or earlier.
        """
        search = self._searches.get(name)
        if search is None or search.asked is not registration or not search.told:
            return registration.forget_unanswered(name)
        self._ask_next(search)
        return True

    def _provide(self, name: str, registration: Registration) -> None:
        self._rematch.forget(name)
        self._providers.add(name, registration)

    # -- asking. Whatever is sent may close a connection, and so dismiss registrations and end subscriptions: what
    # follows such a call must not rely on what was true before it.

    def _search(self, name: str) -> None:
        """
        Look for a provider of C{name} among all who listen.
        """
        if self._patterns:
            self._start(name, 0)

    def _start(self, name: str, after: int) -> None:
        # Most names match nothing: of those nothing is kept, and little is done.
        matching = self._patterns.matching(name)
        if matching and not self._stopped:
            search = self._searches[name] = ProviderSearch(name, after, self._latest)
            self._go_on(search, matching)

    def _go_on(self, search: ProviderSearch, matching: list[ListenerPattern] | None = None) -> None:
        """
        Ask the next registration that may hear of the name, or end the search.

        @param matching: the patterns that match the name, if they have been looked up just now.
        """
        early, late = self._waiting(search, matching)
        steps = Steps(self._clock)
        while True:
            registration = next_of(early, late, self._choose)
            if registration is None:
                self._end(search)
                return
            if self._offer(search, registration):
                return
            if steps.over():
                break
        self._slices.do(self._go_on_in_slices(search, early, late))

    def _go_on_in_slices(
        self, search: ProviderSearch, early: list[Registration], late: list[Registration]
    ) -> Iterator[None]:
        """
        The same, past many registrations that may not hear of the name.
        """
        while search.asked is None and self._searches.get(search.name) is search:
            registration = next_of(early, late, self._choose)
            if registration is None:
                # There may be some that came meanwhile.
                early, late = self._waiting(search)
                registration = next_of(early, late, self._choose)
            if registration is None:
                self._end(search)
            elif registration.listens and self._offer(search, registration):
                return
            yield

    def _waiting(
        self, search: ProviderSearch, matching: list[ListenerPattern] | None = None
    ) -> tuple[list[Registration], list[Registration]]:
        if self._stopped:
            return [], []
        early, late = search.waiting(self._patterns.matching(search.name) if matching is None else matching)
        if self._choose is None:
            early.reverse()
        return early, late

    def _offer(self, search: ProviderSearch, registration: Registration) -> bool:
        """
        Ask C{registration}, if it may hear of the name; whether the search has to wait now.
        """
        if self._own.only(search.name, registration.connection):
            self._own.pass_over(search.name, registration.connection)
            search.pass_over(registration)
            return False
        search.tried = True
        if self._decisions.queue(search):
            return True
        decision = registration.connection not in search.refused and self._rules.allow(registration, search.name)
        if decision is True:
            self._ask(search, registration)
            return True
        if isinstance(decision, Deferred):
            search.asked = registration
            registration.asked[search.name] = None
            self._decisions.wait(decision, self._decided, search, registration)
            return True
        self._refuse(search, registration)
        return False

    def _refuse(self, search: ProviderSearch, registration: Registration) -> None:
        if registration.connection not in search.refused:
            self._rules.tell_of_refusal(registration, search.name)
        search.refuse(registration)

    def _decided(self, allowed: bool, search: ProviderSearch, registration: Registration) -> None:
        if self._searches.get(search.name) is search and search.asked is registration and not search.told:
            self._stop_asking(search)
            if allowed and registration.listens and not self._own.only(search.name, registration.connection):
                self._ask(search, registration)
            else:
                if not allowed:
                    self._refuse(search, registration)
                self._go_on(search)

    def _go_on_if_wanted(self, search: ProviderSearch) -> None:
        if self._searches.get(search.name) is search:
            self._go_on(search)

    def _end(self, search: ProviderSearch) -> None:
        """
        All registrations were tried in vain.
        """
        del self._searches[search.name]
        if search.tried:
            self._rematch.failed(search.name, self._latest)

    def _ask(self, search: ProviderSearch, registration: Registration) -> None:
        search.asked = registration
        search.told = True
        registration.asked[search.name] = None
        self._overdue.add(search)
        self._providers.tell(registration, search.name, "SUBSCRIPTION_FOR_PATTERN_FOUND")

    def _ask_next(self, search: ProviderSearch) -> None:
        self._pass_over(search)
        self._go_on(search)

    def _stop_asking(self, search: ProviderSearch) -> None:
        if search.asked is not None:
            del search.asked.asked[search.name]
            search.asked = None
            search.told = False
            self._overdue.remove(search)

    def _pass_over(self, search: ProviderSearch) -> None:
        asked = search.asked
        self._stop_asking(search)
        if asked is not None and asked.listens:
            search.pass_over(asked)

    def _timed_out(self, search: ProviderSearch) -> None:
        asked = search.asked
        assert asked is not None
        self._pass_over(search)
        if asked.listens:
            asked.remember_unanswered(search.name)
            action = self._actions["LISTEN_RESPONSE_TIMEOUT"]
            asked.connection.send(Message(self._topic, action, subscription=search.name))
        if self._searches.get(search.name) is search:
            self._ask_next(search)

    # -- what concerns many names

    def _is_idle(self, name: str) -> bool:
        return name not in self._searches and name not in self._providers and name in self._subscriptions

    def _replace(self, leaving: Iterable[Registration]) -> Iterator[None]:
        """
        Look for others in place of those who are C{leaving}.
        """
        for registration in leaving:
            for name in list(registration.asked):
                search = self._searches.get(name)
                if search is not None and search.asked is registration:
                    self._ask_next(search)
                yield
            for name in list(registration.provides):
                self._replace_provider(name, registration)
                yield

    def _replace_provider(self, name: str, registration: Registration) -> None:
        if self._providers.get(name) is registration:
            self._providers.remove(name)
            if self._is_idle(name):
                self._search(name)

    # -- endings

    def _joined(self, name: str) -> None:
        """
        C{name} has a second subscriber: a listener that was the only one may be asked now.
        """
        listener = self._own.forget(name)
        if listener is None:
            return
        search = self._searches.get(name)
        if search is not None:
            search.past = {registration for registration in search.past if registration.connection is not listener}
        elif self._is_idle(name):
            self._search(name)

    def _left(self, name: str) -> None:
        """
        C{name} has only one subscriber left: if that subscriber provides the name, or is being asked to, it has to
        stop.
        """
        holder = self.holder(name)
        if holder is None or not self._own.only(name, holder.connection):
            return
        self._own.pass_over(name, holder.connection)
        search = self._searches.get(name)
        if search is None:
            self._rematch.failed(name, self._latest)
            self._providers.remove(name)
        elif search.told:
            holder.remember_unanswered(name)
            self._ask_next(search)

    def _forget(self, name: str) -> None:
        """
        Nobody wants C{name} any more.
        """
        self._own.forget(name)
        self._rematch.forget(name)
        search = self._searches.pop(name, None)
        if search is not None:
            if search.asked is not None and search.told:
                search.asked.remember_unanswered(name)
            self._stop_asking(search)
            self._decisions.forget(search)
        self._providers.release(name)
