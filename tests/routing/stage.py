"""
A topic of a node with its subscribers and listeners, for tests of listening.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from twisted.internet.task import Clock

from dstwist.config.settings import ListenSettings
from dstwist.interfaces import IPermission
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.dialect import PROTOBUF, Dialect
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.search_order import Choose
from dstwist.routing.subscriptions import SubscriptionRegistry
from tests.fakes import FakeConnection


class Stage:
    """
    One topic of one node with its subscribers and listeners. What they were sent is told in short: C{FOUND a.* abc}.
    """

    SHORT = {
        "SUBSCRIPTION_FOR_PATTERN_FOUND": "FOUND",
        "SUBSCRIPTION_FOR_PATTERN_REMOVED": "REMOVED",
        "SUBSCRIPTION_HAS_PROVIDER": "PROVIDED",
        "SUBSCRIPTION_HAS_NO_PROVIDER": "UNPROVIDED",
        "LISTEN_RESPONSE_TIMEOUT": "TIMEOUT",
    }

    def __init__(
        self,
        topic: Topic = Topic.RECORD,
        choose: Choose | None = None,
        clock: Clock | None = None,
        permission: IPermission | None = None,
        **options: Any,
    ) -> None:
        self.topic = topic
        self.clock = clock or Clock()
        self.subscriptions = SubscriptionRegistry(topic)
        self.listeners = ListenerRegistry(
            topic,
            self.subscriptions,
            ListenSettings(shuffle_providers=choose is not None, **options),
            self.clock,
            announce=topic is Topic.RECORD,
            permission=permission,
            choose=choose or random.choice,
        )

    def message(self, action: str, name: str | None = None, subscription: str | None = None, **fields: Any) -> Message:
        return Message(self.topic, ACTIONS[self.topic][action], name, subscription=subscription, **fields)

    def subscribe(self, connection: FakeConnection, name: str) -> None:
        self.subscriptions.subscribe(self.message("SUBSCRIBE", names=(name,)), connection)

    def unsubscribe(self, connection: FakeConnection, name: str) -> None:
        self.subscriptions.unsubscribe(self.message("UNSUBSCRIBE", names=(name,)), connection)

    def tell(self, connection: FakeConnection, action: str, pattern: str, name: str | None = None) -> None:
        self.listeners.handle(self.message(action, pattern, name), connection)

    def listen(self, connection: FakeConnection, pattern: str) -> None:
        self.tell(connection, "LISTEN", pattern)

    def unlisten(self, connection: FakeConnection, pattern: str) -> None:
        self.tell(connection, "UNLISTEN", pattern)

    def accept(self, connection: FakeConnection, pattern: str, name: str) -> None:
        self.tell(connection, "LISTEN_ACCEPT", pattern, name)

    def reject(self, connection: FakeConnection, pattern: str, name: str) -> None:
        self.tell(connection, "LISTEN_REJECT", pattern, name)

    def subscriber(self, name: str, dialect: Dialect = PROTOBUF) -> FakeConnection:
        connection = FakeConnection(dialect=dialect)
        self.subscribe(connection, name)
        connection.take()
        return connection

    def listener(self, *patterns: str, dialect: Dialect = PROTOBUF) -> FakeConnection:
        """
        A connection that listens; what it was sent at once is kept for L{heard}, but not the acknowledgements.
        """
        connection = FakeConnection(dialect=dialect)
        for pattern in patterns:
            self.listen(connection, pattern)
        for message in [message for message in connection.take() if not message.is_ack]:
            connection.write(message)
        return connection

    def heard(self, connection: FakeConnection) -> list[str]:
        """
        What C{connection} was sent since this was last asked.
        """
        return [self._short(message) for message in connection.take()]

    def _short(self, message: Message) -> str:
        action = message.action.name
        words = ["ACK"] if message.is_ack else []
        words.append(self.SHORT.get(action, action))
        words += filter(None, [message.name, message.subscription])
        return " ".join(words)


# Of patterns see test_matching.
MODULES = (
    "dstwist.routing.listeners",
    "dstwist.routing.registrations",
    "dstwist.routing.offers",
    "dstwist.routing.own_subscriptions",
    "dstwist.routing.providers",
    "dstwist.routing.new_listeners",
    "dstwist.routing.rematch",
    "dstwist.routing.pending_decisions",
    "dstwist.routing.provider_search",
    "dstwist.routing.provider_assignment",
    "dstwist.routing.search_order",
    "dstwist.scheduling.deadlines",
    "dstwist.scheduling.time_slices",
)


def entries(thing: object) -> int:
    """
    How many entries there are in all tables that C{thing} holds, near and far.
    """
    seen: set[int] = set()
    left, found = [thing], 0
    while left:
        current = left.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, dict):
            left += current.values()
        elif isinstance(current, (list, set, deque)):
            left += current
        else:
            if type(current).__module__ in MODULES:
                names = getattr(type(current), "__slots__", None) or vars(current)
                left += [getattr(current, name) for name in names]
            continue
        found += len(current)
    return found
