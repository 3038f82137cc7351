"""
When the garbage collector looks through all objects.
"""

from __future__ import annotations

import gc
import weakref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.collector import CHECK, INTERVAL, MANY, Collector, collect_all, resident, set_apart
from dstwist.protocol import jsontext


class CollectorTests(SynchronousTestCase):
    """
    L{Collector}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.passes = 0
        self.memory = 1000
        self.load = 1.0
        self.blocks = 0
        self.collector = Collector(self.clock, self.collect, lambda: self.memory, self.cpu, lambda: self.blocks)
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

    def test_many(self) -> None:
        """
        There is none while there are very many objects: it would stop the server.
        """
        self.blocks = MANY + 1
        self.load = 0.0
        self.memory = 10_000
        self.wait(2 * INTERVAL)
        self.assertEqual(self.passes, 1)
        self.blocks = MANY
        self.wait(CHECK)
        self.assertEqual(self.passes, 2)


class SetApartTests(SynchronousTestCase):
    """
    L{set_apart} and L{collect_all}.
    """

    def setUp(self) -> None:
        self.addCleanup(gc.unfreeze)

    def test_set_apart(self) -> None:
        """
        Once Python has made a longer pass, no other looks at what it has left; reference counting still frees it.
        """
        gc.callbacks.append(set_apart)
        self.addCleanup(gc.callbacks.remove, set_apart)
        kept = [[] for _ in range(1000)]  # type: ignore[var-annotated]
        gc.collect(1)
        self.assertEqual(gc.get_freeze_count(), 0)
        gc.collect()
        frozen = gc.get_freeze_count()
        self.assertGreater(frozen, 1000)
        kept.clear()
        self.assertLessEqual(gc.get_freeze_count(), frozen - 1000)

    def test_all(self) -> None:
        """
        A full pass frees circles that were set apart, and sets apart what stays.
        """

        class Node:
            other: object = None

        node = Node()
        node.other = node
        gone = weakref.ref(node)
        gc.freeze()
        del node
        gc.collect()
        self.assertIsNotNone(gone())
        collect_all()
        self.assertIsNone(gone())
        self.assertGreater(gc.get_freeze_count(), 1000)

    def test_start(self) -> None:
        """
        A collector that was started sets apart what the longer passes leave, and the values of large JSON texts as they
        are made. Young circles are freed before.
        """
        self.addCleanup(gc.callbacks.remove, set_apart)
        self.patch(jsontext, "_sets_apart", False)
        text = b"[%s]" % b",".join([b"[]"] * 30_000)
        value = jsontext.loads(text)
        self.assertEqual(gc.get_freeze_count(), 0)
        Collector(Clock(), lambda: None).start()
        self.assertIn(set_apart, gc.callbacks)
        circle: list[object] = []
        circle.append(_Reference())
        circle.append(circle)
        gone = weakref.ref(circle[0])
        del circle
        value = jsontext.loads(text)
        self.assertIsNone(gone())
        frozen = gc.get_freeze_count()
        self.assertGreater(frozen, 30_000)
        del value
        self.assertLessEqual(gc.get_freeze_count(), frozen - 30_000)


class _Reference:
    pass
