"""
Tests for L{dstwist.process.steady_timers}. L{tests.e2e.test_clock} has a whole server.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.steady_timers import steady_timers

HOUR = 3600


class SteadyTimerTests(SynchronousTestCase):
    """
    The timers of a reactor of Twisted.
    """

    def setUp(self) -> None:
        self.reactor: Any = SelectReactor()
        self.addCleanup(self._close)
        self.fired: list[str] = []

    def _close(self) -> None:
        for reader in [*self.reactor.removeAll(), *self.reactor._internalReaders]:
            reader.connectionLost(None)

    def put_back(self) -> None:
        """
        Set the clock of the machine.
        """
        self.patch(time, "time", lambda now=time.time: now() - HOUR)

    def test_timers(self) -> None:
        """
        A timer fires although the clock was put back, whether it was set before or after the reactor was changed. Later
        timers wait.
        """
        self.reactor.callLater(0, self.fired.append, "before")
        late = self.reactor.callLater(HOUR, self.fired.append, "late")
        self.assertTrue(steady_timers(self.reactor))
        self.reactor.callLater(0, self.fired.append, "after")
        self.put_back()
        self.reactor.runUntilCurrent()
        self.assertEqual(sorted(self.fired), ["after", "before"])
        left = self.reactor.timeout()
        self.assertTrue(0 < left <= HOUR, left)
        late.reset(0)
        self.reactor.runUntilCurrent()
        self.assertEqual(self.fired[2:], ["late"])

    def test_cancelled(self) -> None:
        """
        A timer that was cancelled before stops no other one.
        """
        self.reactor.callLater(0, self.fired.append, "cancelled").cancel()
        self.assertTrue(steady_timers(self.reactor))
        self.reactor.callLater(0, self.fired.append, "after")
        self.reactor.runUntilCurrent()
        self.assertEqual(self.fired, ["after"])

    def test_not_known(self) -> None:
        """
        Reactors of another kind are left as they are, and no reactor is changed twice.
        """
        self.assertTrue(steady_timers(self.reactor))
        self.assertFalse(steady_timers(self.reactor))
        memory = MemoryReactorClock()
        self.assertFalse(steady_timers(memory))
        self.assertEqual(memory.seconds(), 0.0)
