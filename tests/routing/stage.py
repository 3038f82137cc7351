"""
A topic of a node with its subscribers and listeners, for tests of listening.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import ListenSettings
from dstwist.interfaces import IIdentity, IPermission
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.dialect import PROTOBUF, Dialect
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.provider_search import Choose
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import BusyClock, FakeConnection
from tests.logs import Lines
from tests.requesters import RequesterTestCase

#: How the log names the clients of these tests.
ANN = "ann (192.0.2.1, /deepstream, #7)"


class Stage:
    """
    One topic of one node with its subscribers and listeners. Messages to clients are shown in short: C{FOUND a.* abc}.

    @param connect: makes the clients.
    @param cluster: the node, if there are others.
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
        connect: Callable[..., FakeConnection] = FakeConnection,
        cluster: ClusterNode | None = None,
        **options: Any,
    ) -> None:
        self.topic = topic
        self.connect = connect
        self.clock: Any = clock or (Clock() if cluster is None else cluster.clock)
        self.subscriptions = SubscriptionRegistry(topic)
        self.listeners = ListenerRegistry(
            topic,
            self.subscriptions,
            ListenSettings(shuffle_providers=choose is not None, **options),
            self.clock,
            announce=topic is Topic.RECORD,
            permission=permission,
            choose=choose or random.choice,
            cluster=cluster,
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
        connection = self.connect(dialect=dialect)
        self.subscribe(connection, name)
        connection.take()
        return connection

    def listener(self, *patterns: str, dialect: Dialect = PROTOBUF) -> FakeConnection:
        """
        A connection that listens; what it was sent at once is kept for L{heard}, but not the acknowledgements.
        """
        connection = self.connect(dialect=dialect)
        for pattern in patterns:
            self.listen(connection, pattern)
        for message in [message for message in connection.take() if not message.is_ack]:
            connection.send(message)
        return connection

    def heard(self, connection: FakeConnection) -> list[str]:
        """
        The messages to C{connection} since the last call.
        """
        return [self._short(message) for message in connection.take()]

    def _short(self, message: Message) -> str:
        action = message.action.name
        words = ["ACK"] if message.is_ack else []
        words.append(self.SHORT.get(action, action))
        words += filter(None, [message.name, message.subscription])
        return " ".join(words)


class Fragile(FakeConnection):
    """
    A connection that closes when it is sent the message that is one too many, as one does whose client does not read.
    """

    def __init__(self, holds: int, action: str = "") -> None:
        super().__init__()
        self.holds = holds
        self.action = action

    def send(self, message: Message) -> None:
        if not self.closed and self.action in message.action.name:
            self.holds -= 1
            if self.holds < 0:
                self.close("outgoing buffer full")
        super().send(message)


class SearchCase(RequesterTestCase):
    """
    Tests of a L{Stage} of records, where time passes only when a test says so.
    """

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.stage = Stage(clock=self.clock, connect=self.connect)

    def busy(self, steps: int = 4) -> None:
        """
        From now on everything takes so long that C{steps} looks at the time fill a slice.
        """
        self.clock.tick = TIME_SLICE / steps

    def names(self, count: int, prefix: str = "a") -> list[str]:
        return [f"{prefix}{number}" for number in range(count)]

    def subscriber(self, *names: str) -> FakeConnection:
        connection = self.connect("subscriber")
        for name in names:
            self.stage.subscribe(connection, name)
        connection.take()
        return connection

    def provider(self, pattern: str, *names: str) -> FakeConnection:
        """
        A listener that provides C{names}.
        """
        connection = self.stage.listener(pattern)
        for name in names:
            self.stage.accept(connection, pattern, name)
            self.assertTrue(self.stage.listeners.provided(name))
        connection.take()
        return connection

    def turns(self, limit: int = 1000) -> int:
        """
        Let the reactor go on until nothing is to be done at once; how many turns that took.
        """
        for number in range(limit):
            if not any(call.getTime() <= self.clock.rightNow for call in self.clock.getDelayedCalls()):
                return number
            self.clock.advance(0)
        raise AssertionError("there is no end of it")

    def matched(self) -> list[str]:
        """
        The names that are matched with patterns from now on.
        """
        names: list[str] = []
        table: Any = self.stage.listeners._registrations
        ask = table.matching

        def matching(name: str) -> Any:
            names.append(name)
            return ask(name)

        self.patch(table, "matching", matching)
        return names


Decision = bool | Deferred[bool]


@implementer(IPermission)
class Rule:
    """
    A permission that a test writes as a function of the user and the name.
    """

    def __init__(self, decide: Callable[[str | None, str | None], Any]) -> None:
        self.decide = decide
        self.asked: list[tuple[Message, IIdentity]] = []

    def allows(self, message: Message, identity: IIdentity, *others: Any) -> Decision:
        self.asked.append((message, identity))
        decision: Decision = self.decide(identity.user, message.name)
        return decision


class PermissionCase(RequesterTestCase):
    """
    Tests of a L{Stage} with a L{Rule}.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)

    def make(self, decide: Callable[[str | None, str | None], Any], **options: Any) -> Stage:
        self.rule = Rule(decide)
        return Stage(permission=self.rule, connect=self.connect, **options)

    def listener(self, stage: Stage, user: str, *patterns: str, dialect: Any = PROTOBUF) -> FakeConnection:
        connection = self.connect(user, dialect=dialect)
        for pattern in patterns:
            stage.listen(connection, pattern)
        connection.take()
        return connection


# The table of patterns is looked at by its own tests.
MODULES = (
    "dstwist.routing.listeners",
    "dstwist.routing.registrations",
    "dstwist.routing.offers",
    "dstwist.routing.sole_subscribers",
    "dstwist.routing.providers",
    "dstwist.routing.new_listeners",
    "dstwist.routing.local_demand",
    "dstwist.routing.rematch",
    "dstwist.routing.pending_decisions",
    "dstwist.routing.topic_searches",
    "dstwist.routing.provider_assignment",
    "dstwist.routing.provider_search",
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
