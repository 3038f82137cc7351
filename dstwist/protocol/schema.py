"""
The messages of the protobuf protocol (v4+ clients) as tables: the number on the wire for each field of L{Message}.

Every frame is an envelope around a message of one topic::

    length | 10 <topic> | 1a <length> <message of that topic>

A message is a sequence of the fields of its topic, without the absent ones. The numbers differ from topic to topic
(C{name} is 6, 7 or 8), so each topic has a table of its own. In deepstream's schema the fields have the same names in
camel case (C{correlation_id} is C{correlationId}); C{tests/protocol/deepstream.proto} contains the whole schema.

The tables leave out the declared fields that no peer sets: C{originalTOPIC} of all topics, C{originalAction} of PARSER
(which has no meaning without the topic) and C{pattern} of RECORD. They are skipped like unknown fields.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from dstwist.protocol.constants import (
    AuthAction,
    ConnectionAction,
    EventAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)


class Kind(IntEnum):
    """
    The kind of a field. On the wire, kinds up to L{ORIGINAL_ACTION} are a number; kinds from L{TEXT} on are a length
    and bytes of that length.
    """

    INTEGER = 0
    BOOLEAN = 1
    #: The number of an action of the same topic.
    ORIGINAL_ACTION = 2
    TEXT = 3
    #: JSON text, kept as bytes.
    JSON = 4
    #: Text; the field is repeated for each name.
    NAMES = 5
    #: One entry of a map: C{0a <name> 10 <version>}.
    VERSIONS = 6


class Field(NamedTuple):
    """
    One field of a topic's message.

    @ivar attribute: its name in L{Message}.
    """

    number: int
    kind: Kind
    attribute: str

    @property
    def tag(self) -> int:
        """
        The first byte of the field on the wire. It is a single byte, because all numbers in use are below 16.
        """
        return self.number << 3 | (2 if self.kind >= Kind.TEXT else 0)


def _table(*fields: tuple[int, Kind, str]) -> tuple[Field, ...]:
    return tuple(Field(*field) for field in fields)


#: The fields of each topic, in the order in which they are written.
FIELDS: dict[Topic, tuple[Field, ...]] = {
    Topic.PARSER: _table(
        (1, Kind.INTEGER, "action"),
        (2, Kind.JSON, "data"),
    ),
    Topic.CONNECTION: _table(
        (1, Kind.INTEGER, "action"),
        (2, Kind.JSON, "data"),
        (3, Kind.BOOLEAN, "is_error"),
        (4, Kind.BOOLEAN, "is_ack"),
        (5, Kind.TEXT, "url"),
        (6, Kind.TEXT, "protocol_version"),
        (7, Kind.TEXT, "sdk_version"),
        (8, Kind.TEXT, "sdk_type"),
    ),
    Topic.AUTH: _table(
        (1, Kind.INTEGER, "action"),
        (2, Kind.JSON, "data"),
        (3, Kind.BOOLEAN, "is_error"),
        (4, Kind.BOOLEAN, "is_ack"),
    ),
    Topic.EVENT: _table(
        (1, Kind.INTEGER, "action"),
        (2, Kind.JSON, "data"),
        (3, Kind.TEXT, "correlation_id"),
        (4, Kind.BOOLEAN, "is_error"),
        (5, Kind.BOOLEAN, "is_ack"),
        (6, Kind.TEXT, "name"),
        (7, Kind.NAMES, "names"),
        (8, Kind.TEXT, "subscription"),
        (11, Kind.ORIGINAL_ACTION, "original_action"),
    ),
    Topic.RECORD: _table(
        (1, Kind.INTEGER, "action"),
        (2, Kind.JSON, "data"),
        (3, Kind.TEXT, "correlation_id"),
        (4, Kind.BOOLEAN, "is_error"),
        (5, Kind.BOOLEAN, "is_ack"),
        (6, Kind.TEXT, "name"),
        (7, Kind.NAMES, "names"),
        (9, Kind.TEXT, "subscription"),
        (10, Kind.ORIGINAL_ACTION, "original_action"),
        (11, Kind.BOOLEAN, "is_write_ack"),
        (12, Kind.TEXT, "path"),
        (13, Kind.INTEGER, "version"),
        (14, Kind.VERSIONS, "versions"),
    ),
    Topic.RPC: _table(
        (1, Kind.INTEGER, "action"),
        (2, Kind.JSON, "data"),
        (3, Kind.TEXT, "correlation_id"),
        (4, Kind.BOOLEAN, "is_error"),
        (5, Kind.BOOLEAN, "is_ack"),
        (6, Kind.NAMES, "names"),
        (7, Kind.TEXT, "name"),
        (9, Kind.ORIGINAL_ACTION, "original_action"),
        (10, Kind.TEXT, "requestor_name"),
        (11, Kind.JSON, "requestor_data"),
    ),
    Topic.PRESENCE: _table(
        (1, Kind.INTEGER, "action"),
        (3, Kind.ORIGINAL_ACTION, "original_action"),
        (4, Kind.JSON, "data"),
        (5, Kind.TEXT, "correlation_id"),
        (6, Kind.BOOLEAN, "is_error"),
        (7, Kind.BOOLEAN, "is_ack"),
        (8, Kind.TEXT, "name"),
        (9, Kind.NAMES, "names"),
    ),
    Topic.MONITORING: _table(
        (1, Kind.INTEGER, "action"),
        (2, Kind.JSON, "data"),
        (3, Kind.TEXT, "correlation_id"),
        (4, Kind.BOOLEAN, "is_error"),
        (5, Kind.BOOLEAN, "is_ack"),
    ),
}


class Fields(NamedTuple):
    """
    The fields of one request.

    @ivar required: a request is refused if one of these fields is missing, or is an empty text.
    @ivar optional: fields that a request may have. A request with any other field is refused.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_NAMED = Fields(("name",))
