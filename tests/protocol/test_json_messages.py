"""
Tests for L{dstwist.protocol.json_messages}.
"""

from __future__ import annotations

import json
from dataclasses import replace
from enum import IntEnum
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import json_fields, json_messages, protobuf
from dstwist.protocol.constants import (
    ACTIONS,
    FIRST_TEXT_ONLY_ACTION,
    AuthAction,
    ConnectionAction,
    EventAction,
    ParserAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.json_messages import CLIENT, SERVER, SERVER_FOR_JAVASCRIPT
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, dumps, known, loads
from dstwist.protocol.message import UNREAD, Fault, Malformed, Message
from dstwist.protocol.name_parts import NamePart, NameParts
from dstwist.protocol.nesting import MAX_DEPTH
from dstwist.protocol.schema import REQUESTS
from tests.protocol.clients import BINARY, UNSENT
from tests.protocol.test_protobuf import CONTENTS, DECLARED, EVERY_ACTION, FRAMES, UP, fill

CONNECTION, AUTH, EVENT, PARSER = Topic.CONNECTION, Topic.AUTH, Topic.EVENT, Topic.PARSER
RECORD, RPC, PRESENCE = Topic.RECORD, Topic.RPC, Topic.PRESENCE

#: Messages from a server, and their payloads.
ANSWERS: list[tuple[Message, str]] = [
    (Message(CONNECTION, ConnectionAction.ACCEPT), '{"topic":2,"action":4}'),
    (Message(CONNECTION, ConnectionAction.REDIRECT, url="ws://b/x"), '{"topic":2,"action":7,"url":"ws://b/x"}'),
    (Message(AUTH, AuthAction.AUTH_SUCCESSFUL), '{"topic":3,"action":3}'),
    (Message(AUTH, AuthAction.AUTH_SUCCESSFUL, data=b'{"r":1}'), '{"topic":3,"action":3,"parsedData":{"r":1}}'),
    (
        Message(AUTH, AuthAction.INVALID_MESSAGE, original_topic=EVENT, original_action=EventAction.EMIT),
        '{"topic":3,"action":101,"originalTopic":4,"originalAction":2}',
    ),
    (
        Message(EVENT, EventAction.SUBSCRIBE, correlation_id="0", is_ack=True),
        '{"topic":4,"action":3,"correlationId":"0","isAck":true}',
    ),
    (Message(EVENT, EventAction.EMIT, "e1", b'{"a":1}'), '{"topic":4,"action":2,"name":"e1","parsedData":{"a":1}}'),
    (Message(EVENT, EventAction.EMIT, "e1"), '{"topic":4,"action":2,"name":"e1"}'),
    (Message(EVENT, EventAction.EMIT, "e1", b"null"), '{"topic":4,"action":2,"name":"e1","parsedData":null}'),
    (
        Message(RECORD, RecordAction.READ_RESPONSE, "r", b"{}", version=0),
        '{"topic":5,"action":4,"name":"r","version":0,"parsedData":{}}',
    ),
    (
        Message(RECORD, RecordAction.PATCH, "r", b"false", path="a.b", version=2),
        '{"topic":5,"action":19,"name":"r","version":2,"path":"a.b","parsedData":false}',
    ),
    (
        Message(RECORD, RecordAction.WRITE_ACKNOWLEDGEMENT, "r", correlation_id="1", is_write_ack=True),
        '{"topic":5,"action":14,"name":"r","correlationId":"1","isWriteAck":true}',
    ),
    (
        Message(RECORD, RecordAction.HEAD_RESPONSE_BULK, versions={"r": 1}),
        '{"topic":5,"action":8,"versions":{"r":1}}',
    ),
    (Message(RECORD, RecordAction.HEAD_RESPONSE_BULK, versions={}), '{"topic":5,"action":8,"versions":{}}'),
    (Message(PRESENCE, PresenceAction.QUERY_ALL_RESPONSE), '{"topic":7,"action":3,"names":[]}'),
    (
        Message(RPC, RpcAction.REQUEST, "add", b"1", correlation_id="c", requestor_data=b'{"a":1}'),
        '{"topic":6,"action":2,"correlationId":"c","name":"add","parsedData":1,"requestorData":{"a":1}}',
    ),
]

#: Objects that are messages, but not of those that the protocol has.
WRONG: list[tuple[dict[str, Any], Fault]] = [
    ({}, Fault.UNKNOWN_TOPIC),
    ({"topic": 99}, Fault.UNKNOWN_TOPIC),
    ({"topic": True, "action": 2}, Fault.UNKNOWN_TOPIC),
    ({"topic": [], "action": 2}, Fault.UNKNOWN_TOPIC),
    ({"topic": 1e300, "action": 2}, Fault.UNKNOWN_TOPIC),
    ({"topic": 1, "action": 1}, Fault.UNKNOWN_TOPIC),
    ({"topic": 4}, Fault.UNKNOWN_ACTION),
    ({"topic": 4, "action": 99}, Fault.UNKNOWN_ACTION),
    ({"topic": 4, "action": 2.5, "name": "e"}, Fault.UNKNOWN_ACTION),
    ({"topic": 4, "action": {}, "name": "e"}, Fault.UNKNOWN_ACTION),
    ({"topic": 4, "action": "2", "name": "e"}, Fault.UNKNOWN_ACTION),
    ({"topic": 4, "action": 2}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": ""}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": 5}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": "e", "isAck": True}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": "e", "isError": 0}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": "e", "data": {"a": 1}}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": "e", "data": "{"}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": "e", "data": "1e400"}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 2, "name": "e", "data": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 3, "names": "e"}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 3, "names": ["e", 1]}, Fault.INVALID_DATA),
    ({"topic": 4, "action": 3, "names": {"e": 1}}, Fault.INVALID_DATA),
    ({"topic": 5, "action": 18, "name": "r", "version": "1", "parsedData": {}}, Fault.INVALID_DATA),
    ({"topic": 5, "action": 18, "name": "r", "version": 1.5, "parsedData": {}}, Fault.INVALID_DATA),
    ({"topic": 5, "action": 18, "name": "r", "version": True, "parsedData": {}}, Fault.INVALID_DATA),
    ({"topic": 5, "action": 18, "name": "r", "version": 2**31, "parsedData": {}}, Fault.INVALID_DATA),
    ({"topic": 5, "action": 18, "name": "r", "version": 1, "isWriteAck": 1}, Fault.INVALID_DATA),
    ({"topic": 5, "action": 18, "name": "r", "version": 1, "versions": {"r": 1}}, Fault.INVALID_DATA),
    ({"topic": 3, "action": 2, "parsedData": "ann"}, Fault.INVALID_DATA),
    ({"topic": 3, "action": 2}, Fault.INVALID_DATA),
]


