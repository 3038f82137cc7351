"""
Tests for L{bench.plots}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.compare import as_json
from bench.peers import PEERS
from bench.plots import CURVES, Point, points
from bench.rows import ROWS, chosen
from bench.summary import Run


class PointTests(SynchronousTestCase):
    """
    The points of a curve.
    """

    def test_points(self) -> None:
        """
        A point has the median of the runs that did not fail. The points go from left to right.
        """
        runs = [
            Run("ackwrites-50", "dstwist", 0, 5.0),
            Run("ackwrites-1", "dstwist", 0, 1.0),
            Run("ackwrites-1", "dstwist", 1, 3.0),
            Run("ackwrites-1", "dstwist", 2, 2.0),
            Run("ackwrites-1", "dstwist", 3, None),
            Run("ackwrites-1", "uws", 0, 9.0),
            Run("rpc", "dstwist", 0, 7.0),
        ]
        results = as_json(chosen(["ackwrites", "rpc"]), PEERS, runs, {})
        self.assertEqual(points(results, "in flight", "dstwist"), [Point(1, 2.0, 1.0, 3.0), Point(50, 5.0, 5.0, 5.0)])
        self.assertEqual(points(results, "payload", "dstwist"), [])

    def test_curves(self) -> None:
        """
        Each curve of the rows has a picture, and each picture has points.
        """
        self.assertEqual({row.curve[0] for row in ROWS if row.curve is not None}, set(CURVES))