_PATTERN_ANSWER = Fields(("name", "subscription"))
#: Bulk requests may be empty, and are acknowledged nevertheless.
_BULK = Fields((), ("names", "correlation_id"))
_CALL = Fields(("name", "correlation_id"))
_CALL_WITH_DATA = Fields(("name", "correlation_id"), ("data",))
_ACKNOWLEDGED = ("correlation_id", "is_write_ack")
#: Clients send no data if an application writes a value that JSON has no text for. The record service refuses such a
#: write, and then sends the client the record.
_WHOLE = Fields(("name", "version"), ("data", *_ACKNOWLEDGED))

#: The fields of each request, as published clients send it (C{tests/protocol/clients.py}). The record service and the
#: permission rules rely on this table: an UPDATE has no path, a PATCH has one, an ERASE has no data. (A CREATEANDPATCH
#: without data erases the value at the path.)
REQUESTS: dict[tuple[Topic, IntEnum], Fields] = {
    (Topic.CONNECTION, ConnectionAction.PING): Fields(),
    # No client sends PONG, because servers of this protocol do not ping.
    (Topic.CONNECTION, ConnectionAction.PONG): Fields(),
    (Topic.CONNECTION, ConnectionAction.CHALLENGE): Fields((), ("url", "protocol_version", "sdk_version", "sdk_type")),
    # The data must be an object or an array; the codec checks this, too.
    (Topic.AUTH, AuthAction.REQUEST): Fields(("data",)),
    (Topic.EVENT, EventAction.EMIT): Fields(("name",), ("data",)),
    (Topic.EVENT, EventAction.SUBSCRIBE): _BULK,
    (Topic.EVENT, EventAction.UNSUBSCRIBE): _BULK,
    (Topic.EVENT, EventAction.LISTEN): _NAMED,
    (Topic.EVENT, EventAction.UNLISTEN): _NAMED,
    (Topic.EVENT, EventAction.LISTEN_ACCEPT): _PATTERN_ANSWER,
    (Topic.EVENT, EventAction.LISTEN_REJECT): _PATTERN_ANSWER,
    (Topic.RECORD, RecordAction.NOTIFY): _BULK,
    (Topic.RECORD, RecordAction.READ): _NAMED,
    (Topic.RECORD, RecordAction.HEAD): _NAMED,
    (Topic.RECORD, RecordAction.DELETE): _NAMED,
    (Topic.RECORD, RecordAction.CREATEANDUPDATE): _WHOLE,
    (Topic.RECORD, RecordAction.CREATEANDPATCH): Fields(("name", "version", "path"), ("data", *_ACKNOWLEDGED)),
    (Topic.RECORD, RecordAction.UPDATE): _WHOLE,
    (Topic.RECORD, RecordAction.PATCH): Fields(("name", "version", "path", "data"), _ACKNOWLEDGED),
    (Topic.RECORD, RecordAction.ERASE): Fields(("name", "version", "path"), _ACKNOWLEDGED),
    (Topic.RECORD, RecordAction.PATCH_MULTI): Fields(("name", "version", "data"), _ACKNOWLEDGED),
    (Topic.RECORD, RecordAction.SUBSCRIBEANDHEAD): _BULK,
    (Topic.RECORD, RecordAction.SUBSCRIBEANDREAD): _BULK,
    (Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD): _BULK,
    (Topic.RECORD, RecordAction.SUBSCRIBE): _BULK,
    (Topic.RECORD, RecordAction.UNSUBSCRIBE): _BULK,
    (Topic.RECORD, RecordAction.LISTEN): _NAMED,
    (Topic.RECORD, RecordAction.UNLISTEN): _NAMED,
    (Topic.RECORD, RecordAction.LISTEN_ACCEPT): _PATTERN_ANSWER,
    (Topic.RECORD, RecordAction.LISTEN_REJECT): _PATTERN_ANSWER,
    (Topic.RPC, RpcAction.REQUEST): _CALL_WITH_DATA,
    (Topic.RPC, RpcAction.ACCEPT): _CALL,
    (Topic.RPC, RpcAction.RESPONSE): _CALL_WITH_DATA,
    (Topic.RPC, RpcAction.REJECT): _CALL,
    (Topic.RPC, RpcAction.REQUEST_ERROR): _CALL_WITH_DATA,
    (Topic.RPC, RpcAction.PROVIDE): _BULK,
    (Topic.RPC, RpcAction.UNPROVIDE): _BULK,
    (Topic.PRESENCE, PresenceAction.QUERY_ALL): Fields(),
    (Topic.PRESENCE, PresenceAction.QUERY): _BULK,
    (Topic.PRESENCE, PresenceAction.SUBSCRIBE): _BULK,
    (Topic.PRESENCE, PresenceAction.UNSUBSCRIBE): _BULK,
    (Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL): Fields(),
    (Topic.PRESENCE, PresenceAction.UNSUBSCRIBE_ALL): Fields(),
}

