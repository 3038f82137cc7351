"""
The requests of clients to subscribe and to unsubscribe, for one topic.

============  ==============================  ====================================================================
request       name                            answer (C{services.md} section 2.1)
============  ==============================  ====================================================================
subscribe     new                             ack
subscribe     subscribed already              MULTIPLE_SUBSCRIPTIONS, and then v4+: ack; v2/v3: nothing
subscribe     above the limit of the          MESSAGE_DENIED: a client that is closed instead would reconnect, and
              connection, or of all           subscribe again
unsubscribe   any                             ack: a client that ended a subscription while it was offline says so when
                                              it is back, and v2/v3 clients throw at an error without listener
============  ==============================  ====================================================================

A bulk request has one ack, after all of its names. A long one is served in steps (L{IRequester.do}). If there are other
nodes, the answers wait for the bus (L{dstwist.routing.held_answers}).
"""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IRequester, Work
from dstwist.protocol.message import Message
from dstwist.routing.held_answers import Awaited, HeldAnswers
from dstwist.scheduling.time_slices import Steps


class Subscriptions(Protocol):
    """
    The subscriptions of a topic: L{dstwist.routing.subscriptions.SubscriptionRegistry}.
    """

    def add(self, name: str, connection: IRequester) -> bool: ...

    def discard(self, name: str, connection: IRequester) -> bool: ...

    def is_subscribed(self, name: str, connection: IRequester) -> bool: ...


class SubscriptionRequests:
    """
    Serves the requests.

    @param repeated: the error for a name that is subscribed already.
    @ivar held: the answers that wait for the bus; C{None}: none does.
    """

    def __init__(self, subscriptions: Subscriptions, repeated: IntEnum, clock: IReactorTime | None) -> None:
        self._subscriptions = subscriptions
        self._repeated = repeated
        self._clock = clock
        self.held: HeldAnswers | None = None

    def subscribe(self, message: Message, connection: IRequester) -> None:
        """
        Subscribe C{connection} to all names of C{message}.
        """
        # A client that has closed while its permission was decided gets nothing.
        connection.do(self.subscribing(message, connection))

    def unsubscribe(self, message: Message, connection: IRequester) -> None:
        """
        End the subscriptions of C{connection} to all names of C{message}.
        """
        connection.do(self.unsubscribing(message, connection))

    def subscribing(self, message: Message, connection: IRequester) -> Work:
        """
        The work of L{subscribe}.
        """
        # A request without names is served.
        acked = not message.names and connection.dialect.acks_repeated_subscriptions
        held = self.held
        if held is None:
            send = connection.send
        else:
            if (room := held.room(connection)) is not None:
                yield room
            send = partial(held.send, connection=connection)
            awaited = Awaited()
        subscriptions = self._subscriptions
        # A new name can start the search for its provider, with many patterns and rules.
        steps = Steps(self._clock)
        over = False
        for name in message.names:
            if over:
                yield None
                steps.begin()
            if subscriptions.add(name, connection):
                acked = True
            elif subscriptions.is_subscribed(name, connection):
                send(message.error(self._repeated, name, flagged=False))
                acked = acked or connection.dialect.acks_repeated_subscriptions
            else:
                send(message.error("MESSAGE_DENIED", name))
            if held is not None:
                held.wait_for(name, awaited, connection)
            over = steps.over()
        if acked and held is None:
            connection.send(message.ack())
        elif acked and held is not None:
            held.send(message.ack(), connection, awaited)

    def unsubscribing(self, message: Message, connection: IRequester) -> Work:
        """
        The work of L{unsubscribe}.
        """
        held = self.held
        if held is not None and (room := held.room(connection)) is not None:
            yield room
        steps = Steps(self._clock)
        over = False
        for name in message.names:
            if over:
                yield None
                steps.begin()
            self._subscriptions.discard(name, connection)
            over = steps.over()
        if held is None:
            connection.send(message.ack())
        else:
            held.send(message.ack(), connection)
