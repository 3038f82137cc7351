"""
Tests for L{dstwist.figures.report}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.figures.report import Reports
from dstwist.figures.totals import Totals

NONE = {"http": {"allowed": 0, "declined": 0}, "websocket": {"allowed": 0, "declined": 0}}


class ReportsTests(SynchronousTestCase):
    """
    L{Reports}: C{operations.md} section 7.2.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1795518006.775)
        self.totals = Totals({}, {}, {}, {}, NONE)
        self.states: dict[str, int] = {}
        self.reports = self.make()

    def make(self) -> Reports:
        return Reports(lambda: self.totals, lambda: self.states, lambda: 3, self.clock.seconds)

    def count(self, **changes: object) -> None:
        self.totals = replace(self.totals, **changes)  # type: ignore[arg-type]

    def test_idle(self) -> None:
        """
        Maps in which nothing has changed are empty.
        """
        self.clock.advance(144)
        since, until, report = self.reports.take()
        self.assertEqual((since, until), (1795518006775, 1795518150775))
        self.assertEqual(
            list(report.items()),
            [
                ("clusterSize", 3),
                ("stateMetrics", {}),
                ("errors", {}),
                ("received", {}),
                ("send", {}),
                ("logins", {}),
                ("broadcast", {}),
            ],
        )

    def test_since_last(self) -> None:
        """
        A report has the counts since the one before.
        """
        self.count(
            errors={"AUTH_ERROR": 2},
            received={"EVENT": {"EMIT": 15}},
            send={"CONNECTION": {"PONG": 1}},
            broadcast={"EVENT": {"EMIT": 30}},
            logins={"http": {"allowed": 0, "declined": 2}, "websocket": {"allowed": 0, "declined": 0}},
        )
        _, _, report = self.reports.take()
        self.assertEqual(report["errors"], {"AUTH_ERROR": 2})
        self.assertEqual(report["received"], {"EVENT": {"EMIT": 15}})
        self.assertEqual(report["send"], {"CONNECTION": {"PONG": 1}})
        self.assertEqual(report["broadcast"], {"EVENT": {"EMIT": 30}})
        self.assertEqual(report["logins"], {"http": {"allowed": 0, "declined": 2}})
        self.count(received={"EVENT": {"EMIT": 15, "SUBSCRIBE": 1}, "RPC": {"REQUEST": 2}}, errors={"AUTH_ERROR": 3})
        since, _, report = self.reports.take()
        self.assertEqual(report["received"], {"EVENT": {"SUBSCRIBE": 1}, "RPC": {"REQUEST": 2}})
        self.assertEqual((report["errors"], report["send"], report["logins"]), ({"AUTH_ERROR": 1}, {}, {}))

    def test_two_readers(self) -> None:
        """
        Each reader has all counts, whatever the other has been told.
        """
        other = self.make()
        self.count(received={"EVENT": {"EMIT": 1}})
        self.reports.take()
        self.count(received={"EVENT": {"EMIT": 3}})
        self.assertEqual(self.reports.take()[2]["received"], {"EVENT": {"EMIT": 2}})
        self.assertEqual(other.take()[2]["received"], {"EVENT": {"EMIT": 3}})
        self.assertEqual(self.make().take()[2]["received"], {})

    def test_denied_later(self) -> None:
        """
        A request that is denied after it was reported gives no negative count.
        """
        self.count(received={"EVENT": {"EMIT": 2}})
        self.reports.take()
        self.count(received={"EVENT": {"EMIT": 1}})
        self.assertEqual(self.reports.take()[2]["received"], {})

    def test_states(self) -> None:
        """
        Two registries have the name that the Node server shows, and their right one.
        """
        self.states = {"EVENT_SUBSCRIPTIONS": 2, "ONLINE_USERS": 5, "RPC_SUBSCRIPTIONS": 7}
        self.assertEqual(
            list(self.reports.take()[2]["stateMetrics"].items()),
            [
                ("STATE_REGISTRY", 2),
                ("RPC_SUBSCRIPTIONS", 7),
                ("LOCK", 5),
                ("EVENT_SUBSCRIPTIONS", 2),
                ("ONLINE_USERS", 5),
            ],
        )
