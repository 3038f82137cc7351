"""
Tests for L{bench.compare}.
"""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager

from docutils.core import publish_doctree
from twisted.trial.unittest import SynchronousTestCase

from bench import compare
from bench.load.client import LoadFailed
from bench.load.span import Timing
from bench.load.target import Target
from bench.peers import PEERS, Setup
from bench.rows import chosen
from bench.summary import Run

DSTWIST = PEERS[0]


class CompareTests(SynchronousTestCase):
    """
    Runs of rows.
    """

    def setUp(self) -> None:
        self.progress: list[str] = []
        self.patch(compare, "progress", self.progress.append)

    def test_real_server(self) -> None:
        """
        A real server does what the rows ask for.
        """
        rows = chosen(["ackwrites-5", "logins"])
        runs = compare.compare(rows, [DSTWIST], 1, Timing(warm=0.1, measured=0.2, share=0.01))
        self.assertEqual([run.figure for run in runs], ["ackwrites-5", "logins", "idle"])
        for run in runs:
            self.assertGreater(run.value or 0, 0, run)

    def test_failure(self) -> None:
        """
        A run that fails has no value, and the other servers go on.
        """

        def start(setup: Setup) -> AbstractContextManager[Target]:
            raise LoadFailed("It does not start.")

        broken = dataclasses.replace(DSTWIST, name="uws", start=start)
        (row,) = chosen(["rpc"])
        runs = compare.compare([row], [broken, dataclasses.replace(broken, name="ws")], 2, Timing())
        self.assertEqual([(run.peer, run.pair, run.value) for run in runs], [(n, p, None) for n, p in _ORDER])
        self.assertIn("It does not start.", runs[0].failure)


#: The second pair goes in the opposite order.
_ORDER = [("uws", 0), ("ws", 0), ("ws", 1), ("uws", 1)]


class ReportTests(SynchronousTestCase):
    """
    The report.
    """

    def test_markup(self) -> None:
        """
        It can be a part of a page: its markup is correct, and it has all that was found.
        """
        runs = [
            Run(figure, peer.name, 0, value, busy=0.1)
            for figure in ("fanout-1", "rpc")
            for peer, value in zip(PEERS, (1.0, 2.0, 3.0, 4.0, 5.0), strict=True)
        ]
        text = compare.report(chosen(["fanout-1", "rpc"]), PEERS, runs, {"date": "today", "command": "``make bench``"})
        found = publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 5}).astext()
        for part in (
            "today",
            "make bench",
            "redis-server",
            "procedure calls",
            "0.50 of Node uws",
            "10% of the time",
        ):
            self.assertIn(part, found)
