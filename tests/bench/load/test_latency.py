"""
Tests for L{bench.load.latency}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.load.latency import arrivals, quantile, stamp


class QuantileTests(SynchronousTestCase):
    """
    Quantiles of delays.
    """

    def test_quantile(self) -> None:
        """
        The median is in the middle; the quantile of the whole is the last one.
        """
        ascending = [float(number) for number in range(1000)]
        self.assertEqual([quantile(ascending, share) for share in (0.0, 0.5, 0.999, 1.0)], [0.0, 500.0, 999.0, 999.0])


class ArrivalTests(SynchronousTestCase):
    """
    Stamps in what a subscriber receives.
    """

    def test_cut_anywhere(self) -> None:
        """
        Each stamp is noted once, wherever the bytes are cut.
        """
        data = b"<" + stamp() + b"x" + stamp() + b"<00"
        for cut in range(len(data) + 1):
            noted: list[float] = []
            received = arrivals(noted.append)
            received(data[:cut])
            received(data[cut:])
            self.assertEqual(len(noted), 2, cut)
            self.assertTrue(all(delay > 0 for delay in noted))
