"""
Reads the messages that most payloads are, in a third of the time that the tables of fields take: events, writes of
records, calls and their answers, in the form of the official client. Its fields have a fixed order. Those in brackets
may be missing; the correlation id and C{58 01} of a write request an acknowledgement::

    <head> 04 1a <size> 08 02 12 <length> data 32 <length> name                                      EMIT
    <head> 05 1a <size> 08 12 12 <length> data
        [1a <length> correlation id] 32 <length> name [58 01] 68 <version>                           UPDATE
    <head> 05 1a <size> 08 13 12 <length> data
        [1a <length> correlation id] 32 <length> name [58 01] 62 <length> path 68 <version>          PATCH
    <head> 05 1a <size> 08 10 ...                                        CREATEANDUPDATE, in the form of an UPDATE
    <head> 05 1a <size> 08 11 ...                                        CREATEANDPATCH, in the form of a PATCH
    <head> 06 1a <size> 08 <action>
        [12 <length> data] 1a <length> correlation id 3a <length> name                               a call, its answers
    <head> 03 1a <size> 08 02 12 <length> data                                                       a login

    <head> is <size of the rest> 10

In a payload of up to 128 bytes each length is one byte, and a dictionary finds the form by the first eight bytes.
Lengths of two bytes reach to 16 KB. A longer payload, or one with any other field, is read by the tables. So a message
that is read here has only the fields that are forwarded, and its payload can be sent on unchanged, unless it requests
an acknowledgement or may create a record.

The lines that read a length are repeated for each field. A function for them would be called two to four times for each
message. Two calls take about a tenth of the time that it takes to read a short event.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from dstwist.protocol.constants import AuthAction, EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.jsontext import NEVER_TOO_DEEP_LENGTH, UNCOLLECTED_LENGTH, brief_loads, loads
from dstwist.protocol.message import UNREAD, Message
from dstwist.protocol.protobuf_parts import written_number

_AUTH = Topic.AUTH
_EVENT = Topic.EVENT
_EMIT = EventAction.EMIT
_RECORD = Topic.RECORD
_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH
_CREATEANDPATCH = RecordAction.CREATEANDPATCH

#: The version -1, which every upsert has.
_NEXT_VERSION = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
_RPC = Topic.RPC

#: Reads a message from the first tag behind its action on: C{(payload, start, action, codec)}. C{codec} is the codec
#: whose clients may be sent the payload. Gives C{None} for payloads of another form, which may be valid, too.
Reader = Callable[[bytes, int, IntEnum, object], Message | None]


def _read_emit(payload: bytes, start: int, action: IntEnum, codec: object) -> Message | None:
    """
    An EMIT; see L{Reader}.

    @param start: where the tag of the data is.
    """
    try:
        begin, size = start + 2, payload[start + 1]
        if size > 127:
            size += payload[begin] - 1 << 7
            begin += 1
        end = begin + size
        if payload[end] != 0x32:
            return None
        data = payload[begin:end]
        begin, size = end + 2, payload[end + 1]
        if size > 127:
            size += payload[begin] - 1 << 7
            begin += 1
        if not size or begin + size != len(payload):
            return None
        name = payload[begin:].decode()
        (brief_loads if end < NEVER_TOO_DEEP_LENGTH else loads)(data)
        return Message(_EVENT, _EMIT, name, data, payload, codec)
    except (IndexError, ValueError):
        return None  # the tables find the answer


def _read_login(payload: bytes, start: int, action: IntEnum, codec: object) -> Message | None:
    """
    A login; see L{Reader}.

    @param start: where the tag of the data is.
    """
    try:
        begin, size = start + 2, payload[start + 1]
        if size > 127:
            size += payload[begin] - 1 << 7
            begin += 1
        if begin + size != len(payload):
            return None
        data = payload[begin:]
        value = (brief_loads if size <= NEVER_TOO_DEEP_LENGTH else loads)(data)
        return Message(_AUTH, action, None, data, payload) if isinstance(value, dict | list) else None
    except (IndexError, ValueError):
        return None  # the tables find the answer


def _read_write(payload: bytes, start: int, action: IntEnum, codec: object) -> Message | None:
    """
    An UPDATE or a PATCH, or a write that may create the record as well; see L{Reader}.

    @param start: where the tag of the data is.
    """
    try:
        begin, size = start + 2, payload[start + 1]
        if size > 127:
            size += payload[begin] - 1 << 7
            begin += 1
        end = begin + size
        data = payload[begin:end]
        tag = payload[end]
        correlation_id = path = acknowledged = None
        if tag == 0x1A:
            begin = end + 2
            size = payload[end + 1]
            if size > 127:
                return None
            end = begin + size
            correlation_id = payload[begin:end].decode()
            tag = payload[end]
            codec = None
        if tag != 0x32:
            return None
        begin, size = end + 2, payload[end + 1]
        if size > 127:
            size += payload[begin] - 1 << 7
            begin += 1
        end = begin + size
        name = payload[begin:end].decode()
        tag = payload[end]
        if tag == 0x58:
            if payload[end + 1] != 1:
                return None
            acknowledged = True
            end += 2
            tag = payload[end]
            codec = None
        if action is _PATCH or action is _CREATEANDPATCH:
            if tag != 0x62:
                return None
            begin, size = end + 2, payload[end + 1]
            if size > 127:
                size += payload[begin] - 1 << 7
                begin += 1
            end = begin + size
            path = payload[begin:end].decode()
            tag = payload[end]
        if tag != 0x68:
            return None
        version, end = payload[end + 1], end + 2
        if version == 0xFF and payload[end - 1 :] == _NEXT_VERSION:
            version, end, codec = -1, len(payload), None
        elif version > 127:
            more, end = payload[end], end + 1
            version += (more - 1) << 7
            if more > 127:
                most, end = payload[end], end + 1
                if most > 127:
                    return None
                version += (most - 1) << 14
        if end != len(payload) or not name or path == "":
            return None
        size = len(data)
        value = brief_loads(data) if size <= NEVER_TOO_DEEP_LENGTH else loads(data)
        if action < _UPDATE:
            codec = None
        write = Message(
            _RECORD, action, name, data, payload, codec,
            (), correlation_id, None, None, None, None, acknowledged, path, version,
        )  # fmt: skip
        write.value = value if size < UNCOLLECTED_LENGTH else UNREAD
        return write
    except (IndexError, ValueError):
        return None  # the tables find the answer


def _read_call(payload: bytes, start: int, action: IntEnum, codec: object) -> Message | None:
    """
    A REQUEST or an answer to one; see L{Reader}.

    @param start: where the tag of the data or of the correlation id is.
    """
    try:
        data, end = None, start
        if payload[start] == 0x12:
            begin, size = start + 2, payload[start + 1]
            if size > 127:
                size += payload[begin] - 1 << 7
                begin += 1
            end = begin + size
            data = payload[begin:end]
            if payload[end] != 0x1A:
                return None
        begin, size = end + 2, payload[end + 1]
        if not 0 < size < 128:
            return None
        end = begin + size
        call_id = payload[begin:end].decode()
        if payload[end] != 0x3A:
            return None
        begin, size = end + 2, payload[end + 1]
        if size > 127:
            size += payload[begin] - 1 << 7
            begin += 1
        if not size or begin + size != len(payload):
            return None
        name = payload[begin:].decode()
        if data is not None:
            (brief_loads if len(data) <= NEVER_TOO_DEEP_LENGTH else loads)(data)
        return Message(_RPC, action, name, data, payload, codec, (), call_id)
    except (IndexError, ValueError):
        return None  # the tables find the answer


#: By topic and action: the tags that may follow the action, and the reader of the fields behind it.
_FORMS: list[tuple[Topic, IntEnum, bytes, Reader]] = [
    (_EVENT, _EMIT, b"\x12", _read_emit),
    (_RECORD, _UPDATE, b"\x12", _read_write),
    (_RECORD, RecordAction.PATCH, b"\x12", _read_write),
    (_RECORD, RecordAction.CREATEANDUPDATE, b"\x12", _read_write),
    (_RECORD, RecordAction.CREATEANDPATCH, b"\x12", _read_write),
    (_RPC, RpcAction.REQUEST, b"\x12\x1a", _read_call),
    (_RPC, RpcAction.RESPONSE, b"\x12\x1a", _read_call),
    (_RPC, RpcAction.REQUEST_ERROR, b"\x12\x1a", _read_call),
    (_RPC, RpcAction.ACCEPT, b"\x1a", _read_call),
    (_RPC, RpcAction.REJECT, b"\x1a", _read_call),
    (_AUTH, AuthAction.REQUEST, b"\x12", _read_login),
]

#: The smallest payload of a form, and the largest whose lengths are single bytes.
_SHORTEST, _LONGEST_SHORT = 13, 128

#: By the first eight bytes of a short payload of the size that they say: the reader, and the action.
SHORT_FORMS: dict[bytes, tuple[Reader, IntEnum]] = {
    bytes((size - 1, 0x10, topic, 0x1A, size - 5, 0x08, action, tag)): (reader, action)
    for topic, action, tags, reader in _FORMS
    for tag in tags
    for size in range(_SHORTEST, _LONGEST_SHORT + 1)
}

#: The smallest and the largest payload of more than 128 bytes that has one of the forms.
SHORTEST_LONG, LONGEST_LONG = 130, 16385

#: The smallest payload in which the second size, that of the message without its envelope, has two bytes as well.
_BOTH_LONG = 135

#: By the first ten bytes of a longer payload without the sizes: the reader, and the action.
_LONG: dict[bytes, tuple[Reader, IntEnum]] = {
    bytes((0x10, topic, 0x1A, 0x08, action, tag)): (reader, action)
    for topic, action, tags, reader in _FORMS
    for tag in tags
}

#: By the size of a longer payload and its first ten bytes: the same. Payloads that have come are remembered, because
#: most have one of few sizes, and comparing the sizes takes longer than the rest.
_known_heads: dict[tuple[int, bytes], tuple[Reader, IntEnum, int]] = {}
_MAX_KNOWN_HEADS = 4096


def long_form(size: int, head: bytes) -> tuple[Reader, IntEnum, int] | None:
    """
    The reader and the action of a payload of C{size} bytes, from L{SHORTEST_LONG} to L{LONGEST_LONG}, and where its
    first tag behind the action is. C{None} if it has none of these forms.

    @param head: the first ten bytes.
    """
    known = _known_heads.get((size, head))
    if known is not None:
        return known
    tag = 9 if size >= _BOTH_LONG else 8
    form = _LONG.get(head[2:5] + head[tag - 2 : tag + 1])
    if form is None or head[:2] != written_number(size - 2) or head[5 : tag - 2] != written_number(size - tag + 2):
        return None
    found = (*form, tag)
    if len(_known_heads) < _MAX_KNOWN_HEADS:
        _known_heads[size, head] = found
    return found
