"""
When the garbage collector looks through all objects.
"""

from __future__ import annotations

import gc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.collector import CHECK, INTERVAL, NEVER, Collector, resident


class CollectorTests(SynchronousTestCase):
    """
    L{Collector}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.passes = 0
        self.memory = 1000
        self.load = 1.0
        self.collector = Collector(self.clock, self.collect, lambda: self.memory, self.cpu)
        self.collector.watch()

    def collect(self) -> None:
        self.passes += 1

    def cpu(self) -> float:
        return float(self.clock.seconds() * self.load)

    def wait(self, seconds: float) -> None:
        self.clock.pump([CHECK] * int(seconds / CHECK))

    def test_start(self) -> None:
        """
        There is one pass at the start, and none while the server is busy and needs little more memory.
        """
        self.memory = 1400
        self.wait(3 * INTERVAL)
        self.assertEqual(self.passes, 1)

    def test_growth(self) -> None:
        """
        There is one when half as much memory again is in use as after the one before; the same amount does not
        cause another one, also if it was less meanwhile.
        """
        for memory, passes in ((1600, 2), (1600, 2), (100, 2), (1600, 2), (2300, 2), (2500, 3)):
            self.memory = memory
            self.wait(CHECK)
            self.assertEqual(self.passes, passes)

    def test_idle(self) -> None:
        """
        An idle server makes one now and then; one that has work to do waits for that moment.
        """
        self.wait(INTERVAL)
        self.assertEqual(self.passes, 1)
        self.load = 0.0
        self.wait(2 * CHECK)
        self.assertEqual(self.passes, 2)
        self.wait(INTERVAL - 2 * CHECK)
        self.assertEqual(self.passes, 2)
        self.wait(2 * CHECK)
        self.assertEqual(self.passes, 3)

    def test_resident(self) -> None:
        """
        The memory of the process is counted in bytes.
        """
        self.assertGreater(resident(), 1 << 20)

    def test_threshold(self) -> None:
        """
        Python makes its short passes as before, and none of its own through all objects.
        """
        before = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *before)
        collector = Collector(Clock(), lambda: None)
        collector.start()
        self.assertEqual(gc.get_threshold(), (*before[:2], NEVER))
