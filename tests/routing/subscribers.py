"""
Subscribers of events, and the messages of their requests.
"""

from __future__ import annotations

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.dialect import Dialect
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from tests.fakes import FakeConnection, FakeWire
from tests.requesters import RequesterTestCase


def subscribe(*names: str) -> Message:
    return Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="7")


def unsubscribe(*names: str) -> Message:
    return Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=names)


def emit(name: str = "news") -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name, b"1")


def repeated(request: Message, name: str) -> Message:
    return Message(Topic.EVENT, EventAction.MULTIPLE_SUBSCRIPTIONS, name, original_action=request.action)


class SubscriptionTestCase(RequesterTestCase):
    """
    A registry, and its subscribers.

    @ivar seen: C{("first", name)} when a name got its first subscriber, C{("last", name)} when it lost the last one.
    """

    def setUp(self) -> None:
        self.registry = SubscriptionRegistry(Topic.EVENT)
        self.seen: list[tuple[str, str]] = []
        self.registry.observe(
            lambda name: self.seen.append(("first", name)), lambda name: self.seen.append(("last", name))
        )

    def subscriber(self, *names: str, wire: FakeWire | None = None, dialect: Dialect | None = None) -> FakeConnection:
        connection = self.connect(wire=wire)
        if dialect is not None:
            connection.dialect = dialect
        self.registry.subscribe(subscribe(*names), connection)
        connection.take()
        return connection
