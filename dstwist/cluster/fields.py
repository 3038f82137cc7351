"""
The checks of the fields of messages between nodes.

A check is called with one value of a field, of any type, and says whether it fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


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
    A whole number from 0.
    """
    return type(value) is int and value >= 0


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
