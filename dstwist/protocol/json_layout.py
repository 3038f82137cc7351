"""
The tables of L{dstwist.protocol.schema} in the form that the JSON codec uses to read and write messages.
"""

from __future__ import annotations

from enum import IntEnum
from operator import attrgetter
from typing import Any, NamedTuple

from dstwist.protocol.constants import ACTIONS, FIRST_TEXT_ONLY_ACTION, Topic
from dstwist.protocol.protobuf_layout import SLOTS, Requirements, bits, layout_of
from dstwist.protocol.schema import ACKS, FIELDS, Kind

#: The key of each field of L{dstwist.protocol.message.Message}, except C{data}, which has two.
KEYS = {
    "action": "action",
    "correlation_id": "correlationId",
    "is_error": "isError",
    "is_ack": "isAck",
    "name": "name",
    "names": "names",
    "subscription": "subscription",
    "original_topic": "originalTopic",
    "original_action": "originalAction",
    "is_write_ack": "isWriteAck",
    "path": "path",
    "version": "version",
    "versions": "versions",
    "requestor_name": "requestorName",
    "requestor_data": "requestorData",
    "url": "url",
    "protocol_version": "protocolVersion",
    "sdk_version": "sdkVersion",
    "sdk_type": "sdkType",
}

#: The kind of a flag that requests only have as C{false}, which is the same as no flag.
NEVER_TRUE = len(Kind)

#: The kind of C{originalTopic}.
ORIGINAL_TOPIC = len(Kind) + 1

#: The topics whose errors name the topic and the action of the request. The protobuf protocol has no fields for that.
_NAMING_REQUESTS = (Topic.PARSER, Topic.CONNECTION, Topic.AUTH)


class JsonLayout(NamedTuple):
    """
    The description of the messages of one topic, for reading.
    """

    topic: Topic
    #: The arguments of a message without any field.
    blank: list[Any]
    #: By key: its kind, its slot and its bit.
    fields: dict[str, tuple[int, int, int]]
    #: By number: the requirements of the actions that are accepted.
    requirements: dict[int, Requirements]
    #: By number: all actions, for errors that name one.
    originals: dict[int, IntEnum]


#: The description of a message for writing: a function that reads its attributes, and the key and kind of each.
JsonWriter = tuple[Any, tuple[tuple[bytes, int], ...]]


def json_layout_of(topic: Topic, allowed: frozenset[IntEnum], server: bool) -> JsonLayout:
    """
    The layout of the messages of C{topic}.

    @param allowed: the actions that are accepted.
    @param server: whether the fields of requests are checked.
    """
    _, blank, _, requirements, originals = layout_of(topic, allowed, server)
    fields = {
        KEYS[attribute]: (kind, SLOTS[attribute], bits([attribute]))
        for attribute, kind in _kinds(topic).items()
        if attribute not in ("action", "data")
    }
    if server:
        for attribute in ("is_error", "is_ack"):
            if KEYS[attribute] in fields:
                fields[KEYS[attribute]] = NEVER_TRUE, SLOTS[attribute], bits([attribute])
    return JsonLayout(topic, blank, fields, requirements, originals)


def _kinds(topic: Topic) -> dict[str, int]:
    """
    The fields of the messages of C{topic}: the kind of each attribute.
    """
    kinds = {field.attribute: int(field.kind) for field in FIELDS[topic]}
    if topic in _NAMING_REQUESTS:
        kinds |= {"original_topic": ORIGINAL_TOPIC, "original_action": int(Kind.ORIGINAL_ACTION)}
    # A client finds the value at the end of the text, behind the fields that say what it is.
    return {attribute: kind for attribute, kind in kinds.items() if kind != Kind.JSON} | kinds


def _writer(kinds: dict[str, int]) -> JsonWriter:
    # With one name, attrgetter gives no tuple.
    read: Any = attrgetter(*kinds) if len(kinds) > 1 else lambda message: (getattr(message, *kinds),)
    keys = {attribute: KEYS.get(attribute, "parsedData") for attribute in kinds}
    return read, tuple((f',"{keys[attribute]}":'.encode(), kind) for attribute, kind in kinds.items())


def _fields_behind_the_head(topic: Topic) -> dict[str, int]:
    return {attribute: kind for attribute, kind in _kinds(topic).items() if attribute != "action"}


#: By topic and action: the start of a message.
HEADS: dict[tuple[Topic, IntEnum], bytes] = {
    (topic, action): f'{{"topic":{topic:d},"action":{action:d}'.encode()
    for topic, actions in ACTIONS.items()
    for action in actions
    if action < FIRST_TEXT_ONLY_ACTION
}

#: The writers of messages, by topic, and of acknowledgements that repeat only some fields.
WRITERS: dict[Topic, JsonWriter] = {topic: _writer(_fields_behind_the_head(topic)) for topic in FIELDS}
ACK_WRITERS: dict[tuple[Topic, IntEnum], JsonWriter] = {
    (topic, action): _writer(
        {attribute: kind for attribute, kind in _fields_behind_the_head(topic).items() if attribute in repeated}
    )
    for (topic, action), repeated in ACKS.items()
}
