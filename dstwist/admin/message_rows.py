"""
Messages as rows of a trace. Values are data of users, and are left out unless the operator asks for them.
"""

from __future__ import annotations

from typing import Any

from dstwist.protocol import json_messages, protobuf, text
from dstwist.protocol.json_messages import JsonCodec
from dstwist.protocol.message import Malformed, Message
from dstwist.protocol.protobuf import ProtobufCodec

#: How many names of a bulk request a row has.
MAX_NAMES = 20

#: How many characters of a value a row has.
MAX_VALUE = 1000

#: Longer frames are not decoded: that could take longer than a turn.
MAX_FRAME_BYTES = 65536

#: The fields of messages that hold values.
_VALUES = (("data", "data"), ("requestor_data", "requestorData"), ("detail", "detail"))

#: The other fields.
_FIELDS = (
    ("name", "name"),
    ("subscription", "subscription"),
    ("path", "path"),
    ("version", "version"),
    ("correlation_id", "correlationId"),
    ("requestor_name", "requestorName"),
)

_FLAGS = (("is_ack", "ack"), ("is_error", "error"), ("is_write_ack", "writeAck"))


def row_of(message: Message | Malformed, with_values: bool) -> dict[str, Any]:
    """
    The fields of C{message}.
    """
    if isinstance(message, Malformed):
        return {"malformed": message.fault.name}
    row: dict[str, Any] = {"topic": message.topic.name, "action": message.action.name}
    for attribute, key in _FIELDS:
        value = getattr(message, attribute)
        if value is not None:
            row[key] = value
    if message.names:
        row["names"] = list(message.names[:MAX_NAMES])
        if len(message.names) > MAX_NAMES:
            row["moreNames"] = len(message.names) - MAX_NAMES
    for attribute, key in _FLAGS:
        if getattr(message, attribute):
            row[key] = True
    if message.original_action is not None:
        row["originalAction"] = message.original_action.name
    for attribute, key in _VALUES:
        value = getattr(message, attribute)
        if value is not None:
            row[key] = _shown(value) if with_values else f"<{_size(value)}>"
    return row


def rows_of_frame(frame: bytes, codec: object, with_values: bool) -> list[dict[str, Any]]:
    """
    The rows of a frame that the server sends.

    @param codec: that of the connection.
    """
    opcode, payload = _unframed(frame)
    if opcode in (1, 2):
        if len(payload) > MAX_FRAME_BYTES:
            return [{"long": True, "bytes": len(payload)}]
        decoded = payload.decode("utf-8", "replace") if opcode == 1 else payload
        return [row_of(message, with_values) for message in _client_of(codec).decode(decoded)]
    # A close, a ping or a pong of WebSockets, or a part of a frame.
    return [{"control": opcode, "bytes": len(frame)}]


def _client_of(codec: object) -> Any:
    """
    The codec that reads what C{codec} writes.
    """
    if isinstance(codec, ProtobufCodec):
        return protobuf.CLIENT
    return json_messages.CLIENT if isinstance(codec, JsonCodec) else text.CLIENT


def _unframed(frame: bytes) -> tuple[int, bytes]:
    length = frame[1] & 127 if len(frame) > 1 else 0
    start = {126: 4, 127: 10}.get(length, 2)
    return frame[0] & 15, frame[start:]


def _size(value: bytes | str) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else f"{len(value)} characters"


def _shown(value: bytes | str) -> str:
    # A character has at most four bytes.
    text = value[: 4 * MAX_VALUE].decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}..."
