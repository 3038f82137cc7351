"""
The binary protocol of v4+ clients: from payloads to L{Message}s and back.

A payload is one WebSocket message. By the protocol it contains one length-delimited envelope::

    Format::  <length> 10 <topic> 1a <length> <fields>

    CONNECTION.PING                     06 10 02 1a 02 08 02
    EVENT.EMIT name=e1 data={"a":1}     13 10 04 1a 0f 08 02 12 07 7b2261223a317d 32 02 6531

The codec reads all envelopes of a payload, and writes one envelope per frame: official clients ignore all but the
first.

==================================================  ==================================================================
received                                            result of L{ProtobufCodec.decode}
==================================================  ==================================================================
a message that clients may send                     L{Message}
bytes that are no envelope, topics that no client   nothing if they follow a readable message; otherwise one
can address (0, CLUSTER, LOCK, ...)                 UNPARSABLE or UNKNOWN_TOPIC, answered by PARSER.UNKNOWN_TOPIC
PARSER, MONITORING                                  UNKNOWN_TOPIC, answered by PARSER.UNKNOWN_TOPIC
an action that no client may send, or no action     UNKNOWN_ACTION; not answered, except for CONNECTION and AUTH:
                                                    PARSER.UNKNOWN_TOPIC
missing fields, fields that no client sends there   INVALID_DATA, answered by INVALID_MESSAGE_DATA on the topic
(L{dstwist.protocol.schema.REQUESTS}), data that
is not JSON
==================================================  ==================================================================

Always true:

- Decoding never raises. Its time and memory are proportional to the size of the payload, whatever lengths are in it.
- The C{data} of a decoded message is valid JSON, because official clients fail on anything else.
- An absent field differs from zero, in both directions. A v4+ client that receives no version in the place of 0 never
  writes that record again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dstwist.protocol.constants import (
    ACTIONS,
    FIRST_TEXT_ONLY_ACTION,
    FROM_CLIENT,
    EventAction,
    ParserAction,
    RecordAction,
    Topic,
)
from dstwist.protocol.jsontext import NoRoom, brief_loads, loads
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.name_parts import DistinctNames, NameReader
from dstwist.protocol.protobuf_layout import ACK_WRITERS, SLOTS, WRITERS, Layout, bits, layout_of
from dstwist.protocol.protobuf_parts import (
    SMALL_NUMBERS,
    Undecodable,
    are_plain,
    read_entry,
    read_envelope,
    signed,
    sized,
    skip,
    varint,
    written_names,
    written_number,
)
from dstwist.protocol.protobuf_payloads import acknowledgement_payload, call_payload, emit_payload, record_payload
from dstwist.protocol.protobuf_short import LONGEST_LONG, SHORT_FORMS, SHORTEST_LONG, long_form
from dstwist.protocol.schema import REFUSALS, Kind
from dstwist.protocol.typed import to_json, utf8

_CHECKED_ONLY = (Topic.EVENT, Topic.RPC, Topic.RECORD)

#: The names that L{ProtobufCodec.names_apart} reads in one step.
NAMES_PER_STEP = 1000

#: How many parts of a payload are found in one step.
MAX_PIECES = 8

# The length of the shortest envelope: a topic and an empty message.
_MIN_ENVELOPE_BYTES = 4

_ACTION = SLOTS["action"]
_NAME = SLOTS["name"]
_DATA = SLOTS["data"]
_RAW = SLOTS["raw"]
_VERBATIM = SLOTS["verbatim"]
_NAMES = SLOTS["names"]

# The hot loops compare with constants of the module, because an attribute of an enumeration costs more than the
# comparison.
_INTEGER = int(Kind.INTEGER)
_BOOLEAN = int(Kind.BOOLEAN)
_TEXT = int(Kind.TEXT)
_JSON = int(Kind.JSON)
_ALL_NAMES = int(Kind.NAMES)
_EVENT = Topic.EVENT
_RECORD = Topic.RECORD
_RPC = Topic.RPC
_EMIT = EventAction.EMIT
_WRITE_ACKNOWLEDGEMENT = RecordAction.WRITE_ACKNOWLEDGEMENT

#: The fields of an emit that are forwarded to other clients.
_RELAYED = bits(("action", "name", "data"))

#: By the size of the payload: the first bytes of an emit that has only data and a name, up to the length of its data.
_EMIT_HEADS = {size: bytes((size - 1, 0x10, 0x04, 0x1A, size - 5, 0x08, 0x02, 0x12)) for size in range(13, 129)}


class ProtobufCodec:
    """
    One side of the binary protocol. It has no state, so all connections share it.
    """

    name = "protobuf"

    def __init__(self, server: bool) -> None:
        """
        @param server: read only messages that clients may send, and give answers to all others. A client reads all
            messages.
        """
        self._server = server
        self._layouts: dict[int, Layout] = {
            int(topic): layout_of(topic, FROM_CLIENT[topic] if server else frozenset(actions), server)
            for topic, actions in ACTIONS.items()
            if topic in FROM_CLIENT or not server
        }

    def decode(self, payload: bytes | str) -> list[Message | Malformed]:
        """
        The messages of a payload, in order, and a L{Malformed} for each part that is none.

        @param payload: a whole WebSocket message. Text is never valid in this protocol.
        """
        if isinstance(payload, str):
            payload = payload.encode("utf-8", "replace")
        size = len(payload)
        # Most messages are short emits in the form of the official client: 8 bytes that depend only on the size, and
        # then only <length> data 32 <length> name.
        if size >= SHORTEST_LONG:
            if size <= LONGEST_LONG and (long := long_form(size, payload[:10])) is not None:
                if (message := long[0](payload, long[2], long[1], self)) is not None:
                    return [message]
        elif (head := payload[:8]) == _EMIT_HEADS.get(size):
            if (end := payload[8] + 9) < size - 2 and payload[end] == 0x32 and payload[end + 1] == size - end - 2:
                data = payload[9:end]
                try:
                    brief_loads(data)
                    return [Message(_EVENT, _EMIT, payload[end + 2 :].decode(), data, payload, self)]
                except ValueError:
                    pass  # the code below finds the answer
        elif (form := SHORT_FORMS.get(head)) is not None:
            if head[0] == size - 1 and (message := form[0](payload, 7, form[1], self)) is not None:
                return [message]
        found: list[Message | Malformed] = []
        fault, position = Fault.UNPARSABLE, 0
        try:
            while position < size:
                length, start = varint(payload, position)
                end = start + length
                if end > size:
                    break
                topic, body, plain = read_envelope(payload[start:end])
                raw = payload[position:end]
                position = end
                layout = self._layouts.get(topic)
                if layout is not None:
                    found.append(self._message(layout, body, raw, plain and len(raw) == size))
                elif topic in ACTIONS:
                    found.append(Malformed(Fault.UNKNOWN_TOPIC, Topic(topic), None, self._unknown_topic(), raw))
                else:
                    fault = Fault.UNKNOWN_TOPIC
                    break
        except (IndexError, Undecodable):
            pass
        return found or [Malformed(fault, answer=self._unknown_topic(), raw=payload)]

    def pieces(self, payload: bytes | str, size: int) -> list[bytes | str]:
        """
        The payload in parts of whole envelopes. A part ends with the envelope that makes it longer than C{size}. After
        L{MAX_PIECES} parts the rest is one part: to look at each of 150,000 envelopes would take 20 ms.
        """
        if isinstance(payload, str):
            return [payload]
        found: list[bytes | str] = []
        start = position = 0
        try:
            while len(found) < MAX_PIECES:
                begin = position
                length = payload[position]
                position += 1
                if length > 127:
                    length, position = varint(payload, position - 1)
                elif length < _MIN_ENVELOPE_BYTES:
                    break  # no message is so short, and decode() reads nothing behind it
                position += length
                if position > len(payload):
                    break
                if position - start > size:
                    if start < begin and position - begin > size:
                        # A long envelope is a part of its own.
                        found.append(payload[start:begin])
                        start = begin
                    found.append(payload[start:position])
                    start = position
        except (IndexError, Undecodable):
            pass
        if start < len(payload):
            found.append(payload[start:])
        return found

    def names_apart(self, payload: bytes | str) -> Iterator[tuple[bytes, DistinctNames, bytes] | None]:
        """
        Read the names of a bulk request with very many names in steps.

        @return: C{None} after each step. The last item, if the payload is such a request, is the same request with only
            its first name, all of its names, and the payload.
        """
        if isinstance(payload, str):
            return
        reader = NameReader()
        names: list[str] = []
        rest = bytearray()
        try:
            length, start = varint(payload, 0)
            topic, body, plain = read_envelope(payload[start:])
            layout = self._layouts.get(topic)
            if layout is None or not plain or start + length != len(payload):
                return
            position, size = 0, len(body)
            found, together, first, last = False, True, 0, 0
            while position < size:
                begin = position
                known = layout.fields.get(body[position])
                position = skip(body, position)
                if known is None or known[0] != _ALL_NAMES:
                    rest += body[begin:position]
                    continue
                if not found:
                    rest += body[begin:position]
                    found, first = True, begin
                elif begin != last:
                    together = False
                last = position
                names.append(body[varint(body, begin + 1)[1] : position].decode("utf-8", "replace"))
                if len(names) == NAMES_PER_STEP:
                    reader.add(names)
                    names.clear()
                    yield None
        except (IndexError, Undecodable):
            return
        if found:
            reader.add(names)
            distinct = reader.distinct()
            fields = body[first:last] if together else b""
            if are_plain(fields, len(distinct), reader):
                # For the acknowledgement. It repeats all names, and to encode them takes as long as to read them.
                distinct.fields = fields
            yield sized(b"\x10" + SMALL_NUMBERS[topic] + b"\x1a" + sized(rest)), distinct, payload

    def json_apart(self, payload: bytes | str) -> tuple[bytes | str, bool] | None:
        """
        The JSON text in a payload of one message, and whether decoding needs its value. If not, decoding only checks
        that the text is JSON. C{None} if there is no JSON text.
        """
        if isinstance(payload, str):
            return None
        data: bytes | None = None
        try:
            length, start = varint(payload, 0)
            topic, body, _ = read_envelope(payload[start:])
            layout = self._layouts.get(topic)
            if layout is None or start + length != len(payload):
                return None
            position, size = 0, len(body)
            while position < size:
                begin = position
                known = layout.fields.get(body[position])
                position = skip(body, position)
                if known is not None and known[0] == _JSON and known[1] == _DATA:
                    data = body[varint(body, begin + 1)[1] : position]
        except (IndexError, Undecodable):
            return None
        # Decoding does not need the value for these topics. The record service reads it when it serves the request.
        return None if data is None else (data, layout.topic not in _CHECKED_ONLY)

    def encode(self, message: Message) -> bytes:
        """
        The payload of a message; empty if this protocol has no form for it.
        """
        if message.verbatim is self:
            return message.raw  # type: ignore[return-value]  # a verbatim message has the bytes of this codec
        topic = message.topic
        if message.action >= FIRST_TEXT_ONLY_ACTION or topic not in WRITERS:
            return b""
        if topic is _RECORD:
            if message.action is _WRITE_ACKNOWLEDGEMENT:
                payload = acknowledgement_payload(message)
                if payload is not None:
                    return payload
            payload = record_payload(message)
            if payload is not None:
                return payload
        elif message.action is _EMIT:
            payload = emit_payload(message)
            if payload is not None:
                return payload
        elif topic is _RPC:
            payload = call_payload(message)
            if payload is not None:
                return payload
        return self.encode_by_table(message)

    def encode_by_table(self, message: Message) -> bytes:
        """
        The payload of any message of the topics in L{WRITERS}.
        """
        topic = message.topic
        read, fields = WRITERS[topic]
        if message.is_ack:
            read, fields = ACK_WRITERS.get((topic, message.action), (read, fields))
        body = bytearray()
        for value, (tag, kind) in zip(read(message), fields, strict=True):
            if value is None:
                continue
            if kind < _TEXT:
                if 0 <= value < 128:
                    body += tag + SMALL_NUMBERS[value]
                elif kind == _INTEGER:  # original actions with greater numbers exist only in the text protocol
                    body += tag + written_number(value)
            elif kind == _ALL_NAMES:
                body += written_names(tag, value)
            elif kind == _TEXT:
                body += tag + sized(utf8(value))
            elif kind == _JSON:
                text = value if isinstance(value, bytes) else to_json(value)
                if text is not None:
                    body += tag + sized(text)
            else:
                for name, version in value.items():
                    body += tag + sized(b"\n" + sized(utf8(name)) + b"\x10" + written_number(version))
        return sized(b"\x10" + SMALL_NUMBERS[topic] + b"\x1a" + sized(body))

    def _message(self, layout: Layout, body: bytes, raw: bytes, plain: bool) -> Message | Malformed:
        """
        The message with the fields in C{body}.

        @param raw: the whole envelope.
        @param plain: the envelope is the whole payload, and contains only a topic and a message.
        """
        # Unpacking costs less than reading two attributes of a named tuple.
        topic, blank, fields, requirements, originals = layout
        values = blank.copy()
        values[_RAW] = raw
        names: list[str] = []
        seen = 0
        position, size = 0, len(body)
        while position < size:
            known = fields.get(body[position])
            if known is None:
                position = skip(body, position)
                plain = False
                continue
            kind, slot, bit = known
            number = body[position + 1]
            position += 2
            if number > 127:
                number, position = varint(body, position - 1)
            if kind < _TEXT:
                if kind == _INTEGER:
                    values[slot] = number if number < 0x80000000 else signed(number)
                elif kind == _BOOLEAN:
                    values[slot] = number != 0
                else:
                    values[slot] = originals.get(number)
            else:
                start = position
                position += number
                if position > size:
                    raise Undecodable
                if kind == _TEXT:
                    values[slot] = body[start:position].decode("utf-8", "replace")
                elif kind == _JSON:
                    values[slot] = body[start:position]
                elif kind == _ALL_NAMES:
                    names.append(body[start:position].decode("utf-8", "replace"))
                else:
                    name, version = read_entry(body[start:position])
                    values[slot] = values[slot] or {}
                    values[slot][name] = version
                if seen & bit:
                    plain = False  # the last value counts, but the raw bytes contain all of them
            seen |= bit
        if names:
            values[_NAMES] = tuple(names)

        rule = requirements.get(values[_ACTION])
        if rule is None:
            answer = None if topic in REFUSALS else self._unknown_topic()
            return Malformed(Fault.UNKNOWN_ACTION, topic, values[_ACTION], answer, raw)
        action, texts, needed, checked, structured = rule
        values[_ACTION] = action
        if seen & checked != needed:
            return self._invalid(topic, values)
        data = values[_DATA]
        if data is not None:
            try:
                value = loads(data)
            except NoRoom:
                if topic is not _RECORD:
                    return self._invalid(topic, values)
                # The record service reads the data again. If there is still no room, it refuses the write, so that the
                # client is told.
                value = {}
            except ValueError:
                return self._invalid(topic, values)
            if structured and not isinstance(value, dict | list):
                return self._invalid(topic, values)
        for slot in texts:
            if values[slot] == "":
                return self._invalid(topic, values)
        # A name with replaced bytes differs from the name that receivers would read in the raw bytes.
        if plain and action is _EMIT and seen | _RELAYED == _RELAYED:
            if "\ufffd" not in (values[_NAME] or "\ufffd"):
                values[_VERBATIM] = self
        return Message(*values)

    def _invalid(self, topic: Topic, values: list[Any]) -> Malformed:
        request = Message(*values)
        request.name = request.name or None
        refusal = REFUSALS.get(topic)
        if not self._server or refusal is None:
            answer = self._unknown_topic()
        else:
            answer = request.error(refusal)
        return Malformed(Fault.INVALID_DATA, topic, request.action, answer, values[_RAW], request)

    def _unknown_topic(self) -> Message | None:
        return Message(Topic.PARSER, ParserAction.UNKNOWN_TOPIC) if self._server else None


#: The codec of a server.
SERVER = ProtobufCodec(server=True)
#: The codec of a client.
CLIENT = ProtobufCodec(server=False)
