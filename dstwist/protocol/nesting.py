"""
How deeply objects and arrays are nested in a value.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain, islice
from typing import Any

#: A JSON text that is nested deeper is refused. The limit is far above any real document. orjson reads up to 1024
#: levels and writes up to 254; the limit of the standard library depends on how deep the stack is when it is called.
MAX_DEPTH = 256

#: The most objects and arrays, and the most items of them, that one step of L{looking_deeper} looks at.
_CONTAINERS_PER_STEP = 1000
_ITEMS_PER_STEP = 5000


def containers(text: bytes | str) -> int:
    """
    The highest number of objects and arrays that the value of a JSON text can have. Brackets in strings count, too.
    """
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def deeper_than(value: Any, depth: int) -> bool:
    """
    Whether more than C{depth} objects and arrays are nested in each other.
    """
    kinds = (dict, list)
    layer = [value] if type(value) in kinds else []
    for _ in range(depth):
        if not layer:
            return False
        layer = [
            item
            for holder in layer
            if holder
            for item in (holder.values() if type(holder) is dict else holder)
            if type(item) in kinds
        ]
    return bool(layer)


def looking_deeper(value: Any, depth: int) -> Generator[None, None, bool]:
    """
    L{deeper_than} as a generator. Each step looks at a bounded number of items.
    """
    kinds = (dict, list)
    layer = [value] if type(value) in kinds else []
    for _ in range(depth):
        if not layer:
            return False
        below: list[Any] = []
        for start in range(0, len(layer), _CONTAINERS_PER_STEP):
            holders = layer[start : start + _CONTAINERS_PER_STEP]
            items = chain.from_iterable([each.values() if type(each) is dict else each for each in holders])
            while True:
                yield None
                some = list(islice(items, _ITEMS_PER_STEP))
                below += [item for item in some if type(item) in kinds]
                if len(some) < _ITEMS_PER_STEP:
                    break
        layer = below
    return bool(layer)
