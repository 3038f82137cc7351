"""
Tests for L{dstwist.scheduling.time_slices}.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from dstwist.interfaces import Work
from dstwist.scheduling.time_slices import NAMES_PER_STEP, STEP_TIME, WORK_SLICE, Steps, TimeSlices, TurnPause
from dstwist.scheduling.turns import TIME_SLICE, Turns
from tests.fakes import BusyClock


class TimeSlicesTests(SynchronousTestCase):
    """
    L{TimeSlices} of work that takes a fourth of a slice a step, and says what it has done.
    """

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.slices = TimeSlices(self.clock)
        self.done: list[str] = []

    def work(self, name: str, steps: int, cost: float = WORK_SLICE / 4.1) -> Iterator[None]:
        for number in range(steps):
            self.clock.rightNow += cost
            self.done.append(f"{name}{number}")
            yield

    def test_small(self) -> None:
        """
        Small work is done at once, and leaves no timer.
        """
        self.slices.do(self.work("a", 4))
        self.assertEqual(self.done, ["a0", "a1", "a2", "a3"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_long(self) -> None:
        """
        Long work is begun at once and goes on in later turns, none of which takes longer than a slice and one step.
        """
        self.slices.do(self.work("a", 13))
        turns = [len(self.done)]
        while len(self.slices):
            self.assertEqual(len(self.slices), 1)
            self.clock.advance(0)
            turns.append(len(self.done) - sum(turns))
        self.assertEqual(turns, [5, 5, 3])
        self.assertEqual(len(self.slices), 0)

    def test_once_a_turn(self) -> None:
        """
        Work gets one slice of a turn, also if the turn has time left. So clients do not wait longer for it.
        """
        self.slices.do(self.work("a", 13))
        Turns.of(self.clock).later(lambda: self.done.append("other"))
        self.clock.advance(0)
        self.assertEqual(self.done[5:], ["a5", "a6", "a7", "a8", "a9", "other"])

    def test_in_turn(self) -> None:
        """
        Work that comes while other work waits has to wait as well, and then each gets its slice in turn.
        """
        self.slices.do(self.work("a", 11))
        self.slices.do(self.work("b", 6))
        self.assertEqual(self.done[-1], "a4")
        ends = []
        while len(self.slices):
            self.clock.advance(0)
            ends.append(self.done[-1])
        self.assertEqual(ends, ["a9", "b4", "b5"])
        self.assertEqual(len(self.done), 17)

    def test_many_small(self) -> None:
        """
        Also of many small works there are no more in one turn than a slice takes.
        """
        self.slices.do(self.work("a", 6))
        for number in range(20):
            self.slices.do(self.work(f"b{number}.", 1))
        self.clock.advance(0)
        self.assertEqual(self.done[5:], ["a5", "b0.0", "b1.0", "b2.0", "b3.0"])

    def test_within(self) -> None:
        """
        Work that is added by a step is done after its work, in the same turn if there is time.
        """

        def outer() -> Iterator[None]:
            self.slices.do(self.work("inner", 1))
            self.done.append("outer")
            yield

        self.slices.do(outer())
        self.assertEqual(self.done, ["outer", "inner0"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hiccup(self) -> None:
        """
        Work goes on by a step a turn even where to look at the clock takes longer than a slice.
        """
        self.slices.do(self.work("a", 5))
        self.slices.do(self.work("b", 3))
        self.clock.tick = 2 * WORK_SLICE
        for _ in range(10):
            self.clock.advance(0)
        self.assertEqual((len(self.done), len(self.slices)), (8, 0))

    def test_failure(self) -> None:
        """
        Work that fails is logged and lost; what waits behind it is done.
        """

        def failing() -> Iterator[None]:
            yield from self.work("a", 5)
            raise ZeroDivisionError

        self.slices.do(failing())
        self.slices.do(self.work("b", 1))
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.done[5:], ["b0"])
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        A stop drops what is left, and what comes later; it may come from the work itself.
        """
        self.slices.do(self.work("a", 9))
        self.slices.stop()
        self.slices.do(self.work("b", 1))
        self.assertEqual((self.done[-1], len(self.slices)), ("a4", 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

        def stopping() -> Iterator[None]:
            other.stop()
            yield
            self.done.append("more")

        other = TimeSlices(self.clock)
        other.do(stopping())
        self.assertEqual(self.done[-1], "a4")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def waiting(self, name: str, *awaited: Deferred[None]) -> Work:
        for number, each in enumerate(awaited):
            self.done.append(f"{name}{number}")
            yield each
        self.done.append(f"{name} end")

    def test_wait(self) -> None:
        """
        Work waits for each Deferred that it yields; other work is done meanwhile. A Deferred that has fired is not
        waited for.
        """
        first: Deferred[None] = Deferred()
        second: Deferred[None] = Deferred()
        self.slices.do(self.waiting("a", succeed(None), first, second))
        self.slices.do(self.work("b", 1))
        self.assertEqual(self.done, ["a0", "a1", "b0"])
        first.callback(None)
        self.assertEqual(self.done[3:], ["a2"])
        second.callback(None)
        self.assertEqual(self.done[4:], ["a end"])
        self.assertEqual((len(self.slices), self.clock.getDelayedCalls()), (0, []))

    def test_wait_in_turn(self) -> None:
        """
        Work whose Deferred fires while other work has used up the slice goes on behind that.
        """
        awaited: Deferred[None] = Deferred()
        self.slices.do(self.waiting("a", awaited))
        self.slices.do(self.work("b", 6))
        awaited.callback(None)
        self.assertEqual(self.done[-1], "b4")
        self.clock.advance(0)
        self.assertEqual(self.done[-2:], ["b5", "a end"])

    def test_wait_failure(self) -> None:
        """
        A Deferred that fails is logged, and its work goes on.
        """
        awaited: Deferred[None] = Deferred()
        self.slices.do(self.waiting("a", fail(ZeroDivisionError()), awaited))
        self.assertEqual(self.done, ["a0", "a1"])
        awaited.errback(ZeroDivisionError())
        self.assertEqual(self.done[2:], ["a end"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_wait_stop(self) -> None:
        """
        After a stop, work that waits is not gone on with.
        """
        awaited: Deferred[None] = Deferred()
        self.slices.do(self.waiting("a", awaited))
        self.slices.stop()
        awaited.callback(None)
        self.assertEqual(self.done, ["a0"])


class StepsTests(SynchronousTestCase):
    """
    L{Steps}.
    """

    def lengths(self, steps: Steps, names: int, clock: BusyClock | None = None, cost: float = 0.0) -> list[int]:
        """
        How many names each step deals with.
        """
        found = [0]
        for _ in range(names):
            found[-1] += 1
            if clock is not None:
                clock.rightNow += cost
            if steps.over():
                steps.begin()
                found.append(0)
        return found

    def test_names(self) -> None:
        """
        A step has so many names, whatever they take if there is no clock.
        """
        expected = [NAMES_PER_STEP, NAMES_PER_STEP, 3]
        self.assertEqual(self.lengths(Steps(None), 2 * NAMES_PER_STEP + 3), expected)
        clock = BusyClock()
        self.assertEqual(self.lengths(Steps(clock), 2 * NAMES_PER_STEP + 3, clock), expected)

    def test_time(self) -> None:
        """
        It has fewer if they take long.
        """
        clock = BusyClock()
        self.assertEqual(self.lengths(Steps(clock), 7, clock, STEP_TIME / 2.5), [3, 3, 1])


class TurnPauseTests(SynchronousTestCase):
    """
    L{TurnPause}.
    """

    def test_pauses(self) -> None:
        """
        Coroutines pause when their slice is over, and each has a whole slice after that.
        """
        clock = BusyClock()
        turns = Turns.of(clock)
        done: list[str] = []

        async def work(name: str) -> None:
            pause = TurnPause(turns)
            for _ in range(8):
                if pause.due():
                    await pause.wait()
                clock.rightNow += TIME_SLICE / 2.5
                done.append(name)
            self.assertTrue(pause.due(TIME_SLICE / 2))

        results = [Deferred.fromCoroutine(work(name)) for name in "ab"]
        turn_ends = [len(done)]
        while len(done) < 16:
            clock.advance(0)
            turn_ends.append(len(done))
        for result in results:
            self.successResultOf(result)
        self.assertEqual("".join(done), "aaabbbaaabbbaabb")
        self.assertEqual(turn_ends, [6, 9, 12, 16])
