"""
Topics and actions, each exactly once.

The numbers are those of the protobuf protocol (v4+ clients). The text protocol (v2/v3 clients) has letters for the same
actions; they are in L{dstwist.protocol.text_forms}. Actions from C{FIRST_TEXT_ONLY_ACTION} upwards exist only in the
text protocol: the protobuf codec cannot encode them, and sends nothing in their place.
"""

from __future__ import annotations

from enum import IntEnum

#: The lowest number of the actions that only the text protocol has.
FIRST_TEXT_ONLY_ACTION = 1000


class Topic(IntEnum):
    """
    The part of the server that a message is for.
    """

    UNKNOWN = 0
    PARSER = 1
    CONNECTION = 2
    AUTH = 3
    EVENT = 4
    RECORD = 5
    RPC = 6
    PRESENCE = 7
    MONITORING = 8


class ParserAction(IntEnum):
    """
    Answers to messages that cannot be understood, from the server to clients.
    """

    UNKNOWN = 0
    UNKNOWN_TOPIC = 1
    UNKNOWN_ACTION = 2
    INVALID_MESSAGE = 3
    MESSAGE_PARSE_ERROR = 4
    MAXIMUM_MESSAGE_SIZE_EXCEEDED = 5
    ERROR = 6
    INVALID_META_PARAMS = 7


class ConnectionAction(IntEnum):
    """
    Handshake and heartbeat.
    """

    UNKNOWN = 0
    ERROR = 1
    PING = 2
    PONG = 3
    ACCEPT = 4
    CHALLENGE = 5
    REJECT = 6
    REDIRECT = 7
    CLOSING = 8
    CLOSED = 9
    AUTHENTICATION_TIMEOUT = 100
    INVALID_MESSAGE = 101
    #: The server's first message to a text client, which answers with CHALLENGE.
    CHALLENGE_REQUEST = FIRST_TEXT_ONLY_ACTION
    MESSAGE_PARSE_ERROR = FIRST_TEXT_ONLY_ACTION + 1
    UNKNOWN_ACTION = FIRST_TEXT_ONLY_ACTION + 2


class AuthAction(IntEnum):
    """
    Login.
    """

    UNKNOWN = 0
    ERROR = 1
    REQUEST = 2
    AUTH_SUCCESSFUL = 3
    AUTH_UNSUCCESSFUL = 4
    TOO_MANY_AUTH_ATTEMPTS = 100
    INVALID_MESSAGE = 101
    INVALID_MESSAGE_DATA = 102


class EventAction(IntEnum):
    """
    Publish and subscribe.
    """

    UNKNOWN = 0
    ERROR = 1
    EMIT = 2
    SUBSCRIBE = 3
    UNSUBSCRIBE = 4
    LISTEN = 5
    UNLISTEN = 6
    LISTEN_ACCEPT = 7
    LISTEN_REJECT = 8
    SUBSCRIPTION_HAS_PROVIDER = 9
    SUBSCRIPTION_HAS_NO_PROVIDER = 10
    SUBSCRIPTION_FOR_PATTERN_FOUND = 11
    SUBSCRIPTION_FOR_PATTERN_REMOVED = 12
    INVALID_LISTEN_REGEX = 100
    LISTEN_RESPONSE_TIMEOUT = 101
    LISTEN_UNSUCCESSFUL = 102
    MESSAGE_PERMISSION_ERROR = 103
    MESSAGE_DENIED = 104
    INVALID_MESSAGE_DATA = 105
    MULTIPLE_SUBSCRIPTIONS = 106
    NOT_SUBSCRIBED = 107
    INVALID_MESSAGE = FIRST_TEXT_ONLY_ACTION
    UNKNOWN_ACTION = FIRST_TEXT_ONLY_ACTION + 1


