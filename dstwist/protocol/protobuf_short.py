"""
Reads and writes record messages field by field, in a third of the time that the tables of fields take, and writes
events that way.

Most writes of clients are a few bytes at one path. In a payload of up to 128 bytes from the official client, every
length is a single byte, and the fields have a fixed order. The fields in brackets request an acknowledgement::

    <size - 1> 10 05 1a <size - 5> 08 12 12 <length> data                                                    UPDATE
        [1a <length> correlation id] 32 <length> name [58 01] 68 <version>
    <size - 1> 10 05 1a <size - 5> 08 13 12 <length> data                                                    PATCH
        [1a <length> correlation id] 32 <length> name [58 01] 62 <length> path 68 <version>

A message with any other field is read by the tables. So a message that is read here, and requests no acknowledgement,
can be forwarded unchanged when it is known to be the next version.
"""

from __future__ import annotations

from enum import IntEnum
from operator import attrgetter

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import brief_loads
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf_parts import SMALL_NUMBERS, sized, written_number
from dstwist.protocol.typed import to_json

_RECORD = Topic.RECORD
_PATCH = RecordAction.PATCH

#: The fields that emits, updates, write acknowledgements and answers to reads do not have.
others = attrgetter("is_error", "is_ack", "names", "subscription", "original_action", "versions")
NO_OTHERS = (None, None, (), None, None, None)


def short_write(payload: bytes, action: IntEnum, codec: object) -> Message | None:
    """
    The write in a payload of this form. C{None} for all other payloads, which may be valid, too.

    @param payload: a payload whose first eight bytes are known to be right.
    @param action: UPDATE or PATCH.
    @param codec: the codec whose clients may be sent the payload, if it requests no acknowledgement.
    """
    size = len(payload)
    try:
        start = payload[8] + 9
        data = payload[9:start]
        tag = payload[start]
        correlation_id = path = acknowledged = None
        if tag == 0x1A:
            end = payload[start + 1] + start + 2
            correlation_id = payload[start + 2 : end].decode()
            start = end
            tag = payload[start]
            codec = None
        if tag != 0x32:
            return None
        end = payload[start + 1] + start + 2
        name = payload[start + 2 : end].decode()
        tag = payload[end]
        if tag == 0x58:
            if payload[end + 1] != 1:
                return None
            acknowledged = True
            end += 2
            tag = payload[end]
            codec = None
        if action is _PATCH:
            if tag != 0x62:
                return None
            start = payload[end + 1] + end + 2
            path = payload[end + 2 : start].decode()
            end = start
            tag = payload[end]
        if tag != 0x68:
            return None
        version, end = payload[end + 1], end + 2
        if version > 127:
            more, end = payload[end], end + 1
            version += (more - 1) << 7
            if more > 127:
                most, end = payload[end], end + 1
                if most > 127:
                    return None
                version += (most - 1) << 14
        if end != size or not name or path == "":
            return None
        value = brief_loads(data)
    except (IndexError, ValueError):
        return None  # the tables find the answer
    write = Message(
        _RECORD, action, name, data, payload, codec,
        (), correlation_id, None, None, None, None, acknowledged, path, version,
    )  # fmt: skip
    write.value = value
    return write


def record_payload(message: Message) -> bytes | None:
    """
    The payload of a message of the topic RECORD; C{None} if it has fields that only few messages have.
    """
    if others(message) != NO_OTHERS:
        return None
    # The first byte of each field is that of L{dstwist.protocol.schema.FIELDS}. Lengths are written here, because a
    # function call for each field would take a third of the whole time.
    parts = [b"\x08", SMALL_NUMBERS[message.action]]
    data = message.data
    if data is not None:
        text = data if data.__class__ is bytes else to_json(data)
        if text is not None:
            size = len(text)
            parts += b"\x12", SMALL_NUMBERS[size] if size < 128 else written_number(size), text
    try:
        if (correlation_id := message.correlation_id) is not None:
            text = correlation_id.encode()
            size = len(text)
            parts += b"\x1a", SMALL_NUMBERS[size] if size < 128 else written_number(size), text
        if (name := message.name) is not None:
            text = name.encode()
            size = len(text)
            parts += b"\x32", SMALL_NUMBERS[size] if size < 128 else written_number(size), text
        if (acknowledged := message.is_write_ack) is not None:
            parts += b"\x58", SMALL_NUMBERS[acknowledged]
        if (path := message.path) is not None:
            text = path.encode()
            size = len(text)
            parts += b"\x62", SMALL_NUMBERS[size] if size < 128 else written_number(size), text
    except UnicodeEncodeError:
        return None
    if (version := message.version) is not None:
        parts += b"\x68", SMALL_NUMBERS[version] if 0 <= version < 128 else written_number(version)
    body = b"".join(parts)
    size = len(body)
    if size < 124:
        return SMALL_NUMBERS[size + 4] + b"\x10\x05\x1a" + SMALL_NUMBERS[size] + body
    return sized(b"\x10\x05\x1a" + sized(body))


def emit_payload(message: Message) -> bytes | None:
    """
    The payload of an EMIT with a name and data; C{None} if it has other fields, or lacks one of these.
    """
    name, data = message.name, message.data
    text = data if data.__class__ is bytes else to_json(data)
    if text is None or name is None or message.correlation_id is not None or others(message) != NO_OTHERS:
        return None
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return None
    size, name_size = len(text), len(encoded)
    data_head = SMALL_NUMBERS[size] if size < 128 else written_number(size)
    name_head = SMALL_NUMBERS[name_size] if name_size < 128 else written_number(name_size)
    body = b"".join((b"\x08\x02\x12", data_head, text, b"\x32", name_head, encoded))
    size = len(body)
    if size < 124:
        return SMALL_NUMBERS[size + 4] + b"\x10\x04\x1a" + SMALL_NUMBERS[size] + body
    return sized(b"\x10\x04\x1a" + sized(body))
