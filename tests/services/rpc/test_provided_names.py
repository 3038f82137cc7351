"""
Tests for L{dstwist.services.rpc.provided_names}: when a client is told that it provides a procedure.
"""

from __future__ import annotations

from dstwist.cluster.table import partition_of
from dstwist.protocol.constants import RpcAction
from tests.requesters import AnyConnection
from tests.services.rpc.cases import PROVIDE, UNPROVIDE, rpc
from tests.services.rpc.nodes import NodesTestCase


class AcknowledgementTests(NodesTestCase):
    """
    The acknowledgement of PROVIDE on a node that does not own the name.
    """

    count = 3

    def setUp(self) -> None:
        super().setUp()
        partition = partition_of("add", self.stage.settings.partitions)
        numbers = sorted(range(3), key=lambda number: self.stage.nodes[number].membership.owns(partition))
        self.number, self.other, self.owner = numbers

    def travel(self, *times: float) -> None:
        """
        Messages between nodes are on their way for so long; without a time, they get lost.
        """
        self.stage.network.travel_times = lambda sender, receiver: times  # type: ignore[method-assign]

    def provide(self) -> AnyConnection:
        connection = self.connect("bob")
        self.services[self.number].handle(PROVIDE, connection)
        self.stage.turn()
        return connection

    def test_all_nodes_know(self) -> None:
        """
        When the client is told, clients of all nodes can call the procedure, whether their nodes have watched it or
        not.
        """
        self.request(self.other)
        self.travel(0.1)
        provider = self.provide()
        self.assertEqual(provider.take(), [])
        self.stage.advance(0.2)
        self.assertEqual(provider.take(), [PROVIDE.ack()])
        self.request(self.other)
        self.request(self.owner)
        self.stage.advance(0.2)
        self.assertEqual(len(provider.take()), 2)

    def test_second_provider(self) -> None:
        """
        A second provider of the same node does not wait.
        """
        self.provide()
        self.travel()
        self.assertEqual(self.provide().take(), [PROVIDE.ack()])

    def test_another_node_provides(self) -> None:
        """
        That another node provides the procedure does not confirm it.
        """
        self.request(self.number)
        self.travel(0.2)
        self.services[self.other].handle(PROVIDE, self.connect("cat"))
        self.stage.advance(0.1)
        provider = self.provide()
        self.stage.advance(0.35)
        self.assertEqual(provider.take(), [])
        self.stage.advance(0.1)
        self.assertEqual(provider.take(), [PROVIDE.ack()])

    def test_late(self) -> None:
        """
        If the directory does not confirm the name, the client is told after C{subscribeTimeout}.
        """
        self.travel()
        provider = self.provide()
        self.stage.advance(self.stage.settings.subscribe_timeout - 0.1)
        self.assertEqual(provider.take(), [])
        self.stage.advance(0.1)
        self.assertEqual(provider.take(), [PROVIDE.ack()])

    def test_bus_lost(self) -> None:
        """
        The client does not wait while the bus is lost.
        """
        self.travel()
        waits = self.provide()
        self.stage.bus(self.number).disconnect()
        self.assertEqual(waits.take(), [PROVIDE.ack()])
        waits.close()
        self.assertEqual(self.provide().take(), [PROVIDE.ack()])

    def test_unprovided_meanwhile(self) -> None:
        """
        A client that ceases to provide meanwhile is told of both, in the order of its requests.
        """
        self.travel()
        provider = self.provide()
        self.services[self.number].handle(UNPROVIDE, provider)
        self.assertEqual(provider.take(), [PROVIDE.ack(), UNPROVIDE.ack()])

    def test_provided_again(self) -> None:
        """
        A procedure that is provided again at once, so that no other node hears of it, is confirmed at once.
        """
        first = self.provide()
        self.assertEqual(first.take(), [PROVIDE.ack()])
        first.close()
        self.assertEqual(self.provide().take(), [PROVIDE.ack()])

    def test_stop(self) -> None:
        """
        A node that stops leaves no client waiting.
        """
        self.travel()
        provider = self.provide()
        self.services[self.number].stop()
        self.assertEqual(provider.take(), [PROVIDE.ack()])


class FullPartitionTests(NodesTestCase):
    """
    The names of one partition take few bytes.
    """

    max_name_bytes = 15_000

    def test_full(self) -> None:
        """
        A client that wants to provide a procedure is refused if there is no room left in the partition of its name.
        """
        names = [name for name in (f"{number}" + "x" * 6000 for number in range(40)) if partition_of(name, 4) == 1]
        provider = self.connect("bob")
        for name, action in zip(names, (RpcAction.PROVIDE, RpcAction.MESSAGE_DENIED), strict=False):
            self.services[0].handle(rpc(RpcAction.PROVIDE, names=(name,)), provider)
            self.stage.advance(1)
            self.assertEqual(provider.take()[0].action, action)
