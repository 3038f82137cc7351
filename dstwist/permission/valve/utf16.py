"""
Texts in UTF-16 units, as JavaScript counts them. A character above U+FFFF is two units, and rules can take them apart.
"""

from __future__ import annotations

import re

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def units(text: str) -> str:
    """
    The text with one character for each UTF-16 unit.
    """
    if text.isascii():
        return text
    return _ASTRAL.sub(_halves, text)


def _halves(found: re.Match[str]) -> str:
    code = ord(found[0]) - 0x10000
    return chr(0xD800 + (code >> 10)) + chr(0xDC00 + (code & 0x3FF))


def characters(text: str) -> str:
    """
    The inverse of L{units}.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def length(text: str) -> int:
    """
    The length of the text in UTF-16 units.
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) >> 1
