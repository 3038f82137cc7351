"""
Writes that count as done when enough replicas of Redis have them: C{minReplicas}.

Behind the writes of a turn, the connection sends one C{WAIT}. Redis answers it when the replicas have all of them, or
when the time is up, with the number of replicas that have them::

    sent      replace a   replace b   WAIT 1     replace c   WAIT 1
    answers   1           1           1          1           0
    outcome                           a, b: ok               c is in doubt

A write that was refused needs no replica: its outcome does not depend on any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.errors import StoreError
from dstwist.redis.interface import Done, IRedis, Word
from dstwist.redis.scripts import Script

#: The answer of a script that has written.
_WRITTEN = 1


class ReplicatedWrites:
    """
    The writes through one connection to one server.

    @param wanted: how many replicas must have each write.
    @param timeout: how long to wait for them, in seconds.
    """

    def __init__(self, redis: IRedis, wanted: int, timeout: float, clock: IReactorTime) -> None:
        self._redis = redis
        self._wanted = wanted
        self._words = ("WAIT", wanted, max(1, int(timeout * 1000)))
        self._clock = clock
        # The writes of this turn.
        self._batch: list[tuple[Done, Any]] | None = None

    def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], done: Done, argument: Any) -> None:
        """
        As C{run} of L{IRedis}.
        """
        batch = self._batch
        if batch is None:
            batch = self._batch = []
            self._clock.callLater(0, self._wait, keys[0])
        self._redis.run(script, keys, arguments, self._written, (batch, done, argument))

    def _written(self, argument: tuple[list[tuple[Done, Any]], Done, Any], error: Exception | None, reply: Any) -> None:
        batch, done, inner = argument
        if error is None and reply == _WRITTEN:
            batch.append((done, inner))
        else:
            done(inner, error, reply)

    def _wait(self, key: Word) -> None:
        batch, self._batch = self._batch, None
        self._redis.submit(key, self._words, self._waited, batch)

    def _waited(self, batch: list[tuple[Done, Any]], error: Exception | None, replicas: Any) -> None:
        if error is not None:
            # The writes were answered, so this error says nothing about them.
            error = StoreError(f"Redis has it, but it is unknown whether {self._wanted} replicas have it: {error}")
        elif replicas < self._wanted:
            error = StoreError(f"only {replicas} replicas of Redis have it, and not {self._wanted}")
        for done, argument in batch:
            done(argument, error, _WRITTEN)
