"""
The tables of L{dstwist.protocol.schema} in the form that the codec uses to read and write messages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from enum import IntEnum
from operator import attrgetter
from typing import Any, NamedTuple

from dstwist.protocol.constants import ACTIONS, FIRST_TEXT_ONLY_ACTION, AuthAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf_parts import SMALL_NUMBERS
from dstwist.protocol.schema import ACKS, FIELDS, REQUESTS, Field, Kind

#: The position of each field in the arguments of L{Message}: the decoder fills a list and passes it as the arguments.
SLOTS = {name: place for place, name in enumerate(Message.__slots__)}


def bits(names: Iterable[str]) -> int:
    """
    A number with a bit for each of these fields.
    """
    return sum(1 << SLOTS[name] for name in names)


class Requirements(NamedTuple):
    """
    The requirements for messages with one action.
    """

    action: IntEnum
    #: The slots of the texts that must not be empty.
    texts: tuple[int, ...]
    #: The bits of the required fields.
    needed: int
    #: The bits of the required and the forbidden fields together.
    checked: int
    #: Whether the data must be an object or an array.
    structured: bool


class Layout(NamedTuple):
    """
    The description of the messages of one topic, for reading.
    """

    topic: Topic
    #: The arguments of a message without any field.
    blank: list[Any]
    #: By the first byte of a field: its kind, its slot and its bit.
    fields: dict[int, tuple[int, int, int]]
    #: By number: the requirements of the actions that are accepted.
    requirements: dict[int, Requirements]
    #: By number: all actions, for errors that name one.
    originals: dict[int, IntEnum]


#: The description of a message for writing: a function that reads its attributes, and the first byte and kind of each.
Writer = tuple[Any, tuple[tuple[bytes, int], ...]]


def layout_of(topic: Topic, allowed: frozenset[IntEnum], server: bool) -> Layout:
    """
    The layout of the messages of C{topic}.

    @param allowed: the actions that are accepted.
    @param server: whether the fields of requests are checked.
    """
    blank = [topic, None] + [field.default for field in dataclasses.fields(Message)[2:]]
    return Layout(
        topic,
        blank,
        {field.tag: (int(field.kind), SLOTS[field.attribute], bits([field.attribute])) for field in FIELDS[topic]},
        {int(action): _requirements(topic, action, server) for action in allowed if action < FIRST_TEXT_ONLY_ACTION},
        {int(action): action for action in ACTIONS[topic] if action < FIRST_TEXT_ONLY_ACTION},
    )


def _requirements(topic: Topic, action: IntEnum, server: bool) -> Requirements:
    if not server:
        return Requirements(action, (), 0, 0, False)
    required, optional = REQUESTS[topic, action]
    kinds = {field.attribute: field.kind for field in FIELDS[topic]}
    needed = bits(required)
    barred = bits(kinds) & ~bits(("action", *required, *optional))
    texts = tuple(SLOTS[name] for name in required if kinds[name] is Kind.TEXT)
    return Requirements(action, texts, needed, needed | barred, action is AuthAction.REQUEST)


def _writer(fields: list[Field]) -> Writer:
    read = attrgetter(*(field.attribute for field in fields))
    return read, tuple((SMALL_NUMBERS[field.tag], int(field.kind)) for field in fields)


#: The writers of messages, by topic, and of acknowledgements that repeat only some fields.
WRITERS: dict[Topic, Writer] = {topic: _writer(list(fields)) for topic, fields in FIELDS.items()}
ACK_WRITERS: dict[tuple[Topic, IntEnum], Writer] = {
    key: _writer([field for field in FIELDS[key[0]] if field.attribute in repeated]) for key, repeated in ACKS.items()
}
