"""
Listening: active data providers.

A client that listens registers a *pattern*: it becomes a *listener*. If a name has a subscriber and no provider, the
server offers the name to the listeners whose pattern matches, one at a time. The first listener that accepts becomes
the *provider* of the name; it is told when the name has no subscriber any more. Authority: C{services.md} section 7,
and what its section 13.3 asks of a better server.

::

    unprovided --- the first subscriber comes, a listener comes, or the provider leaves ---------> searching
    searching  --- the listener accepts -------------------------------------------------------> provided
    searching  --- the listener rejects, leaves, or is silent for listen.responseTimeout --------> searching
    searching  --- no listener is left --------------------------------------------------------> unprovided
    provided   --- the provider leaves --------------------------------------------------------> searching
    any        --- the last subscriber leaves -------------------------------------------------> forgotten

A listener is offered a name only if it has the permission to listen to that name (L{dstwist.routing.offers}). A
listener of v2 or v3 is offered a name, and provides it, only while another client is subscribed
(L{dstwist.routing.sole_subscribers}).

==================================  ==================================================================================
an answer                           has this effect
==================================  ==================================================================================
of the listener that is offered     it provides the name, or the next listener is offered it
the name
of a listener that did not answer   it provides the name if the name is still free; otherwise it is told to stop
in time
of any other listener               the answer is refused
==================================  ==================================================================================

A new listener is offered the names without a provider; listeners that have declined such a name are not asked again
then. Names that all listeners have declined are offered to all of them again every C{listen.rematchInterval}, but not
within C{listen.matchCooldown} of the last such round.

This module has the listeners, and serves the requests of clients; L{dstwist.routing.provider_assignment} has the
searches and the providers.

Only subscribers of records are told whether their name has a provider (SUBSCRIPTION_HAS_PROVIDER).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import ListenSettings
from dstwist.interfaces import IPermission, IRequester, IRevocable
from dstwist.log import Logger, about
from dstwist.patterns.javascript import InvalidPattern
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.routing.cluster_demand import ClusterDemand
from dstwist.routing.local_demand import LocalDemand
from dstwist.routing.offers import OfferedNames, OfferRules
from dstwist.routing.provider_assignment import ProviderAssignment
from dstwist.routing.provider_search import Choose
from dstwist.routing.registrations import Registration, Registrations, Unanswered
from dstwist.routing.subscriptions import SubscriptionRegistry


@dataclass(eq=False, slots=True)
class _Listener:
    """
    A connection that listens.
    """

    # Shared by all of its registrations.
    unanswered: Unanswered
    patterns: dict[str, Registration] = field(default_factory=dict)
    # Registrations that were revoked, and that the client may not have ended yet.
    revoked: dict[str, Registration] = field(default_factory=dict)


@implementer(IRevocable)
class ListenerRegistry:
    """
    The listeners of one topic.

    @ivar topic: the topic.
    @ivar offered: the names that listeners are offered or provide.
    @param announce: tell subscribers when their name gets or loses its provider.
    @param permission: decides which names a listener may be told; C{None} if everything is permitted.
    @param choose: which of several registrations is tried first.
    @param cluster: this node in its cluster; C{None} if there are no other nodes.
    @ivar provided: whether a name that has a subscriber has a provider.
    @ivar wait_for_provider: waits until it is known whether a name has a provider
        (L{dstwist.routing.wanted_names.WantedNames.wait}); C{None} if that is always known.
    """

    _log = Logger()

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        settings: ListenSettings,
        clock: IReactorTime,
        announce: bool = False,
        permission: IPermission | None = None,
        choose: Choose = random.choice,
        cluster: ClusterNode | None = None,
    ) -> None:
        self.topic = self._topic = topic
        self._actions = actions = ACTIONS[topic]
        self._settings = settings
        self._registrations = Registrations()
        self._listeners: dict[IRequester, _Listener] = {}
        demand: LocalDemand | ClusterDemand
        if cluster is None:
            demand = LocalDemand(subscriptions)
        else:
            demand = ClusterDemand(topic, subscriptions, settings, cluster, announce)
        self._assignment = ProviderAssignment(
            topic,
            subscriptions,
            self._registrations,
            settings,
            clock,
            OfferRules(topic, permission, clock),
            announce and cluster is None,
            choose if settings.shuffle_providers else None,
            demand,
        )
        demand.begin(self._assignment)
        self.provided = demand.provided
        self.wait_for_provider = demand.wait
        self.offered = OfferedNames(
            self.connections, self._registrations_of, self._assignment.holder, self._assignment.withdraw
        )
        self._providers = self._assignment.providers
        self._handlers = {
            actions["LISTEN"]: self._listen,
            actions["UNLISTEN"]: self._unlisten,
            actions["LISTEN_ACCEPT"]: self._accept,
            actions["LISTEN_REJECT"]: self._reject,
        }

    @property
    def patterns(self) -> int:
        """
        How many different patterns there are.
        """
        return len(self._registrations)

    @property
    def provided_names(self) -> int:
        """
        How many names have a provider that is connected to this node.
        """
        return len(self._providers)

    def handle(self, message: Message, sender: IRequester) -> None:
        """
        Serve a message of the listen family.
        """
        self._handlers[message.action](message, sender)

    def stop(self) -> None:
        """
        Cancel all timers.
        """
        self._assignment.stop()

    # -- requests of clients

    def _listen(self, message: Message, sender: IRequester) -> None:
        if sender.closed:
            return
        text = _name(message)
        listener = self._listeners.get(sender)
        if listener is not None and text in listener.patterns:
            sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", flagged=False))
            if sender.dialect.acks_repeated_subscriptions:
                sender.send(message.ack())
            return
        if listener is not None and len(listener.patterns) >= self._settings.max_patterns:
            self._log_exceeded(sender)
            sender.send(message.error("MESSAGE_DENIED"))
            return
        unanswered: Unanswered = {} if listener is None else listener.unanswered
        try:
            registration = self._registrations.add(sender, text, self._settings.max_pattern_length, unanswered)
        except InvalidPattern as reason:
            detail = f"SyntaxError: Invalid regular expression: /{text}/: {reason}"
            sender.send(message.error("INVALID_LISTEN_REGEX", detail=detail))
            return
        if listener is None:
            listener = self._listeners[sender] = _Listener(unanswered)
            sender.on_close(self._closed)
        listener.revoked.pop(text, None)
        listener.patterns[text] = registration
        sender.send(message.ack())
        self._assignment.offer_existing(registration)

    def _log_exceeded(self, sender: IRequester) -> None:
        self._log.warn(
            "LIMIT_EXCEEDED | {limit}: {client} listens to more than {most} patterns of {topic}",
            limit="listen.maxPatterns",
            most=self._settings.max_patterns,
            topic=self._topic.name,
            event="LIMIT_EXCEEDED",
            once=self._topic.name,
            **about(sender),
        )

    def _unlisten(self, message: Message, sender: IRequester) -> None:
        text, listener = _name(message), self._listeners.get(sender)
        registration = listener.patterns.pop(text, None) if listener is not None else None
        lost = listener.revoked.pop(text, None) if listener is not None else None
        if registration is not None:
            self._end([registration])
            registration.forget_all_unanswered()
        elif lost is not None:
            lost.notified = False
        sender.send(message.ack())

    def _accept(self, message: Message, sender: IRequester) -> None:
        registration = self._registration_for(message, sender)
        if registration is None or not self._assignment.accept(registration, _subscription(message)):
            if sender.dialect.complains_of_unasked_answers:
                sender.send(message.error("INVALID_MESSAGE"))
            else:
                action = self._actions["SUBSCRIPTION_FOR_PATTERN_REMOVED"]
                sender.send(Message(self._topic, action, message.name, subscription=message.subscription))

    def _reject(self, message: Message, sender: IRequester) -> None:
        registration = self._registration_for(message, sender)
        if registration is None or not self._assignment.reject(registration, _subscription(message)):
            if sender.dialect.complains_of_unasked_answers:
                sender.send(message.error("INVALID_MESSAGE"))

    def _registration_for(self, message: Message, sender: IRequester) -> Registration | None:
        listener = self._listeners.get(sender)
        return None if listener is None else listener.patterns.get(_name(message))

    # -- who listens

    def connections(self) -> Iterable[IRequester]:
        return self._listeners.keys()

    def names_of(self, connection: IRequester) -> list[str]:
        listener = self._listeners.get(connection)
        return [] if listener is None else list(listener.patterns)

    def registrations(self) -> Iterator[Registration]:
        """
        All registrations. They may change while the caller goes through them.
        """
        for listener in list(self._listeners.values()):
            yield from list(listener.patterns.values())

    def provider_of(self, name: str) -> Registration | None:
        """
        The registration that provides C{name}; C{None} if no client of this node does.
        """
        registration = self._assignment.holder(name)
        return registration if registration is not None and name in registration.provides else None

    def _registrations_of(self, connection: IRequester) -> Iterable[Registration]:
        listener = self._listeners.get(connection)
        return () if listener is None else listener.patterns.values()

    def holds(self, name: str, connection: IRequester) -> bool:
        listener = self._listeners.get(connection)
        return listener is not None and name in listener.patterns

    def revoke(self, name: str, connection: IRequester) -> bool:
        listener = self._listeners.get(connection)
        registration = None if listener is None else listener.patterns.pop(name, None)
        if listener is None or registration is None:
            return False
        if len(listener.revoked) < self._settings.max_patterns:
            listener.revoked[name] = registration
        self._end([registration], notify=True)
        registration.forget_all_unanswered()
        return True

    # -- listeners that leave

    def _closed(self, connection: IRequester) -> None:
        self._end(list(self._listeners.pop(connection).patterns.values()))

    def _end(self, leaving: list[Registration], notify: bool = False) -> None:
        """
        End C{leaving}, registrations of one connection.

        @param notify: tell the client which names it does not provide any more.
        """
        for registration in leaving:
            registration.notified = notify
            self._registrations.remove(registration)
        self._assignment.end(leaving)


def _name(message: Message) -> str:
    assert message.name is not None, "codecs drop listen messages without a pattern"
    return message.name


def _subscription(message: Message) -> str:
    assert message.subscription is not None, "codecs drop answers without a name"
    return message.subscription
