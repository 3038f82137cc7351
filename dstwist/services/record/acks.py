"""
Write acknowledgements, which trigger the callbacks of writes.

Clients of v4 and later are told at once. Clients of v2 and v3 find the callback by the record and the version. Client
2.3.4 destroys the callbacks when it deletes or discards the record, before the server can know of that, and throws when
an acknowledgement arrives then::

    client                       server
    R|U|a|2|{..}|{..} ---------> written
    R|D|a ---------------------> deleted
              <----------------- R|WA|a|[2]|L      the client throws

The two requests leave the client in one turn, but each in a frame of its own. So an acknowledgement to a client of v2
and v3 that holds the record is held for L{HOLD}, and not sent if the client has let go of the record by then. If the
server itself is about to end the subscription, it sends the acknowledgement first: L{Acknowledgements.settle}.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.interfaces import IConnection
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import answers
from dstwist.services.record.replicas import Replicas

#: How long an acknowledgement is held, in seconds.
HOLD = 0.005

#: How many are held at a time. If there are more, the oldest is sent at once.
MOST = 10_000


class Acknowledgements:
    """
    Tells clients the outcome of writes that ask for an acknowledgement.
    """

    def __init__(self, subscriptions: SubscriptionRegistry, replicas: Replicas, clock: IReactorTime) -> None:
        self._wants = subscriptions.wants
        self._is_leaving = replicas.is_leaving
        self._clock = clock
        # The oldest first: the time when it is due, and its content.
        self._held: deque[tuple[float, str, Message, IConnection]] = deque()
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._held)

    def done(self, name: str, message: Message, sender: IConnection) -> None:
        """
        A write was accepted, and is final.
        """
        if sender.dialect.knows_writes_by_version:
            self._tell(name, message, sender, None)
        else:
            answers.acknowledged(name, message, sender)

    def refused(self, name: str, message: Message, sender: IConnection, reason: str, before: bool = False) -> None:
        """
        A write was refused. Clients of v4 and later have found its callback by the error.

        @param before: the acknowledgement is sent before any message that follows.
        """
        if not message.is_write_ack or not sender.dialect.knows_writes_by_version:
            return
        if not before:
            self._tell(name, message, sender, reason)
        elif not self._is_leaving(name, sender, message.version):
            sender.send(answers.acknowledgement(name, message, sender, reason))

    def settle(self, name: str, exclude: IConnection | None = None) -> None:
        """
        The record is deleted, or about to be: tell all clients that still hold it the outcome of their writes.

        @param exclude: the client that has deleted the record, and dropped it.
        """
        if not any(held[1] == name for held in self._held):
            return
        left: deque[tuple[float, str, Message, IConnection]] = deque()
        for held in self._held:
            if held[1] != name:
                left.append(held)
            elif held[3] is not exclude:
                self._send(*held[1:])
        self._held = left

    def stop(self) -> None:
        """
        Send all held acknowledgements, and hold no more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        while self._held:
            self._release()

    def _tell(self, name: str, message: Message, sender: IConnection, reason: str | None) -> None:
        if message.version == -1 or not self._wants(name, sender):
            # The client keeps the callback beside its copies, and does not let go of it.
            if not self._is_leaving(name, sender, message.version):
                sender.send(answers.acknowledgement(name, message, sender, reason))
            return
        if len(self._held) >= MOST:
            self._release()
        acknowledgement = answers.acknowledgement(name, message, sender, reason)
        self._held.append((self._clock.seconds() + HOLD, name, acknowledgement, sender))
        if self._call is None:
            self._call = self._clock.callLater(HOLD, self._release_all)

    def _release_all(self) -> None:
        self._call = None
        now = self._clock.seconds()
        while self._held and self._held[0][0] <= now:
            self._release()
        if self._held:
            self._call = self._clock.callLater(max(self._held[0][0] - now, HOLD / 5), self._release_all)

    def _release(self) -> None:
        _, name, acknowledgement, sender = self._held.popleft()
        self._send(name, acknowledgement, sender)

    def _send(self, name: str, acknowledgement: Message, sender: IConnection) -> None:
        if self._wants(name, sender) and not self._is_leaving(name, sender, acknowledgement.version):
            sender.send(acknowledgement)