class RecordAction(IntEnum):
    """
    Data synchronisation.
    """

    UNKNOWN = 0
    ERROR = 1
    NOTIFY = 2
    READ = 3
    READ_RESPONSE = 4
    HEAD = 5
    HEAD_RESPONSE = 6
    HEAD_BULK = 7
    HEAD_RESPONSE_BULK = 8
    DELETE = 9
    DELETE_SUCCESS = 10
    DELETE_BULK = 11
    DELETE_BULK_SUCCESS = 12
    DELETED = 13
    WRITE_ACKNOWLEDGEMENT = 14
    CREATE = 15
    CREATEANDUPDATE = 16
    CREATEANDPATCH = 17
    UPDATE = 18
    PATCH = 19
    ERASE = 20
    SUBSCRIBEANDHEAD = 21
    SUBSCRIBEANDREAD = 22
    SUBSCRIBECREATEANDREAD = 23
    SUBSCRIBECREATEANDUPDATE = 24
    SUBSCRIBE = 25
    UNSUBSCRIBE = 26
    LISTEN = 27
    UNLISTEN = 28
    LISTEN_ACCEPT = 29
    LISTEN_REJECT = 30
    SUBSCRIPTION_HAS_PROVIDER = 31
    SUBSCRIPTION_HAS_NO_PROVIDER = 32
    SUBSCRIPTION_FOR_PATTERN_FOUND = 33
    SUBSCRIPTION_FOR_PATTERN_REMOVED = 34
    PATCH_MULTI = 35
    CACHE_RETRIEVAL_TIMEOUT = 100
    STORAGE_RETRIEVAL_TIMEOUT = 101
    VERSION_EXISTS = 102
    RECORD_LOAD_ERROR = 103
    RECORD_CREATE_ERROR = 104
    RECORD_UPDATE_ERROR = 105
    RECORD_DELETE_ERROR = 106
    RECORD_NOT_FOUND = 107
    INVALID_VERSION = 108
    INVALID_PATCH_ON_HOTPATH = 109
    INVALID_LISTEN_REGEX = 110
    LISTEN_RESPONSE_TIMEOUT = 111
    LISTEN_UNSUCCESSFUL = 112
    RECORD_NOTIFY_ERROR = 113
    MESSAGE_PERMISSION_ERROR = 114
    MESSAGE_DENIED = 115
    INVALID_MESSAGE_DATA = 116
    MULTIPLE_SUBSCRIPTIONS = 117
    NOT_SUBSCRIBED = 118
    INVALID_MESSAGE = FIRST_TEXT_ONLY_ACTION
    UNKNOWN_ACTION = FIRST_TEXT_ONLY_ACTION + 1
    #: Does the record exist? v4+ clients send HEAD instead.
    HAS = FIRST_TEXT_ONLY_ACTION + 2
    HAS_RESPONSE = FIRST_TEXT_ONLY_ACTION + 3


class RpcAction(IntEnum):
    """
    Request and response through the server.
    """

    UNKNOWN = 0
    ERROR = 1
    REQUEST = 2
    ACCEPT = 4
    RESPONSE = 5
    REJECT = 6
    REQUEST_ERROR = 7
    PROVIDE = 8
    UNPROVIDE = 9
    NO_RPC_PROVIDER = 100
    ACCEPT_TIMEOUT = 101
    MULTIPLE_ACCEPT = 102
    INVALID_RPC_CORRELATION_ID = 103
    RESPONSE_TIMEOUT = 104
    MULTIPLE_RESPONSE = 105
    MESSAGE_PERMISSION_ERROR = 106
    MESSAGE_DENIED = 107
    INVALID_MESSAGE_DATA = 108
    MULTIPLE_PROVIDERS = 109
    NOT_PROVIDED = 110
    UNKNOWN_ACTION = FIRST_TEXT_ONLY_ACTION + 1


class PresenceAction(IntEnum):
    """
    The users that are online.
    """

    UNKNOWN = 0
    ERROR = 1
    QUERY_ALL = 2
    QUERY_ALL_RESPONSE = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    PRESENCE_JOIN = 6
    PRESENCE_JOIN_ALL = 7
    PRESENCE_LEAVE = 8
    PRESENCE_LEAVE_ALL = 9
    SUBSCRIBE = 10
    UNSUBSCRIBE = 11
    SUBSCRIBE_ALL = 12
    UNSUBSCRIBE_ALL = 13
    INVALID_PRESENCE_USERS = 100
    MESSAGE_PERMISSION_ERROR = 101
    MESSAGE_DENIED = 102
    MULTIPLE_SUBSCRIPTIONS = 103
    NOT_SUBSCRIBED = 104
    UNKNOWN_ACTION = FIRST_TEXT_ONLY_ACTION + 1


class MonitoringAction(IntEnum):
    """
    Reserved: the protocol declares this topic, but no action of it.
    """

    UNKNOWN = 0


