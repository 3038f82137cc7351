"""
Tests for L{dstwist.store.redis_replicas}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import ConnectionBroken, StoreError
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.scripts import Script
from dstwist.store.redis_replicas import ReplicatedWrites
from tests.fakes import BusyClock
from tests.store.recorder import RecordingRedis
from tests.turns import LONGEST, turn_lengths

SCRIPT = Script("write", "return 1")


class ReplicatedTests(SynchronousTestCase):
    """
    Writes that two replicas must have.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.redis = RecordingRedis()
        self.writes = ReplicatedWrites(self.redis, 2, 1.5, self.clock)
        self.outcomes: list[Any] = []

    def run_one(self, key: str) -> None:
        self.writes.run(SCRIPT, [key], [], lambda *outcome: self.outcomes.append(outcome), key)

    def test_enough(self) -> None:
        """
        The writes that are answered in a turn end when the replicas have them.
        """
        self.run_one("a")
        self.run_one("b")
        self.redis.answer(1, 1)
        self.clock.advance(0)
        self.assertEqual([("write", "a"), ("write", "b"), ("WAIT", "2", "1500")], self.redis.take())
        self.assertEqual([], self.outcomes)
        self.redis.answer(2)
        self.assertEqual([("a", None, 1), ("b", None, 1)], self.outcomes)
        self.clock.advance(0)
        self.assertEqual([], self.redis.take())

    def test_next_turn(self) -> None:
        """
        The writes of the next turn are waited for by themselves.
        """
        for key in ("a", "b"):
            self.run_one(key)
            self.redis.answer(1)
            self.clock.advance(0)
            self.assertEqual([("write", key), ("WAIT", "2", "1500")], self.redis.take())
            self.redis.answer(2)
        self.assertEqual([("a", None, 1), ("b", None, 1)], self.outcomes)

    def test_too_few(self) -> None:
        """
        If the replicas do not have a write, it is in doubt.
        """
        self.run_one("a")
        self.redis.answer(1)
        self.clock.advance(0)
        self.redis.answer(1)
        ((name, error, _),) = self.outcomes
        self.assertEqual(("a", StoreError), (name, type(error)))
        self.assertEqual("only 1 replicas of Redis have it, and not 2", str(error))

    def test_refused(self) -> None:
        """
        A write that was refused, or that failed, has its outcome at once.
        """
        failed = ConnectionBroken("lost")
        self.run_one("a")
        self.run_one("b")
        self.redis.answer([b"3", b"{}"], failed)
        self.clock.advance(0)
        self.assertEqual([("a", None, [b"3", b"{}"]), ("b", failed, None)], self.outcomes)
        self.assertEqual([("write", "a"), ("write", "b")], self.redis.take())

    def test_lost(self) -> None:
        """
        Another connection cannot tell which replicas have a write of the one before, so the write is in doubt. Later
        writes are not.
        """
        self.run_one("a")
        self.redis.answer(1)
        self.redis.connect()
        self.run_one("b")
        self.redis.answer(1)
        self.clock.advance(0)
        self.redis.answer(2, 2)
        (lost, good) = self.outcomes
        self.assertIs(StoreError, type(lost[1]))
        self.assertEqual(("b", None, 1), good)

    def test_late_outcome(self) -> None:
        """
        The same if the outcome of the write has waited until there was another connection.
        """
        self.run_one("a")
        self.redis.connect()
        self.redis.answer(1)
        self.clock.advance(0)
        self.assertEqual([("write", "a")], self.redis.take())
        ((_, error, _),) = self.outcomes
        self.assertIn("the connection was lost", str(error))

    def test_made_without_connection(self) -> None:
        """
        A write that waited for the connection is not in doubt.
        """
        self.redis.trouble = "there is no connection"
        self.run_one("a")
        self.redis.connect()
        self.redis.answer(1)
        self.clock.advance(0)
        self.redis.answer(2)
        self.assertEqual([("a", None, 1)], self.outcomes)

    def test_many(self) -> None:
        """
        The outcomes of very many writes are handed out in several turns. One that fails does not keep back the others.
        """
        clock = BusyClock()
        writes = ReplicatedWrites(self.redis, 2, 1.5, clock)
        outcomes: list[Any] = []

        def slow(number: int, error: Exception | None, reply: Any) -> None:
            outcomes.append(number)
            clock.rightNow += 0.001
            if number == 3:
                raise ValueError

        for number in range(100):
            writes.run(SCRIPT, ["a"], [], slow, number)
        self.redis.answer(*[1] * 100)
        clock.advance(0)
        lengths = turn_lengths(clock, lambda: self.redis.answer(2))
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual(list(range(100)), outcomes)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_unknown(self) -> None:
        """
        If it is unknown what the replicas have, the write is in doubt.
        """
        self.run_one("a")
        self.redis.answer(1)
        self.clock.advance(0)
        self.redis.answer(RedisReplyError("READONLY no"))
        ((_, error, _),) = self.outcomes
        self.assertIs(StoreError, type(error))
