"""
The kinds of messages that the handshake tables of the dialects (L{dstwist.protocol.dialect}) distinguish.
"""

from __future__ import annotations

from collections.abc import Mapping

from dstwist.protocol.constants import ConnectionAction, Topic
from dstwist.protocol.dialect import Received
from dstwist.protocol.message import Fault, Malformed, Message

_OF_CONNECTION: Mapping[object, Received] = {
    ConnectionAction.CHALLENGE: Received.CHALLENGE,
    ConnectionAction.PING: Received.PING,
    ConnectionAction.PONG: Received.PONG,
}
#: The kinds of messages that clients repeat all the time, only to show that they are there.
HEARTBEATS = frozenset({Received.PING, Received.PONG})


def received_as(message: Message | Malformed) -> Received:
    """
    The kind of C{message}.
    """
    if isinstance(message, Malformed) and message.fault is Fault.UNPARSABLE:
        return Received.UNPARSABLE
    if message.topic is Topic.CONNECTION:
        if isinstance(message, Malformed) and message.fault is Fault.INVALID_DATA:
            return Received.OTHER
        return _OF_CONNECTION.get(message.action, Received.CONNECTION)
    if message.topic is Topic.AUTH:
        return Received.LOGIN if isinstance(message, Message) else Received.AUTH
    return Received.OTHER
