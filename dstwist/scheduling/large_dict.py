"""
A dict for very many names.

A dict that is full moves all of its items into a larger table. That stops the server for 7 ms at 175,000 items, for 20
ms at 350,000, and for twice as long each time after. So a L{LargeDict} keeps its first items in one dict, and all
further items in many small dicts, by the hash of the key. Each of them grows by itself, in a few milliseconds::

    get(key) --> first --not there, and there are more--> more[hash(key) % SHARDS]

A caller that looks up something for each message reads C{first} itself, and calls L{LargeDict.get} only if the key is
not there and C{more} has dicts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from typing import Generic, TypeVar

#: The most items of the first dict. It has to move items for more than 87,381.
FIRST_ITEMS = 80_000

#: The number of small dicts. They use the low bits of the hash: this is odd, so that those differ within a dict.
SHARDS = 127

V = TypeVar("V")


class LargeDict(Collection[str], Generic[V]):
    """
    Values by name, none of which is C{None}.

    @ivar first: a part of the items; always the same dict.
    @ivar more: the dicts of the other items; empty while there have been few. Always the same list.
    """

    __slots__ = ("_count", "first", "more")

    def __init__(self) -> None:
        self.first: dict[str, V] = {}
        self.more: list[dict[str, V]] = []
        # How many items C{more} has.
        self._count = 0

    def __len__(self) -> int:
        return len(self.first) + self._count

    def __contains__(self, key: object) -> bool:
        return key in self.first or (self._count > 0 and key in self.more[hash(key) % SHARDS])

    def __iter__(self) -> Iterator[str]:
        return chain(self.first, *self.more)

    def get(self, key: str) -> V | None:
        value = self.first.get(key)
        if value is None and self._count:
            value = self.more[hash(key) % SHARDS].get(key)
        return value

    def __setitem__(self, key: str, value: V) -> None:
        first = self.first
        if key in first or (len(first) < FIRST_ITEMS and key not in self):
            first[key] = value
            return
        if not self.more:
            self.more.extend({} for _ in range(SHARDS))
        shard = self.more[hash(key) % SHARDS]
        before = len(shard)
        shard[key] = value
        self._count += len(shard) - before

    def pop(self, key: str) -> V | None:
        """
        Remove C{key}.

        @return: its value; C{None} if it is not there.
        """
        value = self.first.pop(key, None)
        if value is None and self._count:
            number = hash(key) % SHARDS
            shard = self.more[number]
            value = shard.pop(key, None)
            if value is not None:
                self._count -= 1
                if not shard:
                    # A dict keeps its table when it becomes empty.
                    self.more[number] = {}
        return value

    def clear(self) -> None:
        self.first.clear()
        self.more.clear()
        self._count = 0
