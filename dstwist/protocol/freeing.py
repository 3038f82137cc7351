"""
Frees a large JSON value little by little.

When the last reference to a value ends, Python frees all of it at once. That takes 20 ms for half a million arrays
within each other, which fit into a megabyte of JSON, and several times as long for the largest record. So L{freeing} is
given the last reference. In each step it takes references to the items of some containers, and then drops these
containers: Python frees them, but not yet their items::

    value       [[[1],[2]],[[3]]]
    step 1      frees the outermost array, and has [[1],[2]] and [[3]]
    step 2      frees these two, and has [1], [2] and [3]
    step 3      frees these three

This takes up to nine times as long as to free the value at once, so it is not worth while for values that are lighter
than L{LARGE_WEIGHT}.

So it does with patched containers (L{dstwist.protocol.patched}), which have a base and changed items.

Always true: a container with another reference is neither changed nor looked into. Records share containers with their
predecessors.
"""

from __future__ import annotations

from collections.abc import Iterator
from gc import get_referents, is_tracked
from itertools import compress
from sys import getrefcount
from typing import Any

#: To free a value with a smaller weight (L{dstwist.protocol.weights}) at once takes less than 8 ms.
LARGE_WEIGHT = 16 << 20

#: The most containers that one step frees, and the most items of them.
CONTAINERS_PER_STEP = 2000
ITEMS_PER_STEP = 20_000

#: Whether a number of references, as C{map} counts them, is that of an object with one reference.
_is_single = next(map(getrefcount, [[]])).__eq__


def freeing(values: list[Any]) -> Iterator[None]:
    """
    Free the items of C{values} in steps, each of which ends with a C{yield}, if the list has their only references. The
    list is empty afterwards.

    An object that contains neither objects nor arrays is freed in one step, however large it is.
    """
    size = CONTAINERS_PER_STEP
    while values:
        part = values[-size:]
        del values[-size:]
        # Only containers are tracked, for the garbage collector. Loops in Python would take several times as long.
        part = list(filter(is_tracked, part))
        part = list(compress(part, map(_is_single, list(map(getrefcount, part)))))
        if sum(map(len, part)) <= ITEMS_PER_STEP:
            values += get_referents(*part)
            size = min(2 * size, CONTAINERS_PER_STEP)
        elif len(part) > 1:
            values += part
            size = len(part) // 2
        else:
            _shorten(part, values)
        part.clear()
        yield None


def _shorten(part: list[Any], values: list[Any]) -> None:
    """
    Move the one container in C{part} to C{values}, and its last items behind it.
    """
    container: Any = part.pop()
    if not isinstance(container, list | dict):
        # A patched container: its base and its changed items.
        values += get_referents(container)
        return
    values.append(container)
    if isinstance(container, list):
        values += filter(is_tracked, container[-ITEMS_PER_STEP:])
        del container[-ITEMS_PER_STEP:]
    else:
        values += [container.popitem()[1] for _ in range(ITEMS_PER_STEP)]
