"""
Reads and writes events field by field, in half the time that the tables of fields take, and writes the messages of
records that way.
"""

from __future__ import annotations

from typing import Any

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.json_fields import read_value
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, dumps
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json, utf8

_EVENT = Topic.EVENT
_EMIT = EventAction.EMIT

FLAGS = {True: b"true", False: b"false"}


def short_emit(found: dict[str, Any], payload: bytes | str) -> Message | None:
    """
    The event in a message that has no fields but those that the official client writes, and is not long. C{None} for
    all other messages, which may be valid, too.
    """
    name = found.get("name")
    known = 3 + (found.get("isAck") is False) + ("parsedData" in found) + ("data" in found)
    if name.__class__ is not str or not name or len(found) != known or len(payload) >= READ_IN_PARTS_LENGTH:
        return None
    if not name.isascii():
        name = utf8(name).decode()
    try:
        data, value = read_value(found)
    except ValueError:
        return None
    event = Message(_EVENT, _EMIT, name, data, payload)
    event.value = value
    return event


def emit_payload(message: Message, head: bytes) -> bytes | None:
    """
    The payload of an EMIT that has no fields but a name and data; C{None} if it lacks one of these.
    """
    data = message.data
    text = data if data.__class__ is bytes else to_json(data)
    if text is None or message.name is None:
        return None
    return b"".join((head, b',"name":', dumps(message.name), b',"parsedData":', text, b"}"))


def record_payload(message: Message, head: bytes) -> bytes:
    """
    The payload of a message of the topic RECORD without the fields that only few messages have.
    """
    parts = [head]
    if (name := message.name) is not None:
        parts += b',"name":', dumps(name)
    if (version := message.version) is not None:
        parts += b',"version":', b"%d" % version
    if (path := message.path) is not None:
        parts += b',"path":', dumps(path)
    if (correlation_id := message.correlation_id) is not None:
        parts += b',"correlationId":', dumps(correlation_id)
    if (acknowledged := message.is_write_ack) is not None:
        parts += b',"isWriteAck":', FLAGS[acknowledged]
    data = message.data
    if data is not None:
        text = data if data.__class__ is bytes else to_json(data)
        if text is not None:
            parts += b',"parsedData":', text
    parts.append(b"}")
    return b"".join(parts)
