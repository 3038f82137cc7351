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
from tests.store.recorder import RecordingRedis

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
        The writes of a turn end when the replicas have them.
        """
        self.run_one("a")
        self.run_one("b")
        self.clock.advance(0)
        self.assertEqual([("write", "a"), ("write", "b"), ("WAIT", "2", "1500")], self.redis.take())
        self.redis.answer(1, 1)
        self.assertEqual([], self.outcomes)
        self.redis.answer(2)
        self.assertEqual([("a", None, 1), ("b", None, 1)], self.outcomes)
        self.clock.advance(0)
        self.assertEqual([], self.redis.take())

    def test_next_turn(self) -> None:
        """
        The writes of the next turn are waited for by themselves.
        """
        self.run_one("a")
        self.clock.advance(0)
        self.run_one("b")
        self.clock.advance(0)
        self.redis.answer(1, 2, 1)
        self.assertEqual([("a", None, 1)], self.outcomes)

    def test_too_few(self) -> None:
        """
        If the replicas do not have a write, it is in doubt.
        """
        self.run_one("a")
        self.clock.advance(0)
        self.redis.answer(1, 1)
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
        self.clock.advance(0)
        self.redis.answer([b"3", b"{}"], failed)
        self.assertEqual([("a", None, [b"3", b"{}"]), ("b", failed, None)], self.outcomes)
        self.redis.answer(0)
        self.assertEqual(2, len(self.outcomes))

    def test_unknown(self) -> None:
        """
        If it is unknown what the replicas have, the write is in doubt.
        """
        self.run_one("a")
        self.clock.advance(0)
        self.redis.answer(1, RedisReplyError("READONLY no"))
        ((_, error, _),) = self.outcomes
        self.assertIs(StoreError, type(error))
