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
data. If there are large containers on the path, the new data is patched (L{dstwist.protocol.patched}). Scalars and
C{null} along the path are replaced by containers.

L{InvalidPath} is raised for writes whose result JSON cannot hold, or that are not safe: a path without tokens, keys
that reach into the prototypes of a JavaScript client, keys of an array that are no index, gaps and nesting beyond the
limits. The Node server accepts most of these and loses the value.

Always true: the result is never nested deeper than L{dstwist.protocol.nesting.MAX_DEPTH}, so that it can be written as
JSON and read again.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import Any

from dstwist.protocol.drafts import TOO_DEEP, Draft, Limits, replaced_at
from dstwist.protocol.nesting import MAX_DEPTH, looking_deeper
from dstwist.protocol.patched import ARRAYS, LARGE_ITEMS, OBJECTS, PATCHED
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

#: The changes that are made in one step.
_CHANGES_PER_STEP = 50

# A token of a path for a client of v2 or v3, and the first characters of tokens that the client may take for numbers.
_OLD_TOKEN = re.compile(rf"[^.\[\]{re.escape(JS_SPACE)}]+")
_NUMERIC = frozenset("0123456789+-I")


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
        if type(node) in OBJECTS:
            child = node.get(key_of(token), UNDEFINED)
        elif type(node) in ARRAYS:
            index = index_of(token)
            child = node[index] if index < len(node) else UNDEFINED
        else:
            return False
        if child is UNDEFINED:
            return not erases and not any(type(token) is str and token[0] in _NUMERIC for token in tokens[i + 1 :])
        node = child
    return type(node) in OBJECTS or type(node) in ARRAYS


#: The types of values without depth. UNDEFINED is none of them: it stands for an erasure.
_SCALARS = frozenset((str, int, float, bool, type(None)))

#: What a write may add to the memory of a record, besides its value: nothing; what its path makes, and what the new
#: data has in C{retained} (L{dstwist.protocol.patched}); only the latter.
ADDS_NOTHING, ADDS_PATH, ADDS_RETAINED = range(3)


# -- writing


def write_at(
    data: Any, path: str, value: Any, limits: Limits = DEFAULT_LIMITS, flat: bool = False
) -> tuple[Any, bool, int]:
    """
    Write C{value} at C{path}; L{UNDEFINED} erases. Returns three results:

     1. the new data;
     2. whether all clients would make the same data of this write. Clients of v2 and v3 differ (C{services.md} section
        4.11): a path with separators cannot be sent to them, they split paths at blanks, take every number for an index
        where no container exists, create nothing for an erasure, and throw on scalars and C{null} along the path;
     3. what the write may add besides the value: L{ADDS_NOTHING}, L{ADDS_RETAINED} or L{ADDS_PATH}.

    @param flat: whether the value is known not to be nested too deeply for its place.
    @raise InvalidPath: the path is not valid, or not valid in this data.
    """
    way = _ways.get(path)
    if way is None:
        way = _way(path)
    if not way:
        return set_at(data, parse(path), value, limits, flat), False, ADDS_PATH
    tokens, above, last = way
    if type(value) in _SCALARS:
        if type(data) is dict and len(data) < LARGE_ITEMS and type(last) is str:
            # Nearly all writes: a scalar within small objects that all exist. An index token is never among their keys.
            changed = node = data.copy()
            for token in above:
                child = node.get(token)
                if type(child) is not dict or len(child) >= LARGE_ITEMS:
                    break
                node[token] = node = child.copy()
            else:
                adds = last not in node  # ADDS_NOTHING or ADDS_PATH
                node[last] = value
                return changed, True, adds
        replaced = replaced_at(data, tokens, value)
        if replaced is not None:
            return replaced, True, ADDS_RETAINED if type(replaced) in PATCHED else ADDS_NOTHING
    return set_at(data, tokens, value, limits, flat), _found_alike(tokens, data, value is UNDEFINED), ADDS_PATH


def set_at(
    data: Any, tokens: tuple[Token, ...], value: Any, limits: Limits = DEFAULT_LIMITS, flat: bool = False
) -> Any:
    """
    The data with C{value} at the place. L{UNDEFINED} erases the place; in an array, it becomes C{null}, so that the
    elements behind it keep their index. As in JavaScript clients, the containers along the path exist afterwards.

    @raise InvalidPath: the place cannot exist in this data.
    """
    draft = Draft(data, limits)
    draft.write(tokens, value, flat)
    return draft.data


def setting_many(
    data: Any, changes: Iterable[tuple[str, Any]], limits: Limits = DEFAULT_LIMITS
) -> Generator[None, None, Any]:
    """
    L{set_many} in steps, with paths that are not parsed yet.
    """
    draft = Draft(data, limits)
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
        raise InvalidPath(TOO_DEEP)


def set_many(data: Any, changes: Iterable[tuple[tuple[Token, ...], Any]], limits: Limits = DEFAULT_LIMITS) -> Any:
    """
    The data after several changes, one after the other. This is like L{set_at} for each change, but no container is
    copied twice, and the limits apply to all changes together.

    @raise InvalidPath: one of the places cannot exist.
    """
    draft = Draft(data, limits)
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
        if type(node) in OBJECTS:
            node = node.get(key_of(token))
        elif type(node) in ARRAYS:
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
