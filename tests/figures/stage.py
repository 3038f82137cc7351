"""
A node with monitors, and clients beside it.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.monitoring import HttpMonitorSettings, LogMonitorSettings
from dstwist.config.settings import Settings
from dstwist.interfaces import HandshakeData, HttpAnswer, HttpRequest
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.api.stage import ApiTestCase

REPORTS = HttpMonitorSettings("http", "/monitoring", "x-key", "secret")
METRICS = HttpMonitorSettings("prometheus", "/metrics", "x-key", "secret")
LOG = LogMonitorSettings(monitoring_key="MYKEY")


class MonitoredTestCase(ApiTestCase):
    """
    A node on a reactor in memory.
    """

    settings = Settings(monitoring=(REPORTS, METRICS, LOG))

    def values(self, name: str) -> dict[str, float]:
        """
        The values of one metric, by its labels.
        """
        found = self.api.metrics()
        return {key.removeprefix(name): value for key, value in found.items() if key.partition("{")[0] == name}

    def value(self, name: str) -> float:
        """
        The value of a metric without labels.
        """
        return self.api.metrics()[name]

    def ask(self, url: str, **headers: str) -> HttpAnswer:
        """
        The answer of a monitor of the node.
        """
        (route,) = [route for route in self.node.monitoring.routes if route.path == url]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: Any = route.handler.handle(HttpRequest("GET", url, url, "", named, b"", HandshakeData("192.0.2.1")))
        assert isinstance(answer, HttpAnswer)
        return answer


def subscribe(name: str) -> Message:
    return Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(name,), correlation_id="0")
