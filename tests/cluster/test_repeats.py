"""
Tests for L{dstwist.cluster.repeats}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.repeats import LONGEST, Repeats


class RepeatsTests(SynchronousTestCase):
    """
    L{Repeats} with an interval of 2 s.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.due: list[str] = []
        self.repeats: Repeats[str] = Repeats(2.0, self.clock, self.due.append)

    def seconds(self, repeated: int) -> int:
        """
        After how many seconds a message is repeated.
        """
        self.repeats.add("a", repeated)
        self.due.clear()
        for second in range(1, 100):
            self.clock.advance(1)
            if self.due:
                self.assertEqual(self.due, ["a"])
                return second
        raise AssertionError("it is not repeated")

    def test_doubles(self) -> None:
        """
        The time doubles with each repeat, up to the longest one.
        """
        self.assertEqual([self.seconds(repeated) for repeated in range(7)], [2, 4, 8, 16, 32, 32, 32])
        self.assertEqual(LONGEST, 16)

    def test_once(self) -> None:
        """
        A message that is to be repeated already is not repeated another time.
        """
        self.repeats.add("a", 1)
        self.assertIn("a", self.repeats)
        self.repeats.add("a")
        self.clock.advance(3)
        self.assertEqual(self.due, [])
        self.clock.advance(1)
        self.assertEqual(self.due, ["a"])
        self.assertNotIn("a", self.repeats)
        self.clock.pump([1] * 9)
        self.assertEqual(self.due, ["a"])

    def test_remove(self) -> None:
        """
        A message that was answered is not repeated, however often it was before.
        """
        for repeated in range(6):
            self.repeats.add("a", repeated)
            self.repeats.remove("a")
            self.repeats.remove("b")
            self.assertNotIn("a", self.repeats)
        self.clock.pump([1] * 40)
        self.assertEqual(self.due, [])

    def test_stop(self) -> None:
        """
        After the end nothing is repeated.
        """
        for repeated in range(6):
            self.repeats.add(str(repeated), repeated)
        self.repeats.stop()
        self.clock.pump([1] * 40)
        self.assertEqual((self.due, self.clock.getDelayedCalls()), ([], []))
