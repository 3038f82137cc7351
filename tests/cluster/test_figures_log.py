"""
Tests for L{dstwist.cluster.figures_log}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.figures import ClusterFigures
from dstwist.cluster.figures_log import LOOK_SECONDS, USUAL_SECONDS, FiguresLog
from tests.logs import Lines

CALM = ClusterFigures(
    members=2,
    table_version=7,
    went_back=0,
    lease_age=0.5,
    partitions=128,
    partitions_taken=128,
    partitions_given=0,
    bus_is_lost=False,
    bus_losses=0,
    dropped=0,
    unconfirmed=0,
    digests_differed=0,
    absences=0,
    awaited=(),
)


class FiguresLogTests(SynchronousTestCase):
    """
    L{FiguresLog}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.lines = Lines(self)
        self.figures = CALM
        self.log = FiguresLog(lambda: self.figures, self.clock)
        self.log.start()

    def logged(self, seconds: float) -> int:
        """
        How many lines there are in this time.
        """
        self.lines.clear()
        for _ in range(round(seconds)):
            self.clock.advance(1)
        return len(self.lines.of("info"))

    def test_joined(self) -> None:
        """
        There is a line when the node has joined.
        """
        self.assertEqual(
            self.lines.last("info"),
            "CLUSTER | nodes: 2; version of the table: 7; partitions here: 128, taken: 128, given: 0; bus lost: 0 "
            "times, messages dropped: 0; repaired digests: 0, records: 0; records in doubt: 0",
        )

    def test_usual(self) -> None:
        """
        Without a reason there is a line each hour.
        """
        self.assertEqual(self.logged(USUAL_SECONDS - 1), 0)
        self.assertEqual(self.logged(1), 1)

    def test_reason(self) -> None:
        """
        There is one line for all that has happened within a minute.
        """
        self.figures = replace(self.figures, members=3)
        self.assertEqual(self.logged(1), 0)
        self.figures = replace(self.figures, members=2, bus_losses=1, dropped=5)
        self.assertEqual(self.logged(LOOK_SECONDS), 1)
        self.assertEqual(self.logged(LOOK_SECONDS), 0)

    def test_no_reason(self) -> None:
        """
        Figures that change all the time are no reason.
        """
        self.figures = replace(self.figures, table_version=8, lease_age=0.7, partitions=127, unconfirmed=3, absences=2)
        self.assertEqual(self.logged(LOOK_SECONDS), 0)

    def test_stop(self) -> None:
        """
        A node that has stopped logs nothing.
        """
        self.log.stop()
        self.assertEqual(self.logged(USUAL_SECONDS), 0)
