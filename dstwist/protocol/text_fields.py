"""
The fields of text messages: how each reads from its text and writes from a L{Message}.

A pattern such as C{R|U|<name>|<version>|<json>|<ack>} (L{dstwist.protocol.text_forms}) names them. Reading puts what
it found among the keyword arguments of the message to come, or refuses; writing gives the text, or C{None} if the
message cannot be written in a form that has this field. What is written is free of separators; only the echo of a
client's own message keeps them. Values with separators are written as JSON, which escapes them, and so are texts that
people read. A message whose name, id or path has one is not written: the client would take it for another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from dstwist.protocol.constants import EVERYONE, RecordAction, Topic
from dstwist.protocol.jsontext import SHORT, dumps, is_json, loads, may_be_json
from dstwist.protocol.message import Message
from dstwist.protocol.name_parts import Parts
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
END = "\x1e"
#: Stands between the parts of a message.
SEPARATOR = "\x1f"

#: The config field of a write whose sender wants an acknowledgement; any other object says that it wants none.
WRITE_SUCCESS = '{"writeSuccess":true}'

#: Client 2.3.4 counts in doubles; more digits than they hold are no version.
VERSION = re.compile(r"-?[0-9]{1,15}")

Values = dict[str, Any]


class Field(NamedTuple):
    """
    One field of a form.

    @ivar read: takes the text and the keyword arguments to fill; whether it is valid.
    @ivar greedy: it takes all fields that are left, still joined.
    """

    read: Callable[[str, Values], bool]
    write: Callable[[Message], str | None]
    greedy: bool = False


def literal(text: str) -> Field:
    """
    A field that always reads the same.
    """
    return Field(lambda found, values: found == text, lambda message: text)


def _text(key: str, empty: bool = True, greedy: bool = False) -> Field:
    def read(text: str, values: Values) -> bool:
        values[key] = text
        return empty or bool(text)

    def write(message: Message) -> str | None:
        text: str | None = getattr(message, key)
        return None if text is None or has_separators(text) else text

    return Field(read, write, greedy)


def _write_detail(message: Message) -> str | None:
    return None if message.detail is None else without_separators(message.detail)


def _write_name(message: Message) -> str | None:
    # An error about a bulk of one is about that one.
    name = message.names[0] if message.name is None and message.names else message.name
    if name is None or not has_separators(name):
        return name
    return without_separators(name) if message.is_error else None


def _read_names(text: str, values: Values) -> bool:
    values["names"] = (text,)
    return bool(text)


def _read_version(text: str, values: Values) -> bool:
    if not VERSION.fullmatch(text):
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
        # The sender's message says something else, so it cannot be forwarded as it is.
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
    # The record service reads it again, and refuses it if there is no room, so that its client hears of that.
    values["data"] = utf8(text)
    return text.lstrip(" \t\r\n")[:1] in ("{", "[") and may_be_json(text)


def _read_change(text: str, values: Values) -> bool:
    if text[:1] == "O" and len(text) > SHORT:
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
    # Any other field is the rest of a text that contains a separator.
    return text[:1] == "{"


def _write_config(message: Message) -> str:
    return WRITE_SUCCESS if message.is_write_ack else "{}"


def _write_ack(message: Message) -> str | None:
    return WRITE_SUCCESS if message.is_write_ack else None


def _plain(message: Message) -> str:
    """
    The data as an error text: strings raw, unless they have separators, and all else as JSON. Never empty, which
    client 2.3.4 takes for success.
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
    # Only strings: 2.3.4 hands the value to the writer's callback as its error.
    return "L" if value_of(message.data) in (UNDEFINED, None) else "S" + _plain(message)


def _read_users(text: str, values: Values) -> bool:
    try:
        users = loads(text)
    except ValueError:
        return False
    # There may be a quarter of a million.
    if not isinstance(users, list) or not {str}.issuperset(map(type, users)):
        return False
    values["names"] = tuple(users)
    # A user name with half a character in it can be written nowhere else.
    joined = "".join(users)
    return joined.isascii() or utf8(joined).decode("utf-8") == joined


def _write_users(message: Message) -> str:
    return dumps(list(message.names)).decode("utf-8")


def _read_online(text: str, values: Values) -> bool:
    values["names"] = tuple(text.split(SEPARATOR))
    return True


def _write_online(message: Message) -> str | None:
    names: Any = message.names
    if not names:
        return None
    if isinstance(names, Parts):
        return _joined(names.encoded("text", _separated))
    return _joined([_separated(names)])


def _joined(parts: list[str | None]) -> str | None:
    found = [part for part in parts if part is not None]
    return SEPARATOR.join(found) if found else None


def _separated(names: tuple[str, ...]) -> str | None:
    """
    The names that the protocol can carry; C{None} if there are none.
    """
    written = SEPARATOR.join(names)
    # Thousands of names are looked through at once: nearly never is there anything to leave out.
    if END in written or written.count(SEPARATOR) >= len(names):
        names = tuple(name for name in names if not has_separators(name))
        return SEPARATOR.join(names) if names else None
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
    # Its own separators stay: the client gets back what it sent.
    return text.replace(END, "") if isinstance(text, str) else _write_name(message) or ""


