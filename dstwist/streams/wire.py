r"""
The form of messages in a stream (C{text/event-stream}).

=====================  =============================================  ================================================
message                frame                                          lines
=====================  =============================================  ================================================
EMIT                   bytes                                          C{event: emit}, C{data}
READ_RESPONSE, UPDATE  L{RecordFrame}                                 C{id}: the version, C{event: record}, C{data}
the same, without a    L{RecordFrame}                                 C{id: -1}, C{event: deleted}, C{data: null}
record; DELETED
all others             none
=====================  =============================================  ================================================

Each kind of data is JSON on one line. A change at a path is never sent as such: the wire takes no patches, so the
service sends it the whole record.
"""

from __future__ import annotations

from zope.interface import implementer

from dstwist.interfaces import IWire
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Data, Message
from dstwist.protocol.typed import to_json

_EVENT = Topic.EVENT
_EMIT = EventAction.EMIT
_DELETED = RecordAction.DELETED
_STATES = frozenset((RecordAction.READ_RESPONSE, RecordAction.UPDATE))

#: The version that stands for "no record".
NO_RECORD_VERSION = -1


class RecordFrame:
    """
    One state of a record. It has a length, as all frames have.

    @ivar version: -1 if the record does not exist.
    @ivar answers: it answers a request, and is no news.
    """

    __slots__ = ("answers", "data", "version")

    def __init__(self, version: int, data: bytes, answers: bool) -> None:
        self.version = version
        self.data = data
        self.answers = answers

    def __len__(self) -> int:
        return len(self.data)


@implementer(IWire)
class StreamWire:
    """
    Makes the frames of all streams.
    """

    takes_patches = False
    patches_many = False

    def encode(self, message: Message) -> bytes | RecordFrame:
        action = message.action
        if message.topic is _EVENT:
            return b"event: emit\ndata: %b\n\n" % _line(message.data) if action is _EMIT else b""
        if action in _STATES:
            version = NO_RECORD_VERSION if message.version is None else message.version
            answers = action is RecordAction.READ_RESPONSE
            if version > NO_RECORD_VERSION:
                return RecordFrame(
                    version, b"id: %d\nevent: record\ndata: %b\n\n" % (version, _line(message.data)), answers
                )
            return RecordFrame(NO_RECORD_VERSION, _GONE, answers)
        return RecordFrame(NO_RECORD_VERSION, _GONE, False) if action is _DELETED else b""


_GONE = b"id: %d\nevent: deleted\ndata: null\n\n" % NO_RECORD_VERSION

#: Wires are compared by identity, so all streams have the same one.
STREAM_WIRE = StreamWire()


def error_event(error: bytes) -> bytes:
    """
    The event of an error.

    @param error: JSON text without line breaks.
    """
    return b"event: error\ndata: %b\n\n" % error


def _line(data: Data) -> bytes:
    """
    JSON text on one line. The text of a client may have line breaks, but only between its values.
    """
    json = to_json(data)
    if json is None:
        return b"null"
    if b"\n" in json or b"\r" in json:
        json = json.replace(b"\r", b" ").replace(b"\n", b" ")
    return json
