"""
The members of values, and the methods that rules may call.

A value has only its own members, and inherits none as in JavaScript: C{data.constructor} is undefined unless the data
has such a key. The methods are exceptions: C{name.startsWith} is a function, so that a rule can check it before the
call.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from dstwist.permission.valve.regex import Match, Regex, regex_of_text
from dstwist.permission.valve.utf16 import length, units
from dstwist.permission.valve.values import (
    Function,
    Meter,
    Thrown,
    same_value_zero,
    strict_equals,
    to_key,
    to_number,
    to_text,
)
from dstwist.protocol.patched import PatchedArray, PatchedObject
from dstwist.protocol.typed import JS_SPACE, UNDEFINED

_INDEX = re.compile("0|[1-9][0-9]{0,9}")

Method = Callable[[Any, list[Any], Meter], Any]


def member(value: Any, key: Any, meter: Meter) -> Any:
    """
    C{value[key]}
    """
    if value is None or value is UNDEFINED:
        what = "null" if value is None else "undefined"
        raise Thrown(f"TypeError: Cannot read properties of {what} (reading '{to_key(key, meter)[:100]}')")
    if isinstance(value, dict):
        return value.get(to_key(key, meter), UNDEFINED)
    if isinstance(value, list):
        return _element(value, to_key(key, meter))
    if isinstance(value, PatchedObject):
        return value.get(to_key(key, meter), UNDEFINED)
    if isinstance(value, PatchedArray):
        return _element(value, to_key(key, meter))
    if isinstance(value, (bool, int, float, Regex, Function)):
        to_key(key, meter)
        return UNDEFINED
    return _part(str(value), to_key(key, meter), meter)


def _element(array: list[Any] | PatchedArray, key: str) -> Any:
    if _INDEX.fullmatch(key):
        return array[int(key)] if int(key) < len(array) else UNDEFINED
    if key == "length":
        return float(len(array))
    if isinstance(array, Match):
        if key == "index":
            return array.place
        if key == "input":
            return array.text
    return _ARRAY_FUNCTIONS.get(key, UNDEFINED)


def _part(text: str, key: str, meter: Meter) -> Any:
    if key == "length":
        meter.read(text)
        return float(length(text))
    if _INDEX.fullmatch(key):
        meter.read(text)
        text = units(text)
        return text[int(key)] if int(key) < len(text) else UNDEFINED
    return _TEXT_FUNCTIONS.get(key, UNDEFINED)


def has(container: Any, key: Any, meter: Meter) -> bool:
    """
    C{key in container}
    """
    if isinstance(container, (dict, PatchedObject)):
        return to_key(key, meter) in container
    if isinstance(container, (list, PatchedArray)):
        key = to_key(key, meter)
        if _INDEX.fullmatch(key):
            return int(key) < len(container)
        return key == "length" or (isinstance(container, Match) and key in ("index", "input"))
    if isinstance(container, (Regex, Function)):
        return False
    raise Thrown("TypeError: Cannot use 'in' operator to search for a key in what is no object")


def call(value: Any, name: str, arguments: list[Any], meter: Meter) -> Any:
    """
    C{value.name(...arguments)}, where the value is neither null nor undefined.
    """
    method: Method | None = None
    if isinstance(value, list):
        method = _ARRAY_METHODS.get(name)
    elif isinstance(value, PatchedArray):
        method = _ARRAY_METHODS.get(name)
        value = value.merged()
    elif not isinstance(value, (dict, PatchedObject, bool, int, float, Regex, Function)):
        value = str(value)
        method = _TEXT_METHODS.get(name)
    if method is None:
        raise Thrown(f"TypeError: {name} is not a function")
    return method(value, arguments, meter)


# -- texts


def _argument(arguments: list[Any], index: int) -> Any:
    return arguments[index] if index < len(arguments) else UNDEFINED


def _integer(value: Any, meter: Meter) -> float:
    number = to_number(value, meter)
    return 0.0 if number != number else number if math.isinf(number) else float(math.trunc(number))


def _position(value: Any, size: int, meter: Meter, default: int = 0) -> int:
    """
    A position in a text, from 0 to its length.
    """
    return default if value is UNDEFINED else int(min(max(_integer(value, meter), 0), size))


def _sought(arguments: list[Any], text: str, meter: Meter, refuse: str | None = None) -> tuple[str, str]:
    """
    The text to search for, and the text to search in, in UTF-16 units.
    """
    sought = _argument(arguments, 0)
    if refuse and isinstance(sought, Regex):
        raise Thrown(f"TypeError: First argument to String.prototype.{refuse} must not be a regular expression")
    wanted = units(to_text(sought, meter))
    meter.read(text)
    meter.read(wanted)
    return wanted, units(text)


def _starts_with(text: str, arguments: list[Any], meter: Meter) -> bool:
    wanted, inside = _sought(arguments, text, meter, "startsWith")
    return inside.startswith(wanted, _position(_argument(arguments, 1), len(inside), meter))


def _ends_with(text: str, arguments: list[Any], meter: Meter) -> bool:
    wanted, inside = _sought(arguments, text, meter, "endsWith")
    end = _position(_argument(arguments, 1), len(inside), meter, len(inside))
    return inside[:end].endswith(wanted)


def _includes(text: str, arguments: list[Any], meter: Meter) -> bool:
    wanted, inside = _sought(arguments, text, meter, "includes")
    return _find(inside, wanted, _position(_argument(arguments, 1), len(inside), meter), meter) >= 0


def _index_of(text: str, arguments: list[Any], meter: Meter) -> float:
    wanted, inside = _sought(arguments, text, meter)
    return float(_find(inside, wanted, _position(_argument(arguments, 1), len(inside), meter), meter))


def _find(inside: str, wanted: str, start: int, meter: Meter) -> int:
    meter.read(inside)
    meter.read(wanted)
    return inside.find(wanted, start)


def _match(text: str, arguments: list[Any], meter: Meter) -> Any:
    pattern = _argument(arguments, 0)
    if not isinstance(pattern, Regex):
        source = "" if pattern is UNDEFINED else to_text(pattern, meter)
        meter.spend(100 + len(source))
        pattern = regex_of_text(source)
    return pattern.match(text, meter)


def _to_upper_case(text: str, arguments: list[Any], meter: Meter) -> str:
    meter.read(text)
    return text.upper()


def _to_lower_case(text: str, arguments: list[Any], meter: Meter) -> str:
    meter.read(text)
    return text.lower()


def _trim(text: str, arguments: list[Any], meter: Meter) -> str:
    meter.read(text)
    return text.strip(JS_SPACE)


# -- arrays


def _start(value: Any, size: int, meter: Meter) -> int:
    """
    A position in an array; a negative one counts from the end.
    """
    start = _integer(value, meter) if value is not UNDEFINED else 0.0
    return int(min(max(start + size if start < 0 else start, 0), size))


def _array_index_of(array: list[Any], arguments: list[Any], meter: Meter) -> float:
    sought = _argument(arguments, 0)
    start = _start(_argument(arguments, 1), len(array), meter) if array else 0
    if isinstance(sought, str):
        # Only a text can be equal to a text, so Python's search will do.
        meter.spend(len(array) >> 2)
        try:
            return float(array.index(sought, start))
        except ValueError:
            return -1.0
    meter.spend(len(array))
    for index in range(start, len(array)):
        if strict_equals(array[index], sought):
            return float(index)
    return -1.0


def _array_includes(array: list[Any], arguments: list[Any], meter: Meter) -> bool:
    sought = _argument(arguments, 0)
    start = _start(_argument(arguments, 1), len(array), meter) if array else 0
    meter.spend(len(array))
    return any(same_value_zero(item, sought) for item in array[start:])


_TEXT_METHODS: dict[str, Method] = {
    "startsWith": _starts_with,
    "endsWith": _ends_with,
    "includes": _includes,
    "indexOf": _index_of,
    "match": _match,
    "toUpperCase": _to_upper_case,
    "toLowerCase": _to_lower_case,
    "trim": _trim,
}
_ARRAY_METHODS: dict[str, Method] = {"includes": _array_includes, "indexOf": _array_index_of}
_TEXT_FUNCTIONS = {name: Function(name) for name in _TEXT_METHODS}
_ARRAY_FUNCTIONS = {name: Function(name) for name in _ARRAY_METHODS}
