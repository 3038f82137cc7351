"""
Tests for L{dstwist.http_api.items}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.http_api.items import BadItem, parse_item
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message


def item(topic: Any, action: Any, **more: Any) -> dict[str, Any]:
    return {"topic": topic, "action": action, **more}


def record(action: str, **more: Any) -> dict[str, Any]:
    return item("record", action, recordName="r", **more)


def written(data: bytes, path: str | None = None, version: int = -1) -> Message:
    action = RecordAction.CREATEANDPATCH if path else RecordAction.CREATEANDUPDATE
    return Message(Topic.RECORD, action, "r", data, path=path, version=version, is_write_ack=True)


#: Items, and their messages.
GOOD: list[tuple[dict[str, Any], Message]] = [
    (item("event", "emit", eventName="e"), Message(Topic.EVENT, EventAction.EMIT, "e")),
    (item("event", "emit", eventName="e", data=None), Message(Topic.EVENT, EventAction.EMIT, "e", b"null")),
    (item("event", "emit", eventName="e", data=[1]), Message(Topic.EVENT, EventAction.EMIT, "e", b"[1]")),
    (item("rpc", "make", rpcName="p"), Message(Topic.RPC, RpcAction.REQUEST, "p")),
    (item("rpc", "make", rpcName="p", data="\u00e9"), Message(Topic.RPC, RpcAction.REQUEST, "p", b'"\xc3\xa9"')),
    (record("read"), Message(Topic.RECORD, RecordAction.READ, "r")),
    (record("head"), Message(Topic.RECORD, RecordAction.HEAD, "r")),
    (record("delete"), Message(Topic.RECORD, RecordAction.DELETE, "r")),
    (record("write", data={}), written(b"{}")),
    (record("write", data=[]), written(b"[]")),
    (record("write", data={"a": 1}, path=""), written(b'{"a":1}')),
    (record("write", data=None, path="a.b"), written(b"null", "a.b")),
    (record("write", data={}, version=-1), written(b"{}")),
    (record("write", data={}, version=0), written(b"{}")),
    (record("write", data={}, version=7), written(b"{}", version=7)),
    (record("write", data=1, path="a", version=2.0), written(b"1", "a", 2)),
    (item("record", "notify", recordNames=["a", "b"]), Message(Topic.RECORD, RecordAction.NOTIFY, names=("a", "b"))),
    (item("list", "read", listName="r"), Message(Topic.RECORD, RecordAction.READ, "r")),
    (item("list", "delete", listName="r"), Message(Topic.RECORD, RecordAction.DELETE, "r")),
    (item("list", "write", listName="r", data=["a", ""]), written(b'["a",""]')),
    (item("list", "write", listName="r", data=[], version=3), written(b"[]", version=3)),
    (item("presence", "query"), Message(Topic.PRESENCE, PresenceAction.QUERY_ALL)),
    (item("presence", "query", names=["a"]), Message(Topic.PRESENCE, PresenceAction.QUERY, names=("a",))),
]

NAME = "must NOT have fewer than 1 characters"

_BAD_VERSIONS: list[Any] = [-2, 1.5, "1", None, True, [], 2**53]

#: Values that are no items, and the reasons.
BAD: list[tuple[Any, str]] = [
    (1, "property 'undefined' must be object"),
    (None, "property 'undefined' must be object"),
    ([], "property 'undefined' must be object"),
    ({}, "property 'topic' is required for topic 'undefined'"),
    ({"action": "emit"}, "property 'topic' is required for topic 'undefined'"),
    ({"topic": "x"}, "property 'action' is required for topic 'x'"),
    ({"topic": 5}, "property 'action' is required for topic 'undefined'"),
    (item("x", "emit"), "property 'topic' must be one of event, rpc, record, list, presence"),
    (item(5, "emit"), "property 'topic' must be one of event, rpc, record, list, presence"),
    (item([], "emit"), "property 'topic' must be one of event, rpc, record, list, presence"),
    (item("Event", "emit"), "property 'topic' must be one of event, rpc, record, list, presence"),
    (item("event", "subscribe"), "property 'action' must be one of emit for topic 'event'"),
    (item("event", {}), "property 'action' must be one of emit for topic 'event'"),
    (item("list", "head", listName="l"), "property 'action' must be one of read, delete, write for topic 'list'"),
    (item("event", "emit"), "property 'eventName' is required for topic 'event'"),
    (item("event", "emit", eventName=5), "property 'eventName' must be string"),
    (item("event", "emit", eventName=""), f"property 'eventName' {NAME}"),
    (item("event", "emit", eventName="\ud800"), "property 'eventName' must be valid Unicode"),
    (item("event", "emit", eventName="e", x=1), "property 'x' is not known for topic 'event'"),
    (item("event", "emit", eventName="e", recordName="r"), "property 'recordName' is not known for topic 'event'"),
    (item("rpc", "make"), "property 'rpcName' is required for topic 'rpc'"),
    (item("rpc", "make", rpcName=None), "property 'rpcName' must be string"),
    (item("record", "read"), "property 'recordName' is required for topic 'record'"),
    (record("read", data=1), "property 'data' is not known for topic 'record'"),
    (record("read", **{"x" * 1000: 1}), f"property '{'x' * 100}...' is not known for topic 'record'"),
    (record("write"), "property 'data' is required for topic 'record'"),
    (record("write", data="x"), "property 'data' must be object or array for topic 'record' without a path"),
    (record("write", data="x", path=""), "property 'data' must be object or array for topic 'record' without a path"),
    (record("write", data=1, path=5), "property 'path' must be string"),
    (record("write", data=1, path="\udc00"), "property 'path' must be valid Unicode"),
    (record("write", data={}, config={}), "property 'config' is not known for topic 'record'"),
    *[
        (record("write", data={}, version=version), "property 'version' must be integer >= -1")
        for version in _BAD_VERSIONS
    ],
    (item("record", "notify"), "property 'recordNames' is required for topic 'record'"),
    (item("record", "notify", recordNames="r"), "property 'recordNames' must be array of string"),
    (item("record", "notify", recordNames=[1]), "property 'recordNames' must be array of string"),
    (
        item("record", "notify", recordNames=["a", ""]),
        "property 'recordNames' must NOT have items with fewer than 1 characters",
    ),
    (item("list", "write", listName="l"), "property 'data' is required for topic 'list'"),
    (item("list", "write", listName="l", data={}), "property 'data' must be array of string"),
    (item("list", "write", listName="l", data=["a", 1]), "property 'data' must be array of string"),
    (item("list", "write", listName="l", data=[], path="0"), "property 'path' is not known for topic 'list'"),
    (item("list", "read", recordName="l"), "property 'listName' is required for topic 'list'"),
    (item("presence", "query", names="a"), "property 'names' must be array of string"),
    (item("presence", "query", names=None), "property 'names' must be array of string"),
    (item("presence", "subscribe"), "property 'action' must be one of query for topic 'presence'"),
]

#: The actions of answers without a correlation id.
AWAITED: dict[Any, Any] = {
    (Topic.RECORD, RecordAction.READ): RecordAction.READ_RESPONSE,
    (Topic.RECORD, RecordAction.HEAD): RecordAction.HEAD_RESPONSE,
    (Topic.RECORD, RecordAction.DELETE): RecordAction.DELETE_SUCCESS,
    (Topic.PRESENCE, PresenceAction.QUERY_ALL): PresenceAction.QUERY_ALL_RESPONSE,
}


class ItemTests(SynchronousTestCase):
    """
    From JSON values to messages.
    """

    def test_good(self) -> None:
        """
        Each good item becomes a message. Its answers are found by their action if they have no id.
        """
        for value, message in GOOD:
            found = parse_item(3, value)
            self.assertEqual((found.index, found.message, found.result), (3, message, None), value)
            self.assertIs(found.awaited, AWAITED.get((message.topic, message.action)), value)

    def test_nothing_to_ask(self) -> None:
        """
        An item without names has its result without any request. The Node server lets the first one time out.
        """
        for value, result in [
            (item("record", "notify", recordNames=[]), b'{"success":true}'),
            (item("presence", "query", names=[]), b'{"users":{},"success":true}'),
        ]:
            found = parse_item(0, value)
            self.assertEqual((found.message, found.result), (None, result))

    def test_bad(self) -> None:
        """
        Everything else is refused, with the reason.
        """
        for value, reason in BAD:
            self.assertEqual(str(self.assertRaises(BadItem, parse_item, 0, value)), reason, value)

    def test_each_property(self) -> None:
        """
        No item that lacks a property, or has one more, is taken for another message.
        """
        for value, _ in GOOD:
            for property in value:
                rest = {key: of for key, of in value.items() if key != property}
                if property in ("topic", "action") or property.lower().endswith(("name", "recordnames")):
                    self.assertRaises(BadItem, parse_item, 0, rest)
            self.assertRaises(BadItem, parse_item, 0, {**value, "other": 1})
            self.assertRaises(BadItem, parse_item, 0, {**value, "": 1})
