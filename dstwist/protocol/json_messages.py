"""
The JSON protocol: the messages of v4+ clients as JSON, from payloads to L{Message}s and back.

A payload is one JSON object, which is one message::

    CONNECTION.PING                     {"topic":2,"action":2}
    EVENT.EMIT name=e1 data={"a":1}     {"topic":4,"action":2,"name":"e1","parsedData":{"a":1}}

The numbers of topics and actions, and the fields of each message, are those of the binary protocol
(L{dstwist.protocol.schema}); L{dstwist.protocol.json_layout.KEYS} has the names of the fields. The value of a message
has two forms: C{parsedData} is the value, and C{data} is a text that contains the value as JSON. The official client
sends both, except for values that are false in JavaScript. The codec reads either, and writes C{parsedData}.

==================================================  ==================================================================
received                                            result of L{JsonCodec.decode}
==================================================  ==================================================================
a message that clients may send                     L{Message}
no JSON object                                      NOT_JSON, which closes the connection
a C{parsedData} that is nested too deeply, if the   INVALID_DATA
fields before it can be read
a topic that no client can address, or no topic     UNKNOWN_TOPIC, answered by PARSER.UNKNOWN_TOPIC with the topic
an action that no client may send, or no action     UNKNOWN_ACTION; not answered, except for CONNECTION and AUTH:
                                                    PARSER.UNKNOWN_TOPIC
missing fields, fields that no client sends there   INVALID_DATA, answered by INVALID_MESSAGE_DATA on the topic
(L{dstwist.protocol.schema.REQUESTS}), fields of
the wrong type, C{data} that is not JSON
keys that are not in the tables; C{null} in any     nothing: they are ignored
key but C{parsedData}; empty C{names}; C{isAck}
and C{isError} with C{false}
==================================================  ==================================================================

Always true:

- Decoding never raises. It reads each value once: if a message has its value in both forms, C{data} is compared with
  the text of C{parsedData}, and is read only if they differ. Then C{data} counts.
- The C{data} of a decoded message is the text that the client sent, if it sent one.
- The texts of a decoded message contain no lone surrogates: U+FFFD is in their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from dstwist.protocol.constants import (
    ACTIONS,
    FIRST_TEXT_ONLY_ACTION,
    FROM_CLIENT,
    EventAction,
    ParserAction,
    PresenceAction,
    RecordAction,
    Topic,
)
from dstwist.protocol.json_fields import NUMBERS, fields_beside_value, integer, read_value, repaired
from dstwist.protocol.json_layout import ACK_WRITERS, HEADS, NEVER_TRUE, WRITERS, json_layout_of
from dstwist.protocol.json_short import FLAGS, emit_payload, record_payload, short_emit
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, NoRoom, dumps, is_known, loads
from dstwist.protocol.message import UNREAD, Fault, Malformed, Message
from dstwist.protocol.name_parts import DistinctNames, NameParts
from dstwist.protocol.protobuf_layout import SLOTS, bits
from dstwist.protocol.protobuf_payloads import NO_OTHERS, others
from dstwist.protocol.schema import REFUSALS, Kind
from dstwist.protocol.typed import to_json, utf8

_ACTION = SLOTS["action"]
_DATA = SLOTS["data"]
_NAMES = SLOTS["names"]
_VALUE = SLOTS["value"]
_ORIGINAL_TOPIC = SLOTS["original_topic"]
_ORIGINAL_ACTION = SLOTS["original_action"]
_DATA_BIT = bits(["data"])

# The hot loops compare with constants of the module, because an attribute of an enumeration costs more than the
# comparison.
_INTEGER = int(Kind.INTEGER)
_BOOLEAN = int(Kind.BOOLEAN)
_ORIGINAL = int(Kind.ORIGINAL_ACTION)
_TEXT = int(Kind.TEXT)
_JSON = int(Kind.JSON)
_ALL_NAMES = int(Kind.NAMES)
_VERSIONS = int(Kind.VERSIONS)
_RECORD = Topic.RECORD
_EMIT = EventAction.EMIT
_QUERY_ALL_RESPONSE = PresenceAction.QUERY_ALL_RESPONSE
_NOTIFY_ERROR = RecordAction.RECORD_NOTIFY_ERROR

# Numbers are compared with numbers twice as fast as with members of an enumeration.
_EVENT_NUMBER = int(Topic.EVENT)
_EMIT_NUMBER = int(_EMIT)


class JsonCodec:
    """
    One side of the JSON protocol. It has no state, so all connections share it.
    """

    name = "json"

    def __init__(self, server: bool, requestor_data_as_text: bool = False) -> None:
        """
        @param server: read only messages that clients may send, and give answers to all others. A client reads all
            messages.
        @param requestor_data_as_text: write C{requestorData} as a text that contains JSON. The official client reads
            it as JSON once more, and fails on anything else but a text.
        """
        self._server = server
        self._requestor_data_as_text = requestor_data_as_text
        self._layouts = {
            int(topic): json_layout_of(topic, FROM_CLIENT[topic] if server else frozenset(actions), server)
            for topic, actions in ACTIONS.items()
            if topic in FROM_CLIENT or not server
        }

    def decode(self, payload: bytes | str) -> list[Message | Malformed]:
        """
        The message in a payload, or a L{Malformed}.

        @param payload: a whole WebSocket message. Official clients send text; bytes are read as UTF-8.
        """
        try:
            found = loads(payload)
        except ValueError:
            found = fields_beside_value(payload)
        if found.__class__ is not dict:
            return [Malformed(Fault.NOT_JSON, raw=payload)]
        topic: Any = found.get("topic")
        if topic == _EVENT_NUMBER and self._server and found.get("action") == _EMIT_NUMBER:
            event = short_emit(found, payload)
            if event is not None:
                return [event]
        layout = self._layouts.get(topic) if topic.__class__ in NUMBERS else None
        if layout is None:
            number = integer(topic)
            known = Topic(number) if number in ACTIONS else None
            return [Malformed(Fault.UNKNOWN_TOPIC, known, None, self._unknown_topic(number, found), payload)]
        if ("\\u" if payload.__class__ is str else b"\\u") in payload:  # type: ignore[operator]
            found = repaired(found)
        return [self._message(*layout, found, payload)]

    def pieces(self, payload: bytes | str, size: int) -> list[bytes | str]:
        """
        The payload, which is one message.
        """
        return [payload]

    def names_apart(self, payload: bytes | str) -> Iterator[tuple[bytes | str, DistinctNames, bytes | str] | None]:
        """
        Nothing: names are read in steps with the rest of the payload (L{json_apart}).
        """
        return iter(())

    def json_apart(self, payload: bytes | str) -> tuple[bytes | str, bool] | None:
        """
        The JSON text that has to be read next, and whether decoding needs its value: first the payload, then C{data},
        if it is long and is not the text of C{parsedData}. C{None} if there is none.
        """
        if not is_known(payload):
            return payload, True
        try:
            found = loads(payload)
        except ValueError:
            return None
        data = found.get("data") if found.__class__ is dict else None
        if data.__class__ is not str or len(data) < READ_IN_PARTS_LENGTH:
            return None
        text = utf8(data)
        if "parsedData" in found and dumps(found["parsedData"]) == text:
            return None
        return text, found.get("topic") == Topic.AUTH

    def encode(self, message: Message) -> bytes:
        """
        The payload of a message; empty if this protocol has no form for it.
        """
        topic, action = message.topic, message.action
        head = HEADS.get((topic, action))
        if head is None or topic not in WRITERS:
            return b""
        if topic is _RECORD:
            if action is not _NOTIFY_ERROR and others(message) == NO_OTHERS:
                return record_payload(message, head)
        elif action is _EMIT and message.correlation_id is None and others(message) == NO_OTHERS:
            payload = emit_payload(message, head)
            if payload is not None:
                return payload
        return self.encode_by_table(message)

    def encode_by_table(self, message: Message) -> bytes:
        """
        The payload of any message of the topics in L{WRITERS}.
        """
        topic, action = message.topic, message.action
        read, fields = WRITERS[topic]
        if message.is_ack:
            read, fields = ACK_WRITERS.get((topic, action), (read, fields))
        parts = [HEADS[topic, action]]
        for value, (key, kind) in zip(read(message), fields, strict=True):
            if value is None:
                continue
            if kind == _BOOLEAN:
                parts += key, FLAGS[value]
            elif kind == _JSON:
                text = value if isinstance(value, bytes) else to_json(value)
                if text is None:
                    continue
                if self._requestor_data_as_text and key == b',"requestorData":':
                    text = dumps(text.decode())
                elif action is _NOTIFY_ERROR:
                    # The official client shows the application the text, and takes an error without it for success.
                    parts += b',"data":', dumps(text.decode())
                parts += key, text
            elif kind == _ALL_NAMES:
                # The official client gives the application the names, even if there are none.
                if value or action is _QUERY_ALL_RESPONSE:
                    parts += key, _written_names(value)
            elif kind == _ORIGINAL and value >= FIRST_TEXT_ONLY_ACTION:
                continue
            elif kind == _TEXT or kind == _VERSIONS:
                parts += key, dumps(value)
            else:
                parts += key, b"%d" % value
        parts.append(b"}")
        return b"".join(parts)

    def _message(
        self,
        topic: Topic,
        blank: list[Any],
        fields: dict[str, tuple[int, int, int]],
        requirements: dict[int, Any],
        originals: dict[int, IntEnum],
        found: dict[str, Any],
        payload: bytes | str,
    ) -> Message | Malformed:
        """
        The message with the fields in C{found}.

        @param payload: the payload.
        The other parameters are those of a L{dstwist.protocol.json_layout.JsonLayout}: unpacking costs less than
        reading the attributes of a named tuple.
        """
        values = blank.copy()
        values[_RAW] = payload
        seen, valid = 0, True
        for key, value in found.items():
            known = fields.get(key)
            if known is None:
                continue
            kind, slot, bit = known
            if kind == _JSON:
                value = dumps(value)
            elif value is None:
                continue
            elif kind == _TEXT:
                if value.__class__ is not str:
                    valid = False
                    continue
            elif kind == NEVER_TRUE:
                if value is False:
                    continue
                valid = False
            elif kind == _ALL_NAMES:
                if value.__class__ is not list or set(map(type, value)) - _ONLY_TEXTS:
                    valid = False
                    continue
                if not value:
                    continue
                value = tuple(value)
            elif kind == _INTEGER:
                value = integer(value)
                if value is None:
                    valid = False
                    continue
            elif kind == _BOOLEAN:
                if value.__class__ is not bool:
                    valid = False
                    continue
            elif kind == _VERSIONS:
                if value.__class__ is not dict or None in map(integer, value.values()):
                    valid = False
                    continue
            elif kind == _ORIGINAL:
                value = originals.get(integer(value))  # type: ignore[arg-type]
            else:
                value = _topic(value)
            values[slot] = value
            seen |= bit

        number: Any = found.get("action")
        rule = requirements.get(number) if number.__class__ in NUMBERS else None
        if rule is None:
            answer = None if topic in REFUSALS else self._unknown_topic(topic, found)
            return Malformed(Fault.UNKNOWN_ACTION, topic, integer(number), answer, payload)
        action, texts, needed, checked, structured = rule
        values[_ACTION] = action
        value = UNREAD
        try:
            values[_DATA], value = read_value(found)
        except NoRoom:
            # The record service reads the data again. If there is still no room, it refuses the write, so that the
            # client is told.
            values[_DATA] = utf8(found["data"])
            valid = valid and topic is _RECORD
        except ValueError:
            values[_DATA] = b""
            valid = False
        if values[_DATA] is not None:
            seen |= _DATA_BIT
        if not valid or seen & checked != needed or (structured and not isinstance(value, dict | list)):
            return self._invalid(topic, values, found)
        for slot in texts:
            if values[slot] == "":
                return self._invalid(topic, values, found)
        if len(payload) < READ_IN_PARTS_LENGTH:
            values[_VALUE] = value
        if not self._server and topic not in REFUSALS:
            _name_request(values, found)
        return Message(*values)

    def _invalid(self, topic: Topic, values: list[Any], found: dict[str, Any]) -> Malformed:
        request = Message(*values)
        request.name = request.name or None
        refusal = REFUSALS.get(topic)
        if not self._server or refusal is None:
            answer = self._unknown_topic(topic, found)
        else:
            answer = request.error(refusal)
        return Malformed(Fault.INVALID_DATA, topic, request.action, answer, values[_RAW], request)

    def _unknown_topic(self, number: int | None, found: dict[str, Any]) -> Message | None:
        if not self._server:
            return None
        answer = Message(Topic.PARSER, ParserAction.UNKNOWN_TOPIC)
        # These are numbers that need not have a member in the enumerations.
        answer.original_topic = number  # type: ignore[assignment]
        answer.original_action = integer(found.get("action"))  # type: ignore[assignment]
        return answer


_RAW = SLOTS["raw"]
_ONLY_TEXTS = {str}


def _topic(value: Any) -> Any:
    """
    The topic with a number; the number, if there is none.
    """
    number = integer(value)
    return Topic(number) if number in ACTIONS else number


def _name_request(values: list[Any], found: dict[str, Any]) -> None:
    """
    Fill in the original action of an error, which has the number of an action of the original topic.
    """
    number = integer(found.get("originalAction"))
    actions = ACTIONS.get(values[_ORIGINAL_TOPIC], ())
    values[_ORIGINAL_ACTION] = next((action for action in actions if action == number), number)


def _written_names(names: tuple[str, ...] | NameParts) -> bytes:
    """
    The names as a JSON array.
    """
    if isinstance(names, NameParts):
        parts = names.encoded("json", lambda part: dumps(list(part))[1:-1])
        return b"[" + b",".join(parts) + b"]"
    return dumps(list(names))


#: The codec of a server, for clients that read C{requestorData} as it is.
SERVER = JsonCodec(server=True)
#: The codec of a server, for official clients.
SERVER_FOR_JAVASCRIPT = JsonCodec(server=True, requestor_data_as_text=True)
#: The codec of a client.
CLIENT = JsonCodec(server=False)
