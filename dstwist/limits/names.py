"""
The length of names: C{limits.maxNameLength}.

The server keeps names for clients: those of subscriptions, of provided procedures, of records. Other limits bound their
number; this one bounds their length. It also bounds correlation ids, which are kept until a request is answered.

====================================  ==============================================================================
too long                              effect
====================================  ==============================================================================
the name of a request                 it is refused, with INVALID_MESSAGE_DATA (presence: INVALID_PRESENCE_USERS; a
                                      call: REQUEST_ERROR, because callers handle no other error)
a name of a bulk request              it is refused, and the others are served; text clients, whose refusals repeat
                                      the whole request, get one refusal for all. If a v4+ client wants to get a
                                      record, MESSAGE_DENIED follows, because the client ignores other errors
the correlation id                    the request is refused
a pattern, also in an answer          see C{listen.maxPatternLength}
====================================  ==============================================================================

Payloads shorter than maxNameLength cannot contain an oversized name, so connections check only longer payloads.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from dstwist.protocol.constants import BULK_ACTIONS, EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.name_parts import DistinctNames
from dstwist.protocol.schema import REFUSALS

#: The name of these messages is a pattern.
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
    Refuses messages with a name that is too long.

    @ivar limit: how many characters a name may have.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = sys.maxsize if limit is None else limit

    def fitting(self, messages: Sequence[Message | Malformed], told_once: bool) -> list[Message | Malformed]:
        """
        C{messages}, with refusals in place of those that have a name that is too long.

        @param told_once: make one refusal if several names of a request are too long.
        """
        found: list[Message | Malformed] = []
        for message in messages:
            # Most messages have one name, and it is short.
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
        if message.action in BULK_ACTIONS[message.topic]:
            distinct = isinstance(names, DistinctNames)
            longest = names.longest if isinstance(names, DistinctNames) else None
            if (max(map(len, names), default=0) if longest is None else longest) <= limit:
                return [message]
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
        The refusal of a request because of C{text}, which is its C{what}. It has the fields that either generation
        reads.
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
