"""
Writes records, events and calls field by field, in a third of the time that the tables of fields take.
"""

from __future__ import annotations

from operator import attrgetter

from dstwist.protocol.constants import RecordAction
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf_parts import SMALL_NUMBERS, sized, written_number
from dstwist.protocol.typed import to_json

#: The fields that emits, updates, write acknowledgements, answers to reads and calls do not have.
others = attrgetter("is_error", "is_ack", "names", "subscription", "original_action", "versions")
NO_OTHERS = (None, None, (), None, None, None)


#: The fields of a write acknowledgement besides its name and correlation id.
_beside_acknowledged = attrgetter(
    "is_write_ack",
    "data",
    "path",
    "version",
    "is_error",
    "is_ack",
    "names",
    "subscription",
    "original_action",
    "versions",
)
_ONLY_ACKNOWLEDGED = (True, None, None, None, None, None, (), None, None, None)

#: By the size of the message without its envelope: the start of a short one, up to the tag of its correlation id.
_ACKNOWLEDGEMENT_HEADS = [
    bytes((size + 4, 0x10, 5, 0x1A, size, 0x08, RecordAction.WRITE_ACKNOWLEDGEMENT, 0x1A)) for size in range(124)
]


def _long_envelope(topic: int, body: bytes) -> bytes:
    """
    The payload of a message of 124 bytes or more.
    """
    size = len(body)
    if not 128 <= size < 16379:
        return sized(bytes((0x10, topic, 0x1A)) + sized(body))
    whole = size + 5
    return bytes((whole & 0x7F | 0x80, whole >> 7, 0x10, topic, 0x1A, size & 0x7F | 0x80, size >> 7)) + body


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
    return _long_envelope(5, body)


def acknowledgement_payload(message: Message) -> bytes | None:
    """
    The payload of a WRITE_ACKNOWLEDGEMENT with a name and a correlation id; C{None} if it has other fields, lacks one
    of these, or is long.
    """
    name, correlation_id = message.name, message.correlation_id
    if name is None or correlation_id is None or _beside_acknowledged(message) != _ONLY_ACKNOWLEDGED:
        return None
    try:
        encoded, encoded_id = name.encode(), correlation_id.encode()
    except UnicodeEncodeError:
        return None
    size, id_size = len(encoded), len(encoded_id)
    whole = size + id_size + 8
    if whole >= 124:
        return None
    return b"".join(
        (
            _ACKNOWLEDGEMENT_HEADS[whole],
            SMALL_NUMBERS[id_size],
            encoded_id,
            b"\x32",
            SMALL_NUMBERS[size],
            encoded,
            b"\x58\x01",
        )
    )


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
    return _long_envelope(4, body)


def call_payload(message: Message) -> bytes | None:
    """
    The payload of a message of the topic RPC that has a name and a correlation id; C{None} if it lacks one of these, or
    has other fields than these and data.
    """
    name, correlation_id, data = message.name, message.correlation_id, message.data
    if name is None or correlation_id is None or others(message) != NO_OTHERS:
        return None
    if message.requestor_name is not None or message.requestor_data is not None:
        return None
    try:
        encoded, encoded_id = name.encode(), correlation_id.encode()
    except UnicodeEncodeError:
        return None
    action = SMALL_NUMBERS[message.action]
    size = len(encoded_id)
    id_head = SMALL_NUMBERS[size] if size < 128 else written_number(size)
    size = len(encoded)
    name_head = SMALL_NUMBERS[size] if size < 128 else written_number(size)
    text = None if data is None else data if data.__class__ is bytes else to_json(data)
    if text is None:
        body = b"".join((b"\x08", action, b"\x1a", id_head, encoded_id, b"\x3a", name_head, encoded))
    else:
        size = len(text)
        data_head = SMALL_NUMBERS[size] if size < 128 else written_number(size)
        body = b"".join(
            (b"\x08", action, b"\x12", data_head, text, b"\x1a", id_head, encoded_id, b"\x3a", name_head, encoded)
        )
    size = len(body)
    if size < 124:
        return SMALL_NUMBERS[size + 4] + b"\x10\x06\x1a" + SMALL_NUMBERS[size] + body
    return _long_envelope(6, body)
