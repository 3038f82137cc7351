"""
The searches for providers of one topic: each offers one name to registrations, one at a time, until one accepts.

::

    start ---> may the next registration hear of the name? --no, or not any more--> the next one
                  |                         |                                          ^
                  | yes                     +--decided later--> waits                  |
                  v                                                                    |
               offered --rejects, leaves, or is silent for listen.responseTimeout -----+--none is left--> failed
                  |
                  +--accepts--> the search is over

L{dstwist.routing.provider_search} decides which registration is next. Before a registration is offered the name, the
permission decides whether the client may hear of the name (L{dstwist.routing.offers}). If that takes a while, the
search waits for the decision as it waits for an answer; a limited number of decisions is awaited at a time
(L{dstwist.routing.pending_decisions}). A registration that is refused is passed over.

A listener of v2 or v3 is not offered a name whose only subscriber it is (L{dstwist.routing.sole_subscribers}).

Always true: a name has at most one search, and a search has at most one registration that is offered the name. Every
message that is sent may close a connection, and so end registrations and subscriptions, before the call returns: code
behind such a call relies on nothing that was true before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.routing.offers import OfferRules
from dstwist.routing.pending_decisions import PendingDecisions
from dstwist.routing.provider_search import Choose, ProviderSearch, take_next
from dstwist.routing.registrations import ListenerPattern, Registration, Registrations
from dstwist.routing.sole_subscribers import SoleSubscribers
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import Steps, TimeSlices


class TopicSearches:
    """
    The searches of one topic.

    @param rules: which names a registration may hear of.
    @param response_timeout: how long a listener may take to answer an offer, in seconds.
    @param choose: which of several registrations is tried first; C{None} for the first one.
    @param failed: called with the name when a search has ended in vain, and whether it has tried any registration.
    """

    def __init__(
        self,
        topic: Topic,
        registrations: Registrations,
        rules: OfferRules,
        sole_subscribers: SoleSubscribers,
        response_timeout: float,
        clock: IReactorTime,
        time_slices: TimeSlices,
        choose: Choose | None,
        failed: Callable[[str, bool], None],
    ) -> None:
        self._topic = topic
        self._found = ACTIONS[topic]["SUBSCRIPTION_FOR_PATTERN_FOUND"]
        self._timeout = ACTIONS[topic]["LISTEN_RESPONSE_TIMEOUT"]
        self._registrations = registrations
        self._rules = rules
        self._sole_subscribers = sole_subscribers
        self._clock = clock
        self._time_slices = time_slices
        self._choose = choose
        self._failed = failed
        self._searches: dict[str, ProviderSearch] = {}
        self._offers: Deadlines[ProviderSearch] = Deadlines(response_timeout, clock, self._timed_out)
        self._decisions = PendingDecisions(time_slices, self._continue_if_wanted)
        self._stopped = False

    def __contains__(self, name: str) -> bool:
        return name in self._searches

    def current(self, name: str) -> Registration | None:
        """
        The registration that is offered C{name} now, or waits for its permission to hear of it; C{None} if there is
        none.
        """
        search = self._searches.get(name)
        return None if search is None else search.current

    def stop(self) -> None:
        """
        Offer no name any more, and cancel all timers.
        """
        self._stopped = True
        self.cancel_timers()

    def cancel_timers(self) -> None:
        """
        Wait for no answer any more: no listener is left.
        """
        self._offers.stop()

    # -- what happens to a search

    def start(self, name: str, after: int = 0) -> bool:
        """
        Search for a provider of C{name}, which has no search, among the registrations numbered above C{after}.

        @return: whether a pattern matches, so that there is a search, which may have ended already.
        """
        # Most names match no pattern: nothing is kept of them, and little is done.
        matching = self._registrations.matching(name)
        if not matching or self._stopped:
            return False
        search = self._searches[name] = ProviderSearch(name, after, self._registrations.latest)
        self._continue(search, matching)
        return True

    def cancel(self, name: str) -> None:
        """
        End the search for C{name}, if there is one: the name is not wanted any more.
        """
        search = self._searches.pop(name, None)
        if search is not None:
            if search.current is not None and search.offered:
                search.current.remember_unanswered(name)
            self._stop_asking(search)
            self._decisions.forget(search)

    def accept(self, registration: Registration, name: str) -> bool:
        """
        End the search for C{name}, if C{registration} is offered the name now.

        @return: whether it is.
        """
        search = self._offering(registration, name)
        if search is None:
            return False
        self._stop_asking(search)
        del self._searches[name]
        return True

    def reject(self, registration: Registration, name: str) -> bool:
        """
        Try the next registration, if C{registration} is offered C{name} now.

        @return: whether it is.
        """
        search = self._offering(registration, name)
        if search is None:
            return False
        self._try_next(search)
        return True

    def give_up(self, registration: Registration, name: str) -> None:
        """
        Try the next registration, if C{registration} is offered C{name} now. Its answer would come too late.
        """
        search = self._offering(registration, name)
        if search is not None:
            registration.remember_unanswered(name)
            self._try_next(search)

    def leave(self, registration: Registration, name: str) -> None:
        """
        Try the next registration, if C{registration}, which has ended, is the current one for C{name}.
        """
        search = self._searches.get(name)
        if search is not None and search.current is registration:
            self._try_next(search)

    def withdraw(self, registration: Registration, name: str) -> bool:
        """
        Try the next registration, if C{registration}, which may not hear of C{name} any more, is the current one.

        @return: whether it is.
        """
        search = self._searches.get(name)
        if search is None or search.current is not registration:
            return False
        if search.offered:
            registration.remember_unanswered(name)
        self._stop_asking(search)
        self._refuse(search, registration)
        self._continue(search)
        return True

    def _offering(self, registration: Registration, name: str) -> ProviderSearch | None:
        search = self._searches.get(name)
        return search if search is not None and search.current is registration and search.offered else None

    def readmit(self, name: str, connection: IRequester) -> bool:
        """
        Have the search for C{name} try the registrations of C{connection} again.

        @return: whether there is a search.
        """
        search = self._searches.get(name)
        if search is None:
            return False
        search.readmit(connection)
        return True

    # -- from one registration to the next

    def _try_next(self, search: ProviderSearch) -> None:
        self._pass_over(search)
        self._continue(search)

    def _continue(self, search: ProviderSearch, matching: list[ListenerPattern] | None = None) -> None:
        """
        Offer the name to the next registration that may hear of it, or end the search.

        @param matching: the patterns that match the name, if they have been looked up just now.
        """
        early, late = self._waiting(search, matching)
        steps = Steps(self._clock)
        while True:
            registration = take_next(early, late, self._choose)
            if registration is None:
                self._fail(search)
                return
            if self._offer(search, registration):
                return
            if steps.over():
                break
        self._time_slices.do(self._continue_in_slices(search, early, late))

    def _continue_in_slices(
        self, search: ProviderSearch, early: list[Registration], late: list[Registration]
    ) -> Iterator[None]:
        """
        The same, past many registrations that may not hear of the name.
        """
        while search.current is None and self._searches.get(search.name) is search:
            registration = take_next(early, late, self._choose)
            if registration is None:
                # Some may have registered meanwhile.
                early, late = self._waiting(search)
                registration = take_next(early, late, self._choose)
            if registration is None:
                self._fail(search)
            elif registration.listens and self._offer(search, registration):
                return
            yield

    def _continue_if_wanted(self, search: ProviderSearch) -> None:
        if self._searches.get(search.name) is search:
            self._continue(search)

    def _waiting(
        self, search: ProviderSearch, matching: list[ListenerPattern] | None = None
    ) -> tuple[list[Registration], list[Registration]]:
        if self._stopped:
            return [], []
        early, late = search.waiting(self._registrations.matching(search.name) if matching is None else matching)
        if self._choose is None:
            early.reverse()
        return early, late

    def _offer(self, search: ProviderSearch, registration: Registration) -> bool:
        """
        Offer the name to C{registration}, if it may hear of it.

        @return: whether the search has to wait now.
        """
        if self._sole_subscribers.only(search.name, registration.connection):
            self._sole_subscribers.pass_over(search.name, registration.connection)
            search.pass_over(registration)
            return False
        search.matched = True
        if self._decisions.queue(search):
            return True
        decision = registration.connection not in search.refused and self._rules.allow(registration, search.name)
        if decision is True:
            self._send_offer(search, registration)
            return True
        if isinstance(decision, Deferred):
            search.current = registration
            registration.asked[search.name] = None
            self._decisions.wait(decision, self._decided, search, registration)
            return True
        self._refuse(search, registration)
        return False

    def _decided(self, allowed: bool, search: ProviderSearch, registration: Registration) -> None:
        if self._searches.get(search.name) is search and search.current is registration and not search.offered:
            self._stop_asking(search)
            only = self._sole_subscribers.only
            if allowed and registration.listens and not only(search.name, registration.connection):
                self._send_offer(search, registration)
            else:
                if not allowed:
                    self._refuse(search, registration)
                self._continue(search)

    def _refuse(self, search: ProviderSearch, registration: Registration) -> None:
        if registration.connection not in search.refused:
            self._rules.log_refusal(registration, search.name)
        search.refuse(registration)

    def _send_offer(self, search: ProviderSearch, registration: Registration) -> None:
        search.current = registration
        search.offered = True
        registration.asked[search.name] = None
        self._offers.add(search)
        registration.connection.send(
            Message(self._topic, self._found, name=registration.pattern.text, subscription=search.name)
        )

    def _stop_asking(self, search: ProviderSearch) -> None:
        if search.current is not None:
            del search.current.asked[search.name]
            search.current = None
            search.offered = False
            self._offers.remove(search)

    def _pass_over(self, search: ProviderSearch) -> None:
        current = search.current
        self._stop_asking(search)
        if current is not None and current.listens:
            search.pass_over(current)

    def _timed_out(self, search: ProviderSearch) -> None:
        current = search.current
        assert current is not None
        self._pass_over(search)
        if current.listens:
            current.remember_unanswered(search.name)
            current.connection.send(Message(self._topic, self._timeout, subscription=search.name))
        if self._searches.get(search.name) is search:
            self._try_next(search)

    def _fail(self, search: ProviderSearch) -> None:
        del self._searches[search.name]
        self._failed(search.name, search.matched)
