"""
Messages, as codecs, services and connections pass them on.

A codec turns a payload into L{Message}s, and into L{Malformed} for each part that is no message. A L{Message} carries
everything that *either* client generation needs in an answer, so that codecs hold no state.

Always true: a message does not change after it has left its codec, because all connections share it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from dstwist.protocol.constants import ACTIONS, Topic

#: The value that travels with a message, in the encoding it came in; see L{dstwist.protocol.typed}.
#:
#: C{bytes} is a JSON text (UTF-8) that is known to be valid; C{str} is a typed value of the text protocol (C{'N1.5'},
#: C{'Sx'}) that is known to be decodable; C{None} is "no value", which differs from JSON's C{null}.
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
    @ivar verbatim: the codec whose clients may be sent C{raw} unchanged, because C{raw} contains only the fields that
        are forwarded; else C{None}.
    @ivar names: the names of a bulk request. The single name of a text client is a bulk of one.
    @ivar subscription: the concrete name that a pattern matched.
    @ivar original_action: in an error, the action of the request that it answers.
    @ivar is_write_ack: C{True}: the writer requests a write acknowledgement, or the message is one. C{False} and
        C{None} differ only on the protobuf wire, as for C{is_error} and C{is_ack}.
    @ivar version: the version of a record; -1 is "the next one" in a write, and "not found" in an answer.
    @ivar versions: in a bulk head, the version of each record by its name.
    @ivar requestor_data: JSON text.
    @ivar detail: the text after the code of a text error, if it is neither a name nor the raw message.
    @ivar value: the value of C{data}, if the codec has read it and it is short; else L{UNREAD}.
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

        It repeats name, names and correlation id. The codec writes those of them that its clients expect.
        """
        return Message(
            self.topic,
            self.action,
            name=self.name,
            names=self.names,
            correlation_id=self.correlation_id,
            is_ack=True,
        )

    def acting_as(self, action: IntEnum, original_action: IntEnum | None) -> Message:
        """
        This message with another action.
        """
        # C{dataclasses.replace} would take ten times as long, and each write that may create a record needs two copies.
        return Message(
            self.topic, action, self.name, self.data, self.raw, self.verbatim, self.names, self.correlation_id,
            self.subscription, original_action, self.is_error, self.is_ack, self.is_write_ack, self.path, self.version,
            self.versions, self.requestor_name, self.requestor_data, self.url, self.protocol_version, self.sdk_version,
            self.sdk_type, self.original_topic, self.detail, self.value,
        )  # fmt: skip

    def error(
        self, action: IntEnum | str, name: str | None = None, detail: str | None = None, flagged: bool = True
    ) -> Message:
        """
        An error that answers this request.

        @param action: the error, as an action of this topic or the name of one (C{"MESSAGE_DENIED"}).
        @param name: the name of a bulk request that failed.
        @param flagged: set C{is_error}. Some notices are no errors to clients (MULTIPLE_SUBSCRIPTIONS).
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
    The reason why a payload, or a part of it, is no message.
    """

    #: The bytes cannot be decoded, or have an unknown text action.
    UNPARSABLE = 1
    #: No client may address this topic.
    UNKNOWN_TOPIC = 2
    #: The topic has no such action, or clients may not send it.
    UNKNOWN_ACTION = 3
    #: The action is known, but fields are missing, superfluous, or of the wrong kind.
    INVALID_DATA = 4
    #: The payload is not text (text protocol).
    NOT_TEXT = 5
    #: The payload is no JSON object (JSON protocol).
    NOT_JSON = 6


#: The faults after which the connection is closed with code 1007, and the reason that the client is given.
UNREADABLE = {Fault.NOT_TEXT: "invalid UTF-8", Fault.NOT_JSON: "not a JSON object"}


@dataclass(slots=True)
class Malformed:
    """
    A part of a payload that is no message.

    @ivar topic: its topic, if known.
    @ivar action: its action as a text (C{'EVT'}) or a number, if known.
    @ivar answer: the answer of an open connection; C{None} if this protocol has none.
    @ivar raw: the malformed part.
    @ivar request: if it is a write to a record, the fields that could be read: the client waits for the outcome, and
        its copy of the record is wrong (L{dstwist.interfaces.IWriteService}).
    """

    fault: Fault
    topic: Topic | None = None
    action: str | int | None = None
    answer: Message | None = None
    raw: str | bytes = b""
    request: Message | None = field(default=None, compare=False, repr=False)
