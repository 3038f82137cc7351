"""
Large numbers of names: in parts that are encoded once as long as they do not change, or read little by little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

T = TypeVar("T")


class NamePart(tuple[str, ...]):
    """
    A part of the names.

    @ivar encoded: by a key of each codec, the encoded part.
    """

    encoded: dict[object, Any]

    def __new__(cls, names: Sequence[str]) -> NamePart:
        part = super().__new__(cls, names)
        part.encoded = {}
        return part


class NameParts:
    """
    All names, in parts. As the C{names} of a message, they are as good as a tuple.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[NamePart]) -> None:
        self._parts = parts

    @property
    def parts(self) -> Sequence[NamePart]:
        return self._parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == (tuple(other) if isinstance(other, NameParts) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))

    def encoded(self, key: object, encode: Callable[[tuple[str, ...]], T]) -> list[T]:
        """
        The parts that are not empty, encoded by C{encode}.

        @param key: the key of C{encode}, which must give the same result for the same part each time.
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
    The names of a request, all different, followed by those names again that the request repeats.

    @ivar longest: how many characters the longest name has; C{None} if that is not known.
    @ivar fields: the names in the encoding of the request, if it can be used again; otherwise empty.
    """

    longest: int | None = None
    fields: bytes = b""


class NameReader:
    """
    Makes L{DistinctNames} of names that are read little by little.

    @ivar longest: how many characters the longest name has.
    @ivar characters: how many characters all names have.
    """

    __slots__ = ("_once", "_repeated", "characters", "longest")

    def __init__(self) -> None:
        self._once: dict[str, None] = {}
        self._repeated: dict[str, None] = {}
        self.longest = 0
        self.characters = 0

    def add(self, names: Sequence[str]) -> None:
        """
        Add the names that follow.
        """
        lengths = list(map(len, names))
        self.longest = max(self.longest, max(lengths, default=0))
        self.characters += sum(lengths)
        once = self._once
        for name in names:
            if name in once:
                self._repeated[name] = None
            else:
                once[name] = None

    def distinct(self) -> DistinctNames:
        """
        All names so far.
        """
        names = DistinctNames((*self._once, *self._repeated) if self._repeated else self._once)
        names.longest = self.longest
        return names

    @property
    def repeats(self) -> bool:
        """
        Whether a name came more than once.
        """
        return bool(self._repeated)
