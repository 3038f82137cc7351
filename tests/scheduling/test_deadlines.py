"""
Deadlines of many things on one timer.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.turns import TIME_SLICE, Turns
from tests.fakes import BusyClock


class DeadlinesTests(SynchronousTestCase):
    """
    L{Deadlines} of ten seconds.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.late: list[str] = []
        self.deadlines: Deadlines[str] = Deadlines(10, self.clock, self.late.append)

    def test_each_in_its_time(self) -> None:
        """
        Each has its own ten seconds, and all share one timer.
        """
        self.deadlines.add("a")
        self.clock.advance(4)
        self.deadlines.add("b")
        self.deadlines.add("c")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(5.9)
        self.assertEqual(self.late, [])
        self.clock.advance(0.1)
        self.assertEqual(self.late, ["a"])
        self.clock.advance(3.9)
        self.assertEqual(self.late, ["a"])
        self.clock.advance(0.1)
        self.assertEqual(self.late, ["a", "b", "c"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_removed(self) -> None:
        """
        A key that is removed in time is never late, and nothing of it stays.
        """
        for number in range(1000):
            self.deadlines.add(str(number))
            self.assertTrue(self.deadlines.remove(str(number)))
        self.assertFalse(self.deadlines.remove("unknown"))
        self.assertEqual(len(self.deadlines), 0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(20)
        self.assertEqual(self.late, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        A key that was removed can get its time anew, while the timer still runs for the first.
        """
        self.deadlines.add("a")
        self.clock.advance(9)
        self.deadlines.remove("a")
        self.deadlines.add("a")
        self.clock.advance(9)
        self.assertEqual(self.late, [])
        self.assertEqual(list(self.deadlines), ["a"])
        self.assertIn("a", self.deadlines)
        self.clock.advance(1)
        self.assertEqual(self.late, ["a"])
        self.assertNotIn("a", self.deadlines)

    def test_settled_by_another(self) -> None:
        """
        A key that is removed while another one is handled that is late in the same instant is not late any more; a key
        that is added meanwhile gets its whole time.
        """
        late = []

        def deal(key: str) -> None:
            late.append(key)
            if key == "a":
                deadlines.remove("b")
                deadlines.add("c")

        deadlines: Deadlines[str] = Deadlines(10, self.clock, deal)
        deadlines.add("a")
        deadlines.add("b")
        self.clock.advance(10)
        self.assertEqual(late, ["a"])
        self.clock.advance(10)
        self.assertEqual(late, ["a", "c"])

    def test_failure(self) -> None:
        """
        If dealing with one fails, all others are still dealt with in their time.
        """

        def fail(key: str) -> None:
            self.late.append(key)
            raise ValueError(key)

        deadlines: Deadlines[str] = Deadlines(10, self.clock, fail)
        deadlines.add("a")
        deadlines.add("b")
        self.clock.advance(1)
        deadlines.add("c")
        self.assertRaises(ValueError, self.clock.advance, 9)
        self.assertRaises(ValueError, self.clock.advance, 0)
        self.assertRaises(ValueError, self.clock.advance, 1)
        self.assertEqual(self.late, ["a", "b", "c"])

    def test_hurry(self) -> None:
        """
        The oldest can be told to be late before its time.
        """
        self.deadlines.add("a")
        self.deadlines.add("b")
        self.deadlines.expire_first()
        self.assertEqual((self.late, len(self.deadlines)), (["a"], 1))

    def test_stop(self) -> None:
        """
        After a stop nothing is late any more, and no timer runs.
        """
        self.deadlines.add("a")
        self.deadlines.stop()
        self.deadlines.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_meanwhile(self) -> None:
        """
        Dealing with one may be what stops it all.
        """
        deadlines: Deadlines[str] = Deadlines(10, self.clock, lambda key: deadlines.stop())
        deadlines.add("a")
        deadlines.add("b")
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_meanwhile_and_begin_anew(self) -> None:
        """
        Keys that are added after that share one timer, too.
        """

        def begin_anew(key: str) -> None:
            self.late.append(key)
            if key == "a":
                deadlines.stop()
                deadlines.add("b")
                deadlines.add("c")

        deadlines: Deadlines[str] = Deadlines(10, self.clock, begin_anew)
        deadlines.add("a")
        self.clock.advance(10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(10)
        self.assertEqual(self.late, ["a", "b", "c"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_does_not_search(self) -> None:
        """
        A stop does not look at the parties that wait for a turn, unless the keys do.
        """
        turns = Turns.of(self.clock)
        self.patch(turns, "forget", lambda party: self.fail("searched"))
        self.deadlines.add("a")
        self.deadlines.stop()

    def test_stop_of_those_that_wait(self) -> None:
        """
        Keys that wait for a later turn are not late after a stop; keys of the time after that are.
        """
        clock = BusyClock()

        def takes_long(key: int) -> None:
            clock.rightNow += 2 * TIME_SLICE
            late.append(key)

        late: list[int] = []
        deadlines: Deadlines[int] = Deadlines(10, clock, takes_long)
        for number in range(3):
            deadlines.add(number)
        clock.advance(10)
        self.assertEqual(late, [0])
        deadlines.stop()
        clock.pump([0] * 10)
        self.assertEqual(late, [0])
        deadlines.add(5)
        clock.advance(10)
        self.assertEqual(late, [0, 5])

    def test_very_many(self) -> None:
        """
        If what falls due at once takes long the rest waits for later turns, in order; what is done by then is not late.
        """
        clock = BusyClock()

        def takes_long(key: int) -> None:
            clock.rightNow += TIME_SLICE / 4.5
            late.append(key)

        late: list[int] = []
        deadlines: Deadlines[int] = Deadlines(10, clock, takes_long)
        for number in range(12):
            deadlines.add(number)
        clock.advance(10)
        self.assertEqual(late, list(range(5)))
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        deadlines.remove(6)
        clock.advance(0)
        self.assertEqual(late, [0, 1, 2, 3, 4, 5, 7, 8, 9, 10])
        clock.advance(0)
        self.assertEqual(late[-1], 11)
        clock.advance(0)
        self.assertEqual(clock.getDelayedCalls(), [])