#: By topic: the answer to a request with invalid fields. For other topics the answer is UNKNOWN_TOPIC of PARSER.
REFUSALS: dict[Topic, IntEnum] = {
    Topic.EVENT: EventAction.INVALID_MESSAGE_DATA,
    Topic.RECORD: RecordAction.INVALID_MESSAGE_DATA,
    Topic.RPC: RpcAction.INVALID_MESSAGE_DATA,
    Topic.PRESENCE: PresenceAction.INVALID_PRESENCE_USERS,
}

_CORRELATED = ("action", "correlation_id", "is_ack")
_WITH_NAMES = ("action", "correlation_id", "is_ack", "names")
_WITH_PATTERN = ("action", "is_ack", "name")
_BARE = ("action", "is_ack")

#: The fields of a request that its acknowledgement repeats. v4+ clients find the timer of the request by the topic, the
#: action and "the correlation id or else the name". With one field too many, they warn of a missing acknowledgement.
ACKS: dict[tuple[Topic, IntEnum], tuple[str, ...]] = {
    (Topic.EVENT, EventAction.SUBSCRIBE): _CORRELATED,
    (Topic.EVENT, EventAction.UNSUBSCRIBE): _CORRELATED,
    (Topic.EVENT, EventAction.LISTEN): _WITH_PATTERN,
    (Topic.EVENT, EventAction.UNLISTEN): _WITH_PATTERN,
    (Topic.RECORD, RecordAction.SUBSCRIBE): _CORRELATED,
    (Topic.RECORD, RecordAction.UNSUBSCRIBE): _CORRELATED,
    (Topic.RECORD, RecordAction.SUBSCRIBEANDHEAD): _CORRELATED,
    (Topic.RECORD, RecordAction.SUBSCRIBEANDREAD): _WITH_NAMES,
    (Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD): _WITH_NAMES,
    (Topic.RECORD, RecordAction.NOTIFY): _WITH_NAMES,
    (Topic.RECORD, RecordAction.LISTEN): _WITH_PATTERN,
    (Topic.RECORD, RecordAction.UNLISTEN): _WITH_PATTERN,
    (Topic.RPC, RpcAction.PROVIDE): _CORRELATED,
    (Topic.RPC, RpcAction.UNPROVIDE): _CORRELATED,
    (Topic.PRESENCE, PresenceAction.SUBSCRIBE): _CORRELATED,
    (Topic.PRESENCE, PresenceAction.UNSUBSCRIBE): _CORRELATED,
    (Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL): _BARE,
    (Topic.PRESENCE, PresenceAction.UNSUBSCRIBE_ALL): _BARE,
}
