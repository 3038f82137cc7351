"""
How long a name may be: C{limits.maxNameLength}.

Names are what clients can have kept: what they are subscribed to, what they provide, the records they make. How many
that may be is bounded elsewhere; here it is seen to that none of them is long. So it is for correlation ids, which are
kept as long as a request is under way.

====================================  ==============================================================================
too long                              what comes of it
====================================  ==============================================================================
the name of a request                 it is refused, with INVALID_MESSAGE_DATA (presence: INVALID_PRESENCE_USERS; a
                                      call: REQUEST_ERROR, the only one of these that callers get)
a name of a bulk request              it is refused, and the others are served; text clients, whose refusals repeat
                                      the whole request, are told once of several. If a v4+ client wants to get a
                                      record, MESSAGE_DENIED follows: the client ignores other errors
the correlation id                    the request is refused
a pattern, or what is said of it      see C{listen.maxPatternLength}
====================================  ==============================================================================

A payload that is no longer than a name may be holds none that is too long: only of others it has to be looked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from dstwist.protocol.constants import BULKS, EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.name_parts import DistinctNames
from dstwist.protocol.schema import REFUSALS

#: The name of these is a pattern.
_LISTENING: dict[Topic, frozenset[IntEnum]] = {
    topic: frozenset((actions.LISTEN, actions.UNLISTEN, actions.LISTEN_ACCEPT, actions.LISTEN_REJECT))
    for topic, actions in ((Topic.EVENT, EventAction), (Topic.RECORD, RecordAction))
}

#: v4+ clients wait for the answer to these, and give up at a MESSAGE_DENIED that has no correlation id.
_WAITED_FOR = frozenset(
    (RecordAction.SUBSCRIBECREATEANDREAD, RecordAction.SUBSCRIBEANDREAD, RecordAction.SUBSCRIBEANDHEAD)
)


class NameLimit:
    """
    Refuses what has a name that is too long.

    @ivar limit: how many characters a name may have.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = sys.maxsize if limit is None else limit

    def fitting(self, messages: Sequence[Message | Malformed], told_once: bool) -> list[Message | Malformed]:
        """
        C{messages}, with the refusal of what is too long in its place.

        @param told_once: whether of several names in one request the first is enough.
        """
        found: list[Message | Malformed] = []
        for message in messages:
            # Most have one name, and it is short.
            if isinstance(message, Message) and (
                message.names or message.correlation_id is not None or len(message.name or "") > self.limit
            ):
                found += self._examined(message, told_once)
            else:
                found.append(message)
        return found

    def _examined(self, message: Message, told_once: bool) -> list[Message | Malformed]:
        limit = self.limit
        call_id, name, names = message.correlation_id, message.name, message.names
        if message.topic not in REFUSALS:
            return [message]
        if call_id is not None and len(call_id) > limit:
            return [self._refusal(message, "a correlation id", call_id, None)]
        if message.action in BULKS[message.topic]:
            if max(map(len, names), default=0) <= limit:
                return [message]
            distinct = isinstance(names, DistinctNames)
            long = [name for name in (names if distinct else dict.fromkeys(names)) if len(name) > limit]
            told = long[:1] if told_once else long
            refusals: list[Message | Malformed] = [self._refusal(message, "a name", name, name) for name in told]
            if message.action in _WAITED_FOR and message.topic is Topic.RECORD and not told_once:
                refusals += [self._denial(message, name) for name in told]
            rest = (DistinctNames if distinct else tuple)([name for name in names if len(name) <= limit])
            return [*refusals, replace(message, names=rest)] if rest else refusals
        if name is None or len(name) <= limit or message.action in _LISTENING.get(message.topic, ()):
            return [message]
        return [self._refusal(message, "a name", name, name)]

    def _refusal(self, message: Message, what: str, text: str, name: str | None) -> Malformed:
        """
        The refusal of C{text}, which is C{what} of a request; it says so in the way of either generation.
        """
        reason = f"{message.action.name}: {what} of {len(text)} characters, more than {self.limit}"
        answer = message.error(REFUSALS[message.topic], name, reason)
        answer = replace(answer, data=dumps(reason), version=message.version)
        if message.action is RpcAction.REQUEST:
            answer = replace(answer, action=RpcAction.REQUEST_ERROR, data=b'"INVALID_MESSAGE_DATA"', detail=None)
        return _malformed(message, answer)

    def _denial(self, message: Message, name: str) -> Malformed:
        return _malformed(message, replace(message.error("MESSAGE_DENIED", name), correlation_id=None))


def _malformed(message: Message, answer: Message) -> Malformed:
    return Malformed(Fault.INVALID_DATA, message.topic, int(message.action), answer, message.raw or b"", message)
