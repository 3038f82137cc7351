"""
Tests for L{dstwist.figures.totals}.
"""

from __future__ import annotations

from dstwist.config.settings import FeatureSettings, Settings
from dstwist.connections.request_logins import RequestLogins
from dstwist.interfaces import HandshakeData
from tests.figures.stage import MonitoredTestCase


class TotalsTests(MonitoredTestCase):
    """
    The counts of reports.
    """

    def test_logins(self) -> None:
        """
        Logins at WebSockets of all endpoints, and those of single requests.
        """
        for generation in ("v3", "v4"):
            self.client(generation, "ann")
        requests: RequestLogins = self.node.request_logins
        self.done(requests.login(HandshakeData("192.0.2.1"), b"{}"))
        self.assertEqual(
            self.node.monitoring.totals().logins,
            {"http": {"allowed": 1, "declined": 0}, "websocket": {"allowed": 2, "declined": 0}},
        )

    def test_broadcast(self) -> None:
        """
        Deliveries have a map of their own.
        """
        ann, bob = self.client("v4", "ann"), self.client("v4", "bob")
        bob.subscribe("news")
        ann.emit("news", b"1")
        totals = self.node.monitoring.totals()
        self.assertEqual(totals.broadcast, {"EVENT": {"EMIT": 1}})
        self.assertEqual(totals.received, {"EVENT": {"SUBSCRIBE": 1, "EMIT": 1}})
        self.assertNotIn("EMIT", totals.send["EVENT"])


class OffTests(MonitoredTestCase):
    """
    Topics that are switched off.
    """

    settings = Settings(features=FeatureSettings(rpc=False, presence=False))

    def test_states(self) -> None:
        """
        Their registries are missing.
        """
        states = self.node.monitoring.states()
        self.assertIn("EVENT_SUBSCRIPTIONS", states)
        for name in ("RPC_SUBSCRIPTIONS", "PRESENCE_SUBSCRIPTIONS", "ONLINE_USERS"):
            self.assertNotIn(name, states)
