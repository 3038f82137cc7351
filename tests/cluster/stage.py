"""
Several nodes in one process, on a bus and a table in memory.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from types import MappingProxyType

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryBus, MemoryNetwork
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.table_memory import MemoryTable
from dstwist.config.cluster import ClusterSettings
from dstwist.interfaces import TableReading
from tests.cluster.simulation.time import Time

#: The names of the first nodes.
NAMES = ("ann", "bob", "cat", "dan", "eve")


class StageTable(MemoryTable):
    """
    A table that can fail.

    @ivar away: it does not answer.
    """

    away = False

    def renew(self, node: str, lease: bytes) -> Deferred[TableReading]:
        return Deferred() if self.away else super().renew(node, lease)

    def replace(
        self, expected: bytes | None, document: bytes, forget: Mapping[str, bytes | None] = MappingProxyType({})
    ) -> Deferred[bool]:
        return Deferred() if self.away else super().replace(expected, document, forget)


class Stage:
    """
    A cluster whose time is that of the test.

    @param count: how many nodes there are at first. A test makes the services of each node before L{start}.
    @ivar nodes: all nodes that were made, in their order.
    """

    def __init__(
        self,
        tests: SynchronousTestCase,
        count: int = 2,
        exact: Collection[str] = ("p",),
        grace: Mapping[str, float] | None = None,
        partitions: int = 4,
        max_name_bytes: int | None = None,
    ) -> None:
        self._tests = tests
        self._exact = exact
        self.settings = ClusterSettings(
            partitions=partitions, grace={} if grace is None else grace, max_name_bytes=max_name_bytes
        )
        self.clock = Time()
        self.network = MemoryNetwork(self.clock)
        self.table = StageTable()
        self.nodes: list[ClusterNode] = []
        for _ in range(count):
            self.make_node()

    def make_node(self) -> ClusterNode:
        """
        Make one more node, which is not started.
        """
        number = len(self.nodes)
        node = ClusterNode(
            NAMES[number],
            self.network.bus(),
            self.table,
            self.clock,
            self.settings,
            self._exact,
            random.Random(number),
        )
        self.nodes.append(node)
        return node

    def start(self, *nodes: ClusterNode) -> None:
        """
        Start nodes, and wait until they have joined; without nodes: all, which then share the partitions.
        """
        for node in nodes or self.nodes:
            started = node.start()
            self.advance(node.settings.join_timeout + 1)
            self._tests.successResultOf(started)
            self._tests.addCleanup(self._end, node)
        self.advance(2 * self.settings.lease_interval * self.settings.partitions)

    def advance(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.clock.run(self.clock.now + seconds)

    def turn(self) -> None:
        """
        Let all that is on its way arrive.
        """
        self.advance(0.01)

    def bus(self, number: int) -> MemoryBus:
        """
        The bus of one node, to lose it and to have it back (C{disconnect}, C{reconnect}).
        """
        bus = self.nodes[number].bus
        assert isinstance(bus, MemoryBus)
        return bus

    def kill(self, number: int) -> None:
        """
        End one node as by C{kill -9}: it says nothing, and the others find it dead after a while.
        """
        node = self.nodes[number]
        self.bus(number).stop()
        node.membership.stop()
        node.directory.stop()
        node.peers.stop()

    def _end(self, node: ClusterNode) -> None:
        node.membership.stop()
        node.stop()
        self.advance(0)
