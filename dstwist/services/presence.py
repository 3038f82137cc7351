"""
The PRESENCE topic: which users are online, and which clients are told when a user joins or leaves.

A user is online from the login of its first connection until the end of its last one (L{dstwist.connections.users}),
and for C{presence.gracePeriod} after that. A user that logs in again within this time has never been away. Each join
and each leave is announced once (C{services.md} section 6).

================================  ==============  =================================================================
from client                       fields          answer
================================  ==============  =================================================================
SUBSCRIBE_ALL, UNSUBSCRIBE_ALL                    ack
SUBSCRIBE, UNSUBSCRIBE            names           ack
QUERY_ALL                                         QUERY_ALL_RESPONSE: all online users except that of the client
QUERY                             names           QUERY_RESPONSE: for each name whether the user is online
================================  ==============  =================================================================

=============  ================================  ======================================
event          sent to subscribers to all users  sent to subscribers to the user
=============  ================================  ======================================
a user joins   PRESENCE_JOIN_ALL                 PRESENCE_JOIN, after PRESENCE_JOIN_ALL
a user leaves  PRESENCE_LEAVE_ALL                PRESENCE_LEAVE, after PRESENCE_LEAVE_ALL
=============  ================================  ======================================

Requests without names are answered like all others. A repeated subscription, and the end of a subscription that does
not exist, are acknowledged: clients of v2 and v3 report a missing acknowledgement of presence. MULTIPLE_SUBSCRIPTIONS
is sent before the acknowledgement of a repeated subscription. Clients of v2 and v3 know MULTIPLE_SUBSCRIPTIONS only for
subscriptions to all users, and get it only for these.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import IConnection, IRequester, ITopicService, IWire, Work
from dstwist.limits.budgets import Budget
from dstwist.limits.outgoing_bytes import TurnBudget
from dstwist.protocol.constants import EVERYONE, PresenceAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.protocol.name_parts import NameParts
from dstwist.protocol.typed import has_separators
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import Steps
from dstwist.services.roster import Roster


@implementer(ITopicService)
class PresenceService:
    """
    Announces joins and leaves, and answers queries.

    @param max_subscriptions: how many users one connection may be subscribed to.
    @param room: limits the bytes of memory of all subscriptions.
    @param outgoing: counts the bytes that are sent to subscribers.
    @ivar all_users: the subscriptions to all users, under the one name L{EVERYONE}. This is a registry of its own,
        since a user may have that name.
    @ivar single_users: the subscriptions to single users.
    """

    authorizes_itself: frozenset[IntEnum] = frozenset()

    def __init__(
        self,
        users: UserRegistry,
        settings: PresenceSettings,
        clock: IReactorTime,
        max_subscriptions: int | None = None,
        room: Budget | None = None,
        outgoing: TurnBudget | None = None,
    ) -> None:
        # The users who have joined and not left: with a connection, or within the grace period.
        self._online = Roster()
        # The answers to the queries that are being served.
        self._answers: list[dict[str, bool]] = []
        self.all_users = SubscriptionRegistry(Topic.PRESENCE, outgoing=outgoing)
        self.single_users = SubscriptionRegistry(
            Topic.PRESENCE, limit=max_subscriptions, room=room, outgoing=outgoing, clock=clock
        )
        self._settings = settings
        # The users within the grace period.
        self._away: Deadlines[str] = Deadlines(settings.grace_period, clock, self._leave)
        self._stopped = False
        self._clock = clock
        users.observe(self._user_joined, self._user_left)
        self._actions: dict[IntEnum, Callable[[Message, IRequester], None]] = {
            PresenceAction.SUBSCRIBE_ALL: self._subscribe_all,
            PresenceAction.UNSUBSCRIBE_ALL: self._unsubscribe_all,
            PresenceAction.SUBSCRIBE: self._subscribe,
            PresenceAction.UNSUBSCRIBE: self._unsubscribe,
            PresenceAction.QUERY_ALL: self._query_all,
            PresenceAction.QUERY: self._query,
        }

    def handle(self, message: Message, sender: IRequester) -> None:
        # No default: the codecs let through only what a client may send.
        self._actions[message.action](message, sender)

    def handle_remote(self, message: Message) -> None:
        """
        Do nothing: nodes tell each other only which users are online, and each node tells its own clients.
        """

    def stop(self) -> None:
        """
        Announce no leaves from now on: all clients are about to be told that the server stops.
        """
        self._stopped = True
        self._away.stop()

    # -- subscriptions

    def _subscribe_all(self, message: Message, sender: IRequester) -> None:
        # The client may have gone before its permission was decided.
        if sender.closed:
            return
        if not self.all_users.add(EVERYONE, sender):
            sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", EVERYONE, flagged=False))
        sender.send(message.ack())

    def _unsubscribe_all(self, message: Message, sender: IRequester) -> None:
        self.all_users.discard(EVERYONE, sender)
        sender.send(message.ack())

    def _subscribe(self, message: Message, sender: IRequester) -> None:
        sender.do(self._subscribing(message, sender))

    def _subscribing(self, message: Message, sender: IRequester) -> Work:
        steps = Steps(self._clock)
        over = False
        for user in message.names:
            if over:
                yield None
                steps.begin()
            over = steps.over()
            if not sender.dialect.carries_every_name and has_separators(user):
                # No message of this client's protocol can contain the name of the user.
                sender.send(message.error("MESSAGE_DENIED", user))
                continue
            if self.single_users.add(user, sender):
                continue
            if not self.single_users.is_subscribed(user, sender):
                sender.send(message.error("MESSAGE_DENIED", user))
            elif sender.dialect.acks_repeated_subscriptions:
                sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", user, flagged=False))
        sender.send(message.ack())

    def _unsubscribe(self, message: Message, sender: IRequester) -> None:
        sender.do(self._unsubscribing(message, sender))

    def _unsubscribing(self, message: Message, sender: IRequester) -> Work:
        steps = Steps(self._clock)
        over = False
        for user in message.names:
            if over:
                yield None
                steps.begin()
            over = steps.over()
            self.single_users.discard(user, sender)
        sender.send(message.ack())

    # -- queries

    def _query_all(self, message: Message, sender: IRequester) -> None:
        sender.do(self._querying_all(sender))

    def _querying_all(self, sender: IRequester) -> Work:
        # To encode very many users takes long, so it is done in steps. The last step makes the answer from the users
        # who are online then. It encodes only the parts that have changed meanwhile.
        steps = Steps(self._clock)
        wire: IWire | None = sender.wire if IConnection.providedBy(sender) else None
        for part in self._online.all_but(None).parts:
            if wire is not None and wire not in part.encoded:
                wire.encode(
                    Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=_names(NameParts((part,))))
                )
                part.encoded[wire] = True
                if steps.over():
                    yield None
                    steps.begin()
        others = _names(self._online.all_but(sender.user))
        sender.send(Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=others))

    def _query(self, message: Message, sender: IRequester) -> None:
        sender.do(self._querying(message, sender))

    def _querying(self, message: Message, sender: IRequester) -> Work:
        online: dict[str, bool] = {}
        # Joins and leaves meanwhile change the answer, so that it is true when it is sent.
        self._answers.append(online)
        try:
            steps = Steps(self._clock)
            over = False
            for user in message.names:
                if over:
                    yield None
                    steps.begin()
                over = steps.over()
                online[user] = user in self._online
        finally:
            self._answers = [answer for answer in self._answers if answer is not online]
        sender.send(
            Message(
                Topic.PRESENCE,
                PresenceAction.QUERY_RESPONSE,
                data=dumps(online),
                correlation_id=message.correlation_id,
            )
        )

    # -- joins and leaves

    def _user_joined(self, user: str) -> None:
        if user in self._away:
            self._away.remove(user)
        else:
            self._online.add(user)
            self._correct(user, True)
            self._tell(PresenceAction.PRESENCE_JOIN_ALL, PresenceAction.PRESENCE_JOIN, user)

    def _user_left(self, user: str) -> None:
        if self._stopped:
            return
        if not self._settings.grace_period:
            self._leave(user)
            return
        # The setting is at least 1, so there is room for this user.
        if len(self._away) >= self._settings.max_users_in_grace:
            self._away.expire_first()
        self._away.add(user)

    def _leave(self, user: str) -> None:
        self._online.remove(user)
        self._correct(user, False)
        self._tell(PresenceAction.PRESENCE_LEAVE_ALL, PresenceAction.PRESENCE_LEAVE, user)

    def _correct(self, user: str, online: bool) -> None:
        for answer in self._answers:
            if user in answer:
                answer[user] = online

    def _tell(self, to_all: PresenceAction, to_some: PresenceAction, user: str) -> None:
        self.all_users.publish_to(EVERYONE, Message(Topic.PRESENCE, to_all, user))
        if user in self.single_users:
            told = {
                connection
                for connection in self.single_users.subscribers(user)
                if connection.dialect.hears_of_users_once and self.all_users.is_subscribed(EVERYONE, connection)
            }
            self.single_users.publish_to(user, Message(Topic.PRESENCE, to_some, user), told)


def _names(parts: NameParts) -> Any:
    """
    Codecs treat parts as a tuple of names.
    """
    return parts