def official(message: Message) -> str:
    """
    C{message} as the official client writes it in JSON mode: the value in both forms, unless it is false in JavaScript.
    """
    fields = json.loads(CLIENT.encode(message))
    if message.data not in (None, b"0", b"false", b"null", b'""'):
        assert isinstance(message.data, bytes)
        fields["data"] = message.data.decode()
    return json.dumps({**fields, "isAck": False}, ensure_ascii=False, separators=(",", ":"))


def read(fields: dict[str, Any]) -> Any:
    """
    The result for a request with these fields.
    """
    [result] = SERVER.decode(json.dumps(fields))
    return result


class RequestTests(SynchronousTestCase):
    """
    A server reads the requests of clients.
    """

    def test_worked(self) -> None:
        """
        The worked frames of the binary protocol have the same meaning in JSON.
        """
        for direction, message, _ in FRAMES:
            for payload in (CLIENT.encode(message).decode(), CLIENT.encode(message), official(message)):
                if direction == UP:
                    self.assertEqual(SERVER.decode(payload), [message])

    @EVERY_ACTION
    @given(CONTENTS)
    def test_same_as_binary(self, contents: dict[str, Any]) -> None:
        """
        A request is the same message in JSON, in JSON as the official client writes it, and in the binary protocol.
        """
        for topic, action in REQUESTS:
            message = fill(topic, action, contents, request=True)
            expected = protobuf.SERVER.decode(protobuf.CLIENT.encode(message))
            self.assertEqual(SERVER.decode(CLIENT.encode(message).decode()), expected)
            self.assertEqual(SERVER.decode(official(message)), expected)

    def test_published(self) -> None:
        """
        Each set of fields that a published client sends is accepted, and no other field with it.
        """
        for kind, fields in [(kind, fields) for _, kind, fields in BINARY] + UNSENT:
            topic_name, action_name = kind.split()
            topic = Topic[topic_name]
            message = Message(topic, ACTIONS[topic][action_name])
            values: dict[str, Any] = {"names": ("n",), "data": b"{}", "version": 1, "is_write_ack": True}
            for name in fields.split():
                setattr(message, name, values.get(name, "x"))
            self.assertEqual(SERVER.decode(official(message)), [message])
            stray = json.loads(official(message)) | {"isError": True}
            if topic is not CONNECTION or message.action is not ConnectionAction.CHALLENGE:
                self.assertIsInstance(read(stray), Malformed)

    def test_wrong(self) -> None:
        """
        A request that the protocol does not have is refused, and never raises.
        """
        for fields, fault in WRONG:
            result = read(fields)
            self.assertIsInstance(result, Malformed, fields)
            self.assertEqual((result.fault, result.raw), (fault, json.dumps(fields)), fields)

    def test_no_object(self) -> None:
        """
        A payload that is no JSON object closes the connection, in text and in bytes.
        """
        for text in (
            "",
            "null",
            "1",
            "[]",
            '"x"',
            "{",
            '{"topic":4,}',
            '[{"topic":2,"action":2}]',
            "{}{}",
            "NaN",
            "[" * 5000,
        ):
            for payload in (text, text.encode()):
                self.assertEqual(SERVER.decode(payload), [Malformed(Fault.NOT_JSON, raw=payload)])
        self.assertEqual(SERVER.decode(b'{"a":"\xff"}'), [Malformed(Fault.NOT_JSON, raw=b'{"a":"\xff"}')])

    def test_answers(self) -> None:
        """
        The answers to requests that are wrong name the request.
        """
        for fields, answer in (
            ({"topic": 99, "action": 5}, '{"topic":1,"action":1,"originalTopic":99,"originalAction":5}'),
            ({"topic": "x"}, '{"topic":1,"action":1}'),
            ({"topic": 3, "action": 9}, '{"topic":1,"action":1,"originalTopic":3,"originalAction":9}'),
            ({"topic": 3, "action": 2}, '{"topic":1,"action":1,"originalTopic":3,"originalAction":2}'),
            (
                {"topic": 4, "action": 2, "name": "e", "data": "{"},
                '{"topic":4,"action":105,"isError":true,"name":"e","originalAction":2}',
            ),
            (
                {
                    "topic": 5,
                    "action": 18,
                    "name": "r",
                    "version": 1,
                    "correlationId": "7",
                    "isWriteAck": True,
                    "data": "{",
                },
                '{"topic":5,"action":116,"correlationId":"7","isError":true,"name":"r","originalAction":18,"isWriteAck":true}',
            ),
        ):
            malformed = read(fields)
            self.assertEqual(SERVER.encode(malformed.answer).decode(), answer)
        self.assertIsNone(read({"topic": 4, "action": 99}).answer)

    def test_invalid_write(self) -> None:
        """
        As much as can be read of a write that is refused is kept, so that the client gets the record.
        """
        malformed = read({"topic": 5, "action": 18, "name": "r", "version": 3, "data": "{", "isWriteAck": "yes"})
        self.assertEqual((malformed.request.name, malformed.request.version), ("r", 3))

    def test_ignored(self) -> None:
        """
        Keys that the protocol does not have, and null, count as not there.
        """
        expected = Message(EVENT, EventAction.EMIT, "e")
        strays: tuple[dict[str, Any], ...] = (
            {"x": {"topic": 5}},
            {"correlationId": None, "names": None, "data": None},
            {"names": []},
            {"isAck": False, "isError": False},
            {"originalTopic": 4},
            {"path": "p", "version": "none of this topic"},
            {"data": ""},
        )
        for stray in strays:
            self.assertEqual(read({"topic": 4, "action": 2, "name": "e", **stray}), expected)

    def test_numbers(self) -> None:
        """
        Integers may be written like numbers with a fraction, as in JavaScript.
        """
        payload = '{"topic":5.0,"action":18e0,"name":"r","version":-1.0,"parsedData":{}}'
        [message] = SERVER.decode(payload)
        self.assertEqual(message, Message(RECORD, RecordAction.UPDATE, "r", b"{}", version=-1))
        self.assertIs(type(message.version), int)

    def test_repeated_keys(self) -> None:
        """
        The last one of several equal keys counts, as in JavaScript.
        """
        [message] = SERVER.decode('{"topic":9,"topic":4,"action":2,"name":"a","name":"b"}')
        self.assertEqual(message, Message(EVENT, EventAction.EMIT, "b"))

    def test_data_as_sent(self) -> None:
        """
        The text in "data" is kept as it is, spaces and repeated keys included.
        """
        for data in ('{ "a": 1 }', '{"a":1,"a":1.0}', '"\\u00e9"', "1e2"):
            message = read({"topic": 4, "action": 2, "name": "e", "data": data})
            self.assertEqual(message.data, data.encode())
            self.assertEqual(message.value, json.loads(data))

    def test_data_counts(self) -> None:
        """
        If both forms differ, "data" counts.
        """
        message = read({"topic": 4, "action": 2, "name": "e", "parsedData": {"a": 1}, "data": '{"a":2}'})
        self.assertEqual((message.data, message.value), (b'{"a":2}', {"a": 2}))

    def test_read_once(self) -> None:
        """
        A value that comes in both forms is read once.
        """
        texts: list[bytes | str] = []
        for module in (json_messages, json_fields):
            self.patch(module, "loads", _recording(texts))
        data = b'{"a":[1.5,"x",null]}'
        message = Message(RECORD, RecordAction.UPDATE, "r", data, version=1)
        payload = official(message)
        [decoded] = SERVER.decode(payload)
        self.assertEqual((texts, decoded, decoded.value), ([payload], message, loads(data)))

    def test_long_value(self) -> None:
        """
        The record service reads the value of a long message itself, in steps.
        """
        message = read({"topic": 4, "action": 2, "name": "e", "parsedData": "x" * READ_IN_PARTS_LENGTH})
        self.assertIs(message.value, UNREAD)

    def test_half_surrogates(self) -> None:
        """
        Half of a surrogate pair becomes U+FFFD in texts, and stays an escape in values.
        """
        [message] = SERVER.decode('{"topic":4,"action":3,"names":["a\\ud800","\\udfffb"],"correlationId":"\\ud83d"}')
        self.assertEqual((message.names, message.correlation_id), (("a\ufffd", "\ufffdb"), "\ufffd"))
        [message] = SERVER.decode('{"topic":4,"action":2,"name":"\\ud83d\\ude00","parsedData":"\\ud800"}')
        self.assertEqual(message, Message(EVENT, EventAction.EMIT, "\U0001f600", b'"\\ud800"'))
        [message] = SERVER.decode('{"topic":4,"action":2,"name":"e","data":"\\"\\ud800\\""}')
        self.assertEqual(message, Message(EVENT, EventAction.EMIT, "e", '"\ufffd"'.encode()))


