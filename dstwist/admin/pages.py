"""
Long lists, in pages: an operator reads some rows, and asks for those after the last one.

Always true: to make a page looks at all items, in time slices, and keeps at most two pages of them in memory.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from dstwist.admin.commands import CommandError, Parameters
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns

T = TypeVar("T")

#: Sorts the items of a list.
Key = tuple[Any, ...]

#: How many rows a page has, and how many it may have.
PAGE_ROWS = 100
MAX_PAGE_ROWS = 1000

#: The parameters of a command with pages.
PAGED = ("limit", "after")


@dataclass(frozen=True)
class Listing(Generic[T]):
    """
    A long list.

    @ivar items: they may change while a page waits; so this is a copy, or an iterator over copies.
    @ivar key: the key of an item, a tuple of numbers and texts; C{None}: the item is left out.
    @ivar row: makes the row of an item of the page.
    """

    items: Iterable[T]
    key: Callable[[T], Key | None]
    row: Callable[[T], dict[str, Any]]


async def make_page(
    name: str, listing: Listing[T], parameters: Parameters, turns: Turns, node: str | None = None
) -> dict[str, Any]:
    """
    The answer with the page after the item whose key is the parameter C{after}; without it, the first page.

    ==========  ===================================================================================================
    C{name}     the rows with the lowest keys after that one, in the order of their keys
    C{total}    how many items there are, on all pages
    C{next}     C{after} for the next page; C{None} if there is none
    C{keys}     with C{node}: the keys of the rows
    ==========  ===================================================================================================

    @param node: the last part of each key, so that other nodes have other keys.
    """
    size, after = page_size(parameters), _after(parameters)
    last = () if node is None else (node,)
    pause = TurnPause(turns)
    found: list[tuple[Key, int, T]] = []
    total = behind = 0
    try:
        for number, item in enumerate(listing.items):
            if pause.due():
                await pause.wait()
            at = listing.key(item)
            if at is None:
                continue
            at += last
            total += 1
            if after is not None and at <= after:
                continue
            behind += 1
            # The number keeps items with equal keys apart.
            found.append((at, number, item))
            if len(found) >= 2 * size:
                found.sort(key=_order)
                del found[size:]
    except TypeError:
        if after is None:
            raise
        raise CommandError("after: expected what the last page had as next") from None
    found.sort(key=_order)
    del found[size:]
    answer: dict[str, Any] = {name: [], "total": total, "next": _next(found[-1][0]) if behind > size else None}
    if node is not None:
        answer["keys"] = [at for at, _, _ in found]
    for _, _, item in found:
        if pause.due():
            await pause.wait()
        answer[name].append(listing.row(item))
    return answer


def page_size(parameters: Parameters) -> int:
    """
    How many rows the page has.
    """
    return parameters.number("limit", PAGE_ROWS, 1, MAX_PAGE_ROWS)


def merged(name: str, answers: Mapping[str, Mapping[str, Any]], size: int) -> dict[str, Any]:
    """
    One page of the pages of several nodes, each with its keys. C{missing} has the errors of nodes without a page.
    """
    pages: list[Iterator[tuple[Key, dict[str, Any], str]]] = []
    count = total = 0
    is_more = False
    missing: dict[str, str] = {}
    for node, answer in answers.items():
        if not answer.keys() >= {name, "total", "next", "keys"}:
            missing[node] = str(answer.get("error", "its answer cannot be read"))
            continue
        pages.append(_keyed(node, answer["keys"], answer[name]))
        count += len(answer[name])
        total += answer["total"]
        is_more = is_more or answer["next"] is not None
    is_more = is_more or count > size
    # They are in order, so the rows behind the page are not looked at.
    page = list(islice(heapq.merge(*pages, key=lambda row: row[0]), size))
    return {
        name: [{**row, "node": node} for _, row, node in page],
        "total": total,
        "next": _next(page[-1][0]) if is_more and page else None,
        "missing": missing,
    }


def _keyed(
    node: str, keys: Iterable[Iterable[Any]], rows: Iterable[dict[str, Any]]
) -> Iterator[tuple[Key, dict[str, Any], str]]:
    for key, row in zip(keys, rows, strict=True):
        yield tuple(key), row, node


def _order(entry: tuple[Key, int, Any]) -> tuple[Key, int]:
    return entry[0], entry[1]


def _next(key: Key) -> str:
    return json.dumps(key[0] if len(key) == 1 else key)


def _after(parameters: Parameters) -> Key | None:
    text = parameters.text("after")
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError("after: expected what the last page had as next") from None
    return tuple(value) if isinstance(value, list) else (value,)
