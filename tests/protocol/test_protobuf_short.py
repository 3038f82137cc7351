"""
Messages of records, read and written field by field, and events, written so: the same as by the tables of fields, for
every payload there is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import protobuf
from dstwist.protocol.constants import FIRST_TEXT_ONLY_ACTION, EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf_short import emit_payload, record_payload, short_write

QUICK = settings(max_examples=300, deadline=None, derandomize=True, database=None)

#: A second message behind the first: nothing is short about the two of them.
PING = b"\x06\x10\x02\x1a\x02\x08\x02"

VERSIONS = st.sampled_from([0, 1, 127, 128, 129, 16383, 16384, 2097151, 2097152, 2**31 - 1, -1]) | st.integers(
    0, 2**31 - 1
)
TEXTS = st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode())
DATA = st.sampled_from([b"1", b'"x"', b"null", b'{"a":[1,{}]}', b"no", b"", b'"\xff"'])


def write(path: str | None, name: str, data: bytes, version: int, **fields: Any) -> Message:
    action = RecordAction.UPDATE if path is None else RecordAction.PATCH
    return Message(Topic.RECORD, action, name, data, path=path, version=version, **fields)


class ShortWriteTests(SynchronousTestCase):
    """
    L{short_write}, and how the codec uses it.
    """

    def assert_same(self, payload: bytes) -> None:
        """
        A payload says the same alone and with another message behind it.
        """
        alone, first = protobuf.SERVER.decode(payload), protobuf.SERVER.decode(payload + PING)[0]
        self.assertEqual(len(alone), 1)
        if isinstance(alone[0], Message):
            self.assertEqual(alone[0], first)
        else:
            self.assertEqual((alone[0].fault, alone[0].answer), (first.fault, first.answer))

    def test_forwarded(self) -> None:
        """
        A message that is read in this way can be forwarded unchanged.
        """
        for message in (write(None, "a", b"{}", 3), write("x.y", "a", b"1", 300), write("x", "a", b"null", 70000)):
            payload = protobuf.CLIENT.encode(message)
            (read,) = protobuf.SERVER.decode(payload)
            assert isinstance(read, Message)
            self.assertEqual((read, read.verbatim, read.raw), (message, protobuf.SERVER, payload))
            self.assertIs(protobuf.SERVER.encode(read), payload)

    def test_nothing_else_is_forwarded(self) -> None:
        """
        A message with fields that are not forwarded, or that has another form, is encoded anew.
        """
        for message in (
            write("x", "a", b"1", 3, is_write_ack=True, correlation_id="1"),
            write(None, "a", b"{}", 300, is_write_ack=True, correlation_id="1"),
            write("x", "a", b"1", 3, is_write_ack=True),
            write("x", "a", b"1", 3, correlation_id="1"),
            write("x", "a", b"1", 3, correlation_id=""),
            write("x", "a", b"1", 3, is_write_ack=False),
            write("x", "a", b"1", -1),
            Message(Topic.RECORD, RecordAction.ERASE, "a", path="x", version=3),
            Message(Topic.RECORD, RecordAction.CREATEANDPATCH, "a", b"1", path="x", version=3),
            Message(Topic.RECORD, RecordAction.PATCH_MULTI, "a", b"[]", version=3),
        ):
            (read,) = protobuf.SERVER.decode(protobuf.CLIENT.encode(message))
            self.assertEqual((read, read.verbatim), (message, None))

    def test_cut_and_changed(self) -> None:
        """
        For a payload that was cut or changed at any byte, both ways have the same result.
        """
        for message in (
            write(None, "ab", b"{}", 300),
            write("x.y", "ab", b"12", 70000),
            write("x.y", "ab", b"12", 70000, is_write_ack=True, correlation_id="17"),
        ):
            payload = protobuf.CLIENT.encode(message)
            for place in range(len(payload)):
                short_write(payload[:place], message.action, None)
                protobuf.SERVER.decode(payload[:place])
                for byte in (0, 1, 0x7F, 0x80, 0xFF, payload[place] ^ 1):
                    changed = bytearray(payload)
                    changed[place] = byte
                    if changed[0] == payload[0]:
                        self.assert_same(bytes(changed))

    @QUICK
    @given(
        path=st.none() | TEXTS,
        name=TEXTS,
        data=DATA,
        version=VERSIONS,
        correlation_id=st.none() | TEXTS,
        is_write_ack=st.none() | st.booleans(),
    )
    def test_any(self, path: str | None, name: str, data: bytes, version: int, **acknowledged: Any) -> None:
        """
        For every write, both ways have the same result.
        """
        self.assert_same(protobuf.CLIENT.encode(write(path, name, data, version, **acknowledged)))

    def test_value(self) -> None:
        """
        The value of the data comes with the message, so that it is not read again.
        """
        for message in (
            write("x", "a", b"1.5", 3),
            write("x", "a", b"1.5", 3, is_write_ack=True, correlation_id="1"),
        ):
            (read,) = protobuf.SERVER.decode(protobuf.CLIENT.encode(message))
            assert isinstance(read, Message)
            self.assertEqual(read.value, 1.5)

    def test_lone_surrogate(self) -> None:
        """
        A text that the fastest reader does not read goes the long way.
        """
        message = write("x", "a", b'"\\ud800"', 3)
        payload = protobuf.CLIENT.encode(message)
        self.assertIsNone(short_write(payload, message.action, None))
        self.assertEqual(protobuf.SERVER.decode(payload), [message])

    @QUICK
    @given(noise=st.binary(max_size=140))
    def test_noise(self, noise: bytes) -> None:
        """
        It gives up on nonsense, and never fails.
        """
        for action in (RecordAction.UPDATE, RecordAction.PATCH):
            short_write(noise, action, None)
            if len(noise) < 121:
                head = bytes((len(noise) + 7, 0x10, 0x05, 0x1A, len(noise) + 3, 0x08, action, 0x12))
                short_write(head + noise, action, None)
                self.assert_same(head + noise)


#: Texts that take one byte or more for their length.
LENGTHS = st.sampled_from(["", "a", "a" * 127, "a" * 128, "\u00fc" * 64, "a\ud800", "a" * 20000])


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