class AnswerTests(SynchronousTestCase):
    """
    A server writes messages that clients can read.
    """

    def test_payloads(self) -> None:
        """
        Each message has exactly this payload.
        """
        for message, payload in ANSWERS:
            self.assertEqual(SERVER.encode(message).decode(), payload)

    @EVERY_ACTION
    @given(CONTENTS)
    def test_round_trip(self, contents: dict[str, Any]) -> None:
        """
        A client reads what a server wrote, for every topic and action.
        """
        for topic, action in DECLARED:
            message = fill(topic, action, contents)
            self.assertEqual(CLIENT.decode(SERVER.encode(message)), [message])

    def test_no_form(self) -> None:
        """
        A message that this protocol has no form for is not sent.
        """
        for topic, action in (
            (CONNECTION, ConnectionAction.CHALLENGE_REQUEST),
            (RECORD, RecordAction.HAS_RESPONSE),
            (Topic.UNKNOWN, ParserAction.UNKNOWN),
        ):
            self.assertEqual(SERVER.encode(Message(topic, action)), b"")

    def test_no_value(self) -> None:
        """
        "No value" of a text client is no value here; its other values are JSON.
        """
        for typed, value in (
            ("U", ""),
            ("Sa", ',"parsedData":"a"'),
            ("N1.5", ',"parsedData":1.5'),
            ("L", ',"parsedData":null'),
        ):
            for topic, action, name in ((EVENT, EventAction.EMIT, "4"), (RECORD, RecordAction.UPDATE, "5")):
                payload = SERVER.encode(Message(topic, action, "n", typed)).decode()
                self.assertEqual(payload, f'{{"topic":{name},"action":{action:d},"name":"n"{value}}}')

    def test_text_only_original(self) -> None:
        """
        An action that only the text protocol has is not named.
        """
        message = Message(RECORD, RecordAction.MESSAGE_DENIED, "r", original_action=RecordAction.HAS)
        self.assertEqual(SERVER.encode(message), b'{"topic":5,"action":115,"name":"r"}')

    def test_names(self) -> None:
        """
        All kinds of names are written, in parts as well.
        """
        names = ("a", 'quote"', "é", "half\ud800", "")
        parts = NameParts([NamePart(names[:2]), NamePart(()), NamePart(names[2:])])
        for given_names in (names, parts):
            payload = SERVER.encode(Message(PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=given_names))  # type: ignore[arg-type]
            self.assertEqual(json.loads(payload)["names"], list(names))

    def test_requestor_data(self) -> None:
        """
        The official client gets the data of a requestor as a text, which it reads itself.
        """
        message = Message(RPC, RpcAction.REQUEST, "a", correlation_id="1", requestor_data=b'{"r":1}')
        self.assertEqual(json.loads(SERVER.encode(message))["requestorData"], {"r": 1})
        self.assertEqual(json.loads(SERVER_FOR_JAVASCRIPT.encode(message))["requestorData"], '{"r":1}')

    def test_notify_error(self) -> None:
        """
        The official client takes this error for success if it has no text.
        """
        message = Message(RECORD, RecordAction.RECORD_NOTIFY_ERROR, data=b'"no"', is_error=True, correlation_id="1")
        payload = json.loads(SERVER.encode(message))
        self.assertEqual((payload["data"], payload["parsedData"]), ('"no"', "no"))
        self.assertEqual(CLIENT.decode(SERVER.encode(message)), [message])

    def test_ack(self) -> None:
        """
        Acknowledgements have the fields that the client finds its request by, and no other.
        """
        request = Message(PRESENCE, PresenceAction.SUBSCRIBE_ALL, "a", names=("a",), correlation_id="1")
        self.assertEqual(SERVER.encode(request.ack()), b'{"topic":7,"action":12,"isAck":true}')


