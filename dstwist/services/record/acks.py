"""
Write acknowledgements, which trigger the callbacks of writes.

Clients of v4 and later get the acknowledgement at once. Clients of v2 and v3 find the callback by the record and the
version. Client 2.3.4 destroys the callbacks when it deletes or discards the record. Until the server gets that request,
it may send an acknowledgement, on which the client throws::

    client                       server
    R|U|a|2|{..}|{..} ---------> written
    R|D|a ---------------------> deleted
              <----------------- R|WA|a|[2]|L      the client throws

The two requests leave the client in one turn, but each in a frame of its own. So an acknowledgement to a client of v2
and v3 that is subscribed is held for L{ACK_DELAY_SECONDS}, and dropped if the client deletes or discards the record
meanwhile. If the server itself is about to end the subscription, it sends the acknowledgement first:
L{Acknowledgements.deleted}, L{Acknowledgements.revoked}.

The client destroys the callbacks as well when it is told that another client has deleted the record. So a write that
the client sent before it was told is not acknowledged: L{Acknowledgements.has_no_callback}.

The acknowledgement of a write that met a conflict leaves with its VERSION_EXISTS:
L{dstwist.services.record.held_conflicts}.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import answers
from dstwist.services.record.replicas import Replicas

_RECORD = Topic.RECORD
_WRITE_ACKNOWLEDGEMENT = RecordAction.WRITE_ACKNOWLEDGEMENT

#: How long an acknowledgement is held, in seconds.
ACK_DELAY_SECONDS = 0.005

#: How many acknowledgements are held at a time. If there are more, the oldest is sent at once.
MAX_HELD_ACKS = 10_000

#: How many are held for one connection. Further ones are sent at once.
MAX_HELD_ACKS_EACH = 1000


class _Held:
    """
    An acknowledgement that is held.

    @ivar due: when it is sent.
    @ivar is_over: whether it was sent or dropped before that.
    """

    __slots__ = ("connection", "due", "is_over", "message", "name")

    def __init__(self, due: float, name: str, message: Message, connection: IRequester) -> None:
        self.due = due
        self.name = name
        self.message = message
        self.connection = connection
        self.is_over = False


class Acknowledgements:
    """
    Tells clients the outcome of writes that ask for an acknowledgement.
    """

    def __init__(self, subscriptions: SubscriptionRegistry, replicas: Replicas, clock: IReactorTime) -> None:
        self._is_subscribed = subscriptions.is_subscribed
        self._is_leaving = replicas.is_leaving
        self._may_hold_predecessor = replicas.may_hold_predecessor
        self._clock = clock
        # The oldest first. Acknowledgements that are over stay in this one until they are due.
        self._held: deque[_Held] = deque()
        self._names: dict[str, deque[_Held]] = {}
        self._counts: dict[IRequester, int] = {}
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._held)

    def accepted(self, name: str, message: Message, sender: IRequester) -> None:
        """
        A write was accepted, and is final.
        """
        if sender.dialect.knows_writes_by_version:
            self._send_later(name, message, sender, None)
        else:
            # The message of answers.acknowledgement. To call that would take some per cent of an acknowledged write.
            sender.send(
                Message(
                    _RECORD, _WRITE_ACKNOWLEDGEMENT, name, None, None, None, (), message.correlation_id, None, None,
                    None, None, True,
                )
            )  # fmt: skip

    def refused(self, name: str, message: Message, sender: IRequester, reason: str, before: bool = False) -> None:
        """
        A write was refused. Clients of v4 and later find its callback by the error, so they need no acknowledgement.

        @param before: the acknowledgement is sent before any message that follows.
        """
        if not message.is_write_ack or not sender.dialect.knows_writes_by_version:
            return
        if self.has_no_callback(name, message, sender):
            return
        if before:
            self._send(name, answers.acknowledgement(name, message, sender, reason), sender)
        else:
            self._send_later(name, message, sender, reason)

    def has_no_callback(self, name: str, message: Message, sender: IRequester) -> bool:
        """
        Whether a client of v2 and v3 has destroyed the callback of a write, because another client has deleted the
        record.
        """
        return (
            message.version != -1
            and sender.dialect.knows_writes_by_version
            and self._may_hold_predecessor(name, sender)
            and not self._is_subscribed(name, sender)
        )

    def deleted(self, name: str, exclude: IRequester | None = None) -> None:
        """
        The record is deleted, or about to be: send all clients that are still subscribed their acknowledgements.

        @param exclude: the client that has deleted the record, and dropped it.
        """
        for held in self._names.pop(name, ()):
            self._remove(held)
            if held.connection is not exclude and self._is_subscribed(name, held.connection):
                self._send(name, held.message, held.connection)

    def revoked(self, name: str, connection: IRequester) -> None:
        """
        The subscription of C{connection} has ended because of new rules: send the client its acknowledgements.
        """
        left: deque[_Held] = deque()
        for held in self._names.pop(name, ()):
            if held.connection is connection:
                self._remove(held)
                self._send(name, held.message, connection)
            else:
                left.append(held)
        if left:
            self._names[name] = left

    def stop(self) -> None:
        """
        Send all held acknowledgements, and hold no more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        while self._held:
            self._release()

    def _send_later(self, name: str, message: Message, sender: IRequester, reason: str | None) -> None:
        acknowledgement = answers.acknowledgement(name, message, sender, reason)
        count = self._counts.get(sender, 0)
        # A client without a copy keeps the callback elsewhere, and does not destroy it.
        if message.version == -1 or count >= MAX_HELD_ACKS_EACH or not self._is_subscribed(name, sender):
            self._send(name, acknowledgement, sender)
            return
        if len(self._held) >= MAX_HELD_ACKS:
            self._release()
            count = self._counts.get(sender, 0)
        held = _Held(self._clock.seconds() + ACK_DELAY_SECONDS, name, acknowledgement, sender)
        self._held.append(held)
        named = self._names.get(name)
        if named is None:
            named = self._names[name] = deque()
        named.append(held)
        self._counts[sender] = count + 1
        if self._call is None:
            self._call = self._clock.callLater(ACK_DELAY_SECONDS, self._release_all)

    def _release_all(self) -> None:
        self._call = None
        now = self._clock.seconds()
        while self._held and self._held[0].due <= now:
            self._release()
        if self._held:
            self._call = self._clock.callLater(max(self._held[0].due - now, ACK_DELAY_SECONDS / 5), self._release_all)

    def _release(self) -> None:
        held = self._held.popleft()
        if held.is_over:
            return
        # It is the oldest one of its name as well.
        named = self._names[held.name]
        named.popleft()
        if not named:
            del self._names[held.name]
        self._remove(held)
        if self._is_subscribed(held.name, held.connection):
            self._send(held.name, held.message, held.connection)

    def _remove(self, held: _Held) -> None:
        held.is_over = True
        left = self._counts[held.connection] - 1
        if left:
            self._counts[held.connection] = left
        else:
            del self._counts[held.connection]

    def _send(self, name: str, acknowledgement: Message, connection: IRequester) -> None:
        if not self._is_leaving(name, connection, acknowledgement.version):
            connection.send(acknowledgement)
