"""
A whole node and messages of the largest size: what they cost in one turn of the reactor.
"""

from __future__ import annotations

import gc
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import Settings
from dstwist.interfaces import Change, Record
from dstwist.node import Node
from dstwist.protocol import drafts, jsontext
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message
from dstwist.services.record.sizes import RecordSizes
from tests.fakes import BusyReactor
from tests.nodes.client import MemoryClient
from tests.turns import LONGEST, turn_lengths

#: The time, in seconds, for a byte of JSON that is read, for a byte of a record that is made, for a unit of the weight
#: of a record that is freed, and for a change that is made.
BYTE = 50e-9
MADE = 17e-9
FREED = 0.4e-9
CHANGE = 5e-6

VALUE = b"[%s]" % b",".join([b"[]"] * 300_000)
CHANGES = [{"path": f"k{number}.x", "data": [number]} for number in range(20_000)]


class LongMessageTests(SynchronousTestCase):
    """
    One message each, of nearly a megabyte.
    """

    def setUp(self) -> None:
        # Records of earlier tests would be charged to this one.
        gc.collect()
        self.reactor: Any = BusyReactor()
        read, write = jsontext._orjson_loads, drafts.Draft.write

        def charged_read(text: bytes | str) -> Any:
            self.reactor.rightNow += BYTE * len(text)
            return read(text)

        def charged_write(draft: Any, *arguments: Any, **options: Any) -> None:
            self.reactor.rightNow += CHANGE
            write(draft, *arguments, **options)

        self.patch(jsontext, "_orjson_loads", charged_read)
        self.patch(drafts.Draft, "write", charged_write)
        make = RecordSizes.make

        def charged_make(sizes: RecordSizes, version: int, change: Change) -> Record:
            self.reactor.rightNow += MADE * len(change.message.data or b"")
            return make(sizes, version, change)

        self.patch(RecordSizes, "make", charged_make)

        def charged_end(record: Record) -> None:
            self.reactor.rightNow += FREED * (record.weight or 0)

        Record.__del__ = charged_end  # type: ignore[attr-defined]
        self.addCleanup(delattr, Record, "__del__")
        weigh = RecordSizes._by_path

        def charged_weigh(sizes: RecordSizes, path: str, old: Record) -> int:
            self.reactor.rightNow += CHANGE
            return weigh(sizes, path, old)

        self.patch(RecordSizes, "_by_path", charged_weigh)
        self.node = Node(Settings(), [], self.reactor)
        self.node.startService()
        self.reactor.advance(0)

    def tearDown(self) -> None:
        self.node.stopService()

    def client(self, generation: str, user: str) -> MemoryClient:
        client = MemoryClient(self.node, generation)
        client.log_in(user)
        self.reactor.advance(0)
        return client

    def say(self, client: MemoryClient, message: Message, then: Message | None = None) -> None:
        """
        Make C{client} send C{message}, and C{then} right after it; no turn may be long.
        """
        payload = client.codec.encode(message) + (client.codec.encode(then) if then is not None else b"")
        self.assertGreater(len(payload), 600_000)
        lengths = turn_lengths(self.reactor, lambda: client.send(payload))
        self.assertLess(max(lengths), LONGEST)
        self.assertGreater(sum(lengths), LONGEST)

    def data(self, generation: str) -> Any:
        return VALUE if generation == "v4" else "O" + VALUE.decode()

    def test_events(self) -> None:
        """
        An event arrives as it was sent, behind the ones before it and before those behind it.
        """
        for generation in ("v4", "v3"):
            emitter, subscriber = self.client(generation, "ann"), self.client("v4", "bob")
            subscriber.subscribe("news")
            self.reactor.advance(0)
            subscriber.heard()
            emitter.emit("news", b"1" if generation == "v4" else "N1")
            last = Message(Topic.EVENT, EventAction.EMIT, "news", b"2" if generation == "v4" else "N2")
            self.say(emitter, Message(Topic.EVENT, EventAction.EMIT, "news", self.data(generation)), last)
            self.assertTrue([message.data for message in subscriber.heard()] == [b"1", VALUE, b"2"])

    def test_calls(self) -> None:
        """
        A long call waits in the same way.
        """
        caller, provider = self.client("v4", "ann"), self.client("v4", "bob")
        provider.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="1"))
        self.reactor.advance(0)
        provider.heard()
        self.say(caller, Message(Topic.RPC, RpcAction.REQUEST, "add", VALUE, correlation_id="7"))
        self.assertTrue([message.data for message in provider.heard()] == [VALUE])

    def test_invalid(self) -> None:
        """
        Text that is no JSON is refused.
        """
        emitter = self.client("v4", "ann")
        self.say(emitter, Message(Topic.EVENT, EventAction.EMIT, "news", VALUE[:-1] + b",]"))
        self.assertEqual([message.action for message in emitter.heard()], [EventAction.INVALID_MESSAGE_DATA])

    def assert_record(self, reader: MemoryClient, name: str, version: int, value: Any) -> None:
        reader.say(Message(Topic.RECORD, RecordAction.READ, name))
        turn_lengths(self.reactor, list)
        (answer,) = reader.heard()
        self.assertEqual(answer.version, version)
        # A message of assertEqual would have megabytes.
        self.assertTrue(loads(answer.data) == value)

    def test_records(self) -> None:
        """
        The record becomes the value that was sent. The next request of its sender finds the record written.
        """
        for generation in ("v4", "v3"):
            writer = self.client(generation, "ann")
            name = f"r{generation}"
            whole = Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, name, VALUE, version=-1)
            head = Message(Topic.RECORD, RecordAction.HEAD, name)
            self.say(writer, whole, head)
            answers = writer.heard()
            self.assertEqual([(answer.action, answer.version) for answer in answers], [(RecordAction.HEAD_RESPONSE, 1)])
            self.assert_record(self.client("v4", "bob"), name, 1, loads(VALUE))

    def test_paths(self) -> None:
        """
        A long value at a path waits in the same way.
        """
        for generation in ("v4", "v3"):
            writer = self.client(generation, "ann")
            name = f"p{generation}"
            write = Message(
                Topic.RECORD, RecordAction.CREATEANDPATCH, name, self.data(generation), path="a.b", version=-1
            )
            self.say(writer, write)
            self.assert_record(self.client("v4", "bob"), name, 1, {"a": {"b": loads(VALUE)}})

    def test_updates(self) -> None:
        """
        A long value of an existing record waits in the same way, and subscribers get it.
        """
        writer, subscriber = self.client("v4", "ann"), self.client("v4", "bob")
        subscriber.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("u",), correlation_id="1"))
        turn_lengths(self.reactor, list)
        subscriber.heard()
        whole = b'{"a":%s}' % VALUE
        self.say(writer, Message(Topic.RECORD, RecordAction.UPDATE, "u", whole, version=1))
        self.say(writer, Message(Topic.RECORD, RecordAction.PATCH, "u", VALUE, path="a[0]", version=2))
        news = subscriber.heard()
        self.assertEqual(
            [(each.action, each.version) for each in news], [(RecordAction.UPDATE, 1), (RecordAction.PATCH, 2)]
        )
        self.assertTrue([each.data for each in news] == [whole, VALUE])
        self.assert_record(subscriber, "u", 2, {"a": [loads(VALUE), *loads(VALUE)[1:]]})

    def test_many_changes(self) -> None:
        """
        A write with very many changes makes all of them, or none if one cannot be made.
        """
        writer, reader = self.client("v4", "ann"), self.client("v4", "bob")
        writer.say(Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, "m", b"{}", version=-1))
        write = Message(Topic.RECORD, RecordAction.PATCH_MULTI, "m", json.dumps(CHANGES).encode(), version=2)
        self.say(writer, write)
        made = {f"k{number}": {"x": [number]} for number in range(20_000)}
        self.assertEqual(writer.heard(), [])
        self.assert_record(reader, "m", 2, made)
        write.data = json.dumps([*CHANGES, {"path": "__proto__", "data": 1}]).encode()
        write.version = 3
        self.say(writer, write)
        self.assertEqual([answer.action for answer in writer.heard()][:1], [RecordAction.INVALID_MESSAGE_DATA])
        self.assert_record(reader, "m", 2, made)

    def test_presence(self) -> None:
        """
        A text client asks for very many users.
        """
        client = self.client("v3", "ann")
        names = tuple(f"user{number}" for number in range(60_000))
        self.say(client, Message(Topic.PRESENCE, PresenceAction.QUERY, names=(*names, "ann"), correlation_id="1"))
        (answer,) = client.heard()
        self.assertEqual(sum(loads(answer.data).values()), 1)