class LongTests(SynchronousTestCase):
    """
    Long payloads, whose JSON is read in steps.
    """

    def texts(self, payload: str) -> list[tuple[bytes | str, bool]]:
        """
        The texts that are read before the payload is decoded.
        """
        first = SERVER.json_apart(payload)
        assert first is not None
        outcome: Any
        try:
            outcome = loads(first[0])
        except ValueError as error:
            outcome = error
        with known(first[0], outcome):
            second = SERVER.json_apart(payload)
        return [first] if second is None else [first, second]

    def test_pieces(self) -> None:
        """
        A payload is one message.
        """
        self.assertEqual(SERVER.pieces("x" * 100, 10), ["x" * 100])
        self.assertEqual(list(SERVER.names_apart('{"names":[]}')), [])

    def test_one_text(self) -> None:
        """
        Normally there is one text: the value in both forms is the same.
        """
        long = dumps("x" * READ_IN_PARTS_LENGTH)
        message = Message(EVENT, EventAction.EMIT, "e", long)
        for payload in (
            official(message),
            CLIENT.encode(message).decode(),
            official(replace(message, data=b"1")).replace("}", " " * READ_IN_PARTS_LENGTH + "}"),
            "[" + "1," * READ_IN_PARTS_LENGTH + "1]",
            "1," * READ_IN_PARTS_LENGTH,
        ):
            self.assertEqual(self.texts(payload), [(payload, True)])

    def test_two_texts(self) -> None:
        """
        A long "data" that differs is read in steps as well; its value is needed for a login only.
        """
        data = " " * READ_IN_PARTS_LENGTH + "{}"
        for topic, extra in ((4, {"name": "e"}), (3, {}), (4, {"name": "e", "parsedData": {}})):
            payload = json.dumps({"topic": topic, "action": 2, "data": data, **extra})
            self.assertEqual(self.texts(payload), [(payload, True), (data.encode(), topic == AUTH)])


