"""
Who wants which name, and the fan-out to them.

One registry a topic. A name is wanted by connections; they are grouped by wire, so that a message is encoded once per
wire and the same bytes go to all of its connections. Always true: the observers have been told of exactly the names
that are in here.

A connection that closes has no subscription any more from that moment on, for all who ask here. If it had many, they
are taken off the names in slices (L{dstwist.scheduling.time_slices}), and the observers are told as that goes. Until
then a fan-out still writes to it: its outbox drops that (L{dstwist.transports.outbox.Outbox.shut}). A new subscriber of
such a name takes over, as if it had come before the other closed.

The same holds for a name whose subscriptions all L{end<SubscriptionRegistry.end>}: the name is released at once. The
connections forget it in slices; each forgets it at once if it asks for the name again or closes.

============  ==============================  ====================================================================
asked         of a name                       answer (C{services.md} section 2.1)
============  ==============================  ====================================================================
subscribe     new                             ack
subscribe     subscribed already              MULTIPLE_SUBSCRIPTIONS, and then v4+: ack; v2/v3: nothing
subscribe     one more than may be, or all    MESSAGE_DENIED: whoever is closed for it comes back, and asks again
              have more than they may
unsubscribe   any                             ack: a client that ended a subscription while it was offline says so when
                                              it is back, and v2/v3 clients throw at an error that nobody listens to
============  ==============================  ====================================================================

A bulk request has one ack, after all of its names. Those of a long one are dealt with in steps (L{IConnection.do}).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable, Iterator
from enum import IntEnum

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.interfaces import IConnection, IRevocable, IWire, Work
from dstwist.limits.budgets import Budget
from dstwist.limits.outgoing import LARGE, TurnBudget
from dstwist.log import Logger, about
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.weights import weigh_name
from dstwist.scheduling.time_slices import NAMES_PER_STEP, Steps, TimeSlices

#: How many bytes of memory a subscription takes besides its name, and how many more the first one of a name: with what
#: others know of it, such as the search for its provider.
_SUBSCRIPTION = 400
_FIRST = 1200

_Observer = Callable[[str], None]
_Members = dict[IConnection, Callable[[bytes], None]]


@implementer(IRevocable)
class SubscriptionRegistry:
    """
    The subscriptions of one topic.

    @ivar all_take_patches: whether the wires of all subscribers so far take PATCH (L{publish_either}).
    @param repeated: the error for a name that is subscribed already; RPC has its own.
    @param limit: how many names one connection may want. More are refused.
    @param room: how many bytes of memory the subscriptions of all connections may take, also those of other topics.
    @param outgoing: counts the bytes of each fan-out.
    @param clock: whose turns are used for what takes long; C{None}: it is done at once.
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
        self._outgoing = outgoing if outgoing is not None else TurnBudget()
        self._topic = topic
        self._clock = clock
        self._slices = None if clock is None else TimeSlices(clock)
        # How many closed connections have not been taken off all of their names.
        self._leaving = 0
        # Connections that have not forgotten a name whose subscriptions have ended, by name.
        self._ended: dict[str, list[_Members]] = {}
        self._limit = sys.maxsize if limit is None else limit
        self._repeated: IntEnum = actions[repeated]
        self._names: dict[str, dict[IWire, _Members]] = {}
        self.all_take_patches = True
        self._subscribed: dict[IConnection, set[str]] = {}
        self._on_first: list[_Observer] = []
        self._on_last: list[_Observer] = []
        self._on_second: list[_Observer] = []
        self._on_single: list[_Observer] = []
        self._on_revoke: list[Callable[[str, IConnection], None]] = []
        # Whose excess the log knows.
        self._greedy: set[IConnection] = set()

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

    def on_revoke(self, callback: Callable[[str, IConnection], None]) -> None:
        """
        Have C{callback} called with the name and the connection whenever a subscription has ended by L{revoke}, before
        the client is told.
        """
        self._on_revoke.append(callback)

    def __contains__(self, name: str) -> bool:
        if not self._leaving:
            return name in self._names
        return any(not connection.closed for members in self._names.get(name, {}).values() for connection in members)

    def names(self) -> Iterable[str]:
        """
        All names that somebody wants, or that are about to be released.
        """
        return self._names.keys()

    def subscribers(self, name: str) -> list[IConnection]:
        """
        Who wants C{name}.
        """
        found = [connection for members in self._names.get(name, {}).values() for connection in members]
        return [connection for connection in found if not connection.closed] if self._leaving else found

    def wants(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} is subscribed to C{name}.
        """
        if self._ended:
            self._forget(name, connection)
        return name in self._subscribed.get(connection, ())

    def is_only(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} is subscribed to C{name}, and no other one is.
        """
        if not self.wants(name, connection):
            return False
        wires = self._names.get(name, {})
        if not self._leaving:
            return _count(wires) == 1
        return all(other is connection or other.closed for members in wires.values() for other in members)

    def connections(self) -> Iterable[IConnection]:
        return self._subscribed.keys()

    def names_of(self, connection: IConnection) -> list[str]:
        names = self._subscribed.get(connection, ())
        for name in [name for name in self._ended if name in names]:
            self._forget(name, connection)
        return list(names)

    def subscribe(self, message: Message, connection: IConnection) -> None:
        """
        Subscribe C{connection} to all names of C{message}.
        """
        # Its permission may have taken longer than the client stayed: then none of this is done.
        connection.do(self.subscribing(message, connection))

    def unsubscribe(self, message: Message, connection: IConnection) -> None:
        """
        End the subscriptions of C{connection} to all names of C{message}.
        """
        connection.do(self.unsubscribing(message, connection))

    def subscribing(self, message: Message, connection: IConnection) -> Work:
        """
        The work of L{subscribe}.
        """
        # Who asked for nothing at all has it.
        acked = not message.names and connection.dialect.acks_repeated_subscriptions
        # A new name can start a search for its provider, with many patterns and rules.
        steps = Steps(self._clock)
        over = False
        for name in message.names:
            if over:
                yield None
                steps.begin()
            if self.add(name, connection):
                acked = True
            elif self.wants(name, connection):
                connection.send(message.error(self._repeated, name, flagged=False))
                acked = acked or connection.dialect.acks_repeated_subscriptions
            else:
                connection.send(message.error("MESSAGE_DENIED", name))
            over = steps.over()
        if acked:
            connection.send(message.ack())

    def unsubscribing(self, message: Message, connection: IConnection) -> Work:
        """
        The work of L{unsubscribe}.
        """
        for number, name in enumerate(message.names):
            if number and not number % NAMES_PER_STEP:
                yield None
            self.discard(name, connection)
        connection.send(message.ack())

    def publish(self, message: Message, exclude: IConnection | None = None) -> None:
        """
        Send C{message} to all who want its name, but not to C{exclude}.
        """
        wires = self._names.get(message.name)  # type: ignore[arg-type]
        if wires is None:
            return
        outgoing = self._outgoing
        for wire, members in wires.items():
            frame = wire.encode(message)
            if frame:
                if exclude in members:
                    for connection, write in members.items():
                        if connection is not exclude:
                            write(frame)
                else:
                    for write in members.values():
                        write(frame)
                size = len(frame)
                outgoing.room = room = outgoing.room - size * len(members)
                if size >= LARGE:
                    outgoing.large = True
                if room < 0:
                    outgoing.make_room()

    def publish_either(self, many: Message, whole: Callable[[], Message], exclude: IConnection | None = None) -> None:
        """
        The same with C{many}, a PATCH or PATCH_MULTI, for wires whose clients take that, and with the message that
        C{whole} makes for all others.
        """
        single = many.path is not None
        other: Message | None = None
        for wire, members in self._names.get(many.name, {}).items():  # type: ignore[arg-type]
            if wire.patches_many or (single and wire.takes_patches):
                frame = wire.encode(many)
            else:
                if other is None:
                    other = whole()
                frame = wire.encode(other)
            if frame:
                for connection, write in members.items():
                    if connection is not exclude:
                        write(frame)
                self._count(len(frame), len(members))

    def publish_to(self, name: str, message: Message, exclude: Container[IConnection] = ()) -> None:
        """
        Send C{message} to all who want C{name}, whatever the message's own name, but to none of C{exclude}.
        """
        for wire, members in self._names.get(name, {}).items():
            frame = wire.encode(message)
            if frame:
                for connection, write in members.items():
                    if connection not in exclude:
                        write(frame)
                self._count(len(frame), len(members))

    def write_shared(self, frame: bytes, connection: IConnection) -> None:
        """
        Send C{connection} a large frame that other connections get as well.
        """
        if not connection.closed:
            connection.write(frame)
            self._count(len(frame), 1)

    def _count(self, size: int, members: int) -> None:
        """
        Count a fan-out. L{publish} does this by itself: a call would cost it some per cent.
        """
        outgoing = self._outgoing
        outgoing.room -= size * members
        if size >= LARGE:
            outgoing.large = True
        if outgoing.room < 0:
            outgoing.make_room()

    def add(self, name: str, connection: IConnection) -> bool:
        """
        Subscribe C{connection}, which is open, to C{name} and say nothing; whether it was not subscribed before, and
        has not too many names already.
        """
        if self._ended:
            self._forget(name, connection)
        subscribed = self._subscribed.get(connection)
        if subscribed is None:
            if connection.closed:
                return False  # by the answer to the name before this one
            subscribed = self._subscribed[connection] = set()
            connection.on_close(self._closed)
        elif name in subscribed:
            return False
        elif len(subscribed) >= self._limit and len(self.names_of(connection)) >= self._limit:
            self._exceeded(connection, "maxSubscriptions", self._limit, "names")
            return False
        wires = self._names.get(name)
        first = wires is None
        if not self._room.take(_weight(name, first)):
            self._exceeded(connection, "maxSubscriptionBytes", self._room.limit, "bytes of names, with all others,")
            return False
        subscribed.add(name)
        if not connection.wire.takes_patches:
            self.all_take_patches = False
        if wires is None:
            wires = self._names[name] = {}
        wires.setdefault(connection.wire, {})[connection] = connection.write
        if first:
            for observer in self._on_first:
                observer(name)
        elif self._on_second and _count(wires) == 2:
            for observer in self._on_second:
                observer(name)
        return True

    def discard(self, name: str, connection: IConnection) -> bool:
        """
        End the subscription of C{connection} to C{name} and say nothing; whether there was one.
        """
        if self._ended:
            self._forget(name, connection)
        subscribed = self._subscribed.get(connection)
        if subscribed is None or name not in subscribed:
            return False
        subscribed.discard(name)
        self._remove(name, connection)
        return True

    def revoke(self, name: str, connection: IConnection) -> bool:
        if not self.discard(name, connection):
            return False
        for callback in self._on_revoke:
            callback(name, connection)
        return True

    def mute(self, name: str, connection: IConnection) -> None:
        """
        Leave C{connection}, which is subscribed, out of each fan-out of C{name} until L{unmute}, or until its
        subscription ends.
        """
        self._names[name][connection.wire][connection] = _drop

    def unmute(self, name: str, connection: IConnection) -> bool:
        """
        End L{mute}; whether C{connection} is subscribed.
        """
        if not self.wants(name, connection):
            return False
        self._names[name][connection.wire][connection] = connection.write
        return True

    def end(self, name: str) -> None:
        """
        End all subscriptions to C{name} without a word.
        """
        wires = self._names.pop(name, None)
        if wires is None:
            return
        members = list(wires.values())
        self._room.give(_FIRST + sum(map(len, members)) * _weight(name, False))
        self._ended.setdefault(name, []).extend(members)
        forgetting = self._forget_all(name, members)
        if self._slices is None:
            for _ in forgetting:
                pass
        else:
            self._slices.do(forgetting)
        for observer in self._on_last:
            observer(name)

    def _forget_all(self, name: str, members: list[_Members]) -> Iterator[None]:
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

    def _forget(self, name: str, connection: IConnection) -> None:
        """
        Have C{connection} forget C{name} now, if its subscription has ended.
        """
        for members in self._ended.get(name, ()):
            if members.pop(connection, None) is not None and connection in self._subscribed:
                self._subscribed[connection].discard(name)

    def _remove(self, name: str, connection: IConnection) -> None:
        wires = self._names.get(name)
        members = None if wires is None else wires.get(connection.wire)
        if wires is None or members is None or members.pop(connection, None) is None:
            return  # its subscriptions have ended
        last = False
        if not members:
            del wires[connection.wire]
            last = not wires
        self._room.give(_weight(name, last))
        if last:
            del self._names[name]
            for observer in self._on_last:
                observer(name)
        elif self._on_single and _count(wires) == 1:
            for observer in self._on_single:
                observer(name)

    def _exceeded(self, connection: IConnection, name: str, limit: int, of: str) -> None:
        if connection in self._greedy:
            return
        self._greedy.add(connection)
        self._log.warn(
            "LIMIT_EXCEEDED | {name}: {client} wants more than {limit} {of} of {topic}",
            name=name,
            of=of,
            limit=limit,
            topic=self._topic.name,
            event="LIMIT_EXCEEDED",
            **about(connection),
        )

    def _closed(self, connection: IConnection) -> None:
        self._greedy.discard(connection)
        names = self._subscribed.pop(connection)
        if self._slices is None or len(names) <= NAMES_PER_STEP:
            for name in names:
                self._remove(name, connection)
        else:
            self._leaving += 1
            self._slices.do(self._leave(names, connection))

    def _leave(self, names: set[str], connection: IConnection) -> Iterator[None]:
        try:
            for name in names:
                self._remove(name, connection)
                yield
        finally:
            self._leaving -= 1


def _drop(frame: bytes) -> None:
    """
    Takes the frames for a connection that is muted.
    """


def _count(wires: dict[IWire, _Members]) -> int:
    return sum(map(len, wires.values()))


def _weight(name: str, first: bool) -> int:
    return weigh_name(name) + (_SUBSCRIPTION + _FIRST if first else _SUBSCRIPTION)
