"""
Tests for L{dstwist.counters.histogram}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.counters.histogram import SECONDS, SHORT_SECONDS, Histogram


class HistogramTests(SynchronousTestCase):
    """
    L{Histogram}.
    """

    def test_buckets(self) -> None:
        """
        A duration is in the first bucket whose end is not before it; the last bucket has all that are longer.
        """
        histogram = Histogram((1, 2, 4))
        for seconds in (0.5, 1, 1.5, 4, 4.5, 100):
            histogram.observe(seconds)
        self.assertEqual((histogram.counts, histogram.total, histogram.count), ([2, 1, 1, 2], 111.5, 6))

    def test_clock_set_back(self) -> None:
        """
        A negative duration counts as none: the sum never gets smaller.
        """
        histogram = Histogram((1,))
        histogram.observe(-5)
        self.assertEqual((histogram.counts, histogram.total), ([1, 0], 0.0))

    def test_bounds(self) -> None:
        """
        The ends are in order, as Prometheus requires.
        """
        for bounds in (SECONDS, SHORT_SECONDS):
            self.assertEqual(list(bounds), sorted(set(bounds)))