def _write_frame(message: Message) -> str:
    text = message.raw if message.detail is None else message.detail
    return text if isinstance(text, str) else ""


#: What a pattern's C{<field>} stands for.
FIELDS: dict[str, Field] = {
    "name": Field(_text("name", empty=False).read, _write_name),
    "names": Field(_read_names, _write_name),
    "subscription": _text("subscription", empty=False),
    "id": _text("correlation_id"),
    "path": _text("path"),
    "url": _text("url"),
    "detail": Field(_text("detail").read, _write_detail),
    "version": Field(_read_version, _write_version),
    # "[2]": a list, though always of one.
    "versions": Field(_read_versions, _write_versions),
    # A typed value; "given" if "no value" is written in another form.
    "data": Field(_read_data, _write_data),
    "given": Field(_read_data, _write_given),
    # The JSON text of an object or an array.
    "json": Field(_read_json, _write_json),
    # What is written to a record: the same, which may be too large to be read for lack of memory.
    "record": Field(_read_record, _write_json),
    "change": Field(_read_change, _write_data),
    "flag": Field(_read_flag, _write_data),
    # The config field: always there, or only to ask for (or repeat the wish for) a write acknowledgement.
    "config": Field(_read_config, _write_config),
    "ack": Field(_read_config, _write_ack),
    # The error of an rpc, untyped, and of a write, typed.
    "failure": Field(_read_failure, _plain),
    "outcome": Field(_read_outcome, _write_outcome),
    # Names as a JSON array, as one field each, and the user a presence error is about.
    "users": Field(_read_users, _write_users),
    "online": Field(_read_online, _write_online, greedy=True),
    "user": Field(_read_everyone, _write_everyone),
    "everyone": Field(lambda text, values: text in ("Q", "S", "US", "U"), lambda message: None),
    # The client's own message, or whatever else is wrong; its whole payload.
    "echo": Field(_read_echo, _write_echo, greedy=True),
    "frame": Field(_read_echo, _write_frame, greedy=True),
}

#: How the permission checks inside CR and CU, which are none of a client's messages, are spelled in their denials.
_INNER_CHECKS: dict[IntEnum, str] = {
    RecordAction.CREATE: "C",
    RecordAction.READ: "R",
    RecordAction.SUBSCRIBECREATEANDREAD: "R",
    RecordAction.UPDATE: "U",
    RecordAction.CREATEANDUPDATE: "U",
    RecordAction.PATCH: "P",
    RecordAction.CREATEANDPATCH: "P",
}

#: The requests whose errors carry their own code where others carry the error's.
_READS = (RecordAction.READ, RecordAction.HAS, RecordAction.HEAD)

#: The text spelling of each action that a client may send.
Spellings = Mapping[tuple[Topic, IntEnum], str]


def origin_fields(letter: str, topic: Topic, spellings: Spellings) -> dict[str, Field]:
    """
    The fields of a topic's errors that tell which request they answer.

    C{<denied>} is the request with its first field moved to the front, C{<unverifiable>} the same for a check that
    failed, C{<asked>} the action of a read, and C{<unexpected>} a sentence about an rpc.
    """
    actions = {code: action for (owner, action), code in reversed(list(spellings.items())) if owner is topic}
    if topic is Topic.RECORD:
        actions[_INNER_CHECKS[RecordAction.SUBSCRIBECREATEANDREAD]] = RecordAction.SUBSCRIBECREATEANDREAD

    def spelled(action: IntEnum | None) -> str:
        return spellings.get((topic, action), action.name) if action is not None else ""

    def read_denied(text: str, values: Values) -> bool:
        name, _, rest = text.partition(SEPARATOR)
        code, separator, rest = rest.partition(SEPARATOR)
        values["name"] = name
        values["original_action"] = actions.get(code)
        values["raw"] = f"{letter}{SEPARATOR}{code}{SEPARATOR}{name}{separator}{rest}"
        return True

    def write_denied(message: Message) -> str:
        action = message.original_action
        if not isinstance(message.raw, str):
            code = spelled(action)
            if action is RecordAction.SUBSCRIBECREATEANDREAD and topic is Topic.RECORD:
                code = _INNER_CHECKS[action]
            # Everybody's presence has no name; its requests have their code twice.
            name = code if message.name is None and topic is Topic.PRESENCE else _write_name(message) or ""
            fields = [name, code]
            if message.correlation_id is not None:
                fields.append(without_separators(message.correlation_id))
            return SEPARATOR.join(fields)
        code, _, rest = message.raw.partition(SEPARATOR)[2].partition(SEPARATOR)
        name, separator, rest = rest.partition(SEPARATOR)
        if topic is Topic.RECORD and code in ("CR", "CU"):
            return name + SEPARATOR + (_INNER_CHECKS.get(action, code) if action is not None else code)
        return f"{name}{SEPARATOR}{code}{separator}{rest}"

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
        "denied": Field(read_denied, write_denied, greedy=True),
        "unverifiable": Field(read_denied, write_unverifiable, greedy=True),
        "asked": Field(read_asked, write_asked),
        "unexpected": Field(FIELDS["detail"].read, write_unexpected),
    }
