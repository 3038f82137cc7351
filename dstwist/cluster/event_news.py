"""
Events on their way to other nodes.

The bus carries an event under the subject of its name. The payload is the format (one digit), a letter, and the data as
the client sent it:

======  =======================================================================  ===================
letter  data                                                                     payload
======  =======================================================================  ===================
C{j}    JSON, of a client of v4, of HTTP or of the embedding application         C{1j{"a":1}}
C{t}    a typed value, of a client of v2 or v3 (L{dstwist.protocol.typed})       C{1tSx}
C{n}    none                                                                     C{1n}
======  =======================================================================  ===================

A node makes the payload once for each event, and reads it once. Only a client of the other generation needs the data
converted. A payload is checked as if a client had sent it.
"""

from __future__ import annotations

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.jsontext import is_json
from dstwist.protocol.message import Data, Message
from dstwist.protocol.typed import has_separators, is_typed, utf8

#: The only format so far.
FORMAT = b"1"

_JSON = FORMAT + b"j"
_TYPED = FORMAT + b"t"
_NONE = FORMAT + b"n"

_EVENT = Topic.EVENT
_EMIT = EventAction.EMIT


def encode(data: Data) -> bytes:
    """
    The payload for an event with C{data}.
    """
    if data.__class__ is bytes:
        return _JSON + data
    return _NONE if data is None else _TYPED + utf8(data)  # type: ignore[arg-type]


def decode(name: str, payload: bytes) -> Message:
    """
    The event in a payload.

    @raise ValueError: there is none in it.
    """
    head = payload[:2]
    if head == _JSON:
        data: Data = payload[2:]
        if is_json(data):  # type: ignore[arg-type]
            return Message(_EVENT, _EMIT, name, data)
        raise ValueError("not JSON")
    if head == _TYPED:
        text = payload[2:].decode("utf-8")
        if is_typed(text) and not has_separators(text):
            return Message(_EVENT, _EMIT, name, text)
        raise ValueError("not a typed value")
    if payload == _NONE:
        return Message(_EVENT, _EMIT, name)
    raise ValueError("no event, or one of an unknown format")
