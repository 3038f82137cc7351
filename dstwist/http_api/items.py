"""
The grammar of items, and the message that an item becomes.

============  ==========  ==========================  =========================  =====================================
C{topic}      C{action}   needs                       may have                   message
============  ==========  ==========================  =========================  =====================================
C{event}      C{emit}     C{eventName}                C{data}                    EVENT EMIT
C{rpc}        C{make}     C{rpcName}                  C{data}                    RPC REQUEST
C{record}     C{read}     C{recordName}                                          RECORD READ
C{record}     C{head}     C{recordName}                                          RECORD HEAD
C{record}     C{delete}   C{recordName}                                          RECORD DELETE
C{record}     C{write}    C{recordName}, C{data}      C{path}, C{version}        RECORD CREATEANDPATCH with a path,
                                                                                 otherwise CREATEANDUPDATE
C{record}     C{notify}   C{recordNames}                                         RECORD NOTIFY
C{list}       C{read}     C{listName}                                            RECORD READ
C{list}       C{delete}   C{listName}                                            RECORD DELETE
C{list}       C{write}    C{listName}, C{data}        C{version}                 RECORD CREATEANDUPDATE
C{presence}   C{query}                                C{names}                   PRESENCE QUERY, or QUERY_ALL without
                                                                                 names
============  ==========  ==========================  =========================  =====================================

The reasons in error texts name the real problem. Those of the Node server are about the property C{eventName} in most
cases, since it compares each item with the grammar of an event first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message

#: JavaScript has no higher whole number.
_MAX_VERSION = 2**53 - 1


class BadItem(ValueError):
    """
    An item does not follow the grammar. The text is the reason.
    """


class Item:
    """
    One item, until it has its result.

    @ivar index: its place in the batch.
    @ivar message: the request; C{None} if there is nothing to ask for, because C{result} is known.
    @ivar awaited: the action of an answer that does not repeat the correlation id; C{None} if the answer repeats it.
    @ivar result: JSON text.
    """

    __slots__ = ("awaited", "index", "message", "result")

    def __init__(self, index: int, message: Message | None, awaited: IntEnum | None, result: bytes | None) -> None:
        self.index = index
        self.message = message
        self.awaited = awaited
        self.result = result


@dataclass(frozen=True)
class _Form:
    """
    The grammar of the items of one topic and action.

    @ivar name: the property for the name; C{None} if there is none.
    @ivar make: makes the message of an item whose properties and name were checked.
    @ivar awaited: as of L{Item}.
    @ivar result: what an item has for its result if its list of names is empty.
    """

    topic: Topic
    make: Callable[[dict[str, Any], str | None], Message]
    name: str | None
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    awaited: IntEnum | None = None
    result: bytes | None = None


def parse_item(index: int, value: Any) -> Item:
    """
    The item for the JSON value at C{index} of a batch.

    @raise BadItem: it is none.
    """
    if not isinstance(value, dict):
        raise BadItem("property 'undefined' must be object")
    topic, action = value.get("topic"), value.get("action")
    for property in ("topic", "action"):
        if property not in value:
            raise _missing(property, topic)
    form = _FORMS.get((topic, action)) if isinstance(topic, str) and isinstance(action, str) else None
    if form is None:
        if topic not in _TOPICS:
            raise BadItem(f"property 'topic' must be one of {', '.join(_TOPICS)}")
        raise BadItem(f"property 'action' must be one of {', '.join(_actions(topic))} for topic '{topic}'")
    for property in form.required:
        if property not in value:
            raise _missing(property, topic)
    if len(value) > 2 + len(form.required):
        for property in value:
            if property not in ("topic", "action", *form.required, *form.optional):
                raise BadItem(f"property '{_short(property)}' is not known for topic '{topic}'")
    name = None if form.name is None else _text(value, form.name)
    message = form.make(value, name)
    if form.result is not None and message.names == () and message.action is not PresenceAction.QUERY_ALL:
        return Item(index, None, None, form.result)
    awaited = None if message.action is PresenceAction.QUERY else form.awaited
    return Item(index, message, awaited, None)


def _emit(value: dict[str, Any], name: str | None) -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name, _data(value))


def _make(value: dict[str, Any], name: str | None) -> Message:
    return Message(Topic.RPC, RpcAction.REQUEST, name, _data(value))


def _of_record(action: RecordAction) -> Callable[[dict[str, Any], str | None], Message]:
    return lambda value, name: Message(Topic.RECORD, action, name)


def _write(value: dict[str, Any], name: str | None) -> Message:
    data, version, path = value["data"], _version(value), value.get("path", "")
    if not isinstance(path, str):
        raise BadItem("property 'path' must be string")
    if not path and not isinstance(data, dict | list):
        raise BadItem("property 'data' must be object or array for topic 'record' without a path")
    _check_unicode("path", path)
    action = RecordAction.CREATEANDPATCH if path else RecordAction.CREATEANDUPDATE
    return Message(Topic.RECORD, action, name, dumps(data), path=path or None, version=version, is_write_ack=True)


def _write_list(value: dict[str, Any], name: str | None) -> Message:
    _texts(value, "data", may_be_empty=True)
    return Message(
        Topic.RECORD,
        RecordAction.CREATEANDUPDATE,
        name,
        dumps(value["data"]),
        version=_version(value),
        is_write_ack=True,
    )


def _notify(value: dict[str, Any], name: str | None) -> Message:
    return Message(Topic.RECORD, RecordAction.NOTIFY, names=_texts(value, "recordNames"))


def _query(value: dict[str, Any], name: str | None) -> Message:
    if "names" not in value:
        return Message(Topic.PRESENCE, PresenceAction.QUERY_ALL)
    return Message(Topic.PRESENCE, PresenceAction.QUERY, names=_texts(value, "names"))


def _data(value: dict[str, Any]) -> bytes | None:
    return dumps(value["data"]) if "data" in value else None


def _version(value: dict[str, Any]) -> int:
    """
    The version of a write; -1 if it does not matter.
    """
    version = value.get("version", -1)
    if isinstance(version, float) and version.is_integer():
        # In JavaScript, 2 and 2.0 are the same.
        version = int(version)
    if version.__class__ is not int or not -1 <= version <= _MAX_VERSION:
        raise BadItem("property 'version' must be integer >= -1")
    return version or -1


def _text(value: dict[str, Any], property: str) -> str:
    text = value[property]
    if not isinstance(text, str):
        raise BadItem(f"property '{property}' must be string")
    if not text:
        raise BadItem(f"property '{property}' must NOT have fewer than 1 characters")
    _check_unicode(property, text)
    return text


def _texts(value: dict[str, Any], property: str, may_be_empty: bool = False) -> tuple[str, ...]:
    texts = value[property]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadItem(f"property '{property}' must be array of string")
    if not may_be_empty:
        if not all(texts):
            raise BadItem(f"property '{property}' must NOT have items with fewer than 1 characters")
        # All at once: there may be very many.
        _check_unicode(property, "".join(texts))
    return tuple(texts)


def _check_unicode(property: str, text: str) -> None:
    """
    Half of a surrogate pair has no form in UTF-8: no client could be sent the name.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadItem(f"property '{property}' must be valid Unicode") from None


