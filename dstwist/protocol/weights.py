"""
How many bytes of memory a JSON value takes as a Python value, by its JSON text.

A small value takes up to 35 times the bytes of its text: C{{"a":{}}} is 8 bytes of JSON and 256 bytes of memory. So a
limit for memory needs more than the length of the text. To look at each value would take ten times as long as to parse
the text. Instead each character of the text has a weight, whatever its place:

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

Each byte of a text that is not ASCII counts 6: Python keeps up to four bytes for each character of such a text, ASCII
characters included, and its UTF-8 text besides.

These estimates are from above: they are less than nine tenths of the truth for no value, and for most documents they
are between one and two times the truth (C{tests/protocol/test_weights.py}). Numbers in Python take what they take on
CPython 3.11, 64 bits.
"""

from __future__ import annotations

#: What an entry of a dictionary takes besides its key: the place of the entry, also right after the dictionary has
#: grown, and the object in it with its number.
ENTRY = 300


#: The weight of a text without characters, or of a number.
TEXT = 64


def weigh_name(name: str) -> int:
    """
    The weight of a text that is kept by itself, such as a name.
    """
    return 56 + (len(name) if name.isascii() else 8 * len(name))


def weigh_json(text: bytes | str) -> int:
    """
    The weight of the value of a JSON text, together with the text.
    """
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogatepass")
    count = text.count
    structure = 128 * count(b"{") + 96 * count(b"[") + 88 * count(b":") + 41 * count(b",") + 12 * count(b'"')
    # A single character is found much faster than two.
    plain = text.isascii() and (b"\\" not in text or rb"\u" not in text)
    return 64 + structure + len(text) * (2 if plain else 6)
