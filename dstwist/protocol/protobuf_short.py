"""
Short writes to records, read in one go.

Most of what clients write is a few bytes at one path. A payload of up to 128 bytes, laid out as the official client
does it, has all its lengths in single bytes and its fields in a fixed order::

    <size - 1> 10 05 1a <size - 5> 08 12 12 <length> data 32 <length> name 68 <version>                       UPDATE
    <size - 1> 10 05 1a <size - 5> 08 13 12 <length> data 32 <length> name 62 <length> path 68 <version>      PATCH

and nothing else: what asks for an acknowledgement, or has anything beyond that, goes the way of all other messages. So
what is read here can be forwarded as it came, once it is known to be the next version.
"""

from __future__ import annotations

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message

#: By the size of the payload: all that stands before the action.
_HEADS = {size: bytes((size - 1, 0x10, 0x05, 0x1A, size - 5, 0x08)) for size in range(15, 129)}

_RECORD = Topic.RECORD
_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH


def short_write(payload: bytes, codec: object) -> Message | None:
    """
    The write that a payload is, if it is one of these; C{None} says nothing about what it is else.
    """
    size = len(payload)
    if payload[:6] != _HEADS.get(size):
        return None
    try:
        action = payload[6]
        if payload[7] != 0x12 or not 0x12 <= action <= 0x13:
            return None
        start = payload[8] + 9
        data = payload[9:start]
        if payload[start] != 0x32:
            return None
        end = payload[start + 1] + start + 2
        name = payload[start + 2 : end].decode()
        path = None
        if action == 0x13:
            if payload[end] != 0x62:
                return None
            start = payload[end + 1] + end + 2
            path = payload[end + 2 : start].decode()
            end = start
        if payload[end] != 0x68:
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
        if end != size or not name or not (path or action == 0x12):
            return None
        value = loads(data)
    except (IndexError, ValueError):
        return None  # the long way knows what to answer
    write = Message(
        _RECORD, _UPDATE if path is None else _PATCH, name, data, payload, codec,
        (), None, None, None, None, None, None, path, version,
    )  # fmt: skip
    write.value = value
    return write
