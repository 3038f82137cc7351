"""
Tests for L{dstwist.figures.log_monitor}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.figures.log_monitor import LogMonitor, ReportLog
from dstwist.figures.report import Reports
from dstwist.figures.totals import Totals
from tests.logs import Lines

LOGINS = {"http": {"allowed": 0, "declined": 0}, "websocket": {"allowed": 0, "declined": 0}}


class LogMonitorTests(SynchronousTestCase):
    """
    L{LogMonitor}: C{operations.md} section 7.3.
    """

    def test_lines(self) -> None:
        """
        Each interval a line with the report about that interval is written.
        """
        clock, lines = Clock(), Lines(self)
        clock.advance(1795519275.434)
        count = 0

        def totals() -> Totals:
            return Totals({}, {"EVENT": {"EMIT": count}}, {}, {}, LOGINS)

        reports = Reports(totals, dict, lambda: 1, clock.seconds)
        monitor = LogMonitor(ReportLog(reports, "MYKEY"), 2.0, clock)
        monitor.start()
        count = 3
        clock.advance(2.0)
        self.assertEqual(
            lines.of("info"),
            [
                "MYKEY | Monitoring stats for 1795519275434 to 1795519277434 | "
                '{"MYKEY":{"clusterSize":1,"stateMetrics":{},"errors":{},"received":{"EVENT":{"EMIT":3}},"send":{},'
                '"logins":{},"broadcast":{}},"from":1795519275434,"to":1795519277434}'
            ],
        )
        clock.advance(2.0)
        self.assertIn('"received":{}', lines.last("info"))
        monitor.stop()
        monitor.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
