"""
Tests for L{dstwist.protocol.schema}: servers take what published clients send (L{tests.protocol.clients}), and nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import protobuf
from dstwist.protocol.constants import ACTIONS, EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.schema import FIELDS, REFUSALS, REQUESTS, Field, Kind
from tests.protocol.clients import BINARY, UNSENT

Request = tuple[Topic, IntEnum]

#: Something for each field that a client may be thought to fill in.
VALUES: dict[str, Any] = {
    "data": b"{}",
    "correlation_id": "c",
    "is_error": True,
    "is_ack": True,
    "name": "n",
    "names": ("n", "m"),
    "subscription": "s",
    "original_action": 2,
    "is_write_ack": True,
    "path": "p",
    "version": 300,
    "versions": {"n": 1},
    "requestor_name": "root",
    "requestor_data": b"{}",
    "url": "ws://localhost",
    "protocol_version": "0.1a",
    "sdk_version": "7.0.5",
    "sdk_type": "javascript",
}

#: What a field holds that is there and says nothing.
EMPTY: dict[Kind, Any] = {
    Kind.INTEGER: 0,
    Kind.BOOLEAN: False,
    Kind.ORIGINAL_ACTION: 0,
    Kind.TEXT: "",
    Kind.JSON: b"",
    Kind.NAMES: ("",),
    Kind.VERSIONS: {"": 0},
}


def request_of(text: str) -> Request:
    topic, action = text.split()
    return Topic[topic], ACTIONS[Topic[topic]][action]


def sent() -> dict[Request, list[frozenset[str]]]:
    """
    For each request the sets of fields that clients send.
    """
    found: dict[Request, list[frozenset[str]]] = {}
    for action, fields in [(action, fields) for _, action, fields in BINARY] + UNSENT:
        found.setdefault(request_of(action), []).append(frozenset(fields.split()))
    return found


SENT = sent()


def field_bytes(request: Request, **values: Any) -> bytes:
    """
    Some fields of a message, without its action, as they are on the wire.
    """
    payload = protobuf.CLIENT.encode(Message(*request, **values))
    bare = protobuf.CLIENT.encode(Message(*request))
    return payload[-(len(payload) - len(bare)) or len(payload) :] if len(payload) < 128 else b""


def frame(request: Request, fields: bytes) -> bytes:
    """
    A payload of one message: the action, and the fields behind it.
    """
    body = bytes((8, request[1])) + fields
    assert len(body) < 124
    return bytes((len(body) + 4, 0x10, request[0], 0x1A, len(body))) + body


def unsent() -> Iterator[tuple[Request, Field, frozenset[str]]]:
    """
    Every field that no client sends with an action, and the fields that clients do send with it.
    """
    for request, forms in SENT.items():
        for field in FIELDS[request[0]]:
            if field.attribute != "action" and not any(field.attribute in form for form in forms):
                for form in forms:
                    yield request, field, form


class BinaryTests(SynchronousTestCase):
    """
    Clients of v4 and later.
    """

    def test_sent(self) -> None:
        """
        Each request of each published client is understood.
        """
        for request, forms in SENT.items():
            for form in forms:
                message = Message(*request, **{name: VALUES[name] for name in form})
                self.assertEqual(protobuf.SERVER.decode(protobuf.CLIENT.encode(message)), [message])

    def test_schema(self) -> None:
        """
        The schema lets through what clients send, no more, and asks for nothing that a client leaves out.
        """
        self.assertEqual(REQUESTS.keys(), SENT.keys())
        for request, (required, optional) in REQUESTS.items():
            self.assertEqual({*required, *optional}, frozenset().union(*SENT[request]), request)
            for form in SENT[request]:
                self.assertLessEqual({*required}, form, request)

    def test_unsent(self) -> None:
        """
        A field that no client sends with an action is refused there, wherever it stands and whatever is in it.
        """
        pairs = set()
        for request, field, form in unsent():
            usual = field_bytes(request, **{name: VALUES[name] for name in form})
            for value in (VALUES[field.attribute], EMPTY[field.kind]):
                stray = field_bytes(request, **{field.attribute: value})
                self.assertTrue(stray)
                half = field_bytes(request, **{name: VALUES[name] for name in list(form)[:1]})
                for fields in (usual + stray, stray + usual, half + stray + usual, stray + usual + stray):
                    self.assert_refused(request, frame(request, fields), (request, field.attribute))
            pairs.add((request, field.attribute))
        self.assertEqual(len(pairs), sum(len(FIELDS[topic]) - 1 for topic, _ in SENT) - self.allowed())

    def allowed(self) -> int:
        return sum(len(frozenset().union(*forms)) for forms in SENT.values())

    def test_unsent_and_long(self) -> None:
        """
        That holds for messages of any length, and for those that travel with others.
        """
        long = b'"' + b"x" * 200 + b'"'
        for message in (
            Message(Topic.RECORD, RecordAction.UPDATE, name="n", version=1, data=long, path="p"),
            Message(Topic.RECORD, RecordAction.PATCH_MULTI, name="n", version=1, data=long, path="p"),
            Message(Topic.EVENT, EventAction.EMIT, name="n", data=long, is_ack=True),
            Message(Topic.EVENT, EventAction.EMIT, name="n", data=long, names=("a", "b")),
        ):
            payload = protobuf.CLIENT.encode(message)
            good = protobuf.CLIENT.encode(Message(Topic.EVENT, EventAction.EMIT, name="n"))
            first, second, third = protobuf.SERVER.decode(good + payload + good)
            assert isinstance(second, Malformed)
            self.assertEqual((second.fault, second.raw), (Fault.INVALID_DATA, payload))
            self.assertTrue(isinstance(first, Message) and isinstance(third, Message))

    def test_repeated(self) -> None:
        """
        A field that comes twice is taken as it comes last, and such an action decides what the message may have.
        """
        usual = field_bytes((Topic.RECORD, RecordAction.PATCH), name="n", version=300, path="p", data=b"1")
        patch, update = b"\x08\x13", b"\x08\x12"
        record = (Topic.RECORD, RecordAction.UPDATE)
        (message,) = protobuf.SERVER.decode(frame(record, usual + patch))
        self.assertEqual(message, Message(Topic.RECORD, RecordAction.PATCH, name="n", version=300, path="p", data=b"1"))
        for fields in (usual, patch + usual + update, usual + b"\x62\x00"):
            (malformed,) = protobuf.SERVER.decode(frame(record, fields))
            assert isinstance(malformed, Malformed)
            self.assertEqual((malformed.fault, malformed.action), (Fault.INVALID_DATA, RecordAction.UPDATE))

    def test_missing(self) -> None:
        """
        A request without a field that all clients send with it is refused, as if the field were empty.
        """
        for request, (required, _) in REQUESTS.items():
            for missing in required:
                values = {name: VALUES[name] for name in required if name != missing}
                self.assert_refused(request, frame(request, field_bytes(request, **values)), (request, missing))

    def test_requestor(self) -> None:
        """
        A client cannot say on whose behalf it calls: the server alone knows.
        """
        call = Message(Topic.RPC, RpcAction.REQUEST, name="f", correlation_id="1", requestor_name="root")
        self.assert_refused((Topic.RPC, RpcAction.REQUEST), protobuf.CLIENT.encode(call), call)

    def assert_refused(self, request: Request, payload: bytes, why: object) -> None:
        """
        The answer names the action, and tells a client that waits which of its requests failed.
        """
        (malformed,) = protobuf.SERVER.decode(payload)
        assert isinstance(malformed, Malformed), why
        self.assertEqual((malformed.fault, malformed.topic, malformed.action), (Fault.INVALID_DATA, *request), why)
        assert malformed.answer is not None
        answer = malformed.answer
        if request[0] in REFUSALS:
            self.assertEqual((answer.topic, answer.action), (request[0], REFUSALS[request[0]]), why)
            self.assertEqual((answer.original_action, answer.is_error, answer.is_ack), (request[1], True, None), why)
        else:
            self.assertEqual(answer.topic, Topic.PARSER, why)
