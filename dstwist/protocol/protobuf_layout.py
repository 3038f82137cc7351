"""
How the messages of each topic are read and written in binary: the tables of L{dstwist.protocol.schema} in the form in
which the codec walks through them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from enum import IntEnum
from operator import attrgetter
from typing import Any, NamedTuple

from dstwist.protocol.constants import ACTIONS, TEXT_ONLY, AuthAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf_parts import SMALL
from dstwist.protocol.schema import ACKS, FIELDS, REQUESTS, Field, Kind

#: The place of each field among the arguments of L{Message}: the decoder fills a list and passes it on as a whole.
SLOTS = {name: place for place, name in enumerate(Message.__slots__)}


def bits(names: Iterable[str]) -> int:
    """
    A number with one bit for each of these fields.
    """
    return sum(1 << SLOTS[name] for name in names)


class Rule(NamedTuple):
    """
    The requirements of one action on its messages.
    """

    action: IntEnum
    #: The texts that must be there and not be empty.
    texts: tuple[int, ...]
    #: The bits of the fields that must be there, and of those together with the ones that must not be there.
    needed: int
    checked: int
    #: Its data must be an object or an array.
    structured: bool


class Layout(NamedTuple):
    """
    How to read the messages of one topic.
    """

    topic: Topic
    #: A message without any field.
    blank: list[Any]
    #: By the opening byte of the field: what it holds, where to put that, and the bit of the field.
    fields: dict[int, tuple[int, int, int]]
    #: By number: the actions that are let through.
    rules: dict[int, Rule]
    #: By number: all actions, for errors that name one.
    originals: dict[int, IntEnum]


#: How to write a message: which attributes, and the opening byte and kind of each.
Writer = tuple[Any, tuple[tuple[bytes, int], ...]]


def layout_of(topic: Topic, allowed: frozenset[IntEnum], server: bool) -> Layout:
    """
    How to read the messages of C{topic}.

    @param allowed: the actions that are let through.
    @param server: check the fields of requests.
    """
    blank = [topic, None] + [field.default for field in dataclasses.fields(Message)[2:]]
    return Layout(
        topic,
        blank,
        {field.tag: (int(field.kind), SLOTS[field.attribute], bits([field.attribute])) for field in FIELDS[topic]},
        {int(action): _rule(topic, action, server) for action in allowed if action < TEXT_ONLY},
        {int(action): action for action in ACTIONS[topic] if action < TEXT_ONLY},
    )


def _rule(topic: Topic, action: IntEnum, server: bool) -> Rule:
    if not server:
        return Rule(action, (), 0, 0, False)
    required, optional = REQUESTS[topic, action]
    kinds = {field.attribute: field.kind for field in FIELDS[topic]}
    needed = bits(required)
    barred = bits(kinds) & ~bits(("action", *required, *optional))
    texts = tuple(SLOTS[name] for name in required if kinds[name] is Kind.TEXT)
    return Rule(action, texts, needed, needed | barred, action is AuthAction.REQUEST)


def _writer(fields: list[Field]) -> Writer:
    read = attrgetter(*(field.attribute for field in fields))
    return read, tuple((SMALL[field.tag], int(field.kind)) for field in fields)


#: How to write messages, by topic; how to write acknowledgements that repeat only some of the fields.
WRITERS: dict[Topic, Writer] = {topic: _writer(list(fields)) for topic, fields in FIELDS.items()}
ACK_WRITERS: dict[tuple[Topic, IntEnum], Writer] = {
    key: _writer([field for field in FIELDS[key[0]] if field.attribute in repeated]) for key, repeated in ACKS.items()
}
