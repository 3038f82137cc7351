"""
The figures of a real server: over HTTP, in its log, and through the checks of Prometheus.
"""

from __future__ import annotations

import json
import os
import signal

from tests.e2e.scenario import Scenario, scratch_directory
from tests.e2e.server import Server
from tests.e2e.test_process import get
from tests.figures.test_shipped import promtool


class MonitoringTests(Scenario):
    """
    A server with all monitors.
    """

    def monitored(self) -> Server:
        path = scratch_directory() / "config.yml"
        path.write_text(
            "monitoring:\n"
            "  - {type: prometheus, options: {headerKey: authorization, headerValue: 'Bearer abc'}}\n"
            "  - {type: http, options: {url: /monitoring, headerKey: x-key, headerValue: secret}}\n"
            "  - {type: log, options: {logInterval: 100, monitoringKey: EACH}}\n"
        )
        server = Server(None, path)
        self._own_servers.append(server)
        server.start()
        self.servers.append(server)
        return server

    def test_all(self) -> None:
        """
        The requests with the right header are answered, and tell of a client. Others find nothing.
        """
        server = self.monitored()
        client = self.user("v7", server, "ann")
        client.sleep(1)
        status, metrics = get(server.port, "/metrics", ("Authorization", "Bearer abc"))
        self.assertEqual(status, 200)
        self.assertIn('dstwist_connections{endpoint="ws-binary",path="/deepstream"} 1', metrics)
        self.assertIn("dstwist_users 1", metrics.splitlines())
        self.assertEqual(promtool("check", "metrics", text=metrics.encode() + b"\n"), "")
        for path, header in (("/metrics", "wrong"), ("/monitoring", "Bearer abc")):
            self.assertEqual(get(server.port, path, ("Authorization", header)), (404, "Endpoint not found."))
        status, text = get(server.port, "/monitoring/x?y", ("X-Key", "secret"))
        report = json.loads(text)
        self.assertEqual((status, report["logins"]), (200, {"websocket": {"allowed": 1, "declined": 0}}))
        server.wait_for_line("EACH | Monitoring stats for ", 2)
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_line("MONITORING | Monitoring stats for ")
        self.assertIn('{"MONITORING":{"clusterSize":1,"stateMetrics":{"STATE_REGISTRY":0,', server.log)
