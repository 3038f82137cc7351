"""
Writes that count as done when enough replicas of Redis have them: C{minReplicas}.

Behind the answers of a turn, the connection sends one C{WAIT}. Redis answers it when the replicas have all writes that
came by this connection, or when the time is up, with the number of replicas that have them::

    sent      replace a   replace b         WAIT 1           replace c         WAIT 1
    answers                           1  1           1                    1           0
    outcome                                          a, b: ok                         c is in doubt

A write that was refused needs no replica: its outcome does not depend on any. If the connection is lost after the
answer to a write, a new connection cannot tell about that write, so it is in doubt.

Outcomes continue the requests of clients, so those of a batch get a time slice in each turn, like all outcomes of calls
(L{dstwist.redis.outcomes}).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.errors import StoreError
from dstwist.interfaces import Work
from dstwist.log import Logger
from dstwist.redis.interface import Done, IRedis, Word
from dstwist.redis.scripts import Script
from dstwist.scheduling.time_slices import TimeSlices

#: The answer of a script that has written.
_WRITTEN = 1


class ReplicatedWrites:
    """
    The writes through one connection to one server.

    @param wanted: how many replicas must have each write.
    @param timeout: how long to wait for them, in seconds.
    """

    _log = Logger()

    def __init__(self, redis: IRedis, wanted: int, timeout: float, clock: IReactorTime) -> None:
        self._redis = redis
        self._slices = TimeSlices(clock)
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
        # A call that is made without a connection waits for the next one.
        connection = self._connections if self._redis.problem() is None else None
        self._redis.run(script, keys, arguments, self._written, (connection, done, argument))

    def _written(self, argument: tuple[int | None, Done, Any], error: Exception | None, reply: Any) -> None:
        connection, done, inner = argument
        if error is not None or reply != _WRITTEN:
            done(inner, error, reply)
        elif connection not in (None, self._connections):
            # The outcome has waited until there was another connection.
            done(inner, self._lost(), None)
        else:
            batch = self._batch
            if batch is None:
                batch = self._batch = _Batch(self._connections)
                self._clock.callLater(0, self._wait, batch)
            batch.writes.append((done, inner))

    def _lost(self) -> StoreError:
        return StoreError(f"Redis had it, but the connection was lost before {self._wanted} replicas had it")

    def _wait(self, batch: _Batch) -> None:
        if self._batch is batch:
            self._batch = None
        self._redis.submit(None, self._words, self._waited, batch)

    def _waited(self, batch: _Batch, error: Exception | None, replicas: Any) -> None:
        if error is not None:
            # The writes were answered, so this error says nothing about them.
            error = StoreError(f"Redis has it, but it is unknown whether {self._wanted} replicas have it: {error}")
        elif batch.connection != self._connections:
            error = self._lost()
        elif replicas < self._wanted:
            error = StoreError(f"only {replicas} replicas of Redis have it, and not {self._wanted}")
        self._slices.do(self._handing_out(batch, error))

    def _handing_out(self, batch: _Batch, error: Exception | None) -> Work:
        for done, argument in batch.writes:
            try:
                done(argument, error, _WRITTEN)
            except Exception:
                # The other writes have their outcomes all the same.
                self._log.failure("the outcome of a write to Redis was not taken")
            yield None


class _Batch:
    """
    The writes whose answers came in one turn.

    @ivar connection: the number of the connection.
    """

    __slots__ = ("connection", "writes")

    def __init__(self, connection: int) -> None:
        self.connection = connection
        self.writes: list[tuple[Done, Any]] = []
