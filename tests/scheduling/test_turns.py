"""
Tests for L{dstwist.scheduling.turns}.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.clocks import SteadyClock
from dstwist.scheduling.turns import TIME_SLICE, TURN_LENGTH, Turns
from tests.fakes import BusyClock
from tests.turns import turn_lengths


class TurnsTests(SynchronousTestCase):
    """
    L{Turns}, with parties that take some time and leave their names.
    """

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.turns = Turns.of(self.clock)
        self.called: list[str] = []

    def party(self, name: str, takes: float = 0.0) -> Callable[[], None]:
        def call() -> None:
            self.clock.rightNow += takes
            self.called.append(name)

        return call

    def turn(self) -> list[str]:
        """
        The parties that the next turn calls.
        """
        self.called.clear()
        self.clock.advance(0)
        return list(self.called)

    def use_up_turn(self) -> None:
        """
        Let the turn be over, as requests do that take long.
        """
        self.clock.rightNow += TURN_LENGTH
        while self.turns.slice_end():
            self.clock.rightNow += TURN_LENGTH

    def test_shared(self) -> None:
        """
        All users of one clock share its turns; another clock has its own.
        """
        self.assertIs(Turns.of(self.clock), self.turns)
        self.assertIsNot(Turns.of(BusyClock()), self.turns)
        self.assertIs(Turns.of(SteadyClock(self.clock)), self.turns)

    def test_freed(self) -> None:
        """
        Clocks and turns that are not used any more are freed, also if a timer of the turns was due.
        """
        clock = BusyClock()
        turns = Turns.of(clock)
        turns.later(self.party("a"))
        freed = ref(clock), ref(turns)
        del clock, turns
        gc.collect()
        self.assertEqual([each() for each in freed], [None, None])

    def test_later(self) -> None:
        """
        A party is called once, in a later turn; then no timer is left.
        """
        self.turns.later(self.party("a"))
        self.assertEqual((self.called, len(self.turns)), ([], 1))
        self.assertEqual(self.turn(), ["a"])
        self.assertEqual((len(self.turns), self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(self.turn(), [])

    def test_once_a_turn(self) -> None:
        """
        A party that joins again while it is called is called in the next turn, also if the turn has time left.
        """

        def party() -> None:
            self.called.append("again")
            if len(self.called) < 5:
                self.turns.later(party)

        self.turns.later(party)
        self.turns.later(self.party("once"))
        self.assertEqual([self.turn(), self.turn()], [["again", "once"], ["again"]])

    def test_slice(self) -> None:
        """
        A turn calls parties, in the order in which they came, until they have used up one slice.
        """
        for number in range(7):
            self.turns.later(self.party(str(number), TIME_SLICE / 2.5))
        self.assertEqual(len(self.turns), 7)
        self.assertEqual([self.turn() for _ in range(3)], [["0", "1", "2"], ["3", "4", "5"], ["6"]])

    def test_fresh(self) -> None:
        """
        Parties that have not been served come before those that have had a slice, but not in two turns in a row.
        """
        for name in ("old 1", "old 2"):
            self.turns.later(self.party(name, 2 * TIME_SLICE))
        for name in ("fresh 1", "fresh 2", "fresh 3"):
            self.turns.later(self.party(name, 2 * TIME_SLICE), fresh=True)
        order = [self.turn() for _ in range(5)]
        self.assertEqual(order, [["fresh 1"], ["old 1"], ["fresh 2"], ["old 2"], ["fresh 3"]])

    def test_slice_end(self) -> None:
        """
        Requests that come in have a slice while the turn has time left, then none until the next turn.
        """
        self.assertEqual(self.turns.slice_end(), self.clock.seconds() + TIME_SLICE)
        self.use_up_turn()
        self.assertTrue(self.turns.over())
        self.clock.advance(0)
        self.assertFalse(self.turns.over())
        self.assertGreater(self.turns.slice_end(), self.clock.seconds())

    def test_idle(self) -> None:
        """
        A server with little to do has no timer because of its turns, however much time passes.
        """
        for _ in range(10):
            self.clock.advance(1.0)
            self.assertFalse(self.turns.over())
            self.clock.advance(0)
            self.clock.advance(0)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hold(self) -> None:
        """
        While the turns are held nothing begins; afterwards the parties have their turn.
        """
        self.turns.later(self.party("a"))
        self.turns.hold()
        self.turns.hold()
        self.assertEqual((self.turn(), self.turns.over()), ([], True))
        self.turns.release()
        self.assertEqual((self.turn(), self.turns.over()), ([], True))
        self.turns.release()
        self.assertFalse(self.turns.over())
        self.assertEqual(self.turn(), ["a"])

    def test_held_idle(self) -> None:
        """
        Turns that are held leave no timer: the reactor would have nothing to do in turn after turn. A timer that was
        due already is the last one.
        """
        self.turns.later(self.party("a"))
        self.turns.hold()
        self.assertEqual(self.turn(), [])
        self.turns.later(self.party("b"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.turns.release()
        self.assertEqual(self.turn(), ["a", "b"])

    def test_held_meanwhile(self) -> None:
        """
        If a party holds the turns, those behind it wait.
        """
        self.turns.later(self.turns.hold)
        self.turns.later(self.party("a"))
        self.assertEqual((self.turn(), self.turn()), ([], []))
        self.turns.release()
        self.assertEqual(self.turn(), ["a"])

    def test_next(self) -> None:
        """
        L{Turns.next} fires in a later turn.
        """
        later = self.turns.next()
        self.assertNoResult(later)
        self.clock.advance(0)
        self.successResultOf(later)

    def test_forget(self) -> None:
        """
        A forgotten party is not called, and if it was the last one no timer is left.
        """
        parties = [self.party(name) for name in "abc"]
        for party in parties:
            self.turns.later(party, fresh=party is parties[1])
        self.turns.forget(parties[1])
        self.turns.forget(parties[2])
        self.assertEqual(self.turn(), ["a"])
        self.turns.later(parties[0])
        self.turns.forget(parties[0])
        self.turns.forget(parties[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """
        A party that fails is logged, and the others are called.
        """

        def fail() -> None:
            raise ZeroDivisionError

        self.turns.later(fail)
        self.turns.later(self.party("a"))
        self.assertEqual(self.turn(), ["a"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_length(self) -> None:
        """
        However many parties wait and come in, no turn lasts longer than L{TURN_LENGTH} and a step of each of two
        parties.
        """
        step = TIME_SLICE / 10

        def party() -> None:
            end = self.turns.slice_end()
            while self.clock.seconds() < end:
                self.clock.rightNow += step
            self.served += 1
            if self.served < 100:
                self.turns.later(party)

        def come_in() -> None:
            while not self.turns.over():
                self.clock.rightNow += step
            if self.served < 100:
                self.clock.callLater(0, come_in)

        self.served = 0
        self.turns.later(party)
        lengths = turn_lengths(self.clock, come_in)
        self.assertEqual(self.served, 100)
        self.assertLess(max(lengths), TURN_LENGTH + 2 * step)
