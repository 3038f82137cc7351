"""
The values of metrics at one moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from dstwist.counters.histogram import Histogram
from dstwist.figures.catalogue import BY_NAME, METRICS, Metric


class Sample(NamedTuple):
    """
    One value.

    @ivar name: the name of the metric; of a histogram, with C{_bucket}, C{_sum} or C{_count} behind it.
    @ivar labels: names and values.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


class Samples:
    """
    All values of one moment, by metric.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[Sample]] = {}

    def add(self, name: str, value: float | None, **labels: str) -> None:
        """
        Add a value.

        @param name: a metric of the catalogue, with the labels that it has there.
        @param value: C{None}: there is no such value.
        """
        if value is not None:
            self._add(name, [Sample(name, self._labels(name, labels), value)])

    def add_histogram(self, name: str, histogram: Histogram | None, **labels: str) -> None:
        """
        Add the values of a histogram.

        @param histogram: C{None}: there is none.
        """
        if histogram is None:
            return
        checked = self._labels(name, labels)
        # Another thread may count meanwhile: all values come from one copy.
        counts, total = list(accumulate(histogram.counts)), histogram.total
        ends = [*(number(bound) for bound in histogram.bounds), "+Inf"]
        buckets = [
            Sample(f"{name}_bucket", (*checked, ("le", end)), count) for end, count in zip(ends, counts, strict=True)
        ]
        self._add(name, [*buckets, Sample(f"{name}_sum", checked, total), Sample(f"{name}_count", checked, counts[-1])])

    def families(self) -> Iterator[tuple[Metric, list[Sample]]]:
        """
        The metrics that have values, in the order of the catalogue, with these values.
        """
        return ((metric, self._found[metric.name]) for metric in METRICS if metric.name in self._found)

    def _add(self, name: str, samples: list[Sample]) -> None:
        self._found.setdefault(name, []).extend(samples)

    def _labels(self, name: str, labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple((label, labels[label]) for label in BY_NAME[name].labels)


def number(value: float) -> str:
    """
    A value as a text.
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
