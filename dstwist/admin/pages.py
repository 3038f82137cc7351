"""
Long lists, in pages: an operator reads some rows, and asks for those after the last one.

Always true: to make a page looks at all items, in time slices, and keeps at most two pages of them in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from dstwist.admin.commands import CommandError, Parameters
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns

T = TypeVar("T")

#: How many rows a page has, and how many it may have.
PAGE_ROWS = 100
MAX_PAGE_ROWS = 1000

#: The parameters of a command with pages.
PAGED = ("limit", "after")


async def make_page(
    name: str,
    items: Iterable[T],
    key: Callable[[T], Any],
    row: Callable[[T], dict[str, Any]],
    parameters: Parameters,
    turns: Turns,
) -> dict[str, Any]:
    """
    The answer with the page after the item whose key is the parameter C{after}; without it, the first page.

    ==========  ===================================================================================================
    C{name}     the rows with the lowest keys after that one, in the order of their keys
    C{total}    how many items there are, on all pages
    C{next}     C{after} for the next page; C{None} if there is none
    ==========  ===================================================================================================

    @param items: may change while this waits; so it is a copy, or an iterator over copies.
    @param key: the key of an item, a number or a tuple of numbers and texts; C{None}: the item is left out.
    @param row: makes the row of an item of the page.
    """
    size, after = page_size(parameters), _after(parameters)
    pause = TurnPause(turns)
    found: list[tuple[Any, int, T]] = []
    total = behind = 0
    try:
        for number, item in enumerate(items):
            if pause.due():
                await pause.wait()
            at = key(item)
            if at is None:
                continue
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
    more = json.dumps(found[-1][0]) if behind > size else None
    rows = []
    for _, _, item in found:
        if pause.due():
            await pause.wait()
        rows.append(row(item))
    return {name: rows, "total": total, "next": more}


def page_size(parameters: Parameters) -> int:
    """
    How many rows the page has.
    """
    return parameters.number("limit", PAGE_ROWS, 1, MAX_PAGE_ROWS)


def merged(name: str, answers: Mapping[str, Mapping[str, Any]], size: int) -> dict[str, Any]:
    """
    One page of the pages of several nodes, whose rows have the key (client, node). C{missing} has the errors of nodes
    without a page.
    """
    rows: list[dict[str, Any]] = []
    total, is_more = 0, False
    missing: dict[str, str] = {}
    for node, answer in answers.items():
        if "error" in answer:
            missing[node] = str(answer["error"])
            continue
        rows += [{**row, "node": node} for row in answer[name]]
        total += answer["total"]
        is_more = is_more or answer["next"] is not None
    rows.sort(key=lambda row: (row["client"], row["node"]))
    is_more = is_more or len(rows) > size
    del rows[size:]
    more = json.dumps([rows[-1]["client"], rows[-1]["node"]]) if is_more and rows else None
    return {name: rows, "total": total, "next": more, "missing": missing}


def _order(entry: tuple[Any, int, Any]) -> tuple[Any, int]:
    return entry[0], entry[1]


def _after(parameters: Parameters) -> Any:
    text = parameters.text("after")
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError("after: expected what the last page had as next") from None
    return tuple(value) if isinstance(value, list) else value
