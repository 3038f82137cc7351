"""
The requests of clients that the tests of presence share.
"""

from __future__ import annotations

from dstwist.protocol.constants import PresenceAction, Topic
from dstwist.protocol.message import Message

SUBSCRIBE_ALL = Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL)
UNSUBSCRIBE_ALL = Message(Topic.PRESENCE, PresenceAction.UNSUBSCRIBE_ALL)
QUERY_ALL = Message(Topic.PRESENCE, PresenceAction.QUERY_ALL)


def subscribe(*users: str) -> Message:
    return Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE, names=users, correlation_id="1")


def unsubscribe(*users: str) -> Message:
    return Message(Topic.PRESENCE, PresenceAction.UNSUBSCRIBE, names=users, correlation_id="2")


def query(*users: str) -> Message:
    return Message(Topic.PRESENCE, PresenceAction.QUERY, names=users, correlation_id="3")