#: The action enumeration of each topic.
ACTIONS: dict[Topic, type[IntEnum]] = {
    Topic.PARSER: ParserAction,
    Topic.CONNECTION: ConnectionAction,
    Topic.AUTH: AuthAction,
    Topic.EVENT: EventAction,
    Topic.RECORD: RecordAction,
    Topic.RPC: RpcAction,
    Topic.PRESENCE: PresenceAction,
    Topic.MONITORING: MonitoringAction,
}

#: The name that stands for all users, in subscriptions to presence and in errors.
EVERYONE = "%_EVERYONE_%"

#: The user id of a login for which the authenticator gave none.
UNNAMED_USER = "OPEN"
#: The user id of an "open" login without a username.
OPEN_USER = "open"
#: The user ids of clients without a name. These clients are not one user with many connections, so presence ignores
#: them.
NAMELESS_USERS = frozenset({UNNAMED_USER, OPEN_USER})

#: The actions that a client may send, by topic. Codecs refuse all others.
FROM_CLIENT: dict[Topic, frozenset[IntEnum]] = {
    Topic.CONNECTION: frozenset({ConnectionAction.PING, ConnectionAction.PONG, ConnectionAction.CHALLENGE}),
    Topic.AUTH: frozenset({AuthAction.REQUEST}),
    Topic.EVENT: frozenset(
        {
            EventAction.EMIT,
            EventAction.SUBSCRIBE,
            EventAction.UNSUBSCRIBE,
            EventAction.LISTEN,
            EventAction.UNLISTEN,
            EventAction.LISTEN_ACCEPT,
            EventAction.LISTEN_REJECT,
        }
    ),
    Topic.RECORD: frozenset(
        {
            RecordAction.NOTIFY,
            RecordAction.READ,
            RecordAction.HEAD,
            RecordAction.HAS,
            RecordAction.DELETE,
            RecordAction.CREATEANDUPDATE,
            RecordAction.CREATEANDPATCH,
            RecordAction.UPDATE,
            RecordAction.PATCH,
            RecordAction.ERASE,
            RecordAction.PATCH_MULTI,
            RecordAction.SUBSCRIBEANDHEAD,
            RecordAction.SUBSCRIBEANDREAD,
            RecordAction.SUBSCRIBECREATEANDREAD,
            RecordAction.SUBSCRIBE,
            RecordAction.UNSUBSCRIBE,
            RecordAction.LISTEN,
            RecordAction.UNLISTEN,
            RecordAction.LISTEN_ACCEPT,
            RecordAction.LISTEN_REJECT,
        }
    ),
    Topic.RPC: frozenset(
        {
            RpcAction.REQUEST,
            RpcAction.ACCEPT,
            RpcAction.RESPONSE,
            RpcAction.REJECT,
            RpcAction.REQUEST_ERROR,
            RpcAction.PROVIDE,
            RpcAction.UNPROVIDE,
        }
    ),
    Topic.PRESENCE: frozenset(
        {
            PresenceAction.QUERY_ALL,
            PresenceAction.QUERY,
            PresenceAction.SUBSCRIBE,
            PresenceAction.UNSUBSCRIBE,
            PresenceAction.SUBSCRIBE_ALL,
            PresenceAction.UNSUBSCRIBE_ALL,
        }
    ),
}

#: The requests for several names at once. In all other requests only C{name} counts, even if a client sends more names.
BULK_ACTIONS: dict[Topic, frozenset[IntEnum]] = {
    Topic.EVENT: frozenset({EventAction.SUBSCRIBE, EventAction.UNSUBSCRIBE}),
    Topic.RECORD: frozenset(
        {
            RecordAction.SUBSCRIBE,
            RecordAction.UNSUBSCRIBE,
            RecordAction.SUBSCRIBEANDHEAD,
            RecordAction.SUBSCRIBEANDREAD,
            RecordAction.SUBSCRIBECREATEANDREAD,
            RecordAction.NOTIFY,
        }
    ),
    Topic.RPC: frozenset({RpcAction.PROVIDE, RpcAction.UNPROVIDE}),
    Topic.PRESENCE: frozenset({PresenceAction.QUERY, PresenceAction.SUBSCRIBE, PresenceAction.UNSUBSCRIBE}),
}
