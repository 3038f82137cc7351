"""
The engines of a simulated cluster, with their faults. They run on the time of the world; what they deliver to a node
runs on the clock of the node.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from dstwist.cluster.bus_memory import MemoryBus, MemoryNetwork
from dstwist.cluster.table_memory import MemoryTable
from dstwist.interfaces import IClusterTable, TableReading
from tests.cluster.simulation.time import NodeClock, Time

#: How late the store executes an operation at most, in seconds.
MAX_LATE_SECONDS = 4.0


class Faults:
    """
    How often the engines fail. All of it ends when the history comes to rest.

    @ivar on: whether the faults happen.
    @ivar loss: the share of payloads that get lost.
    @ivar duplicates: the share of payloads that arrive once more, up to some seconds later.
    @ivar late: the share of operations of the store that are executed late; the same share of answers gets lost.
    @ivar late_tables: the share of tables that are written late.
    @ivar slow: the share of answers of the store that come some time after the operation.
    """

    def __init__(self, loss: float, duplicates: float, late: float, late_tables: float, slow: float) -> None:
        self.on = True
        self.loss = loss
        self.duplicates = duplicates
        self.late = late
        self.late_tables = late_tables
        self.slow = slow


class SimNetwork(MemoryNetwork):
    """
    A bus that loses, delays and repeats payloads, and that can be away for some nodes or for all.

    @ivar away: the engine itself is away.
    @ivar apart: the pairs of buses between which nothing passes.
    """

    clock: Time

    def __init__(self, time: Time, rng: random.Random, faults: Faults) -> None:
        super().__init__(time)
        self._random = rng
        self._faults = faults
        self.clocks: dict[MemoryBus, NodeClock] = {}
        self.away = False
        self.cut_off: set[MemoryBus] = set()
        self.apart: set[tuple[MemoryBus, MemoryBus]] = set()
        self._earliest: dict[tuple[MemoryBus, MemoryBus], float] = {}
        self._unsent: list[tuple[MemoryBus, Callable[[], None]]] = []
        self.carried = 0

    def travel_times(self, sender: MemoryBus, receiver: MemoryBus) -> Iterable[float]:
        rng, faults = self._random, self._faults
        if self.away or {sender, receiver} & self.cut_off or (sender, receiver) in self.apart:
            return ()
        if not faults.on:
            return (0.001,)
        if sender is not receiver and rng.random() < faults.loss:
            return ()
        time = rng.uniform(0.0003, 0.02)
        if rng.random() < 0.01:
            time += rng.uniform(0, 0.5)
        if sender is not receiver and rng.random() < faults.duplicates:
            return (time, time + rng.uniform(0.001, 6.0))
        return (time,)

    def come_back(self) -> None:
        """
        The bus can be reached by all. What a node has sent to the engine meanwhile arrives, unless the node has ended
        its connection: a connection that lasts loses nothing.
        """
        self.away = False
        self.cut_off.clear()
        self.apart.clear()
        unsent, self._unsent = self._unsent, []
        for bus, deliver in unsent:
            self.carry(bus, bus, deliver)

    def carry(self, sender: MemoryBus, receiver: MemoryBus, deliver: Callable[[], None]) -> None:
        if sender is receiver and (self.away or sender in self.cut_off):
            self._unsent.append((sender, deliver))
            return
        clock = self.clocks[receiver]
        now = self.clock.now
        for number, time in enumerate(self.travel_times(sender, receiver)):
            self.carried += 1
            due = now + time
            if not number:
                pair = (sender, receiver)
                due = self._earliest[pair] = max(due, self._earliest.get(pair, 0.0))
            clock.callLater(due - now, deliver)


@implementer(IClusterTable)
class SimTable:
    """
    The membership table as one node reaches it: operations take time, get lost, and are executed late.

    @ivar unanswered: when the renewals began that have not been answered.
    """

    def __init__(self, engine: Engine, clock: NodeClock) -> None:
        self._engine = engine
        self._clock = clock
        self.unanswered: list[float] = []

    def renew(self, node: str, lease: bytes) -> Deferred[TableReading]:
        began = self._engine.now()
        self.unanswered.append(began)

        def answered(reading: TableReading) -> TableReading:
            self.unanswered.remove(began)
            return reading

        return self._engine.operation(self._clock, lambda: self._engine.table.renew(node, lease)).addCallback(answered)

    def replace(
        self, expected: bytes | None, document: bytes, forget: Mapping[str, bytes | None] = MappingProxyType({})
    ) -> Deferred[bool]:
        late = self._engine.faults.late_tables
        return self._engine.operation(
            self._clock, lambda: self._engine.table.replace(expected, document, forget), late=late
        )


class Engine:
    """
    The shared store of all nodes.

    @ivar away: operations are not executed.
    @ivar starts: how often the part of it that has the records was started again.
    """

    def __init__(self, time: Time, rng: random.Random, faults: Faults) -> None:
        self._time = time
        self._random = rng
        self.faults = faults
        self.table = MemoryTable()
        self.away = False
        self.starts = 0
        self._copy: tuple[bytes | None, dict[str, bytes]] | None = None

    def now(self) -> float:
        """
        The time.
        """
        return self._time.now

    def operation(
        self,
        clock: NodeClock,
        execute: Callable[[], Any],
        wanted: Callable[[], bool] | None = None,
        late: float = 0.0,
    ) -> Deferred[Any]:
        """
        One operation of the node with C{clock}.

        @param wanted: asked when the operation is due: whether it is executed.
        @param late: how often it is executed late, if that is more than for others.
        """
        rng, faults = self._random, self.faults
        answered: Deferred[Any] = Deferred(lambda _: None)

        def at_engine() -> None:
            if self.away or (wanted is not None and not wanted()):
                return
            result = execute()
            if isinstance(result, Deferred):
                result = result.result
            if faults.on and rng.random() < faults.late:
                return
            slow = faults.on and rng.random() < faults.slow
            clock.callLater(rng.uniform(0.05, 0.18) if slow else rng.uniform(0.0005, 0.005), answer, result)

        def answer(result: Any) -> None:
            if not answered.called:
                answered.callback(result)

        delay = rng.uniform(0.0005, 0.005)
        if faults.on and rng.random() < max(late, faults.late):
            delay = rng.uniform(0.0, MAX_LATE_SECONDS)
        self._time.callLater(delay, at_engine)
        return answered

    def empty(self) -> None:
        """
        The store loses the table.
        """
        self.table.document = None
        self.table.leases.clear()

    def keep_copy(self) -> None:
        """
        Remember the table.
        """
        self._copy = (self.table.document, dict(self.table.leases))

    def restore_copy(self) -> None:
        """
        The store is a replica that was behind.
        """
        if self._copy is not None:
            self.table.document, self.table.leases = self._copy[0], dict(self._copy[1])
