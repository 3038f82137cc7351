"""
The subscriptions of one topic: which connection is subscribed to which name, and which names have a subscriber.

Always true: the observers have been told of exactly the names that the registry contains (C{name in registry}).

When a connection closes, none of its subscriptions is left for callers of this module. If it had many, they are removed
from the names in slices (L{dstwist.scheduling.time_slices}), and the observers are told as that goes. Until then a
fan-out (L{dstwist.routing.fan_out}) still writes to the connection; its outbox drops the frames
(L{dstwist.transports.outbox.Outbox.shut}). A client that subscribes to such a name meanwhile takes over the name, as if
it had subscribed before the other one closed.

L{end<SubscriptionRegistry.end>} ends all subscriptions to a name: the name is released at once, and the connections
forget it in slices. A connection forgets it at once if it asks for the name again, or closes.

L{dstwist.routing.subscription_requests} serves the requests of clients.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.interfaces import IConnection, IRequester, IRevocable
from dstwist.limits.budgets import Budget
from dstwist.limits.outgoing_bytes import TurnBudget
from dstwist.log import Logger, about
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.weights import weigh_name
from dstwist.routing.fan_out import FanOut
from dstwist.routing.held_answers import HeldAnswers, Subjects
from dstwist.routing.shared_frames import Members
from dstwist.routing.subscription_requests import SubscriptionRequests
from dstwist.scheduling.time_slices import NAMES_PER_STEP, TimeSlices

#: The bytes of memory that a subscription takes in addition to its name.
_SUBSCRIPTION_BYTES = 400

#: The bytes of memory that the first subscription to a name takes in addition: other parts keep data about the name,
#: such as the search for its provider.
_FIRST_SUBSCRIPTION_BYTES = 1200

_Observer = Callable[[str], None]


@implementer(IRevocable)
class SubscriptionRegistry:
    """
    The subscriptions of one topic.

    @ivar publish: L{FanOut.publish}; so are C{publish_either}, C{publish_to}, C{is_heard} and C{write_shared}.
        Attributes save the call of a method that only calls another one.
    @ivar deliveries: by action, how many messages were written to subscribers.
    @ivar subscribe: L{SubscriptionRequests.subscribe}; so are C{unsubscribe}, C{subscribing} and C{unsubscribing}.
    @ivar all_take_patches: whether the wires of all subscribers so far take PATCH (L{FanOut.publish_either}).
    @param repeated: the error for a name that is subscribed already; RPC has its own.
    @param limit: how many names one connection may subscribe to. More are refused.
    @param room: the bytes of memory that the subscriptions of all connections to all topics may take.
    @param outgoing: counts the bytes of each fan-out.
    @param clock: its turns are used for long work; C{None}: long work is done at once.
    """

    _log = Logger()

    def __init__(
        self,
        topic: Topic,
        repeated: str = "MULTIPLE_SUBSCRIPTIONS",
        limit: int | None = None,
        room: Budget | None = None,
        outgoing: TurnBudget | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        actions = ACTIONS[topic]
        self._room = Budget() if room is None else room
        self._fan_out = fan_out = FanOut(outgoing if outgoing is not None else TurnBudget(), topic)
        self.deliveries = fan_out.deliveries
        self.publish = fan_out.publish
        self.publish_either = fan_out.publish_either
        self.publish_to = fan_out.publish_to
        self.is_heard = fan_out.is_heard
        self.write_shared = fan_out.write_shared
        self._topic = topic
        self._clock = clock
        self._time_slices = None if clock is None else TimeSlices(clock)
        # The number of closed connections that have not been removed from all of their names.
        self._leaving = 0
        # Connections that have not forgotten a name whose subscriptions have ended, by name.
        self._ended: dict[str, list[Members]] = {}
        self._limit = sys.maxsize if limit is None else limit
        self.all_take_patches = True
        self._subscribed: dict[IRequester, set[str]] = {}
        self._on_first: list[_Observer] = []
        self._on_last: list[_Observer] = []
        self._on_second: list[_Observer] = []
        self._on_single: list[_Observer] = []
        self._on_revoke: list[Callable[[str, IRequester], None]] = []
        self._requests = requests = SubscriptionRequests(self, actions[repeated], clock)
        self.subscribe = requests.subscribe
        self.unsubscribe = requests.unsubscribe
        self.subscribing = requests.subscribing
        self.unsubscribing = requests.unsubscribing
        # With one node, no answer waits.
        self._held: HeldAnswers | None = None
        # With one node, all first subscriptions have room.
        self._has_room: Callable[[str], bool] | None = None
        self._most_together = 0

    def use_subjects(self, subjects: Subjects) -> None:
        """
        Want the subject of each name that has a subscriber, and have the answers to requests wait for it. Called before
        the first subscription.
        """
        self._held = self._requests.held = held = HeldAnswers(subjects)
        self.observe(held.subscribed, held.unsubscribed)

    def bound_names(self, has_room: Callable[[str], bool], most: int) -> None:
        """
        Refuse a first subscription to a name if C{has_room} is false for the name: another node would keep too many
        names of the clients of this one. Called before the first subscription.

        @param most: the bytes that such names may have together, for the log.
        """
        self._has_room = has_room
        self._most_together = most

    def ready(self, name: str) -> Deferred[None] | None:
        """
        When subscribers of C{name} may be answered. L{subscribe} waits for that by itself. A service that subscribes a
        client by L{add} asks after each of them, and then reads what it answers with, in this order: after the Deferred
        has fired, messages of other nodes that belong to a later state than the read one arrive. Meanwhile the client
        may have closed, or have unsubscribed::

            if registry.add(name, connection):
                ready = registry.ready(name)
                if ready is not None:
                    yield ready  # in the turn of the name, before the read
                if registry.is_subscribed(name, connection):
                    ...  # read, then answer

        @return: a Deferred of its own for each caller, which fires with C{None} and never fails; C{None}: at once.
        """
        return None if self._held is None else self._held.ready(name)

    def observe(self, first: _Observer, last: _Observer) -> None:
        """
        Have C{first} called with each name that gets its first subscriber, C{last} with each that lost its last.
        """
        self._on_first.append(first)
        self._on_last.append(last)

    def observe_few(self, second: _Observer, single: _Observer) -> None:
        """
        Call C{second} with each name that gets its second subscriber, C{single} with each that has only one left. A
        closed connection counts until it is taken off the name.
        """
        self._on_second.append(second)
        self._on_single.append(single)

    def on_revoke(self, callback: Callable[[str, IRequester], None]) -> None:
        """
        Have C{callback} called with the name and the connection whenever a subscription has ended by L{revoke}, before
        the client is told.
        """
        self._on_revoke.append(callback)

    def __contains__(self, name: str) -> bool:
        if not self._leaving:
            return name in self._fan_out
        return any(not connection.closed for connection in self._fan_out.subscribers(name))

    def names(self) -> Collection[str]:
        """
        All names that have a subscriber, or are about to be released.
        """
        return self._fan_out.names()

    def subscribers(self, name: str) -> list[IRequester]:
        """
        The connections that are subscribed to C{name}.
        """
        found = self._fan_out.subscribers(name)
        return [connection for connection in found if not connection.closed] if self._leaving else list(found)

    def is_subscribed(self, name: str, connection: IRequester) -> bool:
        """
        Whether C{connection} is subscribed to C{name}.
        """
        if self._ended:
            self._forget(name, connection)
        return name in self._subscribed.get(connection, ())

    #: The name of L{IRevocable} for it.
    holds = is_subscribed

    def is_only(self, name: str, connection: IRequester) -> bool:
        """
        Whether C{connection} is the only one that is subscribed to C{name}.
        """
        if not self.is_subscribed(name, connection):
            return False
        if not self._leaving:
            return self._fan_out.count(name) == 1
        return all(other is connection or other.closed for other in self._fan_out.subscribers(name))

    def connections(self) -> Iterable[IRequester]:
        return self._subscribed.keys()

    def names_of(self, connection: IRequester) -> list[str]:
        names = self._subscribed.get(connection, ())
        for name in [name for name in self._ended if name in names]:
            self._forget(name, connection)
        return list(names)

    def add(self, name: str, connection: IRequester) -> bool:
        """
        Subscribe C{connection}, which is open, to C{name} without an answer. It has to be an L{IConnection}.

        @raise TypeError: a fan-out does not reach it.
        @return: whether this is a new subscription: it was not subscribed before, and no limit is exceeded.
        """
        if self._ended:
            self._forget(name, connection)
        subscribed = self._subscribed.get(connection)
        if subscribed is None:
            if connection.closed:
                return False  # by the answer for the name before this one
            if not IConnection.providedBy(connection):
                raise TypeError(f"{connection!r} cannot subscribe: a fan-out does not reach it")
            subscribed = self._subscribed[connection] = set()
            connection.on_close(self._closed)
        elif name in subscribed:
            return False
        elif len(subscribed) >= self._limit and (
            # To list the names for each name that is refused takes a minute for one message.
            not self._ended or len(self.names_of(connection)) >= self._limit
        ):
            self._log_exceeded(connection, "maxSubscriptions", self._limit, "names")
            return False
        fan_out = self._fan_out
        first = name not in fan_out
        if first and self._has_room is not None and not self._has_room(name):
            of = "bytes of names, in one partition of the cluster,"
            self._log_exceeded(connection, "maxSubscriptionBytes", self._most_together, of)
            return False
        if not self._room.take(_weight(name, first)):
            self._log_exceeded(connection, "maxSubscriptionBytes", self._room.limit, "bytes of names, with all others,")
            return False
        subscribed.add(name)
        if not connection.wire.takes_patches:  # type: ignore[attr-defined]
            self.all_take_patches = False
        fan_out.add(name, connection)  # type: ignore[arg-type]  # checked at its first subscription
        if first:
            for observer in self._on_first:
                observer(name)
        elif self._on_second and fan_out.count(name) == 2:
            for observer in self._on_second:
                observer(name)
        return True

    def discard(self, name: str, connection: IRequester) -> bool:
        """
        End the subscription of C{connection} to C{name} without an answer.

        @return: whether there was one.
        """
        if self._ended:
            self._forget(name, connection)
        subscribed = self._subscribed.get(connection)
        if subscribed is None or name not in subscribed:
            return False
        subscribed.discard(name)
        self._remove(name, connection)
        return True

    def revoke(self, name: str, connection: IRequester) -> bool:
        if not self.discard(name, connection):
            return False
        for callback in self._on_revoke:
            callback(name, connection)
        return True

    def mute(self, name: str, connection: IRequester) -> None:
        """
        Leave C{connection}, which is subscribed, out of each fan-out of C{name} until L{unmute}, or until its
        subscription ends.
        """
        self._fan_out.mute(name, connection)  # type: ignore[arg-type]

    def unmute(self, name: str, connection: IRequester) -> None:
        """
        Undo L{mute}, if C{connection} is still subscribed.
        """
        if self.is_subscribed(name, connection):
            self._fan_out.unmute(name, connection)  # type: ignore[arg-type]

    def end(self, name: str) -> None:
        """
        End all subscriptions to C{name}, and tell no client.
        """
        members = self._fan_out.remove_all(name)
        if not members:
            return
        self._room.give(_FIRST_SUBSCRIPTION_BYTES + sum(map(len, members)) * _weight(name, False))
        self._ended.setdefault(name, []).extend(members)
        forgetting = self._forget_all(name, members)
        if self._time_slices is None:
            for _ in forgetting:
                pass
        else:
            self._time_slices.do(forgetting)
        for observer in self._on_last:
            observer(name)

    def _forget_all(self, name: str, members: list[Members]) -> Iterator[None]:
        """
        Have all C{members}, whose subscriptions have ended, forget C{name}.
        """
        for each in members:
            while each:
                connection, _ = each.popitem()
                # It may have closed before: then the name is among those that it leaves.
                names = self._subscribed.get(connection)
                if names is not None:
                    names.discard(name)
                yield
        left = [each for each in self._ended.pop(name, ()) if each]
        if left:  # they have ended once more meanwhile
            self._ended[name] = left

    def _forget(self, name: str, connection: IRequester) -> None:
        """
        Have C{connection} forget C{name} now, if its subscription has ended.
        """
        for members in self._ended.get(name, ()):
            if members.pop(connection, None) is not None and connection in self._subscribed:
                self._subscribed[connection].discard(name)

    def _remove(self, name: str, connection: IRequester) -> None:
        fan_out = self._fan_out
        if not fan_out.remove(name, connection):  # type: ignore[arg-type]
            return  # its subscriptions have ended
        last = name not in fan_out
        self._room.give(_weight(name, last))
        if last:
            for observer in self._on_last:
                observer(name)
        elif self._on_single and fan_out.count(name) == 1:
            for observer in self._on_single:
                observer(name)

    def _log_exceeded(self, connection: IRequester, name: str, limit: int, of: str) -> None:
        self._log.warn(
            "LIMIT_EXCEEDED | {limit}: {client} wants more than {most} {of} of {topic}",
            limit=name,
            of=of,
            most=limit,
            topic=self._topic.name,
            event="LIMIT_EXCEEDED",
            once=f"{name} {self._topic.name}",
            **about(connection),
        )

    def _closed(self, connection: IRequester) -> None:
        names = self._subscribed.pop(connection)
        if self._time_slices is None or len(names) <= NAMES_PER_STEP:
            for name in names:
                self._remove(name, connection)
        else:
            self._leaving += 1
            self._time_slices.do(self._leave(names, connection))

    def _leave(self, names: set[str], connection: IRequester) -> Iterator[None]:
        try:
            while names:
                # Each name is freed by itself, not all of them at the end.
                self._remove(names.pop(), connection)
                yield
        finally:
            self._leaving -= 1


def _weight(name: str, first: bool) -> int:
    return weigh_name(name) + (_SUBSCRIPTION_BYTES + _FIRST_SUBSCRIPTION_BYTES if first else _SUBSCRIPTION_BYTES)
