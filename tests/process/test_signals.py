"""
Tests for L{dstwist.process.signals}.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.process import signals
from dstwist.process.signals import REPEATED_SIGNAL_SECONDS, Signals
from tests.process.reactor import SignalledReactor


class SignalTests(SynchronousTestCase):
    """
    The reactions to signals; none is sent, and no handler stays.
    """

    def setUp(self) -> None:
        self.handlers: dict[int, Any] = {}
        self.patch(signal, "signal", self.handlers.__setitem__)
        self.patch(signals, "_held", set())
        self.calls: list[object] = []
        self.now = 100.0
        self.reactor: Any = SignalledReactor()
        self.signals = Signals(
            self.reactor,
            lambda: self.calls.append("reload"),
            lambda name: self.calls.append(name),
            lambda status: self.calls.append(status),
            [lambda: self.calls.append("reopen")],
            lambda: self.calls.append("figures"),
            lambda: self.now,
        )

    def get(self, number: int) -> list[object]:
        """
        Let the signal arrive; return the reactions.
        """
        handler = self.handlers[number]
        if callable(handler):
            handler(number, None)
        # The reactor in memory calls at once what comes from threads.
        calls, self.calls = self.calls, []
        return calls

    def test_too_early(self) -> None:
        """
        Signals that arrive before the server is ready have their effect when it is, once.
        """
        signals.hold()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP):
            self.assertEqual(self.get(number), [])
        self.assertEqual(self.handlers[signal.SIGUSR2], signal.SIG_IGN)
        self.assertEqual(self.handlers[signal.SIGINT], signal.SIG_DFL)
        self.signals.take_all()
        self.assertEqual(self.calls, ["reopen", "reload"])
        self.calls.clear()
        self.signals.take_all()
        self.assertEqual(self.calls, [])

    def test_ready(self) -> None:
        """
        A server that is ready acts at once.
        """
        self.signals.take_all()
        self.assertEqual(self.get(signal.SIGHUP), ["reload"])
        self.assertEqual(self.get(signal.SIGUSR1), ["reopen"])
        self.assertEqual(self.get(signal.SIGUSR2), ["figures"])

    def test_stop(self) -> None:
        """
        The first request to stop is obeyed in order, others within a second are ignored, a later one ends the process.
        """
        self.signals.take_all()
        self.signals.take_stops()
        self.assertEqual(self.get(signal.SIGTERM), ["SIGTERM"])
        for number in (signal.SIGTERM, signal.SIGINT):
            self.now = 100.0 + REPEATED_SIGNAL_SECONDS - 0.01
            self.assertEqual(self.get(number), [])
        self.now = 100.0 + REPEATED_SIGNAL_SECONDS
        self.assertEqual(self.get(signal.SIGTERM), [143])
        self.assertEqual(self.get(signal.SIGINT), [130])

    def test_reload_while_stopping(self) -> None:
        """
        A server that stops reads nothing again.
        """
        self.signals.take_all()
        self.signals.take_stops()
        self.get(signal.SIGINT)
        self.assertEqual(self.get(signal.SIGHUP), [])

    def test_end(self) -> None:
        """
        In the end signals are ignored, further requests to stop as well: Python takes its handlers away while it ends.
        """
        self.signals.take_all()
        self.signals.take_stops()
        signals.ignore()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            self.assertEqual(self.handlers[number], signal.SIG_IGN)
