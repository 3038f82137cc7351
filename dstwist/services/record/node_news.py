"""
The news of records as nodes send it to each other.

A payload is a line, which is the JSON array C{[format, kind, version, path]}, and, if there are data, a line break and
the data as JSON text:

======  =================  =========================================  =================================================
kind    is                 version                                    data
======  =================  =========================================  =================================================
C{u}    UPDATE             that was written                           the record
C{p}    PATCH              that was written                           the value of the path; none: it is erased
C{d}    DELETED            that was deleted; -1 if there was none
C{l}    look: the record   that was written; L{UNKNOWN
        has changed        <dstwist.cluster.record_news.UNKNOWN>}
======  =================  =========================================  =================================================

Large news says only that the receivers are to look, and so does news of several paths, which most clients do not take.
Everything is checked as if a client had sent it.
"""

from __future__ import annotations

from dstwist.cluster.messages import FORMAT
from dstwist.cluster.record_news import MISSING, UNKNOWN, Change, News
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Message
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.typed import to_json

#: The length of the data above which the receivers read the record.
MAX_DATA_LENGTH = 64 * 1024

_UPDATE = "u"
_PATCH = "p"
_DELETED = "d"
_LOOK = "l"


def written(message: Message, version: int) -> bytes:
    """
    The news that C{version} was written.

    @param message: what subscribers are sent: UPDATE, PATCH or PATCH_MULTI.
    """
    data = message.data
    path = message.path
    if message.action is RecordAction.PATCH_MULTI or (data is not None and len(data) > MAX_DATA_LENGTH):
        return look(version)
    data = to_json(data)
    line = _line(_UPDATE if path is None else _PATCH, version, path)
    return line if data is None else line + b"\n" + data


def deleted(version: int) -> bytes:
    """
    The news that C{version} was deleted; -1 if the record did not exist.
    """
    return _line(_DELETED, version)


def look(version: int = UNKNOWN) -> bytes:
    """
    The news that a record has changed.

    @param version: that was written, if it is known.
    """
    return _line(_LOOK, version)


def decode(name: str, payload: bytes) -> News:
    """
    The news of the record C{name} that a payload contains.

    @raise ValueError: it is no such news, or has another format.
    """
    line, separator, data = payload.partition(b"\n")
    fields = loads(line)
    if not isinstance(fields, list) or not fields or fields[0] != FORMAT:
        raise ValueError("news of an unknown format")
    if len(fields) != 4 or type(fields[2]) is not int:
        raise ValueError("not the news of a record")
    _, kind, version, path = fields
    if kind == _LOOK and version >= UNKNOWN:
        return News(name, Change.LOOK, version)
    if kind == _DELETED and version >= MISSING:
        return News(name, Change.DELETED, version, Message(Topic.RECORD, RecordAction.DELETED, name))
    if version < 0:
        raise ValueError("not the news of a record")
    if kind == _UPDATE and path is None and isinstance(loads(data), dict | list):
        message = Message(Topic.RECORD, RecordAction.UPDATE, name, data, version=version)
    elif kind == _PATCH and isinstance(path, str):
        parse(path)
        if separator:
            loads(data)
        message = Message(
            Topic.RECORD, RecordAction.PATCH, name, data if separator else None, path=path, version=version
        )
    else:
        raise ValueError("not the news of a record")
    return News(name, Change.WRITTEN, version, message)


def _line(kind: str, version: int, path: str | None = None) -> bytes:
    return dumps([FORMAT, kind, version, path])