class GarbageTests(SynchronousTestCase):
    """
    Whatever a peer sends, decoding gives a message or the reason why it is none.
    """

    VALUES = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=4,
    )

    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(
        st.sampled_from(
            sorted({key for message, _ in ANSWERS for key in json.loads(SERVER.encode(message))} | {"data"})
        ),
        st.sampled_from(FRAMES),
        VALUES,
    )
    def test_any_value(self, key: str, case: tuple[str, Message, str], value: Any) -> None:
        """
        Any value in any key; and what can be read can be written, and read again.
        """
        fields = json.loads(CLIENT.encode(case[1])) | {key: value}
        for codec in (SERVER, CLIENT):
            for payload in (json.dumps(fields), json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")):
                [result] = codec.decode(payload)
                if isinstance(result, Message):
                    again = CLIENT.decode(SERVER.encode(result))
                    self.assertIsInstance(again[0], Message, payload)
                elif result.answer is not None:
                    self.assertTrue(SERVER.encode(result.answer))

    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(st.binary(max_size=60) | st.text(max_size=60))
    def test_noise(self, payload: bytes | str) -> None:
        """
        Any bytes, and any text.
        """
        for codec in (SERVER, CLIENT):
            [result] = codec.decode(payload)
            self.assertIsInstance(result, Malformed)


class ErrorTests(SynchronousTestCase):
    """
    Errors that name the request that they are about.
    """

    def test_originals(self) -> None:
        """
        A client learns the topic and the action, whether they exist or not.
        """
        for topic, action, original_topic, original_action in (
            (CONNECTION, ConnectionAction.INVALID_MESSAGE, EVENT, EventAction.EMIT),
            (PARSER, ParserAction.UNKNOWN_TOPIC, 99, 5),
            (PARSER, ParserAction.UNKNOWN_TOPIC, RPC, 99),
            (PARSER, ParserAction.UNKNOWN_TOPIC, None, None),
        ):
            message = Message(topic, action)
            message.original_topic = original_topic  # type: ignore[assignment]
            message.original_action = original_action  # type: ignore[assignment]
            [decoded] = CLIENT.decode(SERVER.encode(message))
            self.assertEqual(decoded, message)
            if isinstance(original_action, IntEnum):
                self.assertIs(type(decoded.original_action), type(original_action))

    def test_every_action(self) -> None:
        """
        No action is missing in the protocol but those that only the text protocol has.
        """
        for topic, actions in ACTIONS.items():
            for action in actions:
                self.assertEqual(bool(SERVER.encode(Message(topic, action))), action < FIRST_TEXT_ONLY_ACTION)


def _recording(texts: list[bytes | str]) -> Any:
    def record(text: bytes | str) -> Any:
        texts.append(text)
        return loads(text)

    return record
