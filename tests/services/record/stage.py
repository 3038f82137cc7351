"""
What the tests of records share: a service between stand-ins, and the words to talk to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from dstwist.config.settings import ListenSettings, RecordSettings
from dstwist.interfaces import Change, IIdentity, IPermission, IWire, Record
from dstwist.protocol import text
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record.acks import ACK_DELAY_SECONDS
from dstwist.services.record.service import RecordService
from dstwist.store.tiers import TieredStore
from tests.fakes import (
    FakeCallbackStore,
    FakeConnection,
    FakeStore,
    FakeWire,
)
from tests.requesters import RequesterTestCase
from tests.wire import readable

A = RecordAction


def ask(action: RecordAction, name: str | None = None, data: Any = None, **fields: Any) -> Message:
    """
    A message of the topic.
    """
    return Message(Topic.RECORD, action, name, data, **fields)


def update(name: str, version: int, value: Any, **fields: Any) -> Message:
    """
    A write of a whole record, or the news of one.
    """
    return ask(A.UPDATE, name, dumps(value), version=version, **fields)


def patch(name: str, version: int, path: str, value: Any, **fields: Any) -> Message:
    """
    A write of one path, or the news of one.
    """
    return ask(A.PATCH, name, dumps(value), version=version, path=path, **fields)


def wanting_ack(message: Message, correlation_id: str = "1") -> Message:
    """
    The same write, of a v4+ client whose application wants to know what came of it.
    """
    message.is_write_ack = True
    message.correlation_id = correlation_id
    return message


def written(name: str, correlation_id: str = "1") -> Message:
    """
    The acknowledgement of a write for v4+ clients.
    """
    return ask(A.WRITE_ACKNOWLEDGEMENT, name, correlation_id=correlation_id, is_write_ack=True)


def read_response(name: str, version: int, value: Any) -> Message:
    """
    What a record holds.
    """
    return ask(A.READ_RESPONSE, name, dumps(value), version=version)


def failed(message: Message) -> Message:
    """
    What a v4+ client is told of a write that was not done.
    """
    return message.error(A.RECORD_UPDATE_ERROR)


def exists(message: Message, version: int, value: str, action: RecordAction = A.UPDATE) -> Message:
    """
    What a v4+ client is told of a write that came too late.
    """
    return ask(
        A.VERSION_EXISTS,
        message.name,
        value.encode(),
        version=version,
        original_action=action,
        correlation_id=message.correlation_id,
        is_write_ack=message.is_write_ack,
    )


@implementer(IPermission)
class Rules:
    """
    Permissions as a function; by default all is allowed.

    @ivar asked: the actions that were asked for, and the records that came with the question.
    """

    def __init__(self) -> None:
        self.rule: Callable[[Message, Record | None], bool | Deferred[bool]] = lambda message, record: True
        self.asked: list[tuple[Any, Record | None]] = []

    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool | Deferred[bool]:
        record = None if change is None else change.old
        self.asked.append((message.action, record))
        return self.rule(message, record)


@implementer(IWire)
class ReadableWire:
    """
    The wire of text clients; its frames are what they read, in the notation of L{tests.wire}.
    """

    codec = text.SERVER
    patches_many = False
    takes_patches = True

    def encode(self, message: Message) -> Any:
        return readable(self.codec.encode(message))


class RecordTestCase(RequesterTestCase):
    """
    A record service between a cache, a storage and some connections.

    @cvar instant: whether the cache does without Deferreds what takes no time.
    @cvar callbacks: whether the storage writes without Deferreds.
    @cvar rules_class: makes the permission.
    """

    instant = False
    callbacks = False
    rules_class = Rules

    def setUp(self) -> None:
        self.serve()

    def serve(self, storage: bool = True, clock: Clock | None = None, cluster: Any = None, **settings: Any) -> None:
        """
        Have a service, anew.

        @param cluster: the part of the node in a cluster; C{None}: it is the only one.
        """
        self.clock = Clock() if clock is None else clock
        self.cache = self.make_cache()
        self.storage = self.make_storage()
        self.rules = self.rules_class()
        self.subscriptions = SubscriptionRegistry(Topic.RECORD)
        self.listeners = ListenerRegistry(
            Topic.RECORD, self.subscriptions, ListenSettings(shuffle_providers=False), self.clock, announce=True
        )
        self.settings = RecordSettings(**settings)
        self.service = RecordService(
            self.subscriptions,
            self.listeners,
            cluster,
            self.rules,
            TieredStore(self.cache, self.storage if storage else None, self.settings, self.clock),
            self.settings,
            self.clock,
        )
        self.wire = FakeWire()
        self.text_wire = ReadableWire()

    def make_cache(self) -> Any:
        cache = FakeStore(self.clock)
        cache.instant = self.instant
        return cache

    def make_storage(self) -> Any:
        return FakeCallbackStore(self.clock) if self.callbacks else FakeStore(self.clock)

    def young(self, *names: str) -> FakeConnection:
        """
        A v4+ client that is subscribed to C{names}.
        """
        connection = self.connect("young", self.wire)
        for name in names:
            self.subscriptions.add(name, connection)
        return connection

    def old(self, *names: str) -> FakeConnection:
        """
        A text client that is subscribed to C{names}; it takes what it was sent as text.
        """
        connection = self.connect("old", self.text_wire, TEXT)
        for name in names:
            self.subscriptions.add(name, connection)
        return connection

    def denied(self, request: Message, part: RecordAction) -> Message:
        """
        The denial of C{part} of C{request}. Clients of v4+ are told of their request.
        """
        denial = request.error(A.MESSAGE_DENIED)
        if self.in_process:
            denial.original_action = part
        return denial

    def counted_on(self, version: int) -> Message:
        """
        The acknowledgement of a write of version 1 to the record C{a} that has made C{version}. A requester in the same
        process is told that.
        """
        acknowledgement = written("a")
        if self.in_process:
            acknowledgement.version = version
        return acknowledgement

    def say(self, connection: FakeConnection, *messages: Message) -> list[Any]:
        """
        Have the service handle messages; what C{connection} was sent by then.
        """
        for message in messages:
            self.service.handle(message, connection)
        return connection.take()

    def say_text(self, connection: FakeConnection, payload: str) -> list[Any]:
        """
        The same with messages as a text client writes them: C{"R|SN|a+"}. Acknowledgements of writes are waited for.
        """
        messages = text.SERVER.decode(payload.replace("|", "\x1f").replace("+", "\x1e"))
        assert all(isinstance(message, Message) for message in messages), messages
        answers = self.say(connection, *messages)  # type: ignore[arg-type]
        if "writeSuccess" in payload:
            self.clock.advance(ACK_DELAY_SECONDS)
        return answers + connection.take()

    def have(self, name: str, version: int, value: Any) -> None:
        """
        Have a record in both stores.
        """
        self.cache.put(name, version, value)
        self.storage.put(name, version, value)

    def assert_stored(self, name: str, version: int, value: Any) -> None:
        """
        Both stores have that record.
        """
        expected = Record(version, value)
        self.assertEqual((self.cache.records.get(name), self.storage.records.get(name)), (expected, expected))

    def assert_gone(self, name: str) -> None:
        """
        Neither store has that record.
        """
        self.assertNotIn(name, self.cache.records)
        self.assertNotIn(name, self.storage.records)

    def expect_complaints(self) -> None:
        """
        The log tells of stores that failed, which is what the test is about.
        """
        self.flushLoggedErrors()
