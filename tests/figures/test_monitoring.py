"""
Tests for L{dstwist.figures.monitoring}.
"""

from __future__ import annotations

import json
from typing import Any

from tests.figures.stage import MonitoredTestCase
from tests.logs import Lines


class MonitoringTests(MonitoredTestCase):
    """
    L{Monitoring<dstwist.figures.monitoring.Monitoring>} of a node.
    """

    def report(self) -> Any:
        answer = self.ask("/monitoring", x_key="secret")
        self.assertEqual((answer.status, answer.content_type), (200, "application/json; charset=utf-8"))
        return json.loads(answer.body)

    def test_report(self) -> None:
        """
        The report has the keys of the Node server in their order, and ours behind them. The next one begins anew.
        """
        # The start has warnings.
        self.assertEqual(self.report()["errors"], {"AUTH_ERROR": 1})
        ann = self.client("v4", "ann")
        ann.subscribe("news")
        ann.emit("other", b"1")
        report = self.report()
        self.assertEqual(
            list(report),
            ["from", "to", "clusterSize", "stateMetrics", "errors", "received", "send", "logins", "broadcast"],
        )
        self.assertEqual(report["received"], {"EVENT": {"EMIT": 1, "SUBSCRIBE": 1}})
        self.assertEqual(report["logins"], {"websocket": {"allowed": 1, "declined": 0}})
        self.assertEqual((report["clusterSize"], report["errors"]), (1, {}))
        states = report["stateMetrics"]
        self.assertEqual((states["STATE_REGISTRY"], states["EVENT_SUBSCRIPTIONS"], states["LOCK"]), (1, 1, 1))
        self.reactor.advance(2)
        later = self.report()
        self.assertEqual((later["from"], later["received"], later["logins"]), (report["to"], {}, {}))
        self.assertEqual(later["to"], later["from"] + 2000)

    def test_guard(self) -> None:
        """
        Without its header a monitor does not exist, and the counts stay for its next report.
        """
        lines = Lines(self)
        self.report()
        self.client("v4", "ann")
        self.assertEqual(self.ask("/monitoring").status, 404)
        self.assertEqual(self.ask("/metrics", x_key="wrong").status, 404)
        self.assertEqual(len(lines.of("warn")), 2)
        report = self.report()
        self.assertEqual(report["logins"]["websocket"]["allowed"], 1)
        self.assertEqual(report["errors"], {"AUTH_ERROR": 2})

    def test_metrics(self) -> None:
        """
        The metrics for Prometheus; to read them changes no report.
        """
        self.client("v4", "ann")
        body = self.ask("/metrics", x_key="secret").body.decode()
        self.assertIn("\ndstwist_users 1\n", body)
        self.assertEqual(self.report()["logins"]["websocket"]["allowed"], 1)

    def test_log(self) -> None:
        """
        The monitor of the log has counts of its own, and ends with the node.
        """
        lines = Lines(self)
        self.client("v4", "ann")
        self.report()
        self.reactor.advance(15)
        (line,) = [line for line in lines.of("info") if line.startswith("MYKEY | ")]
        report = json.loads(line.partition(" | {")[2].join(("{", "")))
        self.assertEqual(report["MYKEY"]["logins"], {"websocket": {"allowed": 1, "declined": 0}})
        stopped = self.node.stop()
        self.reactor.pump([1] * 20)
        self.successResultOf(stopped)
        lines.clear()
        self.reactor.advance(100)
        self.assertEqual(lines.of("info"), [])

    def test_on_demand(self) -> None:
        """
        A report can be written at any time.
        """
        lines = Lines(self)
        self.client("v4", "ann")
        lines.clear()
        self.node.log_figures()
        self.assertRegex(lines.last("info"), r'^MONITORING \| Monitoring stats for \d+ to \d+ \| {"MONITORING":{"clus')
        self.assertIn('"websocket":{"allowed":1', lines.last("info"))
        self.node.log_figures()
        self.assertIn('"logins":{}', lines.last("info"))

    def test_routes(self) -> None:
        """
        Reports follow the rules for web pages, as the Node server's; a Prometheus has no origin. Both are answered
        while the server stops.
        """
        found = {route.path: route for route in self.node.monitoring.routes}
        self.assertEqual(
            [(each.is_prefix, each.checks_origin) for each in found.values()], [(True, True), (False, False)]
        )
        self.assertTrue(all(route.while_stopping for route in found.values()))
