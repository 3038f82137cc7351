"""
The subscribers and listeners of one topic on several nodes, for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryBus
from dstwist.cluster.kinds import EXACT
from dstwist.cluster.messages import Item, decode
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.table import partition_of
from dstwist.protocol.constants import Topic
from tests.cluster.stage import Stage as Cluster
from tests.fakes import FakeConnection
from tests.routing.stage import Stage

#: Long enough for messages between nodes, and shorter than an interval.
SOON = 0.2

#: Long enough until a name without a holder is gone.
GONE = 3.0

#: Long enough until a node is found dead.
DEATH = 12.0


class ClusterCase(SynchronousTestCase):
    """
    Nodes with the subscribers and listeners of one topic. Time passes only when a test says so.
    """

    def build(self, count: int = 2, topic: Topic = Topic.RECORD, **options: Any) -> list[Stage]:
        self.cluster = Cluster(self, count, exact=EXACT)
        self.stages = [self.serve(node, topic, **options) for node in self.cluster.nodes]
        self.cluster.start()
        return self.stages

    def serve(self, node: ClusterNode, topic: Topic = Topic.RECORD, **options: Any) -> Stage:
        stage = Stage(topic, cluster=node, **options)
        self.addCleanup(stage.listeners.stop)
        return stage

    def wait(self, seconds: float = SOON) -> None:
        self.cluster.advance(seconds)

    def name_of(self, number: int, prefix: str = "a/", other: int = 0) -> str:
        """
        A name whose partition the node C{number} owns.

        @param other: pass over so many of them.
        """
        membership = self.cluster.nodes[number].membership
        found = 0
        for count in range(10000):
            name = f"{prefix}{count}"
            if membership.owns(partition_of(name, self.cluster.settings.partitions)):
                found += 1
                if found > other:
                    return name
        raise AssertionError("the node owns nothing")

    def provider(self, stage: Stage, pattern: str, name: str) -> FakeConnection:
        """
        A listener that is offered C{name}, and accepts.
        """
        listener = stage.listener(pattern)
        self.wait()
        self.assertEqual(stage.heard(listener), [f"FOUND {pattern} {name}"])
        stage.accept(listener, pattern, name)
        self.wait()
        return listener

    def providers(self, name: str) -> list[int]:
        """
        The nodes a listener of which provides C{name}.
        """
        return [number for number, stage in enumerate(self.stages) if name in stage.listeners._assignment.providers]

    def lose(self, number: int, drops: Callable[[Item], bool]) -> None:
        """
        From now on, the items that a node sends and that C{drops} chooses get lost; if it never returns C{True} any
        more, nothing is.
        """
        bus = self.cluster.bus(number)
        send = MemoryBus.send

        def send_rest(address: str, payload: bytes) -> None:
            if not any(drops(item) for item in decode(payload).items):
                send(bus, address, payload)

        self.patch(bus, "send", send_rest)
