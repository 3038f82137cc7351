"""
The fields of JSON messages: numbers and texts as the codec takes them, and the fields of a message that cannot be read
as a whole.
"""

from __future__ import annotations

import re
from typing import Any

from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import UNREAD
from dstwist.protocol.typed import utf8

#: The types of numbers: those of other languages may write 4 as 4.0. The type of C{true} is not among them.
NUMBERS: Any = (int, float)

#: The numbers that the binary protocol has.
_MIN, _MAX = -(2**31), 2**31 - 1

_VALUE_KEY = ',"parsedData":'
_ID_KEY = ',"correlationId":'
_ACKNOWLEDGED = re.compile(r',"correlationId":("[^"\\]*+(?:\\.[^"\\]*+)*+"),"isWriteAck":true')

#: The fields before the value are read only if they have no more characters.
_MAX_FIELDS_CHARACTERS = 65536

#: The most names that are repaired one by one.
_MAX_REPAIRED_NAMES = 1000

#: The C{data} of a message whose value could not be read: no JSON.
_NO_JSON = "?"


def integer(number: Any) -> int | None:
    """
    The integer of 32 bits that a value is in JavaScript's sense; else C{None}.
    """
    if number.__class__ in NUMBERS and _MIN <= number <= _MAX and number == int(number):
        return int(number)
    return None


def repaired(found: dict[str, Any]) -> dict[str, Any]:
    """
    The fields of a message with U+FFFD in the place of lone surrogates, except those in C{parsedData}.
    """
    return {key: value if key == "parsedData" else _repaired(value) for key, value in found.items()}


def _repaired(value: Any) -> Any:
    if value.__class__ is str and not value.isascii():
        return utf8(value).decode()
    if value.__class__ is list and set(map(type, value)) == {str}:
        return _repaired_names(value)
    return value


def _repaired_names(names: list[str]) -> Any:
    """
    The names with U+FFFD in the place of lone surrogates; C{False}, which is no list, if there are too many, and some
    have U+0000 as well. 100,000 names take 30 ms as one text, and half a second one by one.
    """
    text = "\0".join(names)
    whole = utf8(text).decode()
    if whole == text:
        return names
    found = whole.split("\0")
    if len(found) == len(names):
        return found
    return len(names) <= _MAX_REPAIRED_NAMES and [utf8(name).decode() for name in names]


def read_value(found: dict[str, Any]) -> tuple[bytes | None, Any]:
    """
    The JSON text of the value of a message, and the value; C{None} and L{UNREAD} if it has none.

    @raise ValueError: C{data} is not a text that contains JSON.
    """
    text = found.get("data")
    if text is None or text == "":
        if "parsedData" not in found:
            return None, UNREAD
        value = found["parsedData"]
        return dumps(value), value
    if text.__class__ is not str:
        raise ValueError("a text is needed")
    data = utf8(text)
    if "parsedData" in found:
        value = found["parsedData"]
        # Writing it takes a third of the time that reading takes.
        if dumps(value) == data:
            return data, value
    return data, loads(data)


def fields_beside_value(payload: bytes | str) -> dict[str, Any] | None:
    """
    The fields of a message whose C{parsedData} cannot be read, because it is nested too deeply or memory is short. The
    official client waits for an answer to a write, and sends the write again if it is disconnected.

    @return: the fields before C{parsedData}, and the request for an acknowledgement behind it, in the form of the
        official client, with a C{data} that is no JSON. C{None} if the message has no such form.
    """
    text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
    end = text.find(_VALUE_KEY)
    if not 0 < end <= _MAX_FIELDS_CHARACTERS:
        return None
    try:
        found: dict[str, Any] = loads(text[:end] + "}")
    except ValueError:
        return None
    acknowledged = _ACKNOWLEDGED.match(text, max(text.rfind(_ID_KEY), end))
    if acknowledged is not None:
        found |= {"correlationId": loads(acknowledged[1]), "isWriteAck": True}
    return found | {"data": _NO_JSON}
