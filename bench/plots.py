"""
Growth curves, as PNG: what L{bench.compare} has written as JSON, drawn by matplotlib.

It runs in an environment of its own (C{requirements/bench.txt}), which has nothing of dstwist::

    .bench/plots/bin/python bench/plots.py RESULTS.json DIRECTORY
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Curve:
    """
    A picture.

    @ivar file: its name.
    @ivar across: what the axis from left to right shows.
    @ivar up: what the other axis shows.
    """

    file: str
    title: str
    across: str
    up: str


CURVES = {
    "subscribers": Curve("fanout", "One event to many subscribers", "subscribers", "deliveries per CPU-second"),
    "payload": Curve("payload", "Events to one subscriber", "bytes of data", "deliveries per CPU-second"),
    "in flight": Curve("writes", "Acknowledged writes", "writes in flight", "writes per CPU-second"),
}

#: Color and mark of each server. The marks differ, for readers who see no colors.
_STYLES = {
    "dstwist": ("#c0392b", "o"),
    "uws": ("#2471a3", "s"),
    "ws": ("#7d8a97", "^"),
    "redis": ("#d68910", "D"),
    "nats": ("#1e8449", "v"),
}


@dataclass(frozen=True)
class Point:
    """
    The median of the runs at one place, the smallest and the largest.
    """

    across: float
    median: float
    smallest: float
    largest: float


def points(results: dict[str, Any], curve: str, peer: str) -> list[Point]:
    """
    The points of a server, from left to right.
    """
    found = []
    for figure, (name, across) in results["curves"].items():
        runs = [run for run in results["runs"] if (run["figure"], run["peer"]) == (figure, peer)]
        values = [run["value"] for run in runs if run["value"] is not None]
        if name == curve and values:
            found.append(Point(across, statistics.median(values), min(values), max(values)))
    return sorted(found, key=lambda point: point.across)


def draw(results: dict[str, Any], directory: Path) -> list[Path]:
    """
    Draw all curves that have two points or more.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    made = []
    for name, curve in CURVES.items():
        lines = {peer: points(results, name, peer) for peer in results["peers"]}
        if max(map(len, lines.values())) < 2:
            continue
        figure, axes = pyplot.subplots(figsize=(6.4, 4.0), dpi=100, layout="constrained")
        for peer, line in lines.items():
            if line:
                _draw(axes, line, results["peers"][peer], *_STYLES[peer])
        axes.set(title=curve.title, xlabel=curve.across, ylabel=curve.up, xscale="log", yscale="log")
        ticks = sorted({point.across for line in lines.values() for point in line})
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3, which="major")
        axes.legend(frameon=False)
        directory.mkdir(parents=True, exist_ok=True)
        made.append(directory / f"{curve.file}.png")
        # Without the version of the library: the same figures make the same file.
        figure.savefig(made[-1], metadata={"Software": None})
        pyplot.close(figure)
    return made


def _draw(axes: Any, line: list[Point], title: str, color: str, mark: str) -> None:
    across = [point.across for point in line]
    axes.plot(across, [point.median for point in line], color=color, marker=mark, markersize=4, label=title)
    smallest, largest = [point.smallest for point in line], [point.largest for point in line]
    axes.fill_between(across, smallest, largest, color=color, alpha=0.2, linewidth=0)


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for path in draw(results, Path(sys.argv[2])):
        print(path)


if __name__ == "__main__":
    main()
