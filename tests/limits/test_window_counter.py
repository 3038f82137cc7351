"""
Tests for L{dstwist.limits.window_counter}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits import window_counter
from dstwist.limits.window_counter import WindowCounter


class WindowCounterTests(SynchronousTestCase):
    """
    L{WindowCounter}.
    """

    def test_memory(self) -> None:
        """
        Whatever comes, only so many are remembered; the oldest are forgotten first, and all of them in the end.
        """
        self.patch(window_counter, "MAX_COUNTED_KEYS", 100)
        clock = Clock()
        window = WindowCounter(1, 60.0, clock)
        for number in range(1000):
            window.add(str(number))
        self.assertEqual(len(window), 100)
        self.assertEqual((window.is_full("899"), window.is_full("900")), (False, True))
        clock.advance(60.01)
        self.assertEqual((len(window), clock.getDelayedCalls()), (0, []))

    def test_window(self) -> None:
        """
        A window begins with the first count of its key, and is not prolonged by later ones; a cleared key begins anew.
        """
        clock = Clock()
        counter = WindowCounter(2, 60.0, clock)
        counter.add("a")
        clock.advance(59)
        for key in "abb":
            counter.add(key)
        counter.clear("b")
        self.assertEqual((counter.is_full("a"), counter.is_full("b")), (True, False))
        clock.advance(1.01)
        self.assertFalse(counter.is_full("a"))

    def test_several_times(self) -> None:
        """
        Several are counted at once, and a limit may be reached several times over.
        """
        counter = WindowCounter(2, 60.0, Clock())
        counter.add("a", 3)
        self.assertEqual((counter.is_full("a"), counter.is_full("a", 2)), (True, False))
        counter.add("a")
        self.assertTrue(counter.is_full("a", 2))

    def test_no_limit(self) -> None:
        """
        Without a limit there is no counter.
        """
        self.assertIsNone(window_counter.window_counter(None, 1.0, Clock()))
