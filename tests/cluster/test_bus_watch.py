"""
Tests for L{dstwist.cluster.bus_watch}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryNetwork
from dstwist.cluster.bus_watch import BusWatch


class BusWatchTests(SynchronousTestCase):
    """
    L{BusWatch}.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork(Clock())
        self.bus = self.network.bus()
        self.bus.start()
        self.watch = BusWatch(self.bus, 3.0)

    def test_lost(self) -> None:
        """
        A bus is lost for long if it was lost at a look that is C{alone_time} ago, and at all looks since.
        """
        self.watch.look(1.0)
        self.assertFalse(self.watch.is_lost)
        self.bus.disconnect()
        self.assertTrue(self.watch.is_lost)
        self.assertFalse(self.watch.is_lost_for_long(9.0))
        self.watch.look(2.0)
        self.watch.look(4.0)
        self.assertFalse(self.watch.is_lost_for_long(4.9))
        self.assertTrue(self.watch.is_lost_for_long(5.0))

    def test_back(self) -> None:
        """
        A bus that works is not lost, also before the next look. If it is lost anew, the time begins anew.
        """
        self.bus.disconnect()
        self.watch.look(1.0)
        self.bus.reconnect()
        self.assertFalse(self.watch.is_lost_for_long(9.0))
        self.watch.look(9.0)
        self.bus.disconnect()
        self.watch.look(10.0)
        self.assertFalse(self.watch.is_lost_for_long(12.0))
        self.assertTrue(self.watch.is_lost_for_long(13.0))
