"""
Which rule guards which action (C{services.md} section 1), and the value of C{action} in a rule.

Other actions are never denied: actions that end something (UNSUBSCRIBE), answer something (RESPONSE) or accept
something (LISTEN_ACCEPT). For a request that does several things, the record service asks about each: CREATE, READ,
UPDATE or PATCH.
"""

from __future__ import annotations

from enum import IntEnum

from dstwist.permission.valve.values import ActionName
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic

#: The section of the permissions file for each topic.
SECTIONS = {Topic.RECORD: "record", Topic.EVENT: "event", Topic.RPC: "rpc", Topic.PRESENCE: "presence"}

#: By topic and action: the name of the rule.
GUARDS: dict[Topic, dict[IntEnum, str]] = {
    Topic.RECORD: {
        RecordAction.SUBSCRIBE: "read",
        RecordAction.SUBSCRIBEANDHEAD: "read",
        RecordAction.SUBSCRIBEANDREAD: "read",
        RecordAction.READ: "read",
        RecordAction.HEAD: "read",
        RecordAction.HAS: "read",
        RecordAction.CREATE: "create",
        RecordAction.UPDATE: "write",
        RecordAction.PATCH: "write",
        RecordAction.PATCH_MULTI: "write",
        RecordAction.DELETE: "delete",
        RecordAction.ERASE: "delete",
        RecordAction.LISTEN: "listen",
        RecordAction.NOTIFY: "notify",
    },
    Topic.EVENT: {
        EventAction.EMIT: "publish",
        EventAction.SUBSCRIBE: "subscribe",
        EventAction.LISTEN: "listen",
    },
    Topic.RPC: {
        RpcAction.PROVIDE: "provide",
        RpcAction.REQUEST: "request",
    },
    Topic.PRESENCE: {
        PresenceAction.SUBSCRIBE: "allow",
        PresenceAction.SUBSCRIBE_ALL: "allow",
        PresenceAction.QUERY: "allow",
        PresenceAction.QUERY_ALL: "allow",
    },
}

#: The actions that concern all users and have no name.
NAMELESS: frozenset[tuple[Topic, IntEnum]] = frozenset(
    ((Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL), (Topic.PRESENCE, PresenceAction.QUERY_ALL))
)

# Other names of actions in v2 and v3.
_OLD_NAMES: dict[tuple[Topic, IntEnum], tuple[str, ...]] = {
    (Topic.EVENT, EventAction.EMIT): ("EVENT",),
    (Topic.RECORD, RecordAction.READ): ("SNAPSHOT",),
    (Topic.RPC, RpcAction.PROVIDE): ("SUBSCRIBE",),
    (Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL): ("SUBSCRIBE",),
    (Topic.PRESENCE, PresenceAction.QUERY_ALL): ("QUERY",),
}


def action_name(topic: Topic, action: IntEnum) -> ActionName:
    """
    The value of C{action} in a rule.
    """
    # v4+ clients have no HAS: they ask with HEAD whether a record exists.
    number = RecordAction.HEAD if (topic, action) == (Topic.RECORD, RecordAction.HAS) else action
    return ActionName(number, action.name, *_OLD_NAMES.get((topic, action), ()))
