"""
Writes that count as done when enough replicas of Redis have them: C{minReplicas}.

Behind the answers of a turn, the connection sends one C{WAIT}. Redis answers it when the replicas have all writes that
came by this connection, or when the time is up, with the number of replicas that have them::

    sent      replace a   replace b         WAIT 1           replace c         WAIT 1
    answers                           1  1           1                    1           0
    outcome                                          a, b: ok                         c is in doubt

A write that was refused needs no replica: its outcome does not depend on any. If the connection is lost after the
answer to a write, a new connection cannot tell about that write, so it is in doubt.
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
        # How many connections there were.
        self._connections = 0
        redis.on_connected.append(self._connected)
        self._batch: _Batch | None = None

    def _connected(self, server: object) -> None:
        self._connections += 1
        self._batch = None

    def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], done: Done, argument: Any) -> None:
        """
        As C{run} of L{IRedis}.
        """
        self._redis.run(script, keys, arguments, self._written, (done, argument))

    def _written(self, argument: tuple[Done, Any], error: Exception | None, reply: Any) -> None:
        if error is not None or reply != _WRITTEN:
            done, inner = argument
            done(inner, error, reply)
            return
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch(self._connections)
            self._clock.callLater(0, self._wait, batch)
        batch.writes.append(argument)

    def _wait(self, batch: _Batch) -> None:
        if self._batch is batch:
            self._batch = None
        self._redis.submit(None, self._words, self._waited, batch)

    def _waited(self, batch: _Batch, error: Exception | None, replicas: Any) -> None:
        if error is not None:
            # The writes were answered, so this error says nothing about them.
            error = StoreError(f"Redis has it, but it is unknown whether {self._wanted} replicas have it: {error}")
        elif batch.connection != self._connections:
            error = StoreError(f"Redis had it, but the connection was lost before {self._wanted} replicas had it")
        elif replicas < self._wanted:
            error = StoreError(f"only {replicas} replicas of Redis have it, and not {self._wanted}")
        for done, argument in batch.writes:
            done(argument, error, _WRITTEN)


class _Batch:
    """
    The writes whose answers came in one turn.

    @ivar connection: the number of the connection.
    """

    __slots__ = ("connection", "writes")

    def __init__(self, connection: int) -> None:
        self.connection = connection
        self.writes: list[tuple[Done, Any]] = []
