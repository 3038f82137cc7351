"""
Estimates the memory of a JSON value as a Python value, in bytes, from its JSON text.

A small value takes up to 35 times the bytes of its text: C{{"a":{}}} is 8 bytes of JSON and 256 bytes of memory. So a
limit for memory needs more than the length of the text. Looking at each value would take ten times as long as parsing
the text. Instead, each character of the text has a weight, wherever it is:

==============  ======  ========================================================================================
character       weight  stands for
==============  ======  ========================================================================================
C{{}            130     an object with one key
C{[}            98      an array with four elements
C{:}            90      the place of a key in a larger object, and a number
C{,}            43      the place of an element in a larger array, and a number
C{"}            14      a text is 56 bytes, a number is 32: a text has the other 24 for its two quotes
all others      2       one byte of a text, and one of the JSON text, which a record may keep as well
==============  ======  ========================================================================================

Each byte of a text that is not ASCII counts 6: Python needs up to four bytes for each character of such a text,
including its ASCII characters, and keeps its UTF-8 text, too.

The estimate is never less than nine tenths of the real size. For most documents it is one to two times the real size
(C{tests/protocol/test_weights.py}). The sizes are those of CPython 3.11 on 64 bits.
"""

from __future__ import annotations

#: The weight of an entry of a dictionary without its key: the place of the entry, even directly after the dictionary
#: has grown, and the object in it with its number.
ENTRY_WEIGHT = 300


# Numbers: to search for a byte of another object takes a fifth longer.
_BRACE, _BRACKET, _COLON, _COMMA, _QUOTE, _BACKSLASH = b'{[:,"\\'

#: The weight of a text without characters, or of a number.
TEXT_WEIGHT = 64


def weigh_name(name: str) -> int:
    """
    The weight of a separate text, such as a name.
    """
    return 56 + (len(name) if name.isascii() else 8 * len(name))


def weigh_json(text: bytes | str) -> int:
    """
    The weight of the value of a JSON text together with the text.
    """
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogatepass")
    count = text.count
    structure = (
        128 * count(_BRACE) + 96 * count(_BRACKET) + 88 * count(_COLON) + 41 * count(_COMMA) + 12 * count(_QUOTE)
    )
    # Searching for a single character is much faster than searching for two.
    plain = text.isascii() and (_BACKSLASH not in text or rb"\u" not in text)
    return 64 + structure + len(text) * (2 if plain else 6)
