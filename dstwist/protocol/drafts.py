"""
Data that is being changed: the containers along a path are copied or patched (L{dstwist.protocol.patched}), and all
others are shared with the old data.

==============================================  ======================================================================
a container on the path                         in the new data
==============================================  ======================================================================
is small, and no container further down the     is an ordinary copy
path is large or patched
is large                                        is patched: the base stays, the changed items are copied
is small, but one further down is large or      is patched: the base is a copy
patched
is large, and is merged                         is patched: the base is a copy
==============================================  ======================================================================

If one container on the path is merged, all containers above it are: otherwise the base of one of them could keep an old
copy of the merged container, and the record would take twice the memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dstwist.protocol.nesting import MAX_DEPTH, deeper_than
from dstwist.protocol.patched import (
    LARGE_ITEMS,
    PATCHED,
    PatchedArray,
    PatchedObject,
    copied,
    most_changes,
)
from dstwist.protocol.path_tokens import InvalidPath, Token, index_of, key_of
from dstwist.protocol.typed import UNDEFINED

#: The memory of an object or array that a path makes, with its place in the container above it, in bytes.
_CONTAINER_BYTES = 256
#: The memory of a C{null} that fills a gap, in bytes.
_GAP_ELEMENT_BYTES = 8
#: The most memory of the place of an item in a container, and of a character of its key, in bytes.
_ITEM_BYTES = 64
_CHARACTER_BYTES = 12

TOO_DEEP = f"the record would be nested deeper than {MAX_DEPTH} levels"


class Limits(NamedTuple):
    """
    Limits for the containers and elements that the paths of one message create, beside the values in the message. They
    are checked before anything is created.

    @ivar gap: the most C{null}s that are filled in between the end of an array and the index that is written: the
        setting C{record.maxArrayGap}.
    @ivar growth: the most memory for filled gaps and for containers along the paths, in bytes.
    """

    gap: int = 1000
    growth: int = 8 * 1024 * 1024


def replaced_at(data: Any, tokens: tuple[Token, ...], value: Any) -> Any:
    """
    The data with a scalar in the place of another value, which is nearly all that happens to large records. This is
    like L{Draft}, but takes half the time. It returns C{None} if nothing is in the place, or a container is to be
    merged.
    """
    way: list[tuple[Any, Any]] = []
    patched = retained = 0
    kept = False
    node = data
    key: Any
    for token in tokens:
        kind = type(node)
        if kind is dict or kind is PatchedObject:
            key = token if type(token) is str else key_of(token)
            child = node.get(key, UNDEFINED)
        elif kind is list or kind is PatchedArray:
            key = token if type(token) is int else index_of(token)
            child = node[key] if key < len(node) else UNDEFINED
        else:
            return None
        if child is UNDEFINED:
            return None
        way.append((node, key))
        if kind is PatchedObject or kind is PatchedArray:
            size = len(node.base)
            patched = len(way)
            if size >= LARGE_ITEMS:
                changed = node.changed
                if len(changed) >= most_changes(size):
                    return None
                kept = key not in changed
        else:
            size = len(node)
            if size >= LARGE_ITEMS:
                patched = len(way)
                kept = True
        if kept:
            retained += _CONTAINER_BYTES + (_CHARACTER_BYTES * len(key) if type(key) is str else 0)
            if size < LARGE_ITEMS:
                retained += _ITEM_BYTES * size
        node = child
    made = _rebuilt(way, patched, value)
    if patched:
        made.retained = retained
    return made


def _rebuilt(way: list[tuple[Any, Any]], patched: int, value: Any) -> Any:
    """
    The containers of C{way} with C{value} in the last of them.

    @param way: the containers from the root on, with the key of the next.
    @param patched: how many of them are patched afterwards.
    """
    level = len(way)
    while level:
        level -= 1
        node, key = way[level]
        mixed = type(value) in PATCHED
        if type(node) in PATCHED:
            mixed = mixed or node.mixed
            if len(node.base) >= LARGE_ITEMS:
                successor = node.successor()
                successor.changed[key] = value
                successor.mixed = mixed
                value = successor
                continue
            node = node.base
        elif len(node) >= LARGE_ITEMS:
            value = patched_of(node, {key: value}, mixed)
            continue
        # The items of a small patched container are all in its base.
        node = node.copy()
        node[key] = value
        value = node if level >= patched else patched_of(node, {}, mixed)
    return value


class _LargeFound(Exception):
    """
    There is a large container on the path of a write.
    """


class Draft:
    """
    Data that is being changed.

    @ivar data: the data so far. It must not be passed on before the last change.
    """

    __slots__ = ("_gap", "_growth", "_limits", "_own", "_patches", "_retained", "data")

    def __init__(self, data: Any, limits: Limits) -> None:
        # By id, the containers made here, which may be changed in place. They are kept alive so that no other object
        # gets their id.
        self._own: dict[int, Any] = {}
        self._limits = limits
        self._gap, self._growth = limits
        self._retained = 0
        # Whether large containers were found.
        self._patches = False
        self.data = data
        if not isinstance(data, dict | list) and type(data) not in PATCHED:
            # Only a store that was written by another server can contain a record that is a scalar.
            self.data = self._copy({})
        elif type(data) in PATCHED or len(data) >= LARGE_ITEMS:
            self._patches = True
        else:
            self.data = self._copy(data)

    def write(self, tokens: tuple[Token, ...], value: Any, flat: bool = False) -> None:
        """
        Put C{value} in the place; L{UNDEFINED} erases it.

        @param flat: whether the value is known not to be nested too deeply for its place.
        @raise InvalidPath: the place cannot exist.
        """
        if not tokens:
            raise InvalidPath("the path is empty")
        if not flat and isinstance(value, dict | list) and deeper_than(value, MAX_DEPTH - len(tokens)):
            raise InvalidPath(TOO_DEEP)
        if not self._patches:
            node = self.data
            last = len(tokens) - 1
            try:
                for i in range(last):
                    node = self._child(node, tokens[i], tokens[i + 1])
            except _LargeFound:
                self._patches = True
            else:
                self._put(node, tokens[last], value)
                return
        self._patch(tokens, value)

    def _child(self, node: Any, token: Token, following: Token) -> Any:
        """
        The container at a place, copied or created so that it may be changed.

        @raise _LargeFound: it is too large to be copied. Nothing has changed.
        """
        key: Any
        if type(node) is dict:
            key = key_of(token)
            child = node.get(key)
        else:
            key = index_of(token)
            child = node[key] if key < len(node) else None
        if id(child) in self._own:
            return child
        if isinstance(child, dict | list):
            if len(child) >= LARGE_ITEMS:
                raise _LargeFound
            child = self._copy(child)
        else:
            child = self._create(following)
        if type(node) is list and key >= len(node):
            self._extend(node, key)
        node[key] = child
        return child

    def _put(self, node: Any, token: Token, value: Any) -> None:
        if type(node) is dict:
            key = key_of(token)
            if value is UNDEFINED:
                node.pop(key, None)
            else:
                node[key] = value
            return
        index = index_of(token)
        if value is not UNDEFINED:
            if index >= len(node):
                self._extend(node, index)
            node[index] = value
        elif index < len(node):
            node[index] = None

    def _copy(self, container: Any) -> Any:
        made = container.copy()
        self._own[id(made)] = made
        return made

    def _create(self, following: Token) -> Any:
        """
        A container for the place before the token C{following}.
        """
        self._grow(_CONTAINER_BYTES)
        made: Any = {} if type(following) is str else []
        self._own[id(made)] = made
        return made

    def _extend(self, array: Any, index: int) -> None:
        """
        Add elements to an array, so that it has one at C{index}.
        """
        missing = index + 1 - len(array)
        self._gap -= missing - 1
        if self._gap < 0:
            most = self._limits.gap
            raise InvalidPath(f"more than {most} elements would have to be filled in before the index {index}")
        self._grow(_GAP_ELEMENT_BYTES * missing)
        if type(array) is PatchedArray:
            array.length += missing
            if id(array.base) not in self._own:
                array.changed.update(dict.fromkeys(range(index + 1 - missing, index + 1)))
                return
            array = array.base
        array.extend([None] * missing)

    def _grow(self, size: int) -> None:
        self._growth -= size
        if self._growth < 0:
            raise InvalidPath("the paths of the message would make the record too large")

    # -- with large containers on the path

    def _patch(self, tokens: tuple[Token, ...], value: Any) -> None:
        own = self._own
        # The containers on the path, with the key of the next, and whether a base above keeps the container.
        way: list[tuple[Any, Any, bool]] = []
        patched = 0
        merge = kept = False
        node = self.data
        key: Any
        for token in tokens:
            kind = type(node)
            if kind is PatchedObject or kind is dict:
                key = token if type(token) is str else key_of(token)
                child = node.get(key)
            elif kind is PatchedArray or kind is list:
                key = token if type(token) is int else index_of(token)
                child = node[key] if key < len(node) else None
            else:
                break
            way.append((node, key, kept))
            if kind is PatchedObject or kind is PatchedArray:
                patched = len(way)
                base = node.base
                if len(base) >= LARGE_ITEMS and id(base) not in own:
                    changed = node.changed
                    kept = key not in changed
                    if not merge and len(changed) >= most_changes(len(base)):
                        merge = id(node) not in own
            elif len(node) >= LARGE_ITEMS:
                patched = len(way)
                kept = id(node) not in own
            node = child
        if len(way) < len(tokens):
            if isinstance(node, dict | list):
                # A store may return containers of a class of its own.
                raise InvalidPath(f"there is a {kind.__name__} in that place")
            for token in reversed(tokens[len(way) :]):
                made = self._create(token)
                self._put(made, token, value)
                value = made
        # From the last container to the root.
        level = len(way)
        while level:
            level -= 1
            node, key, kept = way[level]
            if level >= patched:
                made = node
                if id(node) not in own:
                    made = self._copy(node)
                    if kept and not merge:
                        self._retained += _CONTAINER_BYTES + _ITEM_BYTES * len(node)
                self._put(made, tokens[level], value)
            else:
                made = self._patched(node, merge, kept)
                if value is UNDEFINED:
                    self._erase(made, key)
                else:
                    if type(made) is PatchedArray and key >= made.length:
                        self._extend(made, key)
                    (made.base if id(made.base) in own else made.changed)[key] = value
                    if type(value) in PATCHED:
                        made.mixed = True
            if made is node and not merge:
                break
            value = made
        else:
            self.data = value
        if patched:
            self.data.retained = self._retained

    def _patched(self, node: Any, merge: bool, kept: bool) -> Any:
        """
        A patched container in the place of C{node} that may be changed.

        @param merge: whether it is to be merged.
        @param kept: whether C{node} stays in memory.
        """
        own = self._own
        base = node.base if type(node) in PATCHED else node
        if id(node) in own:
            if base is node:
                # An earlier change of the message has copied it as an ordinary container.
                made = patched_of(node, {})
            else:
                if merge and id(base) not in own:
                    node.base = self._own_base(node)
                    node.changed = {}
                return node
        elif len(base) >= LARGE_ITEMS and not merge:
            made = patched_of(node, {}) if base is node else node.successor()
        else:
            if kept and not merge:
                self._retained += _CONTAINER_BYTES + _ITEM_BYTES * len(base)
            made = patched_of(self._own_base(node), {}, base is not node and node.mixed)
        own[id(made)] = made
        return made

    def _own_base(self, node: Any) -> Any:
        """
        An ordinary copy of C{node} that may be changed.
        """
        made = node.merged() if type(node) in PATCHED else copied(node)
        self._own[id(made)] = made
        return made

    def _erase(self, node: Any, key: Any) -> None:
        """
        Erase an item of a patched container.
        """
        is_own = id(node.base) in self._own
        if type(node) is PatchedArray:
            if key < node.length:
                (node.base if is_own else node.changed)[key] = None
        elif is_own:
            node.base.pop(key, None)
        elif key in node.base:
            node.changed[key] = UNDEFINED
        else:
            node.changed.pop(key, None)


def patched_of(base: Any, changed: dict[Any, Any], mixed: bool = False) -> Any:
    """
    A patched container with that base.
    """
    kind = PatchedObject if isinstance(base, dict) else PatchedArray
    return kind(base, changed, mixed)
