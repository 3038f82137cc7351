"""
Large objects and arrays that share their items with the versions before them.

To copy an object of 40,000 keys for each write takes a hundred times as long as the rest of the write. So a write
copies only small containers. A large one becomes I{patched}: it consists of the I{base}, which all versions share, and
of the items that differ from it::

    {"k1": 1, "k2": 2, ..., "k40000": 40000}    the base: is never modified once a record contains it
    {"k2": 7}                                   the changed items: copied for each version

When the changed items are L{most_changes} or more, the next write merges: it copies the base, as if the container were
a small one, and begins with no changed items. The cost of the copy is shared by all writes since the last one.

==============================  ======================================================================================
alternative                     reason against it
==============================  ======================================================================================
change in place, and undo for   A rule compares the old data with the new, so both must be there at the same time. Each
those that have an old version  part that keeps data would have to say so; a plug-in cannot be made to.
a tree of chunks                It needs an index of the keys, which takes more memory than L{dstwist.protocol.weights}
                                counts, and JSON has to be assembled from the chunks.
==============================  ======================================================================================

Always true:

- Nothing here is modified after the write that made it (L{dstwist.protocol.drafts}). So any part may keep a version for
  any time, and another thread may read it.
- A C{dict} or C{list} contains no patched container. A container with a patched one in it is patched as well, even if
  it is small. So code finds all of them from the root, and an ordinary value is ordinary throughout.
- A patched array is not empty.

JSON is written from ordinary values: L{plain} merges everything. It copies each patched container once, which takes a
fraction of the time of writing JSON. The record keeps the result (L{dstwist.record.Record.data}), so that the next
write begins with an ordinary value.

A key that was erased and written again keeps its place among the keys of the base.
"""

from __future__ import annotations

from typing import Any

from dstwist.protocol.jsontext import UNCOLLECTED_ITEMS, copy_uncollected
from dstwist.protocol.typed import UNDEFINED

#: Containers of this number of items and more are large. Smaller ones are copied in about the time of a patch.
LARGE_ITEMS = 1000

#: A large container is merged when one in this number of its items is changed ...
_ITEMS_PER_CHANGE = 128
#: ... but not before this number of them is changed, ...
_MIN_CHANGES = 128
#: ... and in any case when this number is. To copy the changed items costs each write more than a merge in so many.
_MAX_CHANGES = 1024

_MISSING = object()


class PatchedObject:
    """
    An object. It has the reading methods of C{dict} that paths and rules use.

    @ivar base: the items that other versions may share.
    @ivar changed: the items that are not as in the base; L{UNDEFINED} stands for a key that the object has not.
    @ivar mixed: whether patched containers may be among the items.
    @ivar retained: of the root of a record: the memory that the last write did not free although it replaced the
        containers in it, since the base has them, in bytes (L{dstwist.services.record.sizes}).
    """

    __slots__ = ("base", "changed", "mixed", "retained")

    def __init__(self, base: dict[str, Any], changed: dict[str, Any], mixed: bool = False) -> None:
        self.base = base
        self.changed = changed
        self.mixed = mixed
        self.retained = 0

    def get(self, key: str, default: Any = None) -> Any:
        value = self.changed.get(key, _MISSING)
        if value is _MISSING:
            return self.base.get(key, default)
        return default if value is UNDEFINED else value

    def __len__(self) -> int:
        added = sum(key not in self.base for key in self.changed)
        return len(self.base) + added - sum(value is UNDEFINED for value in self.changed.values())

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: str) -> bool:
        value = self.changed.get(key, _MISSING)
        return key in self.base if value is _MISSING else value is not UNDEFINED

    def successor(self) -> PatchedObject:
        """
        The same object for the next version, whose changed items may be modified.
        """
        return PatchedObject(self.base, self.changed.copy(), self.mixed)

    def merged(self) -> dict[str, Any]:
        """
        A copy as an ordinary object. Patched containers in it stay as they are.
        """
        made: dict[str, Any] = copied(self.base)
        for key, value in self.changed.items():
            if value is UNDEFINED:
                made.pop(key, None)
            else:
                made[key] = value
        return made


class PatchedArray:
    """
    An array. It has the reading methods of C{list} that paths and rules use.

    @ivar base: the elements that other versions may share.
    @ivar changed: by index, the elements that are not as in the base, and all elements behind its end.
    @ivar mixed: as in L{PatchedObject}; so is C{retained}.
    """

    __slots__ = ("base", "changed", "length", "mixed", "retained")

    def __init__(
        self, base: list[Any], changed: dict[int, Any], mixed: bool = False, length: int | None = None
    ) -> None:
        self.base = base
        self.changed = changed
        self.mixed = mixed
        self.retained = 0
        self.length = len(base) if length is None else length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        value = self.changed.get(index, _MISSING)
        return self.base[index] if value is _MISSING else value

    def successor(self) -> PatchedArray:
        """
        The same array for the next version, whose changed items may be modified.
        """
        return PatchedArray(self.base, self.changed.copy(), self.mixed, self.length)

    def merged(self) -> list[Any]:
        """
        A copy as an ordinary array. Patched containers in it stay as they are.
        """
        made: list[Any] = copied(self.base)
        size = len(made)
        made.extend([None] * (self.length - size))
        for index, value in self.changed.items():
            made[index] = value
        return made


#: The classes of patched containers, of objects, and of arrays.
PATCHED: frozenset[type[Any]] = frozenset((PatchedObject, PatchedArray))
OBJECTS: frozenset[type[Any]] = frozenset((dict, PatchedObject))
ARRAYS: frozenset[type[Any]] = frozenset((list, PatchedArray))


def copied(container: Any) -> Any:
    """
    A copy of an ordinary object or array. The items are shared.
    """
    return container.copy() if len(container) < UNCOLLECTED_ITEMS else copy_uncollected(container)


def most_changes(size: int) -> int:
    """
    The number of changed items with which a container of C{size} items is merged.
    """
    return min(max(size // _ITEMS_PER_CHANGE, _MIN_CHANGES), _MAX_CHANGES)


def plain(value: Any) -> Any:
    """
    The same value without patched containers.
    """
    if type(value) not in PATCHED:
        return value
    made = value.merged()
    if value.mixed:
        for key, item in made.items() if type(made) is dict else enumerate(made):
            if type(item) in PATCHED:
                made[key] = plain(item)
    return made
