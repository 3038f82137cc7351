"""
Values of the application, as JSON text and back.

The server and the application never share a value: each value is a JSON text in between. So the server does not see
later changes of a value, and the application may change each value that it gets.
"""

from __future__ import annotations

import math
from typing import Any

from dstwist.api.errors import InvalidValue
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Data
from dstwist.protocol.nesting import MAX_DEPTH
from dstwist.protocol.typed import UNDEFINED, value_of

_PLAIN = frozenset((str, bool, int, type(None)))


def to_json(value: Any) -> bytes:
    """
    C{value} as JSON text.

    @raise InvalidValue: a part of it is no JSON. The error names the part.
    """
    problem = _problem(value, 0)
    if problem is not None:
        raise InvalidValue(f"value{problem}")
    try:
        return dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"value: {error}") from None


def from_data(data: Data) -> Any:
    """
    The value of the data of a message; C{None} if the message has none.
    """
    value = value_of(data)
    return None if value is UNDEFINED else value


def copied(value: Any) -> Any:
    """
    The same value, which the application does not have.

    @raise InvalidValue: a part of it is no JSON.
    """
    return None if value is None else from_data(to_json(value))


def check_name(name: object, meaning: str = "name") -> None:
    """
    Make sure that C{name} can be sent.

    @raise InvalidValue: it is empty, or no text.
    """
    check_text(name, meaning)
    if not name:
        raise InvalidValue(f"the {meaning} is empty")


def check_text(text: object, meaning: str) -> None:
    """
    Make sure that C{text} is a text in all encodings.

    @raise InvalidValue: it is none. Half of a surrogate pair has no form in UTF-8: no client could be sent it.
    """
    if not isinstance(text, str):
        raise InvalidValue(f"the {meaning} is {_kind(text)}, not a text")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(f"the {meaning} has half of a surrogate pair at {error.start}") from None


def check_function(function: object, meaning: str = "function") -> None:
    """
    Make sure that C{function} can be called.

    @raise InvalidValue: it cannot.
    """
    if not callable(function):
        raise InvalidValue(f"the {meaning} is {_kind(function)}, not a function")


def _problem(value: Any, depth: int) -> str | None:
    """
    The place of the first part of C{value} that is no JSON, and the reason; C{None} if there is no such part.
    """
    if value.__class__ in _PLAIN:
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f": {value} is no JSON number"
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return f": it is nested more than {MAX_DEPTH} levels deep"
        for key, item in value.items():
            if not isinstance(key, str):
                return f": the key {key!r} is {_kind(key)}, not a text"
            if item.__class__ not in _PLAIN:
                problem = _problem(item, depth + 1)
                if problem is not None:
                    return f"[{key!r}]{problem}"
        return None
    if isinstance(value, list | tuple):
        if depth >= MAX_DEPTH:
            return f": it is nested more than {MAX_DEPTH} levels deep"
        for place, item in enumerate(value):
            if item.__class__ not in _PLAIN:
                problem = _problem(item, depth + 1)
                if problem is not None:
                    return f"[{place}]{problem}"
        return None
    return None if isinstance(value, str | int) else f": {_kind(value)} is no JSON"


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
