"""
Tests for L{dstwist.config.monitoring}.
"""

from __future__ import annotations

from dstwist.config.monitoring import HttpMonitorSettings, LogMonitorSettings
from tests.config.helpers import ConfigCase


class MonitoringTests(ConfigCase):
    """
    C{monitoring}.
    """

    def test_none(self) -> None:
        """
        Nothing is monitored by default, and sections that ask for nothing need no note.
        """
        for content in (
            "",
            "monitoring: {type: none}",
            "monitoring: [{type: default}]",
            "monitoring: ",
            "monitoring: []",
        ):
            settings = self.load(content)
            self.assertEqual((settings.monitoring, settings.notes), ((), ()), content)

    def test_http(self) -> None:
        """
        Requests need a header. Its value is not in a text that may be logged.
        """
        (settings,) = self.load(
            "monitoring: {type: http, options: {url: /m, headerKey: X-Key, headerValue: '${KEY}'}}", KEY="secret"
        ).monitoring
        self.assertEqual(settings, HttpMonitorSettings("http", "/m", "X-Key", "secret", False))
        self.assertNotIn("secret", repr(settings))

    def test_prometheus(self) -> None:
        """
        A Prometheus asks for C{/metrics}, unless the file says otherwise.
        """
        (settings,) = self.load("monitoring: {type: prometheus, options: {headerKey: a, headerValue: b}}").monitoring
        self.assertEqual(settings, HttpMonitorSettings("prometheus", "/metrics", "a", "b"))

    def test_log(self) -> None:
        """
        Milliseconds become seconds.
        """
        monitors = self.load(
            "monitoring: [{type: none}, {type: log}, {type: log, options: {logInterval: 30000, monitoringKey: K}}]"
        ).monitoring
        self.assertEqual(monitors, (LogMonitorSettings(15.0, "LOG_MONITORING"), LogMonitorSettings(30.0, "K")))

    def test_open(self) -> None:
        """
        Figures for all clients need a clear word, and are noted.
        """
        settings = self.load("monitoring: {type: http, options: {url: /m, allowOpenPermissions: true}}")
        self.assertEqual(settings.monitoring, (HttpMonitorSettings("http", "/m", allow_open_permissions=True),))
        (note,) = settings.notes
        self.assertIn('"allowOpenPermissions" is set. Try not to deploy to production', note)

    def test_refused(self) -> None:
        """
        A monitor that would answer everyone by mistake is refused, and so is one that nobody could ask.
        """
        secret = "headerKey: a, headerValue: b"
        same = f"{{url: /m, {secret}}}"
        for content, expected in (
            (f"{{type: http, options: {{{secret}}}}}", 'monitoring.options.url: Missing "url" for HTTP Monitoring'),
            ("{type: http, options: {url: /m}}", 'monitoring.options: Missing "headerKey" and/or "headerValue"'),
            ("{type: http, options: {url: /m, headerKey: a}}", 'monitoring.options: Missing "headerKey" and/or'),
            ("[{type: prometheus}]", 'monitoring[0].options: Missing "headerKey" and/or "headerValue"'),
            ("{type: http, options: {url: m}}", "monitoring.options.url: expected the path of a URL"),
            ("{type: http, options: {url: /m, headerKye: a}}", "monitoring.options.headerKye: unknown option; did you"),
            ("{type: log, options: {logInterval: 0}}", "monitoring.options.logInterval: expected a number"),
            ("{type: statsd}", "monitoring.type: expected one of none, default, http, prometheus, log"),
            (
                f"[{{type: http, options: {same}}}, {{type: prometheus, options: {same}}}]",
                "monitoring[1].options.url: another monitor has the path /m",
            ),
        ):
            self.assert_refused((f"monitoring: {content}", expected))

    def test_plugins(self) -> None:
        """
        Plug-ins of the Node server are noted. A class in Python is refused: the section C{plugins} is for it.
        """
        self.assertEqual(self.not_built("monitoring: [{type: none}, {path: ./mine.js}]"), ["monitoring[1]"])
        for content, path in (
            ("logger: {module: 'a.b:C'}", "logger.module"),
            ("logger: {path: log.py:C}", "logger.path"),
            ("monitoring: [{type: none}, {path: 'a.b:C'}]", "monitoring[1].path"),
            ("clusterNode: {path: ./bus.py}", "clusterNode.path"),
            ("connectionEndpoints: [{type: ws-text}, {path: mine.py:C}]", "connectionEndpoints[1].path"),
        ):
            self.assertIn(f"{path}: this part takes no class of your own", self.refusal(content))
