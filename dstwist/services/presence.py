"""
The PRESENCE topic: which users are online, and which clients are told when a user joins or leaves.

Which users are online, L{dstwist.services.online_here} finds out, and if there are several nodes,
L{dstwist.services.online_anywhere}. Each join and each leave is announced once (C{services.md} section 6).

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

With several nodes, the owners of users in the directory have to tell this node of users that it did not watch before.
An answer waits for that, for up to C{subscribeTimeout}; then it says what is known. A subscriber is told nothing of a
user of whom the owner has not told: a user who has been online before the subscription does not join.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.cluster.kinds import USER
from dstwist.cluster.node import ClusterNode
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
from dstwist.scheduling.time_slices import Steps
from dstwist.services.online_anywhere import OnlineAnywhere
from dstwist.services.online_here import OnlineHere

#: Of how many users the owners have to tell at a time for one query. They are watched for that, which takes memory.
LEARNED_AT_ONCE = 500


@implementer(ITopicService)
class PresenceService:
    """
    Announces joins and leaves, and answers queries.

    @param max_subscriptions: how many users one connection may be subscribed to.
    @param room: limits the bytes of memory of all subscriptions.
    @param outgoing: counts the bytes that are sent to subscribers.
    @param cluster: C{None}: there are no other nodes.
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
        cluster: ClusterNode | None = None,
    ) -> None:
        # The answers to the queries that are being served.
        self._answers: list[dict[str, bool]] = []
        self.all_users = SubscriptionRegistry(Topic.PRESENCE, outgoing=outgoing)
        self.single_users = SubscriptionRegistry(
            Topic.PRESENCE, limit=max_subscriptions, room=room, outgoing=outgoing, clock=clock
        )
        self._clock = clock
        # The subscribers to all users that have no acknowledgement yet, and whether there is no other one.
        self._muted: set[IRequester] = set()
        self._all_wait = False
        self._anywhere: OnlineAnywhere | None = None
        self._learn_time = 0.0
        if cluster is None:
            self._users: OnlineHere | OnlineAnywhere = OnlineHere(users, settings, clock, self._join, self._leave)
        else:
            anywhere = OnlineAnywhere(users, settings, clock, self._join, self._leave, cluster)
            self._users = self._anywhere = anywhere
            self._learn_time = cluster.settings.subscribe_timeout
            directory = cluster.directory
            self.single_users.bound_names(partial(directory.has_room, USER), directory.most_bytes)
            users.bound_names(partial(directory.has_room, USER))
            self.single_users.observe(anywhere.subscribed, anywhere.unsubscribed)
            self.all_users.observe(lambda _: anywhere.all_subscribed(), lambda _: anywhere.all_unsubscribed())
        # The users who have joined and not left.
        self._online = self._users.roster
        self._actions: dict[IntEnum, Callable[[Message, IRequester], None]] = {
            PresenceAction.SUBSCRIBE_ALL: self._subscribe_all,
            PresenceAction.UNSUBSCRIBE_ALL: self._unsubscribe_all,
            PresenceAction.SUBSCRIBE: self._subscribe,
            PresenceAction.UNSUBSCRIBE: self._unsubscribe,
            PresenceAction.QUERY_ALL: self._query_all,
            PresenceAction.QUERY: self._query,
        }

    @property
    def online(self) -> int:
        """
        How many users this node knows to be online.
        """
        return len(self._online)

    def handle(self, message: Message, sender: IRequester) -> None:
        # No default: the codecs let through only what a client may send.
        self._actions[message.action](message, sender)

    def stop(self) -> None:
        """
        Announce no leaves from now on: all clients are about to be told that the server stops.
        """
        self._users.stop()

    # -- subscriptions

    def _subscribe_all(self, message: Message, sender: IRequester) -> None:
        # The client may have gone before its permission was decided.
        if sender.closed:
            return
        first = EVERYONE not in self.all_users
        if not self.all_users.add(EVERYONE, sender):
            sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", EVERYONE, flagged=False))
        elif self._anywhere is not None:
            told = self._anywhere.learn_all(self._clock.seconds() + self._learn_time)
            if told is not None:
                self._all_wait = self._all_wait or first
                sender.do(self._subscribing_all(told, message, sender))
                return
            self._all_wait = False
        sender.send(message.ack())

    def _subscribing_all(self, told: Deferred[None], message: Message, sender: IRequester) -> Work:
        self.all_users.mute(EVERYONE, sender)
        self._muted.add(sender)
        try:
            yield told
        finally:
            self._muted.discard(sender)
            if self.all_users.is_subscribed(EVERYONE, sender):
                self.all_users.unmute(EVERYONE, sender)
                self._all_wait = False
        sender.send(message.ack())

    def _unsubscribe_all(self, message: Message, sender: IRequester) -> None:
        self.all_users.discard(EVERYONE, sender)
        sender.send(message.ack())

    def _subscribe(self, message: Message, sender: IRequester) -> None:
        sender.do(self._subscribing(message, sender))

    def _subscribing(self, message: Message, sender: IRequester) -> Work:
        unknown: list[str] = []
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
                if self._anywhere is not None and not self._anywhere.is_known(user):
                    self.single_users.mute(user, sender)
                    unknown.append(user)
                continue
            if not self.single_users.is_subscribed(user, sender):
                sender.send(message.error("MESSAGE_DENIED", user))
            elif sender.dialect.acks_repeated_subscriptions:
                sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", user, flagged=False))
        if unknown:
            yield from self._learning(unknown, sender)
        sender.send(message.ack())

    def _learning(self, users: list[str], sender: IRequester) -> Work:
        """
        Wait until the owners have told of C{users}, to whom C{sender} is subscribed.
        """
        assert self._anywhere is not None
        told = self._anywhere.learn(users, self._clock.seconds() + self._learn_time)
        try:
            if told is not None:
                yield told
        finally:
            for user in users:
                self.single_users.unmute(user, sender)

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
        if self._anywhere is not None:
            told = self._anywhere.learn_all(self._clock.seconds() + self._learn_time)
            if told is not None:
                yield told
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
        unknown: list[str] = []
        until = self._clock.seconds() + self._learn_time
        try:
            steps = Steps(self._clock)
            over = False
            for user in message.names:
                if over:
                    yield None
                    steps.begin()
                over = steps.over()
                online[user] = user in self._online
                if self._anywhere is not None and not online[user]:
                    unknown.append(user)
                    if len(unknown) == LEARNED_AT_ONCE:
                        yield self._anywhere.learn(unknown, until)
                        unknown.clear()
            if unknown and self._anywhere is not None:
                yield self._anywhere.learn(unknown, until)
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

    def _join(self, user: str) -> None:
        self._correct(user, True)
        self._tell(PresenceAction.PRESENCE_JOIN_ALL, PresenceAction.PRESENCE_JOIN, user)

    def _leave(self, user: str) -> None:
        self._correct(user, False)
        self._tell(PresenceAction.PRESENCE_LEAVE_ALL, PresenceAction.PRESENCE_LEAVE, user)

    def _correct(self, user: str, online: bool) -> None:
        for answer in self._answers:
            if user in answer:
                answer[user] = online

    def _tell(self, to_all: PresenceAction, to_some: PresenceAction, user: str) -> None:
        # While this node is told of all users, there may be very many of them.
        if EVERYONE in self.all_users and not self._all_wait:
            self.all_users.publish_to(EVERYONE, Message(Topic.PRESENCE, to_all, user))
        if user in self.single_users:
            told = {
                connection
                for connection in self.single_users.subscribers(user)
                if connection.dialect.hears_of_users_once
                and self.all_users.is_subscribed(EVERYONE, connection)
                and connection not in self._muted
            }
            self.single_users.publish_to(user, Message(Topic.PRESENCE, to_some, user), told)


def _names(parts: NameParts) -> Any:
    """
    Codecs treat parts as a tuple of names.
    """
    return parts
