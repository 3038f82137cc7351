"""
What travels between codecs, services and connections.

A codec turns a payload into L{Message}s, and L{Malformed} for whatever cannot be one. A L{Message} carries all that
*either* client generation needs in an answer, so that codecs hold no state. Nothing changes a message after it left
its codec: it is shared by everyone who encodes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from dstwist.protocol.constants import ACTIONS, Topic

#: The value that travels with a message, in the encoding it came in; see L{dstwist.protocol.typed}.
#:
#: C{bytes} is JSON text (UTF-8), known to be valid; C{str} is a typed value of the text protocol (C{'N1.5'}, C{'Sx'}),
#: known to be decodable; C{None} is "no value", which differs from JSON's C{null}.
Data = bytes | str | None

#: The value of data that was not read.
UNREAD: Any = object()


@dataclass(slots=True)
class Message:
    """
    One message of either protocol.

    The order of the first fields is that of the hot path, which passes them by position.

    @ivar name: the event, record, rpc or user name; the pattern in the listen family.
    @ivar raw: the message exactly as its sender wrote it: C{str} without terminator from a text client (errors echo
        it), the C{bytes} of the payload from a protobuf client.
    @ivar verbatim: the codec whose subscribers may be sent C{raw} unchanged, or C{None}: it holds nothing but what is
        to be forwarded.
    @ivar names: the names of a bulk request. Text clients' single names come as one-element bulks.
    @ivar subscription: the concrete name that a pattern matched.
    @ivar original_action: in an error, the action of the request it answers.
    @ivar is_write_ack: C{True}: the writer wants, or this is, a write acknowledgement. C{False} and C{None} differ on
        the protobuf wire only, as for C{is_error} and C{is_ack}.
    @ivar version: of a record; -1 is "whatever is next" in a write and "not found" in an answer.
    @ivar versions: record name to version, of a bulk head.
    @ivar requestor_data: JSON text.
    @ivar detail: what a text error says after its code where that is neither a name nor the raw message.
    @ivar value: the value of C{data}, if the codec has read it and it is a short one; else L{UNREAD}.
    """

    topic: Topic
    action: IntEnum
    name: str | None = None
    data: Data = None
    raw: str | bytes | None = field(default=None, compare=False, repr=False)
    verbatim: object = field(default=None, compare=False, repr=False)
    names: tuple[str, ...] = ()
    correlation_id: str | None = None
    subscription: str | None = None
    original_action: IntEnum | None = None
    is_error: bool | None = None
    is_ack: bool | None = None
    is_write_ack: bool | None = None
    path: str | None = None
    version: int | None = None
    versions: dict[str, int] | None = None
    requestor_name: str | None = None
    requestor_data: bytes | None = None
    url: str | None = None
    protocol_version: str | None = None
    sdk_version: str | None = None
    sdk_type: str | None = None
    original_topic: Topic | None = None
    detail: str | None = None
    value: Any = field(default=UNREAD, compare=False, repr=False)

    def ack(self) -> Message:
        """
        The acknowledgement of this request.

        It repeats name, names and correlation id; what of that a client generation expects to see, its codec knows.
        """
        return Message(
            self.topic,
            self.action,
            name=self.name,
            names=self.names,
            correlation_id=self.correlation_id,
            is_ack=True,
        )

    def error(
        self, action: IntEnum | str, name: str | None = None, detail: str | None = None, flagged: bool = True
    ) -> Message:
        """
        An error that answers this request.

        @param action: the error, as an action of this topic or the name of one (C{"MESSAGE_DENIED"}).
        @param name: the one name of a bulk request that it is about.
        @param flagged: set C{is_error}. Some notices are not errors to the clients (MULTIPLE_SUBSCRIPTIONS).
        """
        return Message(
            self.topic,
            ACTIONS[self.topic][action] if isinstance(action, str) else action,
            name=self.name if name is None else name,
            raw=self.raw,
            correlation_id=self.correlation_id if flagged else None,
            original_action=self.action,
            is_error=True if flagged else None,
            is_write_ack=True if flagged and self.is_write_ack else None,
            detail=detail,
        )


class Fault(IntEnum):
    """
    Why a payload, or part of one, is not a message.
    """

    #: Not even the frame of a message: undecodable bytes, unknown text action.
    UNPARSABLE = 1
    #: A topic that no client may address.
    UNKNOWN_TOPIC = 2
    #: A known topic, with an action that is none of its own or not for clients to send.
    UNKNOWN_ACTION = 3
    #: A known action whose fields are missing, too many, or of the wrong kind.
    INVALID_DATA = 4
    #: Not the encoding of the protocol at all; the connection cannot go on (close code 1007).
    NOT_TEXT = 5


@dataclass(slots=True)
class Malformed:
    """
    A part of a payload that is no message.

    @ivar topic: the topic it was for, where that can be told.
    @ivar action: its action as written (C{'EVT'}) or as a number, where that can be told.
    @ivar answer: what an open connection answers, or C{None} where this protocol stays silent.
    @ivar raw: the offending part.
    @ivar request: the write to a record that it should have been, as far as it could be read: its client waits for the
        outcome, and its copy of the record is wrong (L{dstwist.interfaces.IWriteService}).
    """

    fault: Fault
    topic: Topic | None = None
    action: str | int | None = None
    answer: Message | None = None
    raw: str | bytes = b""
    request: Message | None = field(default=None, compare=False, repr=False)
