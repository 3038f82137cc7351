"""
The messages that nodes send each other directly.

A payload is a JSON array: the format, the sender, the node it is meant for, a number, and items. Each item is an array:
its kind, and the fields below. C{p} is the number of a partition, C{t} its token. A key is the kind of a name (one
letter) and the name.

======================  ==========  ===================================================================================
kind, and fields        to          meaning
======================  ==========  ===================================================================================
C{report} p t + -       owner       entries that the sender has now, and entries that it has no more
C{digests} [p t n x]    owner       the digest of all entries of the sender in some partitions
C{ask} [p t]            all         the sender owns these partitions: send C{whole}
C{whole} p t i n + k    owner       part i of n of all entries, and the keys that the sender is told are there
C{question} p t q k     all         which of these keys do you hold?
C{answer} p t q k r     owner       these; and those that the sender has released lately, with their age in ms
C{states} p t [k s h]   watcher     keys with their states: 1 there, 0 gone, -1 gone and forgotten; and the holders
C{sums} [p t n x]       watcher     the digest of all states that the sender has told the receiver
C{unequal} p t          owner       the digest differs: send C{all}
C{all} p t i n [k s h]  watcher     part i of n of all states
C{table} v              all         there is a new membership table
======================  ==========  ===================================================================================

An I{entry} is a verb and a key: C{h} the node holds the name, C{w} it watches the name; or the verb C{a} and a kind: it
watches all names of that kind in the partition.

Everything is checked as if a client had sent it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dstwist.protocol.jsontext import dumps, loads

#: The only format so far.
FORMAT = 1

HOLDS = "h"
WATCHES = "w"
WATCHES_ALL = "a"

REPORT = "report"
DIGESTS = "digests"
ASK = "ask"
WHOLE = "whole"
QUESTION = "question"
ANSWER = "answer"
STATES = "states"
SUMS = "sums"
UNEQUAL = "unequal"
ALL = "all"
TABLE = "table"

Item = list[Any]


class Envelope(NamedTuple):
    """
    The payload of one message.

    @ivar number: one more with each message of the sender to the receiver.
    """

    sender: str
    receiver: str
    number: int
    items: list[Item]


def encode(envelope: Envelope) -> bytes:
    """
    The payload.
    """
    return dumps([FORMAT, *envelope])


def decode(payload: bytes) -> Envelope:
    """
    What a payload contains.

    @raise ValueError: it is no message of a node, or has another format.
    """
    value = loads(payload)
    if not isinstance(value, list) or not value or value[0] != FORMAT:
        raise ValueError("a message of an unknown format")
    if len(value) != 5:
        raise ValueError("not a message of a node")
    _, sender, receiver, number, items = value
    if not (_text(sender) and _text(receiver) and _number(number) and isinstance(items, list)):
        raise ValueError("not a message of a node")
    return Envelope(sender, receiver, number, items)


def check(item: Any) -> None:
    """
    @raise ValueError: it is no item of a message.
    """
    if not isinstance(item, list) or not item or not isinstance(item[0], str):
        raise ValueError("not an item")
    fields = _FIELDS.get(item[0])
    if fields is None:
        raise ValueError(f"an item of the unknown kind {item[0][:20]!r}")
    if len(item) != len(fields) + 1 or not all(fits(value) for fits, value in zip(fields, item[1:], strict=True)):
        raise ValueError(f"an item {item[0]!r} with wrong fields")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _key(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 0


def _number(value: Any) -> bool:
    return type(value) is int and value >= 0


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _row(*fields: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list)
        and len(value) == len(fields)
        and all(fits(each) for fits, each in zip(fields, value, strict=True))
    )


def _entry(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 1 and value[0] in (HOLDS, WATCHES, WATCHES_ALL)


def _state(value: Any) -> bool:
    return type(value) is int and -1 <= value <= 1


_keys = _list_of(_key)
_entries = _list_of(_entry)
_states = _list_of(_row(_key, _state, _list_of(_text)))
_digests = _list_of(_row(_number, _number, _number, _number))

_FIELDS: dict[str, tuple[Callable[[Any], bool], ...]] = {
    REPORT: (_number, _number, _entries, _entries),
    DIGESTS: (_digests,),
    ASK: (_list_of(_row(_number, _number)),),
    WHOLE: (_number, _number, _number, _number, _entries, _keys),
    QUESTION: (_number, _number, _number, _keys),
    ANSWER: (_number, _number, _number, _keys, _list_of(_row(_key, _number))),
    STATES: (_number, _number, _states),
    SUMS: (_digests,),
    UNEQUAL: (_number, _number),
    ALL: (_number, _number, _number, _number, _states),
    TABLE: (_number,),
}
