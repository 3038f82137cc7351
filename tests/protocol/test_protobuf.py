"""
Tests for L{dstwist.protocol.protobuf}.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import (
    ACTIONS,
    FIRST_TEXT_ONLY_ACTION,
    FROM_CLIENT,
    AuthAction,
    ConnectionAction,
    EventAction,
    ParserAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.protobuf import CLIENT, MAX_PIECES, SERVER
from dstwist.protocol.protobuf_parts import read_envelope, sized
from dstwist.protocol.schema import ACKS, FIELDS, REQUESTS, Kind

PARSER, CONNECTION, AUTH, EVENT = Topic.PARSER, Topic.CONNECTION, Topic.AUTH, Topic.EVENT
RECORD, RPC, PRESENCE, MONITORING = Topic.RECORD, Topic.RPC, Topic.PRESENCE, Topic.MONITORING

UP, DOWN, BOTH = "client to server", "server to client", "both ways"

#: Worked frames: direction, message, and its payload.
FRAMES: list[tuple[str, Message, str]] = [
    (UP, Message(CONNECTION, ConnectionAction.PING), "0610021a020802"),
    (DOWN, Message(CONNECTION, ConnectionAction.PONG), "0610021a020803"),
    (
        UP,
        Message(
            CONNECTION,
            ConnectionAction.CHALLENGE,
            url="ws://h:6020/deepstream",
            protocol_version="0.1a",
            sdk_version="7.0.5",
            sdk_type="javascript",
        ),
        "3710021a3308052a1677733a2f2f683a363032302f6465657073747265616d3204302e31613a05372e302e35420a6a617661736372697074",
    ),
    (DOWN, Message(CONNECTION, ConnectionAction.ACCEPT), "0610021a020804"),
    (DOWN, Message(CONNECTION, ConnectionAction.REDIRECT, url="ws://b/x"), "1010021a0c08072a0877733a2f2f622f78"),
    (UP, Message(AUTH, AuthAction.REQUEST, data=b"{}"), "0a10031a06080212027b7d"),
    (
        UP,
        Message(AUTH, AuthAction.REQUEST, data=b'{"username":"al"}'),
        "1910031a15080212117b22757365726e616d65223a22616c227d",
    ),
    (DOWN, Message(AUTH, AuthAction.AUTH_SUCCESSFUL), "0610031a020803"),
    (DOWN, Message(AUTH, AuthAction.AUTH_SUCCESSFUL, data=b'{"r":1}'), "0f10031a0b080312077b2272223a317d"),
    (DOWN, Message(AUTH, AuthAction.AUTH_UNSUCCESSFUL), "0610031a020804"),
    (DOWN, Message(AUTH, AuthAction.TOO_MANY_AUTH_ATTEMPTS), "0610031a020864"),
    (
        UP,
        Message(EVENT, EventAction.SUBSCRIBE, names=("e1", "e2"), correlation_id="0"),
        "1110041a0d08031a01303a0265313a026532",
    ),
    (DOWN, Message(EVENT, EventAction.SUBSCRIBE, correlation_id="0", is_ack=True), "0b10041a0708031a01302801"),
    (BOTH, Message(EVENT, EventAction.EMIT, name="e1", data=b'{"a":1}'), "1310041a0f080212077b2261223a317d32026531"),
    (BOTH, Message(EVENT, EventAction.EMIT, name="e1"), "0a10041a06080232026531"),
    (
        DOWN,
        Message(
            EVENT,
            EventAction.MESSAGE_DENIED,
            name="deny/1",
            correlation_id="5",
            is_error=True,
            original_action=EventAction.SUBSCRIBE,
        ),
        "1510041a1108681a01352001320664656e792f315803",
    ),
    (
        UP,
        Message(RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("r1",), correlation_id="0"),
        "0d10051a0908171a01303a027231",
    ),
    (
        DOWN,
        Message(RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("r1",), correlation_id="0", is_ack=True),
        "0f10051a0b08171a013028013a027231",
    ),
    (
        DOWN,
        Message(RECORD, RecordAction.READ_RESPONSE, name="r1", version=0, data=b"{}"),
        "1010051a0c080412027b7d320272316800",
    ),
    (
        UP,
        Message(
            RECORD,
            RecordAction.UPDATE,
            name="r1",
            version=6,
            data=b'{"k":"v"}',
            correlation_id="1",
            is_write_ack=True,
        ),
        "1c10051a18081212097b226b223a2276227d1a01313202723158016806",
    ),
    (
        DOWN,
        Message(RECORD, RecordAction.WRITE_ACKNOWLEDGEMENT, name="r1", correlation_id="1", is_write_ack=True),
        "0f10051a0b080e1a0131320272315801",
    ),
    (
        DOWN,
        Message(RECORD, RecordAction.UPDATE, name="r1", version=6, data=b'{"k":"v"}', is_write_ack=False),
        "1910051a15081212097b226b223a2276227d3202723158006806",
    ),
    (UP, Message(RECORD, RecordAction.ERASE, name="r1", path="y", version=5), "0f10051a0b0814320272316201796805"),
    (
        DOWN,
        Message(RECORD, RecordAction.PATCH, name="r1", path="y", version=5, is_write_ack=False),
        "1110051a0d08133202723158006201796805",
    ),
    (
        UP,
        Message(RECORD, RecordAction.CREATEANDUPDATE, name="n1", version=-1, data=b'{"a":1}'),
        "1e10051a1a081012077b2261223a317d32026e3168ffffffffffffffffff01",
    ),
    (
        DOWN,
        Message(RECORD, RecordAction.HEAD_RESPONSE, name="none", version=-1),
        "1710051a13080632046e6f6e6568ffffffffffffffffff01",
    ),
    (DOWN, Message(RECORD, RecordAction.HEAD_RESPONSE_BULK, versions={"r1": 7}), "0e10051a0a080872060a0272311007"),
    (
        DOWN,
        Message(
            RECORD,
            RecordAction.VERSION_EXISTS,
            name="r1",
            version=6,
            data=b'{"k":"v"}',
            original_action=RecordAction.PATCH,
            is_write_ack=True,
            correlation_id="2",
        ),
        "1e10051a1a086612097b226b223a2276227d1a013232027231501358016806",
    ),
    (
        DOWN,
        Message(RECORD, RecordAction.RECORD_NOT_FOUND, name="none", original_action=RecordAction.READ, is_error=True),
        "1010051a0c086b200132046e6f6e655003",
    ),
    (UP, Message(RECORD, RecordAction.LISTEN, name="^p/.*"), "0d10051a09081b32055e702f2e2a"),
    (
        DOWN,
        Message(RECORD, RecordAction.SUBSCRIPTION_FOR_PATTERN_FOUND, name="^p/.*", subscription="p/1"),
        "1210051a0e082132055e702f2e2a4a03702f31",
    ),
    (DOWN, Message(RECORD, RecordAction.SUBSCRIPTION_HAS_PROVIDER, name="p/1"), "0b10051a07081f3203702f31"),
    (
        BOTH,
        Message(RPC, RpcAction.REQUEST, name="add", correlation_id="c1", data=b'{"x":1}'),
        "1810061a14080212077b2278223a317d1a0263313a03616464",
    ),
    (
        DOWN,
        Message(
            RPC,
            RpcAction.REQUEST,
            name="add",
            correlation_id="c1",
            data=b"1",
            requestor_name="alice",
            requestor_data=b'{"role":"admin"}',
        ),
        "2b10061a2708021201311a0263313a036164645205616c6963655a107b22726f6c65223a2261646d696e227d",
    ),
    (
        BOTH,
        Message(RPC, RpcAction.RESPONSE, name="add", correlation_id="c1", data=b"3"),
        "1210061a0e08051201331a0263313a03616464",
    ),
    (
        DOWN,
        Message(RPC, RpcAction.NO_RPC_PROVIDER, name="add", correlation_id="c1"),
        "0f10061a0b08641a0263313a03616464",
    ),
    (
        UP,
        Message(PRESENCE, PresenceAction.QUERY, names=("bob", "zed"), correlation_id="0"),
        "1310071a0f08042a01304a03626f624a037a6564",
    ),
    (
        DOWN,
        Message(PRESENCE, PresenceAction.QUERY_RESPONSE, correlation_id="0", data=b'{"bob":true,"zed":false}'),
        "2310071a1f080522187b22626f62223a747275652c227a6564223a66616c73657d2a0130",
    ),
    (DOWN, Message(PRESENCE, PresenceAction.PRESENCE_JOIN, name="carl"), "0c10071a08080642046361726c"),
    (DOWN, Message(PARSER, ParserAction.UNKNOWN_TOPIC), "0610011a020801"),
    (
        UP,
        Message(RECORD, RecordAction.PATCH_MULTI, name="m", version=1, data=b'[{"path":"a","data":1},{"path":"b"}]'),
        "3110051a2d082312245b7b2270617468223a2261222c2264617461223a317d2c7b2270617468223a2262227d5d32016d6801",
    ),
    (
        BOTH,
        Message(EVENT, EventAction.EMIT, name="naïve", data='"é"'.encode()),
        "1410041a100802120422c3a92232066e61c3af7665",
    ),
    (
        BOTH,
        Message(EVENT, EventAction.EMIT, name="e", data=b'"' + b"x" * 130 + b'"'),
        "910110041a8c01080212840122" + "78" * 130 + "22320165",
    ),
]

PING = bytes.fromhex("0610021a020802")
UNKNOWN_TOPIC = Message(PARSER, ParserAction.UNKNOWN_TOPIC)

#: All (topic, action) pairs that have a number in this protocol.
DECLARED = [
    (topic, action) for topic, actions in ACTIONS.items() for action in actions if action < FIRST_TEXT_ONLY_ACTION
]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["a/1", "x" * 127, "x" * 128, "é" * 9000])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
).map(dumps)
FLAGS = st.sampled_from([None, False, True])
INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 300)

#: A value, or none, for each field that a message may have.
CONTENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "data": st.none() | VALUES,
        "requestor_data": st.none() | VALUES,
        "names": st.lists(TEXTS, max_size=4).map(tuple),
        "version": st.none() | INT32,
        "versions": st.none() | st.dictionaries(TEXTS.map("r/{}".format), INT32, min_size=1, max_size=3),
        "original_action": st.none() | st.integers(0, 200),
        "is_error": FLAGS,
        "is_ack": FLAGS,
        "is_write_ack": FLAGS,
    }
    | {
        name: st.none() | TEXTS
        for name in (
            "name",
            "correlation_id",
            "subscription",
            "path",
            "requestor_name",
            "url",
            "protocol_version",
            "sdk_version",
            "sdk_type",
        )
    }
)

#: For tests that try some contents with every action there is. They are not shrunk, which takes minutes: the failed
#: assertion shows the one message that matters.
EVERY_ACTION = settings(derandomize=True, deadline=None, max_examples=40, phases=[Phase.generate])


def fill(topic: Topic, action: IntEnum, contents: dict[str, Any], request: bool = False) -> Message:
    """
    A message of some topic and action with as much of the contents as it can hold.

    @param request: it is to be one that a server accepts.
    """
    originals = [None, *(original for original in ACTIONS[topic] if original < FIRST_TEXT_ONLY_ACTION)]
    chosen: dict[str, Any] = {
        field.attribute: contents[field.attribute] for field in FIELDS[topic] if field.attribute != "action"
    }
    if chosen.get("original_action") is not None:
        chosen["original_action"] = originals[chosen["original_action"] % len(originals)]
    if request:
        required, optional = REQUESTS[topic, action]
        kinds = {field.attribute: field.kind for field in FIELDS[topic]}
        chosen = {name: value for name, value in chosen.items() if name in required or name in optional}
        for name in required:
            if chosen[name] in (None, ""):
                chosen[name] = {Kind.INTEGER: 0, Kind.TEXT: "needed", Kind.JSON: b"0"}[kinds[name]]
        if topic is AUTH and chosen["data"][:1] not in b"{[":
            chosen["data"] = b"{}"
    elif chosen.get("is_ack") and (topic, action) in ACKS:
        chosen = {name: value for name, value in chosen.items() if name in ACKS[topic, action]}
    return Message(topic, action, **chosen)


def frame(topic: int, body: bytes) -> bytes:
    """
    An envelope, short enough for lengths of one byte, around the fields of a message.
    """
    return bytes((len(body) + 4, 0x10, topic, 0x1A, len(body))) + body


def refused(topic: Topic, body: bytes) -> Malformed:
    """
    The result for a message that a server must refuse.
    """
    [malformed] = SERVER.decode(frame(topic, body))
    assert isinstance(malformed, Malformed), malformed
    assert malformed.topic is topic and malformed.raw == frame(topic, body)
    return malformed


class FrameTests(SynchronousTestCase):
    """
    The worked frames, byte for byte.
    """

    def readings(self) -> Iterator[tuple[Any, Message, bytes]]:
        for direction, message, text in FRAMES:
            payload = bytes.fromhex(text)
            if direction != DOWN:
                yield SERVER, message, payload
            if direction != UP:
                yield CLIENT, message, payload

    def test_encode(self) -> None:
        """
        Each message is written just as the official library writes it.
        """
        for _, message, text in FRAMES:
            self.assertEqual(SERVER.encode(message).hex(), text)
            self.assertEqual(CLIENT.encode(message).hex(), text)

    def test_decode(self) -> None:
        """
        Each payload is read as the message it stands for, with the types that services rely on.
        """
        for codec, message, payload in self.readings():
            [decoded] = codec.decode(payload)
            self.assertEqual(decoded, message)
            self.assertIs(type(decoded.topic), Topic)
            self.assertIs(type(decoded.action), ACTIONS[message.topic])
            self.assertEqual(decoded.raw, payload)

    def test_joined(self) -> None:
        """
        A payload of several messages is read to its end, in order.
        """
        for codec, message, payload in self.readings():
            for joined in (PING + payload, payload + PING, payload * 3):
                decoded = codec.decode(joined)
                self.assertEqual(decoded, [item for part in (joined,) for item in self.one_by_one(codec, part)])
            self.assertEqual(codec.decode(payload * 3), [message] * 3)

    def one_by_one(self, codec: Any, payload: bytes) -> list[Any]:
        found = []
        while payload:
            size = payload[0] + 1 if payload[0] < 128 else (payload[0] & 127 | payload[1] << 7) + 2
            found += codec.decode(payload[:size])
            payload = payload[size:]
        return found

    def test_cut(self) -> None:
        """
        A payload that ends too early is no message, wherever it ends.
        """
        for codec, _, payload in self.readings():
            answer = UNKNOWN_TOPIC if codec is SERVER else None
            for size in range(len(payload)):
                self.assertEqual(
                    codec.decode(payload[:size]), [Malformed(Fault.UNPARSABLE, answer=answer, raw=payload[:size])]
                )

    def test_cut_neighbour(self) -> None:
        """
        Unreadable bytes after a readable message are ignored.
        """
        for codec, message, payload in self.readings():
            for size in range(len(payload)):
                self.assertEqual(codec.decode(payload + payload[:size]), [message])


def all_pieces(payload: bytes, size: int) -> list[Any]:
    """
    All pieces of a payload, in as many steps as it takes.
    """
    pieces: list[Any] = []
    rest: Any = payload
    while rest:
        *first, rest = SERVER.pieces(rest, size)
        if not first:
            return [*pieces, rest]
        pieces += first
    return pieces


class PieceTests(SynchronousTestCase):
    """
    Payloads that are decoded piece by piece.
    """

    @settings(deadline=None, derandomize=True)
    @given(
        st.lists(st.sampled_from([b"\x06\x10\x02\x1a\x02\x08\x02", b"\x00", b"\x04\x10\x04\x1a\x00"])),
        st.integers(1, 30),
    )
    def test_pieces(self, envelopes: list[bytes], size: int) -> None:
        """
        A payload in pieces says the same as in one; pieces end where messages do, and no sooner than they have to, but
        for those in front of a message that is long by itself.
        """
        payload = b"".join(envelopes)
        pieces = all_pieces(payload, size)
        self.assertEqual(b"".join(pieces), payload)
        if b"\x00" not in envelopes:  # that is none, and says nothing behind something else
            found = [message for piece in pieces for message in SERVER.decode(piece)]
            self.assertEqual(found, SERVER.decode(payload) if payload else [])
        for piece, following in zip(pieces, pieces[1:], strict=False):
            alone = 0 < following[0] and following[0] + 1 > size
            self.assertTrue(size < len(piece) <= size + 7 or alone, pieces)

    @settings(deadline=None, derandomize=True)
    @given(st.binary())
    def test_garbage(self, payload: bytes) -> None:
        """
        Nothing is lost of what is no message.
        """
        pieces = all_pieces(payload, 5)
        self.assertEqual(b"".join(pieces), payload)
        self.assertEqual(SERVER.pieces("text", 1), ["text"])

    def test_steps(self) -> None:
        """
        Only a few pieces are found at once, however many envelopes a payload has.
        """
        envelope = b"\x06\x10\x02\x1a\x02\x08\x02"
        pieces: list[Any] = SERVER.pieces(envelope * 10_000, 20)
        self.assertEqual(len(pieces), MAX_PIECES + 1)
        self.assertEqual(set(pieces[:-1]), {envelope * 3})
        self.assertEqual(b"".join(pieces), envelope * 10_000)


class RoundTripTests(SynchronousTestCase):
    """
    Each side reads what the other one writes, for every topic and action.
    """

    @EVERY_ACTION
    @given(CONTENTS)
    def test_requests(self, contents: dict[str, Any]) -> None:
        """
        A server reads what a client wrote.
        """
        for topic, action in REQUESTS:
            message = fill(topic, action, contents, request=True)
            payload = CLIENT.encode(message)
            decoded = SERVER.decode(payload)
            self.assertEqual(decoded, [message])
            self.assertEqual(SERVER.encode(decoded[0]), payload)  # type: ignore[arg-type]

    @EVERY_ACTION
    @given(CONTENTS)
    def test_answers(self, contents: dict[str, Any]) -> None:
        """
        A client reads what a server wrote.
        """
        for topic, action in DECLARED:
            message = fill(topic, action, contents)
            self.assertEqual(CLIENT.decode(SERVER.encode(message)), [message])

    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(st.binary(max_size=60), st.sampled_from([SERVER, CLIENT]))
    def test_noise(self, noise: bytes, codec: Any) -> None:
        """
        Nothing that a peer can send raises: it is a message, or it is malformed.
        """
        for payload in (noise, frame(4, noise), frame(5, noise), frame(5, b"\x72" + bytes((len(noise),)) + noise)):
            decoded = codec.decode(payload)
            self.assertTrue(decoded)
            for item in decoded:
                self.assertIsInstance(item, Message | Malformed)

    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(st.sampled_from(FRAMES), st.data())
    def test_mutations(self, case: tuple[str, Message, str], data: st.DataObject) -> None:
        """
        Nor do frames with a few bytes changed; and what can be read can be written.
        """
        payload = bytearray.fromhex(case[2])
        for _ in range(data.draw(st.integers(1, 3))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        for codec in (SERVER, CLIENT):
            for item in codec.decode(bytes(payload)):
                if isinstance(item, Message):
                    self.assertTrue(codec.encode(item))


class EncodeTests(SynchronousTestCase):
    """
    The bytes of messages beyond the worked frames.
    """

    def test_presence_of_zeros(self) -> None:
        """
        Zero, false and empty are written; only what is absent is left out.
        """
        message = Message(
            RECORD, RecordAction.PATCH, name="", version=0, path="", correlation_id="", is_write_ack=False, is_ack=False
        )
        self.assertEqual(SERVER.encode(message), frame(5, bytes.fromhex("0813 1a00 2800 3200 5800 6200 6800")))

    def test_text_only(self) -> None:
        """
        A message that only the text protocol has is not sent to v4+ clients.
        """
        for topic, actions in ACTIONS.items():
            for action in actions:
                if action >= FIRST_TEXT_ONLY_ACTION:
                    self.assertEqual(SERVER.encode(Message(topic, action, name="x")), b"")
        self.assertEqual(SERVER.encode(Message(Topic.UNKNOWN, EventAction.EMIT)), b"")

    def test_text_only_original(self) -> None:
        """
        An error about a request that this protocol does not have goes out without naming it.
        """
        message = Message(RECORD, RecordAction.MESSAGE_DENIED, name="r", original_action=RecordAction.HAS)
        self.assertEqual(SERVER.encode(message), frame(5, bytes.fromhex("0873 320172")))

    def test_typed_data(self) -> None:
        """
        Values from text clients become JSON; their "undefined" becomes an absent field.
        """
        for typed, field in (("Sx", b'\x12\x03"x"'), ("N1.5", b"\x12\x031.5"), ("T", b"\x12\x04true"), ("U", b"")):
            message = Message(EVENT, EventAction.EMIT, name="e", data=typed)
            self.assertEqual(SERVER.encode(message), frame(4, b"\x08\x02" + field + b"\x32\x01e"))

    def test_lone_surrogates(self) -> None:
        """
        Names that UTF-8 cannot hold are repaired: peers may refuse a whole frame for them.
        """
        for name in ("a\ud800", "a\udfff"):
            message = Message(EVENT, EventAction.EMIT, name=name, names=(name,))
            self.assertEqual(
                CLIENT.decode(SERVER.encode(message)),
                [Message(EVENT, EventAction.EMIT, name="a\ufffd", names=("a\ufffd",))],
            )

    def test_many_names(self) -> None:
        """
        However many names there are, long ones, other alphabets and lone surrogates among them, each is written as it
        would be alone.
        """
        simple = tuple(f"user-{number}" for number in range(100))
        for names in (
            simple,
            (*simple, ""),
            (*simple, "x" * 127),
            (*simple, "x" * 128),
            (*simple, "ä" * 64),
            (*simple, "Änne", "\ud800"),
        ):
            payload = SERVER.encode(Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=names))
            (read,) = CLIENT.decode(payload)
            expected = tuple(name.replace("\ud800", "\ufffd") for name in names)
            self.assertEqual((read.action, read.names), (PresenceAction.QUERY_ALL_RESPONSE, expected))

    def test_text_details(self) -> None:
        """
        Fields that only the text protocol uses are not written.
        """
        request = Message(EVENT, EventAction.SUBSCRIBE, names=("e",), raw="E|S|e", original_topic=EVENT)
        error = request.error("MESSAGE_DENIED", name="e", detail="no")
        error.original_topic = EVENT
        self.assertEqual(SERVER.encode(error), frame(4, bytes.fromhex("0868 2001 320165 5803")))

    def test_version_beyond_int32(self) -> None:
        """
        Versions are cut to 32 bits, by us as by JavaScript peers.
        """
        for version, read in ((2**31, -(2**31)), (2**32 + 5, 5), (-(2**31), -(2**31)), (2**80, 0)):
            message = Message(RECORD, RecordAction.HEAD_RESPONSE, name="r", version=version, versions={"r": version})
            expected = dataclasses.replace(message, version=read, versions={"r": read})
            self.assertEqual(CLIENT.decode(SERVER.encode(message)), [expected])


class AckTests(SynchronousTestCase):
    """
    Acknowledgements repeat what ends the client's timer, and no more.
    """

    def ack(self, topic: Topic, action: IntEnum) -> Message:
        request = Message(topic, action, name="n", names=("n", "m"), correlation_id="7")
        [ack] = CLIENT.decode(SERVER.encode(request.ack()))
        assert isinstance(ack, Message) and ack.is_ack is True and (ack.topic, ack.action) == (topic, action)
        return ack

    def test_bulk(self) -> None:
        """
        Bulk requests are acknowledged by correlation id.
        """
        for topic, actions in (
            (EVENT, (EventAction.SUBSCRIBE, EventAction.UNSUBSCRIBE)),
            (RPC, (RpcAction.PROVIDE, RpcAction.UNPROVIDE)),
            (PRESENCE, (PresenceAction.SUBSCRIBE, PresenceAction.UNSUBSCRIBE)),
            (RECORD, (RecordAction.SUBSCRIBE, RecordAction.UNSUBSCRIBE, RecordAction.SUBSCRIBEANDHEAD)),
        ):
            for action in actions:
                self.assertEqual(self.ack(topic, action), Message(topic, action, correlation_id="7", is_ack=True))

    def test_bulk_with_names(self) -> None:
        """
        Three record requests get their names back.
        """
        for action in (RecordAction.SUBSCRIBECREATEANDREAD, RecordAction.SUBSCRIBEANDREAD, RecordAction.NOTIFY):
            self.assertEqual(
                self.ack(RECORD, action),
                Message(RECORD, action, names=("n", "m"), correlation_id="7", is_ack=True),
            )

    def test_listen(self) -> None:
        """
        Listeners are acknowledged by their pattern.
        """
        for topic, actions in ((EVENT, EventAction), (RECORD, RecordAction)):
            for action in (actions["LISTEN"], actions["UNLISTEN"]):
                self.assertEqual(self.ack(topic, action), Message(topic, action, name="n", is_ack=True))

    def test_everyone(self) -> None:
        """
        Acknowledgements of subscriptions to all users have nothing to repeat.
        """
        for action in (PresenceAction.SUBSCRIBE_ALL, PresenceAction.UNSUBSCRIBE_ALL):
            self.assertEqual(self.ack(PRESENCE, action), Message(PRESENCE, action, is_ack=True))

    def test_others(self) -> None:
        """
        An acknowledgement that the protocol does not have is written with all fields.
        """
        request = Message(RPC, RpcAction.REQUEST, name="n", correlation_id="7")
        self.assertEqual(CLIENT.decode(SERVER.encode(request.ack())), [request.ack()])


class DecodeTests(SynchronousTestCase):
    """
    Fields that peers may write in several ways.
    """

    def test_any_order(self) -> None:
        """
        Fields may come in any order, and the last one counts; names add up.
        """
        body = bytes.fromhex("1a0139 1a0130 3a0161 0805 3a0162 0803")
        self.assertEqual(
            SERVER.decode(frame(4, body)),
            [Message(EVENT, EventAction.SUBSCRIBE, names=("a", "b"), correlation_id="0")],
        )

    def test_unknown_fields(self) -> None:
        """
        Fields of later protocol versions are skipped, as are known ones of the wrong kind and unused ones.
        """
        for stray in (
            "7801",  # 15, a number
            "79 0102030405060708",  # 15, eight bytes
            "7d 01020304",  # 15, four bytes
            "7a 02 0102",  # 15, text
            "8201 01 00",  # 16, text
            "a00680808000",  # 100, a number in four bytes
            "3005",  # name as a number
            "0a 01 02",  # action as text
            "5004",  # originalTOPIC
        ):
            for body in (stray + "0802320165", "0802" + stray + "320165", "0802320165" + stray):
                [message] = SERVER.decode(frame(4, bytes.fromhex(body)))
                self.assertEqual(message, Message(EVENT, EventAction.EMIT, name="e"))
                self.assertEqual(SERVER.encode(message).hex(), "0910041a050802320165")  # type: ignore[arg-type]

    def test_envelope(self) -> None:
        """
        The envelope is read as leniently as what is in it.
        """
        emit = "0802320165"
        for envelope in (
            "10041a05" + emit,
            "1a05" + emit + "1004",
            "08011004 1a05" + emit,
            "10041a05" + emit + "2001",
            "1005 1004 1a020806 1a05" + emit,
            "108400 1a05" + emit,
            "1084808080808080808000 1a05" + emit,
            "10041a8500" + emit,
        ):
            content = bytes.fromhex(envelope)
            self.assertEqual(
                SERVER.decode(bytes((len(content),)) + content), [Message(EVENT, EventAction.EMIT, name="e")], envelope
            )

    def test_int32(self) -> None:
        """
        A version of -1 is understood in five bytes and in ten.
        """
        for number in ("ffffffff0f", "ffffffffffffffffff01", "ffffffffffffffffff7f"):
            body = bytes.fromhex("0814 320172 620170 68" + number)
            self.assertEqual(
                SERVER.decode(frame(5, body)), [Message(RECORD, RecordAction.ERASE, name="r", path="p", version=-1)]
            )

    def test_booleans(self) -> None:
        """
        Any number but zero is true, however it is written.
        """
        for number, flag in (("00", False), ("01", True), ("05", True), ("808000", False), ("808002", True)):
            body = bytes.fromhex("0814 320172 620170 6800 58" + number)
            self.assertEqual(
                SERVER.decode(frame(5, body)),
                [Message(RECORD, RecordAction.ERASE, name="r", path="p", version=0, is_write_ack=flag)],
            )

    def test_map_entries(self) -> None:
        """
        Entries of a map may lack either part or have a third one.
        """
        body = bytes.fromhex("0808 7200 72030a0161 72021005 7206 1801 1002 0a00 7207 0a0162 10 808000 7202 0a00")
        self.assertEqual(
            CLIENT.decode(frame(5, body)),
            [Message(RECORD, RecordAction.HEAD_RESPONSE_BULK, versions={"": 0, "a": 0, "b": 0})],
        )

    def test_names_that_are_not_utf8(self) -> None:
        """
        A name that is not UTF-8 is repaired, and so is what others get to see of the message.
        """
        for name in (b"a\xff", b"a\xed\xa0\x80"):
            body = b"\x08\x02\x12\x011\x32" + bytes((len(name),)) + name
            repaired = name.decode("utf-8", "replace")
            [message] = SERVER.decode(frame(4, body))
            self.assertEqual(message, Message(EVENT, EventAction.EMIT, name=repaired, data=b"1"))
            self.assertIsNone(message.verbatim)
            encoded = SERVER.encode(message)  # type: ignore[arg-type]
            self.assertIn(repaired.encode(), encoded)

    def test_linear(self) -> None:
        """
        A payload of half a million tiny parts is worked off at once; lengths are believed only as far as bytes go.
        """
        self.assertEqual(len(SERVER.decode(PING * 100_000)), 100_000)
        self.assertEqual(SERVER.decode(bytes(1_000_000))[1:], [])
        names = b"\x08\x03" + b"\x3a\x00" * 250_000
        size = len(names)
        head = b"\x10\x04\x1a" + bytes((size & 127 | 128, size >> 7 & 127 | 128, size >> 14))
        size += len(head)
        [message] = SERVER.decode(bytes((size & 127 | 128, size >> 7 & 127 | 128, size >> 14)) + head + names)
        self.assertEqual(len(message.names), 250_000)
        huge = SERVER.decode(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + PING)
        self.assertEqual([item.fault for item in huge], [Fault.UNPARSABLE])


CALL_ACTIONS = (RpcAction.REQUEST, RpcAction.ACCEPT, RpcAction.RESPONSE, RpcAction.REQUEST_ERROR, RpcAction.REJECT)


class VerbatimTests(SynchronousTestCase):
    """
    Emits are forwarded as they came, if that is what we would have written.
    """

    def decode(self, payload: bytes) -> Message:
        [message] = SERVER.decode(payload)
        assert isinstance(message, Message)
        return message

    def test_emit(self) -> None:
        """
        An emit of action, data and name goes on untouched, whatever its size and the order of its fields.
        """
        for data in (b"1", b'"' + b"x" * 97 + b'"', b'"' + b"x" * 125 + b'"', b'"' + b"x" * 40000 + b'"', None):
            for name in ("n", "n" * 20, "n" * 200):
                payload = CLIENT.encode(Message(EVENT, EventAction.EMIT, name, data))
                message = self.decode(payload)
                self.assertIs(message.verbatim, SERVER)
                self.assertIs(SERVER.encode(message), payload)
                self.assertEqual(CLIENT.encode(message), payload)
        self.assertIs(self.decode(frame(4, b"\x32\x01e\x08\x02")).verbatim, SERVER)

    def test_around_the_short_form(self) -> None:
        """
        The short way through the decoder and the long one agree on all sizes near the boundary.
        """
        for size in range(90, 135):
            for name in ("n", "n" * 60):
                expected = Message(EVENT, EventAction.EMIT, name, b'"' + b"x" * size + b'"')
                self.assertEqual(self.decode(CLIENT.encode(expected)), expected)

    def test_anything_else(self) -> None:
        """
        No other message in the examples is, but for calls and their answers, nor an emit that comes with a field more,
        or with one twice.
        """
        for body in ("0802320165 7801", "0802320165 320165", "0802 120131 320165 120132"):
            self.assertIsNone(self.decode(frame(4, bytes.fromhex(body))).verbatim)
        emit = frame(4, bytes.fromhex("0802320165"))
        for joined in (emit + PING, PING + emit, emit + b"\xff"):
            for item in SERVER.decode(joined):
                self.assertIsNone(item.verbatim)
        self.assertIsNone(self.decode(b"\x0b\x08\x01" + emit[1:]).verbatim)
        for envelope in ("10041a0108 10041a050802320165", "1005 10041a050802320165", "1a0508023201651004"):
            content = bytes.fromhex(envelope)
            self.assertIsNone(self.decode(bytes((len(content),)) + content).verbatim, envelope)
        for direction, message, text in FRAMES:
            if direction != DOWN and message.action is not EventAction.EMIT and message.action not in CALL_ACTIONS:
                self.assertIsNone(self.decode(bytes.fromhex(text)).verbatim)


class MalformedTests(SynchronousTestCase):
    """
    Payloads that are no message, and the answers to them.
    """

    def assertUnparsable(self, payload: bytes | str, fault: Fault = Fault.UNPARSABLE) -> None:
        raw = payload.encode() if isinstance(payload, str) else payload
        self.assertEqual(SERVER.decode(payload), [Malformed(fault, answer=UNKNOWN_TOPIC, raw=raw)])

    def test_garbage(self) -> None:
        """
        Bytes that are no frame are answered with UNKNOWN_TOPIC.
        """
        for payload in (
            "ffffff",
            "",
            "0610021a0208",
            "ffffffffffffffffffff01",  # a length of eleven bytes
            "0510041a0208",  # a message longer than its envelope
            "0510041a03080232",
            "03 10041a",
            "02 1a05",
            "05 10041b0000",  # wire types that are not in use
            "05 10041c0000",
            "05 1004070000",
            "04 10040001",  # field 0
            "04 10042901",  # a field of eight bytes where there is one
            "05 10047d0102",
        ):
            self.assertUnparsable(bytes.fromhex(payload))

    def test_garbage_inside(self) -> None:
        """
        So are frames around fields that end too early, or have a kind that is not in use.
        """
        for body in (
            "08",
            "0802 12",
            "0802 1205 3132",
            "0802 3203 65",
            "0802 3a03 65",
            "0802 79 01020304",
            "0802 7d 0102",
            "0802 7a05 01",
            "0802 78",
            "0802 7b",
            "0802 7c",
            "0802 7e",
            "0802 7f",
            "0802 00",
            "08 ffffffffffffffffffffff01",
        ):
            self.assertUnparsable(frame(4, bytes.fromhex(body)))
        for entry in ("0a0561", "10", "7b", "0a"):
            content = bytes.fromhex(entry)
            self.assertUnparsable(frame(5, b"\x08\x12\x72" + bytes((len(content),)) + content))

    def test_text_frames(self) -> None:
        """
        A text frame on the binary endpoint is garbage like any other.
        """
        for text in ("", "C|CHR|<+", "{}", "\x1e\x1f", "é"):
            self.assertUnparsable(text)
        [malformed] = SERVER.decode("\ud800")
        self.assertEqual(malformed, Malformed(Fault.UNPARSABLE, answer=UNKNOWN_TOPIC, raw=b"?"))

    def test_unknown_topics(self) -> None:
        """
        Topics that are none, or between servers only, are answered with UNKNOWN_TOPIC.
        """
        for payload in (
            "00",
            "0410001a00",
            "0410091a00",
            "04100a1a00",
            "04100b1a00",
            "0410641a00",
            "021a00",
            "0210 63",
        ):
            self.assertUnparsable(bytes.fromhex(payload), Fault.UNKNOWN_TOPIC)
        self.assertUnparsable(bytes.fromhex("0b10ffffffffffffffffff01"), Fault.UNKNOWN_TOPIC)
        self.assertEqual(SERVER.decode(PING + b"\x00" + PING), SERVER.decode(PING))

    def test_topics_of_servers(self) -> None:
        """
        PARSER is not for clients to speak about, and MONITORING has nothing to say.
        """
        for topic in (PARSER, MONITORING):
            for body in (b"", b"\x08\x01"):
                payload = frame(topic, body)
                self.assertEqual(
                    SERVER.decode(PING + payload)[1:],
                    [Malformed(Fault.UNKNOWN_TOPIC, topic, None, UNKNOWN_TOPIC, payload)],
                )

    def test_unknown_actions(self) -> None:
        """
        Unknown actions, missing ones and those that are for servers to send stay unanswered, except before login.
        """
        for topic in FROM_CLIENT:
            answer = UNKNOWN_TOPIC if topic in (CONNECTION, AUTH) else None
            allowed = {int(action) for action in FROM_CLIENT[topic]}
            for number in set(range(128)) - allowed:
                body = bytes((8, number))
                expected = Malformed(Fault.UNKNOWN_ACTION, topic, number, answer, frame(topic, body))
                self.assertEqual(refused(topic, body), expected)
            for body in (b"\x08\xe8\x07", b"\x08\xea\x07"):
                self.assertEqual(refused(topic, body).fault, Fault.UNKNOWN_ACTION)  # the text protocol's numbers
            self.assertEqual(
                refused(topic, b""), Malformed(Fault.UNKNOWN_ACTION, topic, None, answer, frame(topic, b""))
            )

    def test_neighbours(self) -> None:
        """
        A message with a bad action or bad data does not cost its neighbours.
        """
        bad = frame(4, b"\x08\x63") + frame(4, b"\x08\x02")
        faults = [getattr(item, "fault", None) for item in SERVER.decode(PING + bad + PING)]
        self.assertEqual(faults, [None, Fault.UNKNOWN_ACTION, Fault.INVALID_DATA, None])

    def test_missing_fields(self) -> None:
        """
        Requests without a field they need are answered on their topic.
        """
        whole = {"name": "n", "subscription": "s", "correlation_id": "c", "version": 0, "path": "p", "data": b"{}"}
        for (topic, action), (required, _) in REQUESTS.items():
            if topic is AUTH:
                continue
            for missing in required:
                for absence in {"version": (None,), "data": (None, b"")}.get(missing, (None, "")):
                    fields: dict[str, Any] = {name: whole[name] for name in required} | {missing: absence}
                    request = Message(topic, action, **fields)
                    [malformed] = SERVER.decode(CLIENT.encode(request))
                    assert isinstance(malformed, Malformed), request
                    answer = malformed.answer
                    assert answer is not None
                    self.assertEqual((malformed.fault, malformed.topic), (Fault.INVALID_DATA, topic))
                    self.assertIs(malformed.action, action)
                    self.assertEqual(answer.action.name, "INVALID_MESSAGE_DATA")
                    self.assertEqual((answer.topic, answer.original_action), (topic, action))
                    self.assertEqual((answer.name, answer.is_error), (fields["name"] or None, True))
                    self.assertEqual(answer.correlation_id, fields.get("correlation_id"))

    def test_data_that_is_not_json(self) -> None:
        """
        Data that would kill an official client is refused, with all that the sender needs to find its request.
        """
        for text in (
            *(b"", b"x", b"{", b"'a'", b"NaN", b"01", b'"\xff"', b"[" * 5000, b"undefined"),
            *(b"1e400", b'{"a":[{"b":-1e400}]}', b"[1e400," + b"1," * 200 + b"1]"),
        ):
            write = Message(
                RECORD, RecordAction.UPDATE, name="r", version=1, data=text, correlation_id="3", is_write_ack=True
            )
            [malformed] = SERVER.decode(CLIENT.encode(write))
            self.assertEqual(
                malformed,
                Malformed(
                    Fault.INVALID_DATA,
                    RECORD,
                    RecordAction.UPDATE,
                    Message(
                        RECORD,
                        RecordAction.INVALID_MESSAGE_DATA,
                        name="r",
                        correlation_id="3",
                        original_action=RecordAction.UPDATE,
                        is_error=True,
                        is_write_ack=True,
                    ),
                    CLIENT.encode(write),
                ),
            )

    def test_data_that_is_not_json_elsewhere(self) -> None:
        """
        This holds for every request with data, even if the server does not read the data.
        """
        refusals = {EVENT: 105, RECORD: 116, RPC: 108}
        whole = {"name": "n", "correlation_id": "c", "version": 1, "path": "p"}
        for (topic, action), (required, optional) in REQUESTS.items():
            if "data" not in (*required, *optional):
                continue
            fields: dict[str, Any] = {name: whole[name] for name in required if name != "data"}
            request = Message(topic, action, data=b"x", **fields)
            [malformed] = SERVER.decode(CLIENT.encode(request))
            assert isinstance(malformed, Malformed)
            self.assertEqual((malformed.fault, malformed.topic, malformed.action), (Fault.INVALID_DATA, topic, action))
            answer = malformed.answer
            assert answer is not None
            self.assertEqual(
                (answer.topic, answer.action), (topic if topic in refusals else PARSER, refusals.get(topic, 1))
            )

    def test_logins(self) -> None:
        """
        A login must bring an object or an array.
        """
        for body in (
            b"\x08\x02",
            b"\x08\x02\x12\x00",
            b'\x08\x02\x12\x03"x"',
            b"\x08\x02\x12\x04null",
            b"\x08\x02\x12\x015",
        ):
            self.assertEqual(
                refused(AUTH, body),
                Malformed(Fault.INVALID_DATA, AUTH, AuthAction.REQUEST, UNKNOWN_TOPIC, frame(AUTH, body)),
            )
        self.assertEqual(
            SERVER.decode(frame(AUTH, b"\x08\x02\x12\x02[]")), [Message(AUTH, AuthAction.REQUEST, data=b"[]")]
        )

    def test_client(self) -> None:
        """
        A client has no answers.
        """
        for payload in (
            b"",
            b"\x00",
            frame(4, b"\x08\x63"),
            frame(2, b""),
            frame(4, b"\x08\x02\x12\x01x"),
            frame(2, b"\x08\x04\x12\x01x"),
        ):
            [malformed] = CLIENT.decode(payload)
            assert isinstance(malformed, Malformed)
            self.assertIsNone(malformed.answer)


class ManyNamesTests(SynchronousTestCase):
    """
    Bulk requests whose names are read little by little.
    """

    def read(self, payload: bytes) -> list[Any]:
        return list(SERVER.names_apart(payload))

    def test_same_request(self) -> None:
        """
        The result is the request that decode() reads; each repeated name comes once more at the end.
        """
        distinct = tuple(f"n{number}" for number in range(3500))
        for names, read in ((distinct, distinct), ((*distinct, "n7", "n5", "n7"), (*distinct, "n7", "n5"))):
            request = Message(EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="1")
            payload = CLIENT.encode(request)
            *steps, (rest, found, raw) = self.read(payload)
            self.assertEqual(steps, [None] * 3)
            self.assertEqual((found, found.longest), (read, 5))
            self.assertIs(raw, payload)
            self.assertEqual(SERVER.decode(rest), [dataclasses.replace(request, names=("n0",))])

    def test_fields(self) -> None:
        """
        The acknowledgement is the same as without the encoded names of the request, and contains them as they came if
        they are plain.
        """
        plain = [b"n%d" % number for number in range(20)]
        for topic, action in ((EVENT, EventAction.SUBSCRIBE), (RECORD, RecordAction.SUBSCRIBECREATEANDREAD)):
            payload = CLIENT.encode(Message(topic, action, names=("abc",), correlation_id="1"))
            _, body, _ = read_envelope(payload[1:])
            place = body.index(b"\x03abc") - 1
            tag, rest = body[place : place + 1], body[:place] + body[place + 5 :]
            fields = b"".join(tag + bytes((len(name),)) + name for name in plain)
            for text, kept in (
                (rest + fields, True),
                (fields + rest, True),
                (fields + rest + tag + b"\x01z", False),
                (rest + fields + tag + b"\x02n1", False),
                (rest + fields + tag + b"\x81\x00z", False),
                (rest + fields + tag + b"\x01\xff", False),
                (rest + fields + tag + b"\x02\xc3\xa9", False),
                (rest + fields + tag + b"\xc8\x01" + b"z" * 200, False),
            ):
                found = [
                    each
                    for each in self.read(sized(b"\x10" + bytes((topic,)) + b"\x1a" + sized(text)))
                    if each is not None
                ]
                ((request, names, _),) = found
                self.assertEqual(names.fields, fields if kept else b"")
                (message,) = SERVER.decode(request)
                assert isinstance(message, Message)
                ack = dataclasses.replace(message, names=names).ack()
                self.assertEqual(SERVER.encode(ack), SERVER.encode(dataclasses.replace(ack, names=tuple(names))))

    def test_nothing(self) -> None:
        """
        A payload that is anything else is left to be read in one go.
        """
        subscribe = CLIENT.encode(Message(EVENT, EventAction.SUBSCRIBE, names=("a", "b"), correlation_id="1"))
        emit = CLIENT.encode(Message(EVENT, EventAction.EMIT, "a", b"1"))
        for payload in (b"", b"\x00", emit, subscribe + emit, subscribe[:-1], subscribe + b"\x01", b"\x80" * 20):
            self.assertEqual([each for each in self.read(payload) if each is not None], [], payload)

    @settings(deadline=None, derandomize=True)
    @given(st.binary(max_size=60))
    def test_garbage(self, payload: bytes) -> None:
        """
        No payload raises an exception.
        """
        self.read(payload)
        self.read(frame(4, payload))
