"""
The checks of the fields of messages between nodes.

A check is called with one value of a field, of any type, and says whether it fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]

#: The highest number of a field: a digest has 63 bits.
MAX_NUMBER = 2**63 - 1

#: A number that goes up by one cannot be higher than the last one by more than this: one that goes up 10,000 times a
#: second takes three years for that.
MAX_STEP = 2**40


def text(value: Any) -> bool:
    """
    A text.
    """
    return isinstance(value, str)


def text_or_none(value: Any) -> bool:
    """
    A text, or nothing.
    """
    return value is None or isinstance(value, str)


def key(value: Any) -> bool:
    """
    A text that is not empty: the kind of a name (one letter) and the name.
    """
    return isinstance(value, str) and len(value) > 0


def number(value: Any) -> bool:
    """
    A whole number from 0 to L{MAX_NUMBER}.
    """
    return type(value) is int and 0 <= value <= MAX_NUMBER


def flag(value: Any) -> bool:
    """
    True or false.
    """
    return type(value) is bool


def list_of(fits: Check) -> Check:
    """
    A list of any length, each item of which fits.
    """
    return lambda value: isinstance(value, list) and all(map(fits, value))


def row(*fields: Check) -> Check:
    """
    A list of so many items, each of which fits its check.
    """
    return lambda value: (
        isinstance(value, list)
        and len(value) == len(fields)
        and all(fits(each) for fits, each in zip(fields, value, strict=True))
    )
