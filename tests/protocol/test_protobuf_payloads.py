"""
Messages that are written field by field: the same as by the tables of fields.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import protobuf
from dstwist.protocol.constants import FIRST_TEXT_ONLY_ACTION, EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf_payloads import acknowledgement_payload, call_payload, emit_payload, record_payload

QUICK = settings(max_examples=300, deadline=None, derandomize=True, database=None)

VERSIONS = st.sampled_from([0, 1, 127, 128, 129, 16383, 16384, 2097151, 2097152, 2**31 - 1, -1]) | st.integers(
    0, 2**31 - 1
)

#: Texts that take one byte or more for their length.
LENGTHS = st.sampled_from(
    ["", "a", "a" * 110, "a" * 127, "a" * 128, "\u00fc" * 64, "a\ud800", "a" * 16370, "a" * 20000]
)


class RecordPayloadTests(SynchronousTestCase):
    """
    L{record_payload}.
    """

    @QUICK
    @given(
        action=st.sampled_from([action for action in RecordAction if action < FIRST_TEXT_ONLY_ACTION]),
        fields=st.fixed_dictionaries(
            {},
            optional={
                "name": LENGTHS,
                "data": st.sampled_from([b"1", b"1" * 130, b"", "N1", "Sx", "U", "F"]),
                "path": LENGTHS,
                "correlation_id": LENGTHS,
                "version": VERSIONS | st.sampled_from([-1, -(2**31), 2**40]),
                "is_write_ack": st.booleans(),
            },
        ),
        others=st.fixed_dictionaries(
            {},
            optional={
                "names": st.sampled_from([(), ("a", "b")]),
                "is_error": st.booleans(),
                "is_ack": st.booleans(),
                "subscription": st.just("s"),
                "original_action": st.just(RecordAction.PATCH),
                "versions": st.sampled_from([{}, {"a": 1}]),
            },
        ),
    )
    def test_same(self, action: RecordAction, fields: dict[str, Any], others: dict[str, Any]) -> None:
        """
        The payload is the one that the tables of fields make.
        """
        for message in (Message(Topic.RECORD, action, **fields), Message(Topic.RECORD, action, **fields, **others)):
            expected = protobuf.SERVER.encode_by_table(message)
            self.assertEqual(protobuf.SERVER.encode(message), expected)
            payload = record_payload(message)
            self.assertIn(payload, (None, expected))
            if not others and "\ud800" not in "".join(map(str, fields.values())):
                self.assertIsNotNone(payload)
        self.assertEqual(record_payload(replace(message, names=("a",))), None)


class AcknowledgementPayloadTests(SynchronousTestCase):
    """
    L{acknowledgement_payload}.
    """

    def test_same(self) -> None:
        """
        The payload of a short acknowledgement is the one that the tables of fields make. All others are left to them.
        """
        short = ("", "a", "\u00fc" * 9, "a" * 57)
        for name in (*short, "a" * 58, "a" * 128, "a\ud800", None):
            for correlation_id in (*short, "a" * 59, "a" * 128, "a\ud800", None):
                message = Message(
                    Topic.RECORD,
                    RecordAction.WRITE_ACKNOWLEDGEMENT,
                    name,
                    correlation_id=correlation_id,
                    is_write_ack=True,
                )
                expected = protobuf.SERVER.encode_by_table(message)
                self.assertEqual(protobuf.SERVER.encode(message), expected)
                is_short = name in short and correlation_id in short
                payload = acknowledgement_payload(message)
                self.assertEqual(payload, expected if is_short else payload and expected)
                for other in ({"data": b"1"}, {"path": "a"}, {"version": 0}, {"is_write_ack": None}, {"is_ack": True}):
                    self.assertIsNone(acknowledgement_payload(replace(message, **other)))


class EmitPayloadTests(SynchronousTestCase):
    """
    L{emit_payload}.
    """

    @QUICK
    @given(
        name=LENGTHS,
        data=st.sampled_from([b"", b"1" * 20000, "N1", "Sx", "F"])
        | st.integers(108, 130).map(lambda size: b"1" * size),
        others=st.fixed_dictionaries(
            {},
            optional={
                "correlation_id": LENGTHS,
                "names": st.sampled_from([(), ("a", "b")]),
                "is_error": st.booleans(),
                "is_ack": st.booleans(),
                "subscription": st.just("s"),
                "original_action": st.just(EventAction.LISTEN),
                "path": st.just("x"),
                "version": VERSIONS,
            },
        ),
    )
    def test_same(self, name: str, data: bytes | str, others: dict[str, Any]) -> None:
        """
        The payload is the one that the tables of fields make.
        """
        for message in (
            Message(Topic.EVENT, EventAction.EMIT, name, data),
            Message(Topic.EVENT, EventAction.EMIT, name, data, **others),
        ):
            expected = protobuf.SERVER.encode_by_table(message)
            self.assertEqual(protobuf.SERVER.encode(message), expected)
            payload = emit_payload(message)
            self.assertIn(payload, (None, expected))
        simple = emit_payload(Message(Topic.EVENT, EventAction.EMIT, name, data))
        self.assertEqual(simple is None, "\ud800" in name)

    def test_incomplete(self) -> None:
        """
        An event without a name or without data is left to the tables.
        """
        for name, data in ((None, b"1"), ("a", None), ("a", "U")):
            message = Message(Topic.EVENT, EventAction.EMIT, name, data)
            self.assertIsNone(emit_payload(message))
            self.assertEqual(protobuf.SERVER.encode(message), protobuf.SERVER.encode_by_table(message))


class CallPayloadTests(SynchronousTestCase):
    """
    L{call_payload}.
    """

    @QUICK
    @given(
        action=st.sampled_from([RpcAction.REQUEST, RpcAction.ACCEPT, RpcAction.RESPONSE, RpcAction.REJECT]),
        name=LENGTHS,
        correlation_id=LENGTHS,
        data=st.sampled_from([None, b"", b"1" * 20000, "N1", "Sx", "U"])
        | st.integers(90, 130).map(lambda size: b"1" * size)
        | st.integers(16360, 16385).map(lambda size: b"1" * size),
        others=st.fixed_dictionaries(
            {},
            optional={
                "names": st.sampled_from([(), ("a", "b")]),
                "is_error": st.booleans(),
                "is_ack": st.booleans(),
                "original_action": st.just(RpcAction.REQUEST),
                "requestor_name": st.just("u"),
                "requestor_data": st.just(b"{}"),
            },
        ),
    )
    def test_same(self, action: RpcAction, name: str, correlation_id: str, data: Any, others: dict[str, Any]) -> None:
        """
        The payload is the one that the tables of fields make.
        """
        simple = Message(Topic.RPC, action, name, data, correlation_id=correlation_id)
        for message in (simple, replace(simple, **others)):
            expected = protobuf.SERVER.encode_by_table(message)
            self.assertEqual(protobuf.SERVER.encode(message), expected)
            self.assertIn(call_payload(message), (None, expected))
        self.assertEqual(call_payload(simple) is None, "\ud800" in name + correlation_id)
        if any(others.values()):
            self.assertIsNone(call_payload(replace(simple, **others)))

    def test_incomplete(self) -> None:
        """
        A message without a name or without a correlation id is left to the tables.
        """
        for name, correlation_id in (("a", None), (None, "1")):
            message = Message(Topic.RPC, RpcAction.REQUEST, name, correlation_id=correlation_id)
            self.assertIsNone(call_payload(message))
            self.assertEqual(protobuf.SERVER.encode(message), protobuf.SERVER.encode_by_table(message))
