"""
The answers of an administration as text for people.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dstwist.log import shown

#: The longest text of a cell.
MAX_CELL = 60

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def cell(value: Any) -> str:
    """
    A value in a table. Names of clients have no control characters here.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(round(value, 3)) if isinstance(value, float) else str(value)
    return shown(text, MAX_CELL - 3) + "..." if len(text) > MAX_CELL else shown(text, MAX_CELL)


def table(titles: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    The lines of a table.

    @param titles: the titles of the columns, by the fields of the rows.
    """
    if not rows:
        return ["none"]
    cells = [list(titles.values())] + [[cell(row.get(field)) for field in titles] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def facts(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    """
    The lines of a list of names and values.
    """
    pairs = list(pairs)
    width = max(len(name) for name, _ in pairs)
    return [
        f"{name.ljust(width)}  {cell(value) if not isinstance(value, str) else shown(value, 200)}"
        for name, value in pairs
    ]


def page(titles: Mapping[str, str], rows: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> list[str]:
    """
    The lines of a table that is a page of a longer one.
    """
    lines = table(titles, rows)
    if answer["next"] is not None:
        lines.append(f"{len(rows)} of {answer['total']}; the next ones: --after '{shown(answer['next'])}'")
    return lines


def errors(missing: Mapping[str, str]) -> list[str]:
    """
    The lines about nodes that have not answered.
    """
    return [f"{shown(node)}: {shown(error)}" for node, error in missing.items()]


def size(count: int | None) -> str | None:
    """
    A number of bytes.
    """
    if count is None:
        return None
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def duration(seconds: float | None) -> str | None:
    """
    A time in seconds.
    """
    if seconds is None:
        return None
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    text = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else text


def traced(row: Mapping[str, Any]) -> str:
    """
    A row of a trace.
    """
    row = dict(row)
    moment = row.pop("time")
    clock = time.strftime("%H:%M:%S", time.localtime(moment)) + f"{moment % 1:.3f}"[1:]
    if "dropped" in row:
        return f"{clock}  {row['dropped']} messages were dropped"
    words = [clock]
    if "client" in row:
        words += [f"#{row.pop('client')}", str(row.pop("direction", "--")).ljust(3)]
    words += [str(row.pop(key)) for key in ("topic", "action", "event", "name") if key in row]
    words += [f"{key}={'yes' if value is True else _flat(value)}" for key, value in row.items()]
    return shown(" ".join(words), 4000)


def _flat(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
