"""
Writes at paths of records (L{dstwist.protocol.path_tokens}).

================  ========================================================================
path              result on C{{}}, with the value 9
================  ========================================================================
C{a.b}            C{{"a": {"b": 9}}}
C{a[1]}           C{{"a": [null, 9]}}: a missing container before a number is an array
C{a.1}            C{{"a": {"1": 9}}}; if there is an array already, its element
C{[1]}            C{{"": [null, 9]}}
================  ========================================================================

Data is never changed in place: a write copies the containers along its path, and shares everything else with the old
data. Scalars and C{null} along the path are replaced by containers.

L{InvalidPath} is raised for writes whose result JSON cannot hold, or that are not safe: a path without tokens, keys
that reach into the prototypes of a JavaScript client, keys of an array that are no index, gaps and nesting beyond the
limits. The Node server accepts most of these and loses the value.

Always true: the result is never nested deeper than L{dstwist.protocol.nesting.MAX_DEPTH}, so that it can be written as
JSON and read again.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import Any, NamedTuple

from dstwist.protocol.jsontext import UNCOLLECTED_ITEMS, copy_uncollected
from dstwist.protocol.nesting import MAX_DEPTH, deeper_than, looking_deeper
from dstwist.protocol.path_tokens import (
    INDEX_PATTERN,
    MAX_CACHED_CHARACTERS,
    MAX_CACHED_PATHS,
    InvalidPath,
    Token,
    index_of,
    key_of,
    parse,
)
from dstwist.protocol.typed import JS_SPACE, UNDEFINED, has_separators

#: The memory of an object or array that a path makes, with its place in the container above it, in bytes.
_CONTAINER_BYTES = 256
#: The memory of a C{null} that fills a gap, in bytes.
_GAP_ELEMENT_BYTES = 8

#: The changes that are made in one step.
_CHANGES_PER_STEP = 50

_TOO_DEEP = f"the record would be nested deeper than {MAX_DEPTH} levels"

# A token of a path for a client of v2 or v3, and the first characters of tokens that the client may take for numbers.
_OLD_TOKEN = re.compile(rf"[^.\[\]{re.escape(JS_SPACE)}]+")
_NUMERIC = frozenset("0123456789+-I")


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


#: The limits with the default settings.
DEFAULT_LIMITS = Limits()


def _way(path: str) -> _Way | tuple[()]:
    """
    The tokens of a path in the form of L{_Way}, if all clients split the path alike and it can be sent to all of them;
    otherwise an empty tuple. The result is cached in L{_ways}.
    """
    tokens = parse(path)
    alike = not has_separators(path) and _OLD_TOKEN.findall(path) == [str(token) for token in tokens]
    way = (tokens, tokens[:-1], tokens[-1]) if alike else ()
    if len(path) <= MAX_CACHED_CHARACTERS:
        if len(_ways) >= MAX_CACHED_PATHS:
            _ways.clear()
        _ways[path] = way
    return way


#: The tokens of a path: all of them, those before the last one, and the last one.
_Way = tuple[tuple[Token, ...], tuple[Token, ...], Token]

#: The cache of L{_way}. It is a dictionary, because C{lru_cache} would double the time of a write.
_ways: dict[str, _Way | tuple[()]] = {}


def _found_alike(tokens: tuple[Token, ...], data: Any, erases: bool) -> bool:
    """
    Whether the tokens lead all clients to the same place, and the place can exist.

    @param erases: whether the write erases. Then clients of v2 and v3 create no containers along the path.
    """
    node = data
    for i, token in enumerate(tokens[:-1]):
        child: Any
        if type(node) is dict:
            child = node.get(key_of(token), UNDEFINED)
        elif type(node) is list:
            index = index_of(token)
            child = node[index] if index < len(node) else UNDEFINED
        else:
            return False
        if child is UNDEFINED:
            return not erases and not any(type(token) is str and token[0] in _NUMERIC for token in tokens[i + 1 :])
        node = child
    return isinstance(node, dict | list)


# -- writing


def write_at(
    data: Any, path: str, value: Any, limits: Limits = DEFAULT_LIMITS, flat: bool = False
) -> tuple[Any, bool, bool]:
    """
    Write C{value} at C{path}; L{UNDEFINED} erases. Returns three results:

     1. the new data;
     2. whether all clients would make the same data of this write. Clients of v2 and v3 differ (C{services.md} section
        4.11): a path with separators cannot be sent to them, they split paths at blanks, take every number for an index
        where no container exists, create nothing for an erasure, and throw on scalars and C{null} along the path;
     3. whether the path may add anything beside the value. A scalar that replaces another value adds nothing.

    @param flat: whether the value is known not to be nested too deeply for its place.
    @raise InvalidPath: the path is not valid, or not valid in this data.
    """
    way = _ways.get(path)
    if way is None:
        way = _way(path)
    if not way:
        return set_at(data, parse(path), value, limits, flat), False, True
    tokens, above, last = way
    if type(value) in _SCALARS and type(data) is dict and type(last) is str:
        # Nearly all writes: a scalar within objects that all exist. An index token is never among their keys.
        changed = node = data.copy() if len(data) < UNCOLLECTED_ITEMS else copy_uncollected(data)
        for token in above:
            child = node.get(token)
            if type(child) is not dict:
                break
            node[token] = node = child.copy() if len(child) < UNCOLLECTED_ITEMS else copy_uncollected(child)
        else:
            adds = last not in node
            node[last] = value
            return changed, True, adds
    return set_at(data, tokens, value, limits, flat), _found_alike(tokens, data, value is UNDEFINED), True


def set_at(
    data: Any, tokens: tuple[Token, ...], value: Any, limits: Limits = DEFAULT_LIMITS, flat: bool = False
) -> Any:
    """
    The data with C{value} at the place. L{UNDEFINED} erases the place; in an array, it becomes C{null}, so that the
    elements behind it keep their index. As in JavaScript clients, the containers along the path exist afterwards.

    @raise InvalidPath: the place cannot exist in this data.
    """
    draft = _Draft(data, limits)
    draft.write(tokens, value, flat)
    return draft.data


def setting_many(
    data: Any, changes: Iterable[tuple[str, Any]], limits: Limits = DEFAULT_LIMITS
) -> Generator[None, None, Any]:
    """
    L{set_many} in steps, with paths that are not parsed yet.
    """
    draft = _Draft(data, limits)
    for number, (path, value) in enumerate(changes, 1):
        tokens = parse(path)
        if isinstance(value, dict | list):
            yield from check_depth(tokens, value)
        draft.write(tokens, value, flat=True)
        if not number % _CHANGES_PER_STEP:
            yield None
    return draft.data


def check_depth(tokens: tuple[Token, ...], value: Any) -> Generator[None, None, None]:
    """
    Check in steps that C{value} is not nested too deeply for the place.

    @raise InvalidPath: it is nested too deeply.
    """
    if (yield from looking_deeper(value, MAX_DEPTH - len(tokens))):
        raise InvalidPath(_TOO_DEEP)


def set_many(data: Any, changes: Iterable[tuple[tuple[Token, ...], Any]], limits: Limits = DEFAULT_LIMITS) -> Any:
    """
    The data after several changes, one after the other. This is like L{set_at} for each change, but no container is
    copied twice, and the limits apply to all changes together.

    @raise InvalidPath: one of the places cannot exist.
    """
    draft = _Draft(data, limits)
    for tokens, value in changes:
        draft.write(tokens, value)
    return draft.data


def value_at(data: Any, tokens: tuple[Token, ...]) -> Any:
    """
    The value at a place to which L{set_at} can write; C{None} if there is none.
    """
    node = data
    for token in tokens:
        if type(node) is dict:
            node = node.get(key_of(token))
        elif type(node) is list:
            index = index_of(token)
            node = node[index] if index < len(node) else None
        else:
            return None
    return node


def filled(data: Any, tokens: tuple[Token, ...]) -> int:
    """
    The number of elements that a write at the place fills in before indices past the end of an array.
    """
    count = 0
    node = data
    for token in tokens:
        if type(node) is dict:
            node = node.get(key_of(token))
        elif type(node) is list:
            # If this is no index, another change of the same message replaces the array.
            index = token if type(token) is int else int(token) if INDEX_PATTERN.fullmatch(str(token)) else 0
            if index < len(node):
                node = node[index]
            else:
                count += index - len(node)
                node = None
        else:
            count += token if type(token) is int else 0
            node = None
    return count


#: The types of values without depth. UNDEFINED is none of them: it stands for an erasure.
_SCALARS = frozenset((str, int, float, bool, type(None)))


class _Draft:
    """
    Data that is being changed.

    @ivar data: the data so far. It must not be passed on before the last change.
    """

    __slots__ = ("_gap", "_growth", "_limits", "_own", "data")

    def __init__(self, data: Any, limits: Limits) -> None:
        # By id, the containers made here, which may be changed in place. They are kept alive so that no other object
        # gets their id.
        self._own: dict[int, Any] = {}
        self._limits = limits
        self._gap, self._growth = limits
        # Only a store that was written by another server can contain a record that is a scalar.
        self.data = self._copy(data if isinstance(data, dict | list) else {})

    def write(self, tokens: tuple[Token, ...], value: Any, flat: bool = False) -> None:
        if not tokens:
            raise InvalidPath("the path is empty")
        if not flat and isinstance(value, dict | list) and deeper_than(value, MAX_DEPTH - len(tokens)):
            raise InvalidPath(_TOO_DEEP)
        node = self.data
        last = len(tokens) - 1
        for i in range(last):
            node = self._child(node, tokens[i], tokens[i + 1])
        self._put(node, tokens[last], value)

    def _child(self, node: Any, token: Token, following: Token) -> Any:
        """
        The container at a place, copied or created so that it may be changed.
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
            child = self._copy(child)
        else:
            self._grow(_CONTAINER_BYTES)
            child = self._copy({} if type(following) is str else [])
        if type(node) is list:
            self._reach(node, key)
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
            self._reach(node, index)
            node[index] = value
        elif index < len(node):
            node[index] = None

    def _copy(self, container: Any) -> Any:
        made = container.copy() if len(container) < UNCOLLECTED_ITEMS else copy_uncollected(container)
        self._own[id(made)] = made
        return made

    def _reach(self, array: list[Any], index: int) -> None:
        """
        Extend an array so that it has an element at C{index}.
        """
        missing = index + 1 - len(array)
        if missing <= 0:
            return
        self._gap -= missing - 1
        if self._gap < 0:
            most = self._limits.gap
            raise InvalidPath(f"more than {most} elements would have to be filled in before the index {index}")
        self._grow(_GAP_ELEMENT_BYTES * missing)
        array.extend([None] * missing)

    def _grow(self, size: int) -> None:
        self._growth -= size
        if self._growth < 0:
            raise InvalidPath("the paths of the message would make the record too large")
