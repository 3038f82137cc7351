"""
Tests for L{dstwist.figures.handlers}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.monitoring import HttpMonitorSettings
from dstwist.figures.handlers import GuardedHandler, metrics_answer
from dstwist.figures.samples import Samples
from dstwist.interfaces import HandshakeData, HttpAnswer, HttpRequest, IHttpHandler
from tests.logs import Lines

SECRET = HttpMonitorSettings("http", "/monitoring", header_key="X-Key", header_value="sécret")
FIGURES = HttpAnswer.text(200, "figures")
NOT_FOUND = HttpAnswer.text(404, "Endpoint not found.")


def request(**headers: str) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    client = HandshakeData("192.0.2.1", path="/monitoring")
    return HttpRequest("GET", "/monitoring", "/monitoring", "", named, b"", client)


class GuardTests(SynchronousTestCase):
    """
    L{GuardedHandler}.
    """

    def handler(self, settings: HttpMonitorSettings) -> GuardedHandler:
        handler = GuardedHandler(settings, lambda: FIGURES)
        verifyObject(IHttpHandler, handler)
        return handler

    def test_header(self) -> None:
        """
        The right value of the header gets the figures. Its name is compared without upper and lower case.
        """
        self.assertEqual(self.handler(SECRET).handle(request(x_key="sécret")), FIGURES)

    def test_wrong(self) -> None:
        """
        To any other request the answer is that of a path that does not exist, and the log has a warning without the
        secret.
        """
        lines = Lines(self)
        handler = self.handler(SECRET)
        for wrong in (
            request(),
            request(x_key="secret"),
            request(x_key=""),
            request(key="sécret"),
            request(x_key="\ud800"),
        ):
            self.assertEqual(handler.handle(wrong), NOT_FOUND)
        self.assertEqual(
            lines.of("warn"),
            ["AUTH_ERROR | Invalid monitoring data due to missing or invalid header values from 192.0.2.1, /monitoring"]
            * 5,
        )

    def test_open(self) -> None:
        """
        If the configuration says so, no header is needed.
        """
        settings = HttpMonitorSettings("prometheus", "/metrics", allow_open_permissions=True)
        self.assertEqual(self.handler(settings).handle(request()), FIGURES)

    def test_no_header_configured(self) -> None:
        """
        Without a header in the settings nothing is answered, even to an empty header.
        """
        Lines(self)
        self.assertEqual(self.handler(HttpMonitorSettings("http", "/m")).handle(request()), NOT_FOUND)

    def test_metrics(self) -> None:
        """
        The answer for Prometheus has the type of its format.
        """
        samples = Samples()
        samples.add("dstwist_users", 3)
        answer = metrics_answer(lambda: samples)
        self.assertEqual((answer.status, answer.content_type), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertTrue(answer.body.endswith(b"\ndstwist_users 3\n"))
