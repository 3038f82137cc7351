"""
The typed values of the text protocol: a field that consists of a letter and a payload.

======  ================  ==========================  =======================
letter  value             example                     JSON
======  ================  ==========================  =======================
S       string            C{Shello}                   C{"hello"}
N       number            C{N1.5}                     C{1.5}
N       no finite number  C{NNaN}, C{NInfinity}       C{null}
O       object or array   C{O{"a":1}}                 C{{"a":1}}
O       string that has   C{O"\\u001e"}                C{"\\u001e"}
        separators
T       true              C{T}                        C{true}
F       false             C{F}                        C{false}
L       null              C{L}                        C{null}
U       no value          C{U}                        none at all
======  ================  ==========================  =======================

L{Data} stays in the encoding of its sender until a client of the other generation, or a service, needs the other
encoding. Numbers are read and written as in JavaScript, because clients compute with it. Clients of v2 and v3 send NaN
and infinities; clients of v4 send C{null} instead, as in JSON. JSON cannot hold them, so they are C{null} for all
clients: L{forwardable} converts them when they arrive.
"""

from __future__ import annotations

import enum
import math
import re
from typing import Any, Final

from dstwist.protocol.jsontext import dumps, is_json, loads
from dstwist.protocol.message import Data


class Undefined(enum.Enum):
    """
    The type of L{UNDEFINED}; an enumeration, so that type checkers can tell it from all other values.
    """

    UNDEFINED = "undefined"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


#: "No value", which is not JSON's C{null}.
UNDEFINED: Final = Undefined.UNDEFINED

_CONSTANTS: dict[str, Any] = {"T": True, "F": False, "L": None, "U": UNDEFINED}
_JSON_CONSTANTS = {"T": b"true", "F": b"false", "L": b"null"}
_LETTERS_OF_JSON = {"t": "T", "f": "F", "n": "L"}

#: The letters of values.
_WITH_VALUE = frozenset("OSNTFL")

#: The letters that any payload may follow. A payload that is not needed is ignored.
_UNCHECKED = frozenset("STFLU")

#: White space in JavaScript: the characters that String.prototype.trim removes.
JS_SPACE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITY = re.compile(r"([+-]?)Infinity")

#: Numbers whose text is the same in JSON and JavaScript; nearly all numbers are.
_PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,14}")

#: A number with fewer characters and no exponent is finite.
_SURELY_FINITE = 300

#: Up to here, every integer has a JavaScript number of its own.
_MAX_SAFE_INTEGER = 2**53 - 1

_ESCAPED_SEPARATORS = {0x1E: "\\u001e", 0x1F: "\\u001f"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def has_separators(text: str) -> bool:
    """
    Whether a text contains one of the two characters that end a field or a message of the text protocol. No field can
    contain them, so a name with one of them cannot be sent to a text client.
    """
    return "\x1e" in text or "\x1f" in text


def without_separators(text: str) -> str:
    """
    The text with its separators escaped as in JSON, for texts that people read.
    """
    return text.translate(_ESCAPED_SEPARATORS) if has_separators(text) else text


def utf8(text: str) -> bytes:
    """
    The text in UTF-8. Lone surrogates, which can come from JSON escapes, become U+FFFD, as in the WebSocket of a
    browser.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode("utf-8")


def is_typed(field: str) -> bool:
    """
    Whether a field is a typed value that can be kept and forwarded unchanged.
    """
    letter = field[:1]
    if letter == "N":
        start = field[1:2] if field[1:2] != "-" else field[2:3]
        # Nearly all numbers begin with a digit and are too short to be infinite unless they have an exponent.
        if "0" <= start <= "9" and len(field) < _SURELY_FINITE and "e" not in field and "E" not in field:
            return True
        return math.isfinite(parse_number(field[1:]))
    return letter in _UNCHECKED or (letter == "O" and is_json(field[1:]))


def forwardable(field: str) -> str | None:
    """
    The typed value that is kept and forwarded for a field; C{None} if the field is no typed value.
    """
    if is_typed(field):
        return field
    return "L" if field[:1] == "N" else None


def to_typed(data: Data) -> str:
    """
    The data as a typed field. The JSON text of objects and arrays is not changed. Strings with separators are written
    as their JSON text, too, because clients read the JSON text of any value behind an C{O}.
    """
    if isinstance(data, str):
        return data
    if data is None:
        return "U"
    text = data.decode("utf-8")
    first = text.lstrip()[:1]
    if first in ("{", "["):
        return "O" + text
    if first == '"':
        value = loads(text)
        # In JSON, separators are always escaped.
        return "O" + text if "\\" in text and has_separators(value) else "S" + value
    letter = _LETTERS_OF_JSON.get(first)
    return letter or "N" + format_number(loads(text))


def to_json(data: Data) -> bytes | None:
    """
    The data as JSON text; C{None} if it is "no value". Numbers that JSON does not have become C{null}.
    """
    if not isinstance(data, str):
        return data
    letter = data[:1]
    if letter == "O":
        return utf8(data[1:])
    if letter == "S":
        return dumps(data[1:])
    if letter == "N":
        if _PLAIN_INTEGER.fullmatch(data, 1):
            return data[1:].encode("ascii")
        number = parse_number(data[1:])
        return format_number(number).encode("ascii") if math.isfinite(number) else b"null"
    return _JSON_CONSTANTS.get(letter)


def value_of(data: Data) -> Any:
    """
    The data as a Python value; L{UNDEFINED} if it is "no value". Numbers that JSON does not have become C{None}.
    """
    if data is None:
        return UNDEFINED
    if not isinstance(data, str):
        return loads(data)
    letter = data[:1]
    if letter == "O":
        return loads(data[1:])
    if letter == "S":
        return data[1:]
    if letter == "N":
        number = parse_number(data[1:])
        return number if math.isfinite(number) else None
    return _CONSTANTS.get(letter, UNDEFINED)


def is_undefined(data: Data) -> bool:
    """
    Whether the data is "no value". The value is not decoded for this.
    """
    return data is None or (data.__class__ is str and data[:1] not in _WITH_VALUE)


def parse_number(text: str) -> int | float:
    """
    The result of JavaScript's C{parseFloat}: the number at the start of the text, or NaN. Safe integers are C{int}.
    """
    text = text.lstrip(JS_SPACE)
    found = _NUMBER.match(text)
    if found is None:
        found = _INFINITY.match(text)
        return float(found[1] + "inf") if found else math.nan
    number = float(found[0])
    return int(number) if abs(number) <= _MAX_SAFE_INTEGER and number.is_integer() else number


def format_number(number: int | float) -> str:
    """
    The number as JavaScript prints it: C{1}, C{1.5}, C{1e+21}, C{1e-7}, C{NaN}.
    """
    if abs(number) <= _MAX_SAFE_INTEGER and number == int(number):
        return str(int(number))
    try:
        number = float(number)
    except OverflowError:
        number = -math.inf if number < 0 else math.inf
    sign = "-" if number < 0 else ""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else sign + "Infinity"
    # Python and JavaScript use the same shortest digits. Only the place of the point and the exponent differ.
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)
    digits = digits.rstrip("0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= 21:
        return sign + (f"{digits[:point]}.{digits[point:]}" if point < len(digits) else digits.ljust(point, "0"))
    tail = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
