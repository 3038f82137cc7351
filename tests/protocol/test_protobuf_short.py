"""
Messages that are read field by field: the same as by the tables of fields, for every payload there is.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import protobuf, protobuf_short
from dstwist.protocol.constants import AuthAction, EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import UNREAD, Fault, Malformed, Message
from dstwist.protocol.protobuf_parts import written_number
from dstwist.protocol.protobuf_short import LONGEST_LONG, SHORT_FORMS, SHORTEST_LONG, long_form

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


def read(payload: bytes) -> Message | None:
    """
    The message that is read field by field.
    """
    short = SHORT_FORMS.get(payload[:8])
    if short is not None and payload[0] == len(payload) - 1:
        return short[0](payload, 7, short[1], protobuf.SERVER)
    long = long_form(len(payload), payload[:10])
    return None if long is None else long[0](payload, long[2], long[1], protobuf.SERVER)


def emit(name: str, data: bytes) -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name, data)


def call(action: RpcAction, name: str, call_id: str, data: bytes | None = None) -> Message:
    return Message(Topic.RPC, action, name, data, correlation_id=call_id)


#: The bytes of each form without its sizes; its reader and its action.
FORMS = [(head[1:4] + head[5:], form) for head, form in SHORT_FORMS.items() if head[0] == 20]


class ShortFormTests(SynchronousTestCase):
    """
    The forms, and how the codec uses them.
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
        for size in (0, 100, 128, 300, 16000):
            text = b'"' + b"x" * size + b'"'
            for message in (
                emit("a", text),
                write(None, "a", text, 3),
                write("x.y", "a", text, 300),
                write("x", "a", text, 70000),
                call(RpcAction.REQUEST, "a", "1", text),
                call(RpcAction.RESPONSE, "a", "1", text),
                call(RpcAction.REQUEST_ERROR, "a", "1", text),
            ):
                payload = protobuf.CLIENT.encode(message)
                self.assertEqual(read(payload), message)
                (found,) = protobuf.SERVER.decode(payload)
                assert isinstance(found, Message)
                self.assertEqual((found, found.verbatim, found.raw), (message, protobuf.SERVER, payload))
                self.assertIs(protobuf.SERVER.encode(found), payload)

    def test_login(self) -> None:
        """
        So is a login, if its data is an object or an array. It is not forwarded.
        """
        for size in (0, 60, 90, 128, 300, 16000):
            for data in (b'{"a":"' + b"x" * size + b'"}', b'["' + b"x" * size + b'"]'):
                message = Message(Topic.AUTH, AuthAction.REQUEST, data=data)
                payload = protobuf.CLIENT.encode(message)
                found = read(payload)
                if len(payload) not in range(129, SHORTEST_LONG):
                    assert found is not None
                    self.assertEqual((found, found.verbatim, found.raw), (message, None, payload))
                self.assertEqual(protobuf.SERVER.decode(payload), [message])
                self.assert_same(payload)
        for data in (b'"ann"', b"1", b"null", b"{", b"[" * 2000 + b"]" * 2000, b'{"a":1}x'):
            payload = protobuf.CLIENT.encode(Message(Topic.AUTH, AuthAction.REQUEST, data=data))
            self.assertIsNone(read(payload))
            self.assert_same(payload)

    def test_without_data(self) -> None:
        """
        So can calls and answers without data.
        """
        for action in (
            RpcAction.REQUEST, RpcAction.ACCEPT, RpcAction.RESPONSE, RpcAction.REQUEST_ERROR, RpcAction.REJECT,
        ):  # fmt: skip
            message = call(action, "a", "1")
            payload = protobuf.CLIENT.encode(message)
            self.assertEqual(read(payload), message)
            self.assertEqual(protobuf.SERVER.decode(payload), [message])

    def test_sizes(self) -> None:
        """
        Each size around those where a length gets another byte is read right, and is read in this way if all lengths
        fit.
        """
        for size in (*range(90, 150), *range(16300, 16400)):
            text = b'"' + b"x" * size + b'"'
            for message in (emit("n", text), write("p", "n", text, 7), call(RpcAction.REQUEST, "n", "1", text)):
                payload = protobuf.CLIENT.encode(message)
                self.assertEqual(protobuf.SERVER.decode(payload), [message])
                if SHORTEST_LONG <= len(payload) <= LONGEST_LONG:
                    self.assertEqual(read(payload), message)

    def test_many_sizes(self) -> None:
        """
        The memory for sizes that have come is limited. Further sizes are read all the same.
        """
        known: dict[Any, Any] = {}
        self.patch(protobuf_short, "_known_heads", known)
        self.patch(protobuf_short, "_MAX_KNOWN_HEADS", 10)
        for size in range(200, 230):
            message = emit("n", b'"' + b"x" * size + b'"')
            self.assertEqual(read(protobuf.CLIENT.encode(message)), message)
        self.assertEqual(len(known), 10)

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
            write("x", "a", b"1" * 300, 3, is_write_ack=True, correlation_id="1"),
        ):
            (found,) = protobuf.SERVER.decode(protobuf.CLIENT.encode(message))
            assert isinstance(found, Message)
            self.assertEqual((found, found.verbatim), (message, None))

    def test_upserts(self) -> None:
        """
        Writes that may create the record are read in this way as well, and are not forwarded.
        """
        for action, path in ((RecordAction.CREATEANDUPDATE, None), (RecordAction.CREATEANDPATCH, "x")):
            for version in (-1, 1, 300):
                for data in (b"{}", b'"' + b"x" * 300 + b'"'):
                    message = Message(Topic.RECORD, action, "a", data, path=path, version=version)
                    payload = protobuf.CLIENT.encode(message)
                    self.assertEqual(read(payload), message)
                    (found,) = protobuf.SERVER.decode(payload)
                    assert isinstance(found, Message)
                    self.assertEqual((found, found.verbatim), (message, None))

    def test_cut_and_changed(self) -> None:
        """
        For a payload that was cut or changed at any byte, both ways have the same result.
        """
        for message in (
            write(None, "ab", b"{}", 300),
            write(None, "ab", b"{}", -1),
            Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, "ab", b"{}", version=-1),
            Message(Topic.RECORD, RecordAction.CREATEANDPATCH, "ab", b"1", path="x", version=-1),
            write("x.y", "ab", b"12", 70000),
            write("x.y", "ab", b"12", 70000, is_write_ack=True, correlation_id="17"),
            write("x.y", "ab", b'"' + b"x" * 140 + b'"', 300),
            emit("ab", b"12"),
            emit("ab", b'"' + b"x" * 115 + b'"'),
            emit("ab", b'"' + b"x" * 140 + b'"'),
            call(RpcAction.REQUEST, "ab", "17", b"12"),
            call(RpcAction.ACCEPT, "ab", "17"),
            call(RpcAction.RESPONSE, "a" * 130, "17", b"12"),
        ):
            payload = protobuf.CLIENT.encode(message)
            for place in range(len(payload)):
                read(payload[:place])
                protobuf.SERVER.decode(payload[:place])
                for byte in (0, 1, 0x7F, 0x80, 0x81, 0xFF, payload[place] ^ 1):
                    changed = bytearray(payload)
                    changed[place] = byte
                    if changed[:2] == payload[:2] or payload[0] == changed[0] < 128:
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

    @QUICK
    @given(
        action=st.sampled_from([RpcAction.REQUEST, RpcAction.ACCEPT, RpcAction.RESPONSE, RpcAction.REJECT]),
        name=TEXTS,
        call_id=TEXTS,
        data=st.none() | DATA,
        size=st.sampled_from([0, 100, 300]),
    )
    def test_any_call(self, action: RpcAction, name: str, call_id: str, data: bytes | None, size: int) -> None:
        """
        So it is for every call, and for every event.
        """
        self.assert_same(protobuf.CLIENT.encode(call(action, name + "n" * size, call_id, data)))
        if data is not None:
            self.assert_same(protobuf.CLIENT.encode(emit(name, data + b" " * size)))

    def test_value(self) -> None:
        """
        The value of short data comes with the message, so that it is not read again.
        """
        for message, value in (
            (write("x", "a", b"1.5", 3), 1.5),
            (write("x", "a", b"1.5", 3, is_write_ack=True, correlation_id="1"), 1.5),
            (write("x", "a", b"[" + b"1," * 300 + b"2]", 3), [*[1] * 300, 2]),
            (write("x", "a", b"[" + b"1," * 3000 + b"2]", 3), UNREAD),
        ):
            (found,) = protobuf.SERVER.decode(protobuf.CLIENT.encode(message))
            assert isinstance(found, Message)
            self.assertEqual(found.value, value)

    def test_not_json(self) -> None:
        """
        A text that the fastest reader does not read goes the long way: it may be JSON or not, and may be nested too
        deeply.
        """
        for text, valid in ((b'"\\ud800"', True), (b"no", False), (b"[" * 300 + b"]" * 300, False)):
            for message in (write("x", "a", text, 3), emit("a", text), call(RpcAction.REQUEST, "a", "1", text)):
                payload = protobuf.CLIENT.encode(message)
                (found,) = protobuf.SERVER.decode(payload)
                if valid:
                    self.assertEqual(found, message)
                else:
                    assert isinstance(found, Malformed)
                    self.assertEqual(found.fault, Fault.INVALID_DATA)
                self.assertIsNone(read(payload))

    @QUICK
    @given(noise=st.binary(max_size=140))
    def test_noise(self, noise: bytes) -> None:
        """
        It gives up on nonsense, and never fails.
        """
        for head, (reader, action) in FORMS:
            reader(noise, 0, action, None)
            if len(noise) < 121:
                whole = bytes((len(noise) + 7, *head[:3], len(noise) + 3, *head[3:])) + noise
                self.assert_same(whole)
            size = len(noise) + 300
            long = written_number(size + 8) + head[:3] + written_number(size + 3) + head[3:] + noise + b"1" * 300
            self.assert_same(long)