def _missing(property: str, topic: object) -> BadItem:
    shown = _short(topic) if isinstance(topic, str) else "undefined"
    return BadItem(f"property '{property}' is required for topic '{shown}'")


def _short(text: str) -> str:
    """
    A text of the client for an error text.
    """
    return text if len(text) <= 100 else f"{text[:100]}..."


def _actions(topic: str) -> list[str]:
    return [action for of, action in _FORMS if of == topic]


_RECORD = ("recordName",)
_LIST = ("listName",)
_FORMS: dict[tuple[str, str], _Form] = {
    ("event", "emit"): _Form(Topic.EVENT, _emit, "eventName", ("eventName",), ("data",)),
    ("rpc", "make"): _Form(Topic.RPC, _make, "rpcName", ("rpcName",), ("data",)),
    ("record", "read"): _Form(
        Topic.RECORD, _of_record(RecordAction.READ), "recordName", _RECORD, awaited=RecordAction.READ_RESPONSE
    ),
    ("record", "head"): _Form(
        Topic.RECORD, _of_record(RecordAction.HEAD), "recordName", _RECORD, awaited=RecordAction.HEAD_RESPONSE
    ),
    ("record", "delete"): _Form(
        Topic.RECORD, _of_record(RecordAction.DELETE), "recordName", _RECORD, awaited=RecordAction.DELETE_SUCCESS
    ),
    ("record", "write"): _Form(Topic.RECORD, _write, "recordName", ("recordName", "data"), ("path", "version")),
    ("record", "notify"): _Form(Topic.RECORD, _notify, None, ("recordNames",), result=b'{"success":true}'),
    ("list", "read"): _Form(
        Topic.RECORD, _of_record(RecordAction.READ), "listName", _LIST, awaited=RecordAction.READ_RESPONSE
    ),
    ("list", "delete"): _Form(
        Topic.RECORD, _of_record(RecordAction.DELETE), "listName", _LIST, awaited=RecordAction.DELETE_SUCCESS
    ),
    ("list", "write"): _Form(Topic.RECORD, _write_list, "listName", ("listName", "data"), ("version",)),
    ("presence", "query"): _Form(
        Topic.PRESENCE,
        _query,
        None,
        (),
        ("names",),
        awaited=PresenceAction.QUERY_ALL_RESPONSE,
        result=b'{"users":{},"success":true}',
    ),
}
_TOPICS = tuple(dict.fromkeys(topic for topic, _ in _FORMS))
