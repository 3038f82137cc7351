"""
The fields of text messages: how each field is read from its text, and written from a L{Message}.

Patterns such as C{R|U|<name>|<version>|<json>|<ack>} (L{dstwist.protocol.text_forms}) consist of fields. A field reads
its text into the keyword arguments of the message, or refuses the text. It writes its text, or C{None} if the message
cannot be written in a form with this field.

Always true: a field never writes separators, except for the echo of a client's own message. Values with separators are
written as JSON, which escapes them, and so are texts for people. A message whose name, id or path has a separator is
not written, because the client would take it for another message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from dstwist.protocol.constants import EVERYONE, RecordAction, Topic
from dstwist.protocol.jsontext import MAX_UNCHECKED_LENGTH, dumps, is_json, loads, may_be_json
from dstwist.protocol.message import Message
from dstwist.protocol.name_parts import NameParts
from dstwist.protocol.typed import (
    UNDEFINED,
    forwardable,
    has_separators,
    to_json,
    to_typed,
    utf8,
    value_of,
    without_separators,
)

#: Ends a message.
MESSAGE_END = "\x1e"
#: Separates the parts of a message.
FIELD_SEPARATOR = "\x1f"

#: The config field of a write that requests an acknowledgement. Any other object requests none.
WRITE_SUCCESS = '{"writeSuccess":true}'

#: Client 2.3.4 counts versions in doubles. A text with more digits than a double can hold is no version.
VERSION_PATTERN = re.compile(r"-?[0-9]{1,15}")

Values = dict[str, Any]


class TextField(NamedTuple):
    """
    One field of a form.

    @ivar read: reads the text into the keyword arguments; returns whether the text is valid.
    @ivar greedy: whether the field takes all remaining fields, with their separators.
    """

    read: Callable[[str, Values], bool]
    write: Callable[[Message], str | None]
    greedy: bool = False


def literal(text: str) -> TextField:
    """
    A field with a fixed text.
    """
    return TextField(lambda found, values: found == text, lambda message: text)


def _text(key: str, empty: bool = True, greedy: bool = False) -> TextField:
    def read(text: str, values: Values) -> bool:
        values[key] = text
        return empty or bool(text)

    def write(message: Message) -> str | None:
        text: str | None = getattr(message, key)
        return None if text is None or has_separators(text) else text

    return TextField(read, write, greedy)


def _write_detail(message: Message) -> str | None:
    return None if message.detail is None else without_separators(message.detail)


def _write_name(message: Message) -> str | None:
    # An error about a bulk of one name is about that name.
    name = message.names[0] if message.name is None and message.names else message.name
    if name is None or not has_separators(name):
        return name
    return without_separators(name) if message.is_error else None


def _read_names(text: str, values: Values) -> bool:
    values["names"] = (text,)
    return bool(text)


def _read_version(text: str, values: Values) -> bool:
    if not VERSION_PATTERN.fullmatch(text):
        return False
    values["version"] = int(text)
    return True


def _write_version(message: Message) -> str | None:
    return None if message.version is None else str(message.version)


def _read_versions(text: str, values: Values) -> bool:
    return text.startswith("[") and text.endswith("]") and _read_version(text[1:-1], values)


def _write_versions(message: Message) -> str | None:
    return None if message.version is None else f"[{message.version}]"


def _read_data(text: str, values: Values) -> bool:
    data = forwardable(text)
    if data is not text:
        # The value was replaced, so the message of the sender cannot be forwarded unchanged.
        values["verbatim"] = None
    values["data"] = data
    return data is not None


def _write_data(message: Message) -> str:
    return to_typed(message.data)


def _write_given(message: Message) -> str | None:
    return None if message.data is None else _write_data(message)


def _read_json(text: str, values: Values) -> bool:
    values["data"] = utf8(text)
    return text.lstrip(" \t\r\n")[:1] in ("{", "[") and is_json(text)


def _read_record(text: str, values: Values) -> bool:
    # The record service reads the text again. If there is still no room, it refuses the write, so that the client is
    # told.
    values["data"] = utf8(text)
    return text.lstrip(" \t\r\n")[:1] in ("{", "[") and may_be_json(text)


def _read_change(text: str, values: Values) -> bool:
    if text[:1] == "O" and len(text) > MAX_UNCHECKED_LENGTH:
        values["data"] = text
        return may_be_json(text[1:])
    return _read_data(text, values)


def _write_json(message: Message) -> str | None:
    data = to_json(message.data)
    return None if data is None else data.decode("utf-8")


def _read_flag(text: str, values: Values) -> bool:
    values["data"] = text
    return text in ("T", "F")


def _read_config(text: str, values: Values) -> bool:
    values["is_write_ack"] = text == WRITE_SUCCESS or None
    # Any other text is the rest of a field that contains a separator.
    return text[:1] == "{"


def _write_config(message: Message) -> str:
    return WRITE_SUCCESS if message.is_write_ack else "{}"


def _write_ack(message: Message) -> str | None:
    return WRITE_SUCCESS if message.is_write_ack else None


def _plain(message: Message) -> str:
    """
    The data as an error text: strings as they are, unless they have separators, and other values as JSON. The text is
    never empty, because client 2.3.4 takes an empty one for success.
    """
    value = value_of(message.data)
    if isinstance(value, str) and not has_separators(value):
        return value
    return (b"null" if value is UNDEFINED else dumps(value)).decode("utf-8")


def _read_failure(text: str, values: Values) -> bool:
    values["data"] = "S" + text
    return True


def _read_outcome(text: str, values: Values) -> bool:
    if text[:1] in ("S", "O"):
        values["detail"] = value_of(text)
    return text[:1] in ("S", "L") or (text[:2] == 'O"' and is_json(text[1:]))


def _write_outcome(message: Message) -> str:
    if message.detail is not None:
        return to_typed(dumps(message.detail)) if has_separators(message.detail) else "S" + message.detail
    # Only strings, because 2.3.4 passes the value to the callback of the writer as the error.
    return "L" if value_of(message.data) in (UNDEFINED, None) else "S" + _plain(message)


def _read_users(text: str, values: Values) -> bool:
    try:
        users = loads(text)
    except ValueError:
        return False
    if not isinstance(users, list):
        return False
    try:
        values["names"] = tuple(checked_users(users))
    except ValueError:
        return False
    return True


def checked_users(users: list[Any]) -> list[str]:
    """
    C{users}, the value of a field.

    @raise ValueError: not all of them are names.
    """
    # There may be very many users, so this must be fast.
    if not {str}.issuperset(map(type, users)):
        raise ValueError("users are not all texts")
    # A user name with half a character could not be sent to any client.
    joined = "".join(users)
    if not joined.isascii() and utf8(joined).decode("utf-8") != joined:
        raise ValueError("users have half a character")
    return users


def _write_users(message: Message) -> str:
    return dumps(list(message.names)).decode("utf-8")


def _read_online(text: str, values: Values) -> bool:
    values["names"] = tuple(text.split(FIELD_SEPARATOR))
    return True


def _write_online(message: Message) -> str | None:
    names: Any = message.names
    if not names:
        return None
    if isinstance(names, NameParts):
        return _joined(names.encoded("text", _separated))
    return _joined([_separated(names)])


def _joined(parts: list[str | None]) -> str | None:
    found = [part for part in parts if part is not None]
    return FIELD_SEPARATOR.join(found) if found else None


def _separated(names: tuple[str, ...]) -> str | None:
    """
    The names that the protocol can carry; C{None} if it can carry none of them.
    """
    written = FIELD_SEPARATOR.join(names)
    # All names are checked at once, because there may be thousands, and nearly never is there one to leave out.
    if MESSAGE_END in written or written.count(FIELD_SEPARATOR) >= len(names):
        names = tuple(name for name in names if not has_separators(name))
        return FIELD_SEPARATOR.join(names) if names else None
    return written


def _read_everyone(text: str, values: Values) -> bool:
    values["name"] = EVERYONE if text == "U" else text
    return True


def _write_everyone(message: Message) -> str | None:
    name = _write_name(message)
    return "U" if name is None or name == EVERYONE else name


def _read_echo(text: str, values: Values) -> bool:
    values["detail"] = text
    return True


def _write_echo(message: Message) -> str:
    text = message.raw if message.detail is None else message.detail
    # The separators of the request stay: the client receives what it has sent.
    return text.replace(MESSAGE_END, "") if isinstance(text, str) else _write_name(message) or ""


def _write_frame(message: Message) -> str:
    text = message.raw if message.detail is None else message.detail
    return text if isinstance(text, str) else ""


#: By the name in a pattern, C{<name>}: the field.
FIELDS: dict[str, TextField] = {
    "name": TextField(_text("name", empty=False).read, _write_name),
    "names": TextField(_read_names, _write_name),
    "subscription": _text("subscription", empty=False),
    "id": _text("correlation_id"),
    "path": _text("path"),
    "url": _text("url"),
    "detail": TextField(_text("detail").read, _write_detail),
    "version": TextField(_read_version, _write_version),
    # "[2]": a list, but always with one version.
    "versions": TextField(_read_versions, _write_versions),
    # A typed value. A form with "given" does not write messages without a value; another form does.
    "data": TextField(_read_data, _write_data),
    "given": TextField(_read_data, _write_given),
    # The JSON text of an object or an array.
    "json": TextField(_read_json, _write_json),
    # The data of a write: a JSON text or a typed value that may be too large to be read with the free memory.
    "record": TextField(_read_record, _write_json),
    "change": TextField(_read_change, _write_data),
    "flag": TextField(_read_flag, _write_data),
    # The config field: always written, or only to request a write acknowledgement (or repeat the request).
    "config": TextField(_read_config, _write_config),
    "ack": TextField(_read_config, _write_ack),
    # The error of a call, untyped, and the outcome of a write, typed.
    "failure": TextField(_read_failure, _plain),
    "outcome": TextField(_read_outcome, _write_outcome),
    # Names as a JSON array; names as one field each; the user in an error about presence.
    "users": TextField(_read_users, _write_users),
    "online": TextField(_read_online, _write_online, greedy=True),
    "user": TextField(_read_everyone, _write_everyone),
    "everyone": TextField(lambda text, values: text in ("Q", "S", "US", "U"), lambda message: None),
    # The message of the client that an error repeats, or another text about the error; the whole payload of the client.
    "echo": TextField(_read_echo, _write_echo, greedy=True),
    "frame": TextField(_read_echo, _write_frame, greedy=True),
}

#: The codes of the permission checks within CR and CU in their denials. Clients do not send these as messages.
_INNER_CHECKS: dict[IntEnum, str] = {
    RecordAction.CREATE: "C",
    RecordAction.READ: "R",
    RecordAction.SUBSCRIBECREATEANDREAD: "R",
    RecordAction.UPDATE: "U",
    RecordAction.CREATEANDUPDATE: "U",
    RecordAction.PATCH: "P",
    RecordAction.CREATEANDPATCH: "P",
}

#: The requests whose errors have the code of the request where other errors have their own code.
_READS = (RecordAction.READ, RecordAction.HAS, RecordAction.HEAD)

#: The text spelling of each action that a client may send.
Spellings = Mapping[tuple[Topic, IntEnum], str]


def origin_fields(letter: str, topic: Topic, spellings: Spellings) -> dict[str, TextField]:
    """
    The fields in the errors of a topic that tell which request failed:

     - C{<denied>}: the request, with its name before its code;
     - C{<unverifiable>}: the same, if the permission rule failed;
     - C{<asked>}: the code of a read;
     - C{<unexpected>}: a sentence about a call.
    """
    actions = {code: action for (owner, action), code in reversed(list(spellings.items())) if owner is topic}
    if topic is Topic.RECORD:
        actions[_INNER_CHECKS[RecordAction.SUBSCRIBECREATEANDREAD]] = RecordAction.SUBSCRIBECREATEANDREAD

    def spelled(action: IntEnum | None) -> str:
        return spellings.get((topic, action), action.name) if action is not None else ""

    def read_denied(text: str, values: Values) -> bool:
        name, _, rest = text.partition(FIELD_SEPARATOR)
        code, separator, rest = rest.partition(FIELD_SEPARATOR)
        values["name"] = name
        values["original_action"] = actions.get(code)
        values["raw"] = f"{letter}{FIELD_SEPARATOR}{code}{FIELD_SEPARATOR}{name}{separator}{rest}"
        return True

    def write_denied(message: Message) -> str:
        action = message.original_action
        if not isinstance(message.raw, str):
            code = spelled(action)
            if action is RecordAction.SUBSCRIBECREATEANDREAD and topic is Topic.RECORD:
                code = _INNER_CHECKS[action]
            # A request about the presence of all users has no name; its code is written twice.
            name = code if message.name is None and topic is Topic.PRESENCE else _write_name(message) or ""
            fields = [name, code]
            if message.correlation_id is not None:
                fields.append(without_separators(message.correlation_id))
            return FIELD_SEPARATOR.join(fields)
        code, _, rest = message.raw.partition(FIELD_SEPARATOR)[2].partition(FIELD_SEPARATOR)
        name, separator, rest = rest.partition(FIELD_SEPARATOR)
        if topic is Topic.RECORD and code in ("CR", "CU"):
            return name + FIELD_SEPARATOR + (_INNER_CHECKS.get(action, code) if action is not None else code)
        return f"{name}{FIELD_SEPARATOR}{code}{separator}{rest}"

    def write_unverifiable(message: Message) -> str:
        if isinstance(message.raw, str) and message.raw.startswith(("R\x1fCR\x1f", "R\x1fCU\x1f")):
            return without_separators(message.detail or "MESSAGE_PERMISSION_ERROR")
        return write_denied(message)

    def read_asked(text: str, values: Values) -> bool:
        values["original_action"] = actions.get(text)
        return values["original_action"] in _READS

    def write_asked(message: Message) -> str | None:
        return spelled(message.original_action) if message.original_action in _READS else None

    def write_unexpected(message: Message) -> str:
        if message.detail is not None:
            return without_separators(message.detail)
        return f"unexpected state for rpc {_write_name(message)} with action {spelled(message.original_action)}"

    return {
        "denied": TextField(read_denied, write_denied, greedy=True),
        "unverifiable": TextField(read_denied, write_unverifiable, greedy=True),
        "asked": TextField(read_asked, write_asked),
        "unexpected": TextField(FIELDS["detail"].read, write_unexpected),
    }
