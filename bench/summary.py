"""
Medians and ratios of many runs, and the table of them.

The runs of one pair are made right after one another, so the ratio is taken in each pair. What is printed is the median
of the ratios, and their smallest and largest. A ratio above 1 says that dstwist is ahead.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: Below that, a server that was to be kept busy was waiting for the load generator.
BUSY = 0.8
OURS = "dstwist"


@dataclass(frozen=True)
class Run:
    """
    The value of one figure in one run.

    @ivar value: C{None} if the run failed.
    @ivar busy: the share of the time in which the server had work to do, if it was to have some all the time.
    """

    figure: str
    peer: str
    pair: int
    value: float | None
    busy: float | None = None
    failure: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Line:
    """
    A line of the table.

    @ivar unit: of what is counted, in a second of CPU time if C{more_is_better}; else of the value itself.
    """

    figure: str
    title: str
    unit: str
    more_is_better: bool


@dataclass(frozen=True)
class Ratio:
    """
    How far dstwist is ahead: the median over the pairs, the smallest, the largest.
    """

    median: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        if self.smallest == self.largest:
            return number(self.median)
        return f"{number(self.median)} ({number(self.smallest)} to {number(self.largest)})"


def median(runs: Sequence[Run], figure: str, peer: str) -> float | None:
    """
    Of the runs that did not fail.
    """
    values = [run.value for run in runs if (run.figure, run.peer) == (figure, peer) and run.value is not None]
    return statistics.median(values) if values else None


def ratio(runs: Sequence[Run], line: Line, peer: str) -> Ratio | None:
    """
    dstwist compared with C{peer}.
    """
    values = {(run.peer, run.pair): run.value for run in runs if run.figure == line.figure}
    found = []
    for (name, pair), ours in values.items():
        theirs = values.get((peer, pair))
        if name == OURS and ours and theirs:
            found.append(ours / theirs if line.more_is_better else theirs / ours)
    return Ratio(statistics.median(found), min(found), max(found)) if found else None


def table(runs: Sequence[Run], lines: Sequence[Line], peers: Sequence[tuple[str, str]]) -> str:
    """
    A table in reStructuredText.

    @param peers: name and title of each server, dstwist first.
    """
    others = [name for name, _ in peers if name != OURS]
    head = ["row", "unit", *(title for _, title in peers), *(f"{OURS} / {name}" for name in others)]
    body = []
    for line in lines:
        cells = [line.title, f"{line.unit}/CPU-s" if line.more_is_better else line.unit]
        cells += [_value(runs, line.figure, name) for name, _ in peers]
        cells += [str(ratio(runs, line, name) or "-") for name in others]
        body.append(cells)
    return _simple_table(head, body)


def behind(runs: Sequence[Run], lines: Sequence[Line], peers: Sequence[tuple[str, str]]) -> list[str]:
    """
    In words, where another server is ahead.
    """
    found = []
    for line in lines:
        for name, title in peers:
            if name != OURS and (compared := ratio(runs, line, name)) and compared.median < 1:
                found.append(f"{line.title}: {compared} of {title}")
    return found


def waiting(runs: Sequence[Run], lines: Sequence[Line]) -> list[str]:
    """
    In words, where a server was to be kept busy and was not.
    """
    found = []
    for line in lines:
        shares: dict[str, list[float]] = {}
        for run in runs:
            if run.figure == line.figure and run.busy is not None:
                shares.setdefault(run.peer, []).append(run.busy)
        for peer, values in shares.items():
            if (share := statistics.median(values)) < BUSY:
                found.append(f"{line.title}: {peer} had work to do in {share:.0%} of the time")
    return found


def number(value: float) -> str:
    """
    With three digits, for people: C{1.23 M}, C{45.6 k}, C{789}, C{0.123}.
    """
    for size, name in ((1e6, " M"), (1e3, " k")):
        if value >= size * 0.9995:
            return _digits(value / size) + name
    return _digits(value)


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _value(runs: Sequence[Run], figure: str, peer: str) -> str:
    value = median(runs, figure, peer)
    if value is not None:
        return number(value)
    return "failed" if any((run.figure, run.peer) == (figure, peer) for run in runs) else "-"


def _simple_table(head: list[str], body: list[list[str]]) -> str:
    rows = [head, *body]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, texts[0], rule, *texts[1:], rule])
