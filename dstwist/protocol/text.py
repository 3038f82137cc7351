"""
The text protocol of v2 and v3 clients: from payloads to messages and back.

::

    payload = *( message %x1E ) [ message ]
    message = topic %x1F action *( %x1F field )

Nothing is escaped: no field can contain U+001E or U+001F. L{dstwist.protocol.text_forms} lists all messages, one row
each. This module splits payloads, finds the row of each message, and answers messages without a row:

=========================================  ==============  ======================================================
a client sends                             fault           answer of an open connection
=========================================  ==============  ======================================================
bytes that are not UTF-8                   NOT_TEXT        none
one part only, or an unknown code          UNPARSABLE      C{X|E|MESSAGE_PARSE_ERROR|null+}
C{Z|S|x+}                                  UNKNOWN_TOPIC   C{X|E|UNKNOWN_TOPIC|Z+}
C{C|A+}, C{A|E+}                           UNKNOWN_ACTION  C{X|E|UNKNOWN_TOPIC|C+}, C{X|E|UNKNOWN_TOPIC|A+}
C{E|WA|x+}                                 UNKNOWN_ACTION  C{E|E|UNKNOWN_ACTION|unknown action WA+}
C{E|S+}, C{E|EVT|x|Q1+}                    INVALID_DATA    C{E|E|INVALID_MESSAGE_DATA|E|S+}: the whole message
C{A|REQ|5+}                                INVALID_DATA    C{X|E|UNKNOWN_TOPIC|A+}: the login is over
C{R|U|n|1+}, C{R|P|n|1|x+}                 INVALID_DATA    C{R|E|INVALID_MESSAGE_DATA|n|1+}: its fields
C{R|U|n|one|{}+}                           INVALID_DATA    C{R|E|INVALID_VERSION|n|NaN+}
C{R|CU|n|-1+}                              INVALID_DATA    C{R|E|INVALID_MESSAGE_DATA|n+}
C{U|S|1|"ann"+}                            INVALID_DATA    C{U|E|INVALID_PRESENCE_USERS|users are required ...+}
=========================================  ==============  ======================================================

Always true: codecs have no state, and never raise, whatever a client sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

from dstwist.protocol.constants import (
    ACTIONS,
    EventAction,
    ParserAction,
    PresenceAction,
    RecordAction,
    Topic,
)
from dstwist.protocol.freeing import freeing
from dstwist.protocol.jsonparts import reading
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, dumps
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.name_parts import DistinctNames, NameReader
from dstwist.protocol.text_fields import FIELD_SEPARATOR, MESSAGE_END, VERSION_PATTERN, WRITE_SUCCESS, checked_users
from dstwist.protocol.text_forms import CLIENT_CODES, FROM_CLIENT_FORMS, FROM_SERVER_FORMS, SERVER_CODES
from dstwist.protocol.text_layout import TOPICS, Form
from dstwist.protocol.typed import is_typed, utf8

# Looking up a member of an enumeration costs as much as the rest of the work for a short event.
_EVENT = Topic.EVENT
_EMIT = EventAction.EMIT
_EMIT_HEAD = "E\x1fEVT\x1f"
_PRESENCE_HEAD = "U\x1f"

#: The users that L{TextCodec.names_apart} reads in one step.
_USERS_PER_STEP = 5000

#: The topics whose data is only checked here. The record service reads the data at the turn of the request.
_CHECKED_ONLY = ("E\x1f", "P\x1f", "R\x1f")

#: Shorter messages are ignored.
_MIN_MESSAGE_CHARACTERS = 3

#: A message is split at this number of separators at most, since it may have a million. No form has as many fields, and
#: the forms with any number of fields read them as one text.
_MAX_SEPARATORS = 32

#: By the code of a write: the number of fields for a whole record, and for a path.
_FIELD_COUNTS = {"U": (3, 4), "P": (4, 5), "CU": (4, 5)}


class TextCodec:
    """
    One side of the text protocol.

    @param reads: the messages that the other side may send.
    @param writes: the messages that this side may send.
    @param codes: the codes that this side knows. A message with another code is unparsable.
    """

    name = "text"

    def __init__(
        self,
        reads: Sequence[Form] = FROM_CLIENT_FORMS,
        writes: Sequence[Form] = FROM_SERVER_FORMS,
        codes: frozenset[str] = SERVER_CODES,
    ) -> None:
        self._readable: dict[tuple[str, str], list[Form]] = {}
        for form in reads:
            if form.reads:
                self._readable.setdefault((form.letter, form.code), []).append(form)
        self._writable: dict[tuple[Topic, IntEnum, bool], list[Form]] = {}
        for form in writes:
            if form.writes:
                for action in form.actions:
                    self._writable.setdefault((form.topic, action, form.ack), []).append(form)
        self._codes = codes

    def decode(self, payload: str | bytes) -> list[Message | Malformed]:
        """
        The messages of a payload, in order, and a L{Malformed} for each part that is none.
        """
        if isinstance(payload, str):
            if not payload.isascii():
                payload = utf8(payload).decode("utf-8")
        else:
            try:
                payload = payload.decode("utf-8")
            except UnicodeDecodeError:
                return [Malformed(Fault.NOT_TEXT, raw=payload)]
        messages: list[Message | Malformed] = []
        for segment in payload.split(MESSAGE_END):
            # The hot path: an event is checked, and is not decoded further.
            if segment.startswith(_EMIT_HEAD):
                parts = segment.split(FIELD_SEPARATOR, 4)
                if len(parts) == 4:
                    name, data = parts[2:]
                    if name and is_typed(data):
                        messages.append(Message(_EVENT, _EMIT, name, data, segment, self))
                        continue
            if len(segment) >= _MIN_MESSAGE_CHARACTERS:
                messages.append(self._read(segment))
        return messages

    def pieces(self, payload: str | bytes, size: int) -> list[str | bytes]:
        """
        The payload in parts of whole messages. A part ends with the message that makes it longer than C{size}.
        """
        end: Any = MESSAGE_END if isinstance(payload, str) else MESSAGE_END.encode()
        text: Any = payload
        found, start = [], 0
        while (cut := text.find(end, start + size)) >= 0:
            before = text.rfind(end, start, start + size) + 1
            if before and cut - before > size:
                # A long message is a part of its own.
                found.append(text[start:before])
                start = before
            found.append(text[start : cut + 1])
            start = cut + 1
        if start < len(text):
            found.append(text[start:])
        return found

    def names_apart(self, payload: bytes | str) -> Iterator[tuple[str, DistinctNames, str] | None]:
        """
        Read the users of a presence request in steps.

        @return: C{None} after each step. The last item, if the payload is such a request with a long text and is valid,
            is the same request with only its first user, all of its users, and the request without its end.
        """
        if not isinstance(payload, str) or not payload.startswith(_PRESENCE_HEAD):
            return
        raw = payload.removesuffix(MESSAGE_END)
        head, separator, text = raw.rpartition(FIELD_SEPARATOR)
        if len(text) < READ_IN_PARTS_LENGTH:
            return
        users: Any = None
        reader = NameReader()
        try:
            users = yield from reading(utf8(text))
            for start in range(0, len(users) if isinstance(users, list) else 0, _USERS_PER_STEP):
                reader.add(checked_users(users[start : start + _USERS_PER_STEP]))
                yield None
        except ValueError:
            pass
        else:
            names = reader.distinct()
            request = head + separator + dumps([*names[:1]]).decode()
            if names and all(isinstance(message, Message) for message in self.decode(request)):
                yield request, names, raw
        read, users = [users], None
        yield from freeing(read)

    def json_apart(self, payload: bytes | str) -> tuple[bytes | str, bool] | None:
        """
        The longest JSON text in a payload of one message, and whether decoding needs its value. If not, decoding only
        checks that the text is JSON. C{None} if there is no JSON text.
        """
        if isinstance(payload, bytes):
            return None
        field = max(payload.removesuffix(MESSAGE_END).split(FIELD_SEPARATOR, _MAX_SEPARATORS), key=len)
        if field.startswith("O"):
            field = field[1:]
        elif field.lstrip(" \t\r\n")[:1] not in ("{", "["):
            return None
        return field, not payload.startswith(_CHECKED_ONLY)

    def encode(self, message: Message) -> bytes:
        """
        The payload of this message; empty if the text protocol has no form for it.
        """
        if message.verbatim is self and isinstance(message.raw, str):
            return (message.raw + MESSAGE_END).encode()
        for form in self._writable.get((message.topic, message.action, bool(message.is_ack)), ()):
            text = form.write(message)
            if text is not None:
                return utf8(text)
        return b""

    def _read(self, segment: str) -> Message | Malformed:
        parts = segment.split(FIELD_SEPARATOR, _MAX_SEPARATORS)
        if len(parts) < 2 or parts[1] not in self._codes:
            return Malformed(Fault.UNPARSABLE, answer=_PARSE_ERROR, raw=segment)
        letter, code, *fields = parts
        forms = self._readable.get((letter, code), ())
        for form in forms:
            message = form.read(fields, segment, self)
            if message is not None:
                return message
        topic = TOPICS.get(letter)
        if topic is None or topic is Topic.PARSER:
            return Malformed(Fault.UNKNOWN_TOPIC, topic, code, _unknown_topic(letter), segment)
        # A record message without any field is invalid, whatever its action is.
        if forms or (topic is Topic.RECORD and not fields):
            answer = _invalid_data(topic, code, fields, segment)
            return Malformed(Fault.INVALID_DATA, topic, code, answer, segment, _write(topic, code, fields))
        return Malformed(Fault.UNKNOWN_ACTION, topic, code, _unknown_action(topic, code, segment), segment)


_PARSE_ERROR = Message(Topic.PARSER, ParserAction.MESSAGE_PARSE_ERROR, is_error=True)


def _unknown_topic(letter: str) -> Message:
    topic = TOPICS.get(letter)
    detail = letter if topic is None else None
    return Message(Topic.PARSER, ParserAction.UNKNOWN_TOPIC, is_error=True, original_topic=topic, detail=detail)


def _unknown_action(topic: Topic, code: str, raw: str) -> Message:
    if topic in _BEFORE_LOGIN:
        return _unknown_topic(raw[0])
    detail = f"unknown action {code}"
    return Message(topic, ACTIONS[topic]["UNKNOWN_ACTION"], raw=raw, is_error=True, detail=detail)


def _invalid_data(topic: Topic, code: str, fields: list[str], raw: str) -> Message:
    if topic in _BEFORE_LOGIN:
        return _unknown_topic(raw[0])
    if topic is Topic.PRESENCE:
        return Message(topic, PresenceAction.INVALID_PRESENCE_USERS, raw=raw, is_error=True)
    detail = None
    if topic is Topic.RECORD and fields and code in _FIELD_COUNTS:
        if len(fields) not in _FIELD_COUNTS[code]:
            detail = fields[0] if code == "CU" and len(fields) < 4 else FIELD_SEPARATOR.join(fields)
        elif not fields[0]:
            detail = "record name must have non-zero length" if code == "CU" else None
        elif not VERSION_PATTERN.fullmatch(fields[1]):
            return Message(topic, RecordAction.INVALID_VERSION, name=fields[0], raw=raw, is_error=True)
    return Message(topic, ACTIONS[topic]["INVALID_MESSAGE_DATA"], raw=raw, is_error=True, detail=detail)


def _write(topic: Topic, code: str, fields: list[str]) -> Message | None:
    """
    The fields of an invalid write that could be read, at least the record and the version.
    """
    if topic is not Topic.RECORD or len(fields) < 3 or not fields[0] or not VERSION_PATTERN.fullmatch(fields[1]):
        return None
    action = _WRITES.get(code)
    if action is None:
        return None
    wants_ack = fields[-1] == WRITE_SUCCESS or None
    return Message(topic, action, fields[0], version=int(fields[1]), is_write_ack=wants_ack)


_WRITES = {"U": RecordAction.UPDATE, "P": RecordAction.PATCH, "CU": RecordAction.CREATEANDUPDATE}

#: The topics that an open connection does not accept.
_BEFORE_LOGIN = (Topic.CONNECTION, Topic.AUTH)

#: The codec of a server.
SERVER = TextCodec()
#: The codec of a client.
CLIENT = TextCodec(FROM_SERVER_FORMS, FROM_CLIENT_FORMS, CLIENT_CODES)
