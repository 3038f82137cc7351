"""
Very many names: in parts, each of which is encoded once for as long as it does not change, or read little by little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

T = TypeVar("T")


class Part(tuple[str, ...]):
    """
    Some of the names.

    @ivar encoded: what codecs made of it, under keys of their own.
    """

    encoded: dict[object, Any]

    def __new__(cls, names: Sequence[str]) -> Part:
        part = super().__new__(cls, names)
        part.encoded = {}
        return part


class Parts:
    """
    All of the names. Where a message has these in the place of its C{names}, they are as good as a tuple.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    @property
    def parts(self) -> Sequence[Part]:
        return self._parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == (tuple(other) if isinstance(other, Parts) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))

    def encoded(self, key: object, encode: Callable[[tuple[str, ...]], T]) -> list[T]:
        """
        What C{encode} makes of each part that is not empty.

        @param key: of C{encode}; it has to make the same of the same part every time.
        """
        found: list[T] = []
        for part in self._parts:
            if part:
                encoded = part.encoded.get(key)
                if encoded is None:
                    encoded = part.encoded[key] = encode(part)
                found.append(encoded)
        return found


class DistinctNames(tuple[str, ...]):
    """
    Names of a request of which is known that they are different, but for those at the end that were repeated.
    """

    __slots__ = ()
