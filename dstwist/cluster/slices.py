"""
The length of messages between nodes. A list of names is sent in slices, each of which is limited in the number of names
and in their characters: a name may be as long as C{maxNameLength}, and Redis disconnects a subscriber for which too
many bytes wait (C{client-output-buffer-limit pubsub}).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

#: No more is put into a message whose texts are longer than this. A single text is as long as a client may make it.
CHARACTERS_PER_MESSAGE = 262144


def characters_of(field: Any) -> int:
    """
    The characters of all texts of a field, which may be a list of texts or of rows.
    """
    if type(field) is str:
        return len(field)
    return sum(map(characters_of, field)) if type(field) is list else 0


def slices(names: Sequence[str], size: int) -> Iterator[list[str]]:
    """
    The names in slices of C{size} names at most.
    """
    some: list[str] = []
    characters = 0
    for name in names:
        if some and (len(some) == size or characters + len(name) > CHARACTERS_PER_MESSAGE):
            yield some
            some, characters = [], 0
        some.append(name)
        characters += len(name)
    if some:
        yield some


def parts_for(names: int, characters: int, size: int) -> int:
    """
    The number of parts in which a whole set of names is sent.
    """
    return max(-(-names // size), -(-characters // CHARACTERS_PER_MESSAGE), 1)


def for_message(text: str) -> str:
    """
    A copy of C{text}, which this node keeps, for a message. What encodes the message leaves the UTF-8 in a text that is
    not ASCII, and it would stay there as long as the text.
    """
    return text if text.isascii() else text[:1] + text[1:]
