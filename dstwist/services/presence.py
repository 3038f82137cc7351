"""
The PRESENCE topic: which users are online, and who is told when one comes or goes.

A user is online from the login of his first connection until the end of his last one (L{dstwist.connections.users}), or
until C{presence.gracePeriod} after that: one who is back by then has never been away. Each coming and going is told
once (C{services.md} section 6).

================================  ==============  =================================================================
from client                       fields          answer
================================  ==============  =================================================================
SUBSCRIBE_ALL, UNSUBSCRIBE_ALL                    ack
SUBSCRIBE, UNSUBSCRIBE            names           ack
QUERY_ALL                                         QUERY_ALL_RESPONSE: all users who are online but the asker's own
QUERY                             names           QUERY_RESPONSE: of each name whether that user is online
================================  ==============  =================================================================

============  ===================================  ================================
when          to who is subscribed to everybody    to who is subscribed to the user
============  ===================================  ================================
a user comes  PRESENCE_JOIN_ALL                    and then PRESENCE_JOIN
a user goes   PRESENCE_LEAVE_ALL                   and then PRESENCE_LEAVE
============  ===================================  ================================

Requests without any names are answered like all others. A subscription that is there already, or never was, is
acknowledged: clients of v2 and v3 report a missing acknowledgement of presence. MULTIPLE_SUBSCRIPTIONS comes before the
acknowledgement of a repeated subscription. Clients of v2 and v3 get it for everybody only; of single users they do not
know it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import IConnection, ITopicService, Work
from dstwist.limits.budgets import Budget
from dstwist.limits.outgoing import TurnBudget
from dstwist.protocol.constants import EVERYONE, PresenceAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.protocol.name_parts import Parts
from dstwist.protocol.typed import has_separators
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import Steps
from dstwist.services.roster import Roster


@implementer(ITopicService)
class PresenceService:
    """
    Tells of users who come and go, and answers who is there.

    @param max_subscriptions: how many users one connection may be subscribed to.
    @param room: how many bytes of memory all subscriptions may take.
    @param outgoing: counts the bytes of what subscribers are told.
    @ivar everybody: who is subscribed to all users, under the one name L{EVERYONE}. A registry of its own, since a
        user may be called that.
    @ivar single: who is subscribed to which user.
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
        # Those who have come and not left: with a connection, or away for a while.
        self._online = Roster()
        # The answers that are being put together.
        self._answers: list[dict[str, bool]] = []
        self.everybody = SubscriptionRegistry(Topic.PRESENCE, outgoing=outgoing)
        self.single = SubscriptionRegistry(
            Topic.PRESENCE, limit=max_subscriptions, room=room, outgoing=outgoing, clock=clock
        )
        self._settings = settings
        # Users without a connection who have not left yet.
        self._away: Deadlines[str] = Deadlines(settings.grace_period, clock, self._leave)
        self._stopped = False
        self._clock = clock
        users.observe(self._came, self._went)
        self._actions: dict[IntEnum, Callable[[Message, IConnection], None]] = {
            PresenceAction.SUBSCRIBE_ALL: self._subscribe_all,
            PresenceAction.UNSUBSCRIBE_ALL: self._unsubscribe_all,
            PresenceAction.SUBSCRIBE: self._subscribe,
            PresenceAction.UNSUBSCRIBE: self._unsubscribe,
            PresenceAction.QUERY_ALL: self._query_all,
            PresenceAction.QUERY: self._query,
        }

    def handle(self, message: Message, sender: IConnection) -> None:
        # No default: the codecs let through only what a client may send.
        self._actions[message.action](message, sender)

    def handle_remote(self, message: Message) -> None:
        """
        Nothing: of presence, nodes tell each other only who is online, and each tells its own clients.
        """

    def stop(self) -> None:
        """
        Tell nobody of users who go from now on: all clients are about to be told that the server stops.
        """
        self._stopped = True
        self._away.stop()

    # -- subscriptions

    def _subscribe_all(self, message: Message, sender: IConnection) -> None:
        # Its permission may have taken longer than the client stayed.
        if sender.closed:
            return
        if not self.everybody.add(EVERYONE, sender):
            sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", EVERYONE, flagged=False))
        sender.send(message.ack())

    def _unsubscribe_all(self, message: Message, sender: IConnection) -> None:
        self.everybody.discard(EVERYONE, sender)
        sender.send(message.ack())

    def _subscribe(self, message: Message, sender: IConnection) -> None:
        sender.do(self._subscribing(message, sender))

    def _subscribing(self, message: Message, sender: IConnection) -> Work:
        steps = Steps(self._clock)
        over = False
        for user in message.names:
            if over:
                yield None
                steps.begin()
            over = steps.over()
            if not sender.dialect.carries_every_name and has_separators(user):
                # The client could not be told that this user comes.
                sender.send(message.error("MESSAGE_DENIED", user))
                continue
            if self.single.add(user, sender):
                continue
            if not self.single.wants(user, sender):
                sender.send(message.error("MESSAGE_DENIED", user))
            elif sender.dialect.acks_repeated_subscriptions:
                sender.send(message.error("MULTIPLE_SUBSCRIPTIONS", user, flagged=False))
        sender.send(message.ack())

    def _unsubscribe(self, message: Message, sender: IConnection) -> None:
        sender.do(self._unsubscribing(message, sender))

    def _unsubscribing(self, message: Message, sender: IConnection) -> Work:
        steps = Steps(self._clock)
        over = False
        for user in message.names:
            if over:
                yield None
                steps.begin()
            over = steps.over()
            self.single.discard(user, sender)
        sender.send(message.ack())

    # -- queries

    def _query_all(self, message: Message, sender: IConnection) -> None:
        sender.do(self._querying_all(sender))

    def _querying_all(self, sender: IConnection) -> Work:
        # To encode very many users takes long, so it is done in steps. The answer itself is made in the last step, of
        # those who are online then: what has changed meanwhile is encoded once more.
        wire, steps = sender.wire, Steps(self._clock)
        for part in self._online.all_but(None).parts:
            if wire not in part.encoded:
                wire.encode(Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=_names(Parts((part,)))))
                part.encoded[wire] = True
                if steps.over():
                    yield None
                    steps.begin()
        others = _names(self._online.all_but(sender.user))
        sender.send(Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=others))

    def _query(self, message: Message, sender: IConnection) -> None:
        sender.do(self._querying(message, sender))

    def _querying(self, message: Message, sender: IConnection) -> Work:
        online: dict[str, bool] = {}
        # Who comes or goes meanwhile changes it, so that it is true when it is sent.
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

    # -- coming and going

    def _came(self, user: str) -> None:
        if user in self._away:
            self._away.remove(user)
        else:
            self._online.add(user)
            self._correct(user, True)
            self._tell(PresenceAction.PRESENCE_JOIN_ALL, PresenceAction.PRESENCE_JOIN, user)

    def _went(self, user: str) -> None:
        if self._stopped:
            return
        if not self._settings.grace_period:
            self._leave(user)
            return
        # There is room for one at least.
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
        self.everybody.publish_to(EVERYONE, Message(Topic.PRESENCE, to_all, user))
        if user in self.single:
            told = {
                connection
                for connection in self.single.subscribers(user)
                if connection.dialect.hears_of_users_once and self.everybody.wants(EVERYONE, connection)
            }
            self.single.publish_to(user, Message(Topic.PRESENCE, to_some, user), told)


def _names(parts: Parts) -> Any:
    """
    For codecs, parts are as good as a tuple.
    """
    return parts
