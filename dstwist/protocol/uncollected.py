"""
Keeps Python's garbage collector away from the values of JSON texts.

The values have no reference cycles, so reference counting frees them and a pass of the collector finds nothing in them.
But passes are expensive while values are made and as long as they are kept:

================================  ================================================================================
when                              cost, and remedy
================================  ================================================================================
a large value is made             A pass runs for every few hundred new containers, and reading takes four times as
                                  long. So the collector is off meanwhile (C{gc.disable}).
values are kept                   Each longer pass looks at each item of each value. So values are set apart when
                                  many have been made (C{gc.freeze}): later passes do not look at them.
================================  ================================================================================
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: Whether L{set_values_apart} was called.
_sets_apart = False


def set_values_apart() -> None:
    """
    Set values apart from now on. A pass over millions of items would stop the process for a second. This affects the
    whole process, so only the owner of the process calls it.
    """
    global _sets_apart
    _sets_apart = True


def make_uncollected(make: Callable[[T], Any], source: T, set_apart: bool) -> Any:
    """
    The result of C{make(source)}, made with the garbage collector switched off.

    @param set_apart: set all values apart that exist afterwards, if L{set_values_apart} was called.
    """
    collects = gc.isenabled()
    set_apart = set_apart and collects and _sets_apart
    if set_apart:
        # Free young reference cycles first; otherwise they would be set apart, too, and never be freed.
        gc.collect(1)
    gc.disable()
    try:
        return make(source)
    finally:
        if set_apart:
            gc.freeze()
        if collects:
            gc.enable()
