"""
Tests for L{dstwist.redis.outcomes}, on a link.
"""

from __future__ import annotations

from typing import Any

from tests.redis.stage import LinkTestCase
from tests.turns import next_turn


class OutcomeTests(LinkTestCase):
    """
    Outcomes that continue the requests of clients, which takes time.
    """

    def slow(self, argument: Any, error: Exception | None, reply: Any) -> None:
        self.clock.rightNow += 0.001
        self.outcomes.append((argument, reply))

    def test_slices(self) -> None:
        """
        Many outcomes are handed out in several turns, in their order. Meanwhile nothing is read, and later answers wait
        behind them.
        """
        peer = self.connect()
        for number in range(100):
            self.link.submit("a", ("GET", "a"), self.slow, number)
        self.turn()
        peer.answer(*range(80))
        first = len(self.outcomes)
        self.assertLess(first, 30)
        self.assertEqual(peer.producerState, "paused")
        peer.answer(*range(80, 100))
        self.assertEqual(len(self.outcomes), first)
        turns = 0
        while len(self.outcomes) < 100:
            next_turn(self.clock)
            turns += 1
        self.assertGreater(turns, 5)
        self.assertEqual(self.outcomes, [(number, number) for number in range(100)])
        self.assertEqual(peer.producerState, "producing")

    def test_waiting_outcomes(self) -> None:
        """
        A connection whose answers wait here is not given up because no bytes come.
        """
        peer = self.connect()
        for number in range(100):
            self.link.submit("a", ("GET", "a"), self.very_slow, number)
        self.turn()
        peer.answer(*range(90))
        while len(self.outcomes) < 90:
            self.assertEqual(peer.producerState, "paused")
            next_turn(self.clock)
        self.assertFalse(peer.closed)

    def test_calls_meanwhile(self) -> None:
        """
        The same if the outcomes lead to new calls.
        """
        peer = self.connect()
        for number in range(100):
            self.link.submit("a", ("GET", "a"), self.going_on, number)
        self.turn()
        peer.answer(*range(90))
        while len(self.outcomes) < 90:
            self.assertEqual(peer.producerState, "paused")
            next_turn(self.clock)
        self.assertFalse(peer.closed)

    def going_on(self, argument: Any, error: Exception | None, reply: Any) -> None:
        self.very_slow(argument, error, reply)
        self.link.submit("a", ("GET", "a"), self.very_slow, argument)

    def very_slow(self, argument: Any, error: Exception | None, reply: Any) -> None:
        self.clock.rightNow += 1
        self.outcomes.append((argument, reply))
