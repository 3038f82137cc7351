"""
When the garbage collector looks through all objects.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.collector import (
    CHECK_INTERVAL,
    COLLECTOR_THRESHOLDS,
    FULL_PASS_INTERVAL,
    MAX_BLOCK_BYTES,
    MAX_BLOCKS,
    Collector,
    collect_all,
    resident,
    set_apart,
)
from dstwist.protocol import jsonparts, jsontext, paths, uncollected
from dstwist.protocol.patched import plain


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
        self.clock.pump([CHECK_INTERVAL] * int(seconds / CHECK_INTERVAL))

    def test_start(self) -> None:
        """
        There is one pass at the start, and none while the server is busy and needs little more memory.
        """
        self.memory = 1400
        self.wait(3 * FULL_PASS_INTERVAL)
        self.assertEqual(self.passes, 1)

    def test_growth(self) -> None:
        """
        There is one when half as much memory again is in use as after the one before; the same amount does not
        cause another one, also if it was less meanwhile.
        """
        for memory, passes in ((1600, 2), (1600, 2), (100, 2), (1600, 2), (2300, 2), (2500, 3)):
            self.memory = memory
            self.wait(CHECK_INTERVAL)
            self.assertEqual(self.passes, passes)

    def test_idle(self) -> None:
        """
        An idle server makes one now and then; one that has work to do waits for that moment.
        """
        self.wait(FULL_PASS_INTERVAL)
        self.assertEqual(self.passes, 1)
        self.load = 0.0
        self.wait(2 * CHECK_INTERVAL)
        self.assertEqual(self.passes, 2)
        self.wait(FULL_PASS_INTERVAL - 2 * CHECK_INTERVAL)
        self.assertEqual(self.passes, 2)
        self.wait(2 * CHECK_INTERVAL)
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
        self.blocks = MAX_BLOCKS + 1
        self.load = 0.0
        self.memory = 10_000
        self.wait(2 * FULL_PASS_INTERVAL)
        self.assertEqual(self.passes, 1)
        self.blocks = MAX_BLOCKS
        self.wait(CHECK_INTERVAL)
        self.assertEqual(self.passes, 2)

    def test_much(self) -> None:
        """
        There is no full pass while much memory is in use: a few objects can be arrays of millions of items.
        """
        self.load = 0.0
        self.memory += MAX_BLOCK_BYTES + 1
        self.wait(2 * FULL_PASS_INTERVAL)
        self.assertEqual(self.passes, 1)
        self.memory -= 1
        self.wait(CHECK_INTERVAL)
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
        # After it, no longer pass is due by itself.
        gc.collect()
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
        A collector that was started sets apart what the longer passes leave, which come earlier then, and the values of
        large JSON texts as they are made. Young circles are freed before.
        """
        self.addCleanup(gc.callbacks.remove, set_apart)
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.patch(uncollected, "_sets_apart", False)
        self.patch(jsontext, "_young", 0)
        text = b"[%s]" % b",".join([b"[]"] * (jsontext.FREEZE_INTERVAL_LENGTH // 3))
        value = jsontext.loads(text)
        self.assertEqual(gc.get_freeze_count(), 0)
        Collector(Clock(), lambda: None).start()
        self.assertIn(set_apart, gc.callbacks)
        self.assertEqual(gc.get_threshold(), COLLECTOR_THRESHOLDS)
        circle: list[object] = []
        circle.append(_Reference())
        circle.append(circle)
        gone = weakref.ref(circle[0])
        del circle
        value = jsontext.loads(text)
        self.assertIsNone(gone())
        frozen = gc.get_freeze_count()
        self.assertGreater(frozen, jsontext.FREEZE_INTERVAL_LENGTH // 3)
        del value
        self.assertLessEqual(gc.get_freeze_count(), frozen - jsontext.FREEZE_INTERVAL_LENGTH // 3)


class ItemTests(SynchronousTestCase):
    """
    The items of values that a pass looks at, which are in use.
    """

    def setUp(self) -> None:
        self.patch(uncollected, "_sets_apart", True)
        self.patch(jsontext, "_young", 0)
        gc.freeze()
        self.addCleanup(gc.unfreeze)

    def assert_few(self, make: Callable[[int], Any], count: int, least: int) -> None:
        """
        C{make} makes C{count} values, of C{least} items in all or more, and a pass never looks at many of them.
        """
        kept: list[Any] = []
        for number in range(count):
            kept.append(make(number))
            if not (number + 1) % (count // 10):
                items = sum(len(each) for each in gc.get_objects() if type(each) is list or type(each) is dict)
                self.assertLess(items, jsontext.FREEZE_INTERVAL_LENGTH)
        self.assertGreater(sum(map(len, kept)), least)

    def test_texts(self) -> None:
        """
        Values of texts are set apart, also of texts that are not long, and of parts of a text.
        """
        for size in (400, 3000, 30_000):
            text = b"[%s]" % b",".join([b"1"] * size)
            self.assert_few(lambda number, text=text: jsontext.loads(text), 800, 300_000)  # type: ignore[misc]

        def read(number: int) -> Any:
            work = jsonparts.reading(b"[%s]" % b",".join([b"1"] * 100_000))
            try:
                while True:
                    next(work)
            except StopIteration as end:
                return end.value

        self.assert_few(read, 10, 900_000)

    def test_copies(self) -> None:
        """
        So are the ordinary values that are made of patched ones.
        """
        array, keys = [1] * 2000, {f"k{number}": {} for number in range(2000)}  # type: ignore[var-annotated]
        self.assert_few(lambda number: plain(paths.write_at(array, "7", 2)[0]), 1000, 1_900_000)
        self.assert_few(lambda number: plain(paths.write_at(keys, "k7", 2)[0]), 1000, 1_900_000)
        within = {"a": keys}
        self.assert_few(lambda number: plain(paths.write_at(within, "a.k7", 2)[0])["a"], 1000, 1_900_000)


class _Reference:
    pass
