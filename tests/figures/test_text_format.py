"""
Tests for L{dstwist.figures.text_format}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.counters.histogram import Histogram
from dstwist.figures.samples import Samples
from dstwist.figures.text_format import render, values

HELP = "Reads from a store that does not answer at once."


class TextFormatTests(SynchronousTestCase):
    """
    L{render} and L{values}.
    """

    def setUp(self) -> None:
        self.samples = Samples()
        self.samples.add("dstwist_users", 3)
        self.samples.add("dstwist_connections", 4, endpoint="ws-text", path='/a"\\b\n\ud800')

    def test_text(self) -> None:
        """
        Each metric has its meaning, its type and its values. Labels of the configuration cannot break the format.
        """
        histogram = Histogram((0.5,))
        histogram.observe(0.25)
        self.samples.add_histogram("dstwist_store_read_seconds", histogram, tier="cache")
        self.assertEqual(
            render(self.samples).decode().splitlines(),
            [
                "# HELP dstwist_connections WebSockets by endpoint, including clients without a login.",
                "# TYPE dstwist_connections gauge",
                'dstwist_connections{endpoint="ws-text",path="/a\\"\\\\b\\n?"} 4',
                "# HELP dstwist_users Users with a connection to this node.",
                "# TYPE dstwist_users gauge",
                "dstwist_users 3",
                f"# HELP dstwist_store_read_seconds {HELP}",
                "# TYPE dstwist_store_read_seconds histogram",
                'dstwist_store_read_seconds_bucket{tier="cache",le="0.5"} 1',
                'dstwist_store_read_seconds_bucket{tier="cache",le="+Inf"} 1',
                'dstwist_store_read_seconds_sum{tier="cache"} 0.25',
                'dstwist_store_read_seconds_count{tier="cache"} 1',
            ],
        )

    def test_values(self) -> None:
        """
        A program gets the values by the same names.
        """
        self.samples.add("dstwist_logins_total", 2, endpoint="request", result="accepted")
        found = values(self.samples)
        self.assertEqual(found["dstwist_users"], 3)
        self.assertEqual(found['dstwist_logins_total{endpoint="request",result="accepted"}'], 2)
