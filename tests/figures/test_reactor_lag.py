"""
Tests for L{dstwist.figures.reactor_lag}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.figures.reactor_lag import LAG_INTERVAL, ReactorLag


class ReactorLagTests(SynchronousTestCase):
    """
    L{ReactorLag}.
    """

    def test_lag(self) -> None:
        """
        The time between the moment when a timer should fire and the moment when it does.
        """
        clock = Clock()
        lag = ReactorLag(clock)
        lag.start()
        clock.advance(LAG_INTERVAL)
        self.assertEqual((lag.times.count, lag.times.total), (1, 0.0))
        clock.advance(LAG_INTERVAL + 0.25)
        self.assertEqual((lag.times.count, lag.times.total), (2, 0.25))
        lag.stop()
        lag.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
