"""
Which listener provides which name: searches for a provider when a name may get one, and again when its provider leaves.

====================================  =============================================================================
a name gets its first subscriber      all listeners are searched
a client begins to listen             searched for each name without provider and without search
                                      (L{dstwist.routing.new_listeners})
a listener leaves                     searched for each name that it provided or was offered
all have declined a name              searched again at the next rematch (L{dstwist.routing.rematch})
a name loses its last subscriber      its search ends, and its provider is told to stop
====================================  =============================================================================

L{dstwist.routing.topic_searches} makes the searches, L{dstwist.routing.providers} keeps the providers. When a search
begins is decided by the demand (L{dstwist.routing.demand}), as the table says; in a cluster the subscribers and the
listeners of all nodes count, and other nodes may be searched first.

Work on many names is done in slices (L{dstwist.scheduling.time_slices}). If a listener leaves, each of its names still
counts as provided by it, or as offered to it, until the work comes to that name. The listener that left is told nothing
more, and its answers count as unasked; clients that subscribe or unsubscribe meanwhile are told the state as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import ListenSettings
from dstwist.protocol.constants import Topic
from dstwist.routing.demand import Demand
from dstwist.routing.offers import OfferRules
from dstwist.routing.provider_search import Choose
from dstwist.routing.providers import Providers
from dstwist.routing.registrations import Registration, Registrations
from dstwist.routing.rematch import Rematch
from dstwist.routing.sole_subscribers import SoleSubscribers
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.routing.topic_searches import TopicSearches
from dstwist.scheduling.time_slices import TimeSlices


class ProviderAssignment:
    """
    The providers of one topic, and the searches for them.

    @param rules: which names a listener may hear of.
    @param announce: tell subscribers when their name gets or loses its provider.
    @param choose: which of several registrations is tried first; C{None} for the first one.
    @param demand: decides when a search begins.
    """

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        registrations: Registrations,
        settings: ListenSettings,
        clock: IReactorTime,
        rules: OfferRules,
        announce: bool,
        choose: Choose | None,
        demand: Demand,
    ) -> None:
        self._registrations = registrations
        self._rules = rules
        self._demand = demand
        self.providers = Providers(topic, subscriptions, announce, demand.provider_changed)
        self.sole_subscribers = SoleSubscribers(subscriptions, demand.elsewhere)
        self.time_slices = TimeSlices(clock)
        self.searches = TopicSearches(
            topic,
            registrations,
            rules,
            self.sole_subscribers,
            settings.response_timeout,
            clock,
            self.time_slices,
            choose,
            self._failed,
        )
        self.rematch = Rematch(settings, clock, self.time_slices, self._search_again, self.searches.__contains__)
        self._stopped = False

    def holder(self, name: str) -> Registration | None:
        """
        The registration that is offered C{name}, or provides it; C{None} if there is none, or if it has ended.
        """
        source = self.searches.current if name in self.searches else self.providers.get
        holder = source(name)
        return holder if holder is not None and holder.listens else None

    def stop(self) -> None:
        """
        Search no more, and cancel all timers.
        """
        self._stopped = True
        self.time_slices.stop()
        self.searches.stop()
        self.rematch.stop()
        self._demand.stop()

    # -- listeners

    def offer_existing(self, registration: Registration) -> None:
        """
        Offer a new C{registration} the names that are wanted already.
        """
        if not registration.listens or self._stopped:
            return
        self._demand.listens(registration)
        self.rematch.start()

    def end(self, leaving: list[Registration]) -> None:
        """
        Offer nothing more to C{leaving}, registrations of one connection, and look for others in their place. They have
        been removed from the registrations.
        """
        for registration in leaving:
            registration.listens = False
            self._demand.ends(registration)
        self.providers.log_stopped(leaving)
        if not self._registrations:
            self.searches.cancel_timers()
            self.rematch.stop()
        self.time_slices.do(self._replace(leaving))

    def withdraw(self, registration: Registration, name: str) -> None:
        """
        Take C{name} from C{registration}, its L{holder}, which may not hear of the name any more.
        """
        if not self.searches.withdraw(registration, name):
            self._replace_provider(name, registration)

    def _replace(self, leaving: Iterable[Registration]) -> Iterator[None]:
        """
        Look for others in place of C{leaving}.
        """
        for registration in leaving:
            for name in list(registration.asked):
                self.searches.leave(registration, name)
                yield
            for name in list(registration.provides):
                self._replace_provider(name, registration)
                yield

    def _replace_provider(self, name: str, registration: Registration) -> None:
        if self.providers.get(name) is registration:
            self.providers.remove(name)
            if self.is_idle(name):
                self._demand.search(name)

    # -- their answers

    def accept(self, registration: Registration, name: str) -> bool:
        """
        C{registration} accepts C{name}.

        @return: whether it was offered the name, now or earlier.
        """
        if self.searches.accept(registration, name):
            self._provide(name, registration)
        elif self.providers.get(name) is registration:
            pass
        elif not registration.forget_unanswered(name):
            return False
        elif self.is_idle(name):
            # The rules may have changed since the name was offered.
            decision = self._rules.allow(registration, name)
            if isinstance(decision, Deferred):
                decision.addCallback(self._accept_late, registration, name)
            else:
                self._accept_late(decision, registration, name)
        else:
            self.providers.tell_to_stop(registration, name)
        return True

    def _accept_late(self, allowed: bool, registration: Registration, name: str) -> None:
        only = self.sole_subscribers.only(name, registration.connection)
        if allowed and registration.listens and self.is_idle(name) and not only:
            self._provide(name, registration)
        elif registration.notified:
            self.providers.tell_to_stop(registration, name)

    def reject(self, registration: Registration, name: str) -> bool:
        """
        C{registration} rejects C{name}.

        @return: whether it was offered the name, now or earlier.
        """
        return self.searches.reject(registration, name) or registration.forget_unanswered(name)

    def _provide(self, name: str, registration: Registration) -> None:
        self.rematch.forget(name)
        self.providers.add(name, registration)

    # -- searches

    def is_idle(self, name: str) -> bool:
        """
        Whether C{name} is wanted, and has neither a provider nor a search.
        """
        return name not in self.searches and name not in self.providers and self._demand.wants(name)

    def search(self, name: str) -> None:
        """
        Search for a provider of C{name} among all listeners of this node.
        """
        if self._registrations:
            self.searches.start(name)

    def _search_again(self, name: str) -> None:
        self._demand.search(name)

    def _failed(self, name: str, matched: bool) -> None:
        if matched:
            self.rematch.failed(name, self._registrations.latest)
        self._demand.not_found(name)

    # -- subscribers

    def joined(self, name: str) -> None:
        """
        C{name} has a second subscriber: a listener that was the only one may be offered the name now.
        """
        listener = self.sole_subscribers.forget(name)
        if listener is not None and not self.searches.readmit(name, listener) and self.is_idle(name):
            self._demand.search(name)

    def left(self, name: str) -> None:
        """
        C{name} has only one subscriber left: if that one provides the name, or is offered it, it has to stop.
        """
        holder = self.holder(name)
        if holder is None or not self.sole_subscribers.only(name, holder.connection):
            return
        self.sole_subscribers.pass_over(name, holder.connection)
        if name in self.searches:
            self.searches.give_up(holder, name)
        else:
            self.rematch.failed(name, self._registrations.latest)
            self.providers.remove(name)

    def forget(self, name: str) -> None:
        """
        C{name} is not wanted any more.
        """
        self.sole_subscribers.forget(name)
        self.rematch.forget(name)
        self.searches.cancel(name)
        self.providers.release(name)
