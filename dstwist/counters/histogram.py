"""
How long things took.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

#: The upper ends of the buckets of most histograms, in seconds.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: The same for things that take microseconds.
SHORT_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1)


class Histogram:
    """
    Counts durations in buckets, as Prometheus does.

    One thread calls L{observe}; others may read.

    @ivar bounds: the upper ends of the buckets, in seconds.
    @ivar counts: how many durations each bucket has, not those of the lower buckets; the last one has all that exceed
        the last bound.
    @ivar total: the sum of all durations, in seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """
        Count a duration.
        """
        # A clock of a test, or of a program that embeds a node, may be set back.
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += max(seconds, 0.0)

    @property
    def count(self) -> int:
        """
        How many durations were counted.
        """
        return sum(self.counts)
