"""
How soon the server closes a WebSocket.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.close_delay import CloseDelay


class CloseDelayTests(SynchronousTestCase):
    """
    L{CloseDelay}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.closed: list[str] = []
        self.delay = CloseDelay(4.0, 3, self.clock)

    def begin(self, name: str, age: float = 0.0) -> bool:
        return self.delay.begin(name, self.clock.seconds() - age, lambda: self.closed.append(name))

    def test_young(self) -> None:
        """
        A WebSocket that was opened just now is closed when it is as old as the delay.
        """
        self.assertTrue(self.begin("new"))
        self.assertTrue(self.begin("older", 3.0))
        self.clock.advance(1.0)
        self.assertEqual(self.closed, ["older"])
        self.clock.advance(3.0)
        self.assertEqual((self.closed, len(self.delay)), (["older", "new"], 0))

    def test_old(self) -> None:
        """
        A WebSocket that is as old as the delay is closed at once.
        """
        self.assertFalse(self.begin("old", 4.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bound(self) -> None:
        """
        No more than so many wait; others are closed at once, until there is room.
        """
        self.assertEqual([self.begin(name) for name in "abcd"], [True, True, True, False])
        self.delay.cancel("b")
        self.assertTrue(self.begin("e"))
        self.clock.advance(4)
        self.assertEqual(self.closed, ["a", "c", "e"])

    def test_cancel(self) -> None:
        """
        A WebSocket that has gone is not closed, and leaves no timer.
        """
        self.begin("a")
        self.delay.cancel("a")
        self.delay.cancel("a")
        self.assertEqual((self.clock.getDelayedCalls(), len(self.delay)), ([], 0))

    def test_clock_set_back(self) -> None:
        """
        Nothing waits for longer than the delay, even if the clock was set back.
        """
        self.assertTrue(self.begin("a", -3600.0))
        self.clock.advance(4)
        self.assertEqual(self.closed, ["a"])

    def test_none(self) -> None:
        """
        A delay of 0 is none.
        """
        self.delay = CloseDelay(0.0, 3, self.clock)
        self.assertFalse(self.begin("a"))
