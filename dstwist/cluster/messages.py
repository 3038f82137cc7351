"""
The messages that nodes send each other directly.

A payload is a JSON array: the format, the sender, the node it is meant for, a number, and items. Each item is an array:
its kind, and the fields of the kind. The part that handles a kind says which fields it has
(L{Peers.handle<dstwist.cluster.peers.Peers.handle>}).

======================================================  ===============================================================
kinds                                                   module
======================================================  ===============================================================
C{table}, C{hello}, C{welcome}                          L{dstwist.cluster.peers}
C{report}, C{states}, and what belongs to them          L{dstwist.cluster.directory_messages}
C{admin.ask}, C{admin.answer}                           C{dstwist.admin.nodes}
======================================================  ===============================================================

Everything is checked as if a client had sent it. An item of a kind that this node does not know is passed over: a node
of a later release may have sent it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dstwist.cluster.fields import Check, number, text
from dstwist.protocol.jsontext import dumps, loads

#: The only format so far.
FORMAT = 1

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
    The content of a payload.

    @raise ValueError: it is no message of a node, or has another format.
    """
    value = loads(payload)
    if not isinstance(value, list) or not value or value[0] != FORMAT:
        raise ValueError("a message of an unknown format")
    if len(value) != 5:
        raise ValueError("not a message of a node")
    _, sender, receiver, count, items = value
    if not (text(sender) and text(receiver) and number(count) and isinstance(items, list)):
        raise ValueError("not a message of a node")
    return Envelope(sender, receiver, count, items)


def check(item: Any, kinds: Mapping[str, Sequence[Check]]) -> bool:
    """
    Check an item of a message.

    @param kinds: the fields of each kind that is known.
    @return: whether the kind is known.
    @raise ValueError: it is no item of a message.
    """
    if not isinstance(item, list) or not item or not isinstance(item[0], str):
        raise ValueError("not an item")
    fields = kinds.get(item[0])
    if fields is None:
        return False
    if len(item) != len(fields) + 1 or not all(fits(value) for fits, value in zip(fields, item[1:], strict=True)):
        raise ValueError(f"an item {item[0]!r} with wrong fields")
    return True
