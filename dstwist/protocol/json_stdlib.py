"""
JSON by the standard library, with the values and the texts that JavaScript has; see L{dstwist.protocol.jsontext}.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too great")
    return value


def _integer(digits: str) -> int | float:
    # JavaScript has no long integers, and int() of a million digits would take minutes.
    if len(digits) > 20:
        return _float(digits)
    value = int(digits)
    return value if _MIN_INTEGER <= value <= _MAX_INTEGER else float(digits)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_float, parse_int=_integer)


def decode(text: str) -> Any:
    """
    The value of a JSON text, however deeply it is nested.

    @raise ValueError: the text is not JSON, or exhausts the stack.
    """
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def stdlib_dumps(value: Any) -> bytes:
    """
    The compact JSON text of a value, as UTF-8.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates can only be written as escapes
        return json.dumps(_finite(value), separators=(",", ":")).encode("ascii")
