"""
The subscribers of each name, and the fan-out of messages to them.

Subscribers of a name are grouped by wire, so that a message is encoded once per wire and the same bytes go to all of
its connections::

    publish(message) --> wires of the name --encode once each--> frame --write--> each connection of the wire

If many messages come in one turn, their connections share the frames (L{dstwist.routing.shared_frames}).

Always true: the fan-out contains a name exactly while the name has a subscriber. The bytes of each fan-out are counted
(L{dstwist.limits.outgoing_bytes}).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator
from enum import IntEnum

from dstwist.counters.messages import action_counts
from dstwist.interfaces import Frame, IConnection, IRequester, IWire
from dstwist.limits.outgoing_bytes import LARGE_FRAME_BYTES, TurnBudget
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.routing.shared_frames import SHARED_FROM, Audiences, Members
from dstwist.scheduling.large_dict import LargeDict


class FanOut:
    """
    The subscribers of one topic.

    @param outgoing: counts the bytes of each fan-out.
    @ivar deliveries: by action, how many messages were written to subscribers.
    """

    def __init__(self, outgoing: TurnBudget, topic: Topic) -> None:
        self.deliveries = action_counts(topic)
        self._outgoing = outgoing
        self._audiences = Audiences()
        self._names: LargeDict[dict[IWire, Members]] = LargeDict()
        # The parts of the names. To read them here saves each message the call of a method.
        self._first, self._more = self._names.first, self._names.more

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def names(self) -> Collection[str]:
        return self._names

    def subscribers(self, name: str) -> Iterator[IRequester]:
        """
        The subscribers of C{name}, one by one: they can be many, and most callers look only at the first.
        """
        return (connection for members in self._wires(name).values() for connection in members)

    def count(self, name: str) -> int:
        """
        The number of subscribers of C{name}.
        """
        return sum(map(len, self._wires(name).values()))

    def is_heard(self, name: str, exclude: IRequester) -> bool:
        """
        Whether C{name} has a subscriber other than C{exclude}.
        """
        wires = self._names.get(name)
        if wires is None:
            return False
        for members in wires.values():
            if len(members) > 1 or exclude not in members:
                return True
        return False

    # -- who is in here

    def add(self, name: str, connection: IConnection) -> None:
        """
        Write to C{connection} what is published under C{name}.
        """
        wires = self._names.get(name)
        if wires is None:
            wires = self._names[name] = {}
        members = wires.get(connection.wire)
        if members is None:
            members = wires[connection.wire] = Members()
        _set(members, connection, connection.write)

    def remove(self, name: str, connection: IConnection) -> bool:
        """
        Undo L{add}.

        @return: whether C{connection} was a subscriber of C{name}.
        """
        wires = self._names.get(name)
        members = None if wires is None else wires.get(connection.wire)
        if wires is None or members is None or members.pop(connection, None) is None:
            return False
        members.changed()
        if not members:
            del wires[connection.wire]
            if not wires:
                self._names.pop(name)
        return True

    def remove_all(self, name: str) -> list[Members]:
        """
        Undo L{add} for all subscribers of C{name}.

        @return: the former subscribers.
        """
        return list((self._names.pop(name) or {}).values())

    def mute(self, name: str, connection: IConnection) -> None:
        """
        Leave C{connection}, a subscriber of C{name}, out of each fan-out of that name until L{unmute}, or until it is
        removed.
        """
        _set(self._wires(name)[connection.wire], connection, _drop)

    def unmute(self, name: str, connection: IConnection) -> None:
        """
        Undo L{mute}.
        """
        _set(self._wires(name)[connection.wire], connection, connection.write)

    # -- the fan-out

    def publish(self, message: Message, exclude: IRequester | None = None) -> None:
        """
        Send C{message} to all subscribers of its name but C{exclude}.
        """
        wires = self._first.get(message.name)  # type: ignore[arg-type]
        if wires is None:
            if not self._more:
                return
            wires = self._names.get(message.name)  # type: ignore[arg-type]
            if wires is None:
                return
        outgoing = self._outgoing
        for wire, members in wires.items():
            count = len(members)
            is_among = exclude in members
            if is_among and count == 1:
                # Many records have one client, which writes and is the only one to hear of it.
                continue
            frame = wire.encode(message)
            if frame:
                size = len(frame)
                if (
                    count >= SHARED_FROM
                    and size < LARGE_FRAME_BYTES
                    and (audience := members.audience or self._audiences.of(members)) is not None
                    and audience.take(frame, members, exclude if is_among else None)
                ):
                    count -= is_among
                elif is_among:
                    count -= 1
                    for connection, write in members.items():
                        if connection is not exclude:
                            write(frame)
                else:
                    for write in members.values():
                        write(frame)
                self.deliveries[message.action] += count
                outgoing.room = room = outgoing.room - size * count
                if size >= LARGE_FRAME_BYTES:
                    outgoing.large = True
                if room < 0:
                    outgoing.make_room()

    def publish_either(self, many: Message, whole: Callable[[], Message], exclude: IRequester | None = None) -> None:
        """
        Send C{many}, a PATCH or PATCH_MULTI, to all subscribers of its name but C{exclude}. Clients whose wire does not
        take it get the message that C{whole} makes.
        """
        single = many.path is not None
        other: Message | None = None
        for wire, members in self._wires(many.name).items():  # type: ignore[arg-type]
            if wire.patches_many or (single and wire.takes_patches):
                message = many
            else:
                if other is None:
                    other = whole()
                message = other
            frame = wire.encode(message)
            if frame:
                for connection, write in members.items():
                    if connection is not exclude:
                        write(frame)
                self._count_bytes(len(frame), len(members))
                self.deliveries[message.action] += len(members) - (exclude in members)

    def publish_to(self, name: str, message: Message, exclude: Container[IRequester] = ()) -> None:
        """
        Send C{message} to all subscribers of C{name}, which may not be the message's own name, but those in C{exclude}.
        """
        for wire, members in self._wires(name).items():
            frame = wire.encode(message)
            if frame:
                count = 0
                for connection, write in members.items():
                    if connection not in exclude:
                        write(frame)
                        count += 1
                self._count_bytes(len(frame), len(members))
                self.deliveries[message.action] += count

    def write_shared(self, frame: Frame, action: IntEnum, connection: IConnection) -> None:
        """
        Send C{connection} a large frame that other connections are sent as well: a message with C{action}.
        """
        if not connection.closed:
            connection.write(frame)
            self.deliveries[action] += 1
            self._count_bytes(len(frame), 1)

    def _wires(self, name: str) -> dict[IWire, Members]:
        return self._names.get(name) or {}

    def _count_bytes(self, size: int, members: int) -> None:
        """
        Count the bytes of a fan-out. L{publish} does the same inline: a call would cost it some per cent.
        """
        outgoing = self._outgoing
        outgoing.room -= size * members
        if size >= LARGE_FRAME_BYTES:
            outgoing.large = True
        if outgoing.room < 0:
            outgoing.make_room()


def _set(members: Members, connection: IRequester, write: Callable[[Frame], None]) -> None:
    members[connection] = write
    members.changed()


def _drop(frame: Frame) -> None:
    """
    Takes the frames for a connection that is muted.
    """
