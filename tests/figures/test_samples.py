"""
Tests for L{dstwist.figures.samples}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.counters.histogram import Histogram
from dstwist.figures.samples import Sample, Samples, number


class SamplesTests(SynchronousTestCase):
    """
    L{Samples}.
    """

    def setUp(self) -> None:
        self.samples = Samples()

    def found(self) -> dict[str, list[Sample]]:
        return {metric.name: samples for metric, samples in self.samples.families()}

    def test_order(self) -> None:
        """
        The metrics have the order of the catalogue, and the labels, too. A value that does not exist is left out.
        """
        self.samples.add("dstwist_users", 3)
        self.samples.add("dstwist_connections", 4, path="/b", endpoint="ws-text")
        self.samples.add("dstwist_connections", 5, path="/a", endpoint="ws-text")
        self.samples.add("dstwist_max_sockets", None)
        found = self.found()
        self.assertEqual(list(found), ["dstwist_connections", "dstwist_users"])
        self.assertEqual(
            [(sample.labels, sample.value) for sample in found["dstwist_connections"]],
            [((("endpoint", "ws-text"), ("path", "/b")), 4), ((("endpoint", "ws-text"), ("path", "/a")), 5)],
        )

    def test_histogram(self) -> None:
        """
        Each bucket has all durations up to its end.
        """
        histogram = Histogram((0.5, 2))
        for seconds in (0.25, 1.0, 1.0, 3.0):
            histogram.observe(seconds)
        self.samples.add_histogram("dstwist_store_read_seconds", histogram, tier="cache")
        self.samples.add_histogram("dstwist_permission_wait_seconds", None)
        self.assertEqual(
            self.found(),
            {
                "dstwist_store_read_seconds": [
                    Sample("dstwist_store_read_seconds_bucket", (("tier", "cache"), ("le", "0.5")), 1),
                    Sample("dstwist_store_read_seconds_bucket", (("tier", "cache"), ("le", "2")), 3),
                    Sample("dstwist_store_read_seconds_bucket", (("tier", "cache"), ("le", "+Inf")), 4),
                    Sample("dstwist_store_read_seconds_sum", (("tier", "cache"),), 5.25),
                    Sample("dstwist_store_read_seconds_count", (("tier", "cache"),), 4),
                ]
            },
        )

    def test_unknown(self) -> None:
        """
        A metric that is not in the catalogue, or a label that is missing, is a mistake of ours.
        """
        self.assertRaises(KeyError, self.samples.add, "dstwist_nothing", 1)
        self.assertRaises(KeyError, self.samples.add, "dstwist_connections", 1, path="/a")

    def test_number(self) -> None:
        """
        Whole numbers have no fraction, however large.
        """
        self.assertEqual([number(value) for value in (True, 3, 2.0**60, 0.0025)], ["1", "3", str(2**60), "0.0025"])
