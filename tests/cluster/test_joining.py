"""
Tests for L{dstwist.cluster.joining}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryNetwork
from dstwist.cluster.node import ClusterNode
from dstwist.errors import StartError
from tests.cluster.stage import Stage, StageTable
from tests.logs import Lines


class JoiningTests(SynchronousTestCase):
    """
    L{Joining<dstwist.cluster.joining.Joining>}, as a part of nodes.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.stage = Stage(self, 2)

    def test_first(self) -> None:
        """
        The first node waits only for nodes that may have another store.
        """
        started = self.stage.nodes[0].start()
        self.stage.advance(0.9)
        self.assertNoResult(started)
        self.stage.advance(0.2)
        self.successResultOf(started)
        self.stage.kill(0)

    def test_answered(self) -> None:
        """
        Another node waits until the first one has heard of it, and no longer.
        """
        self.stage.start(self.stage.nodes[0])
        started = self.stage.nodes[1].start()
        self.assertNoResult(started)
        self.stage.advance(1)
        self.successResultOf(started)
        self.assertEqual(self.lines.of("warn"), [])
        self.stage.kill(1)

    def test_silent(self) -> None:
        """
        It waits for a node that does not answer until joinTimeout is over, and the log says for which.
        """
        self.stage.start(self.stage.nodes[0])
        self.stage.bus(0).disconnect()
        started = self.stage.nodes[1].start()
        self.stage.advance(4.5)
        self.assertNoResult(started)
        self.stage.advance(1)
        self.successResultOf(started)
        self.assertIn("1 of the other nodes have not answered in time (joinTimeout): ", self.lines.last("warn"))
        self.assertIn(self.stage.nodes[0].membership.node, self.lines.last("warn"))
        self.stage.kill(1)

    def test_other_bus(self) -> None:
        """
        A node that none of the others hears, although they are well, has another bus. It does not start, and leaves.
        """
        self.stage.start(self.stage.nodes[0])
        network, self.stage.network = self.stage.network, MemoryNetwork(self.stage.clock)
        stray = self.stage.make_node()
        self.stage.network = network
        started = stray.start()
        self.stage.advance(4.5)
        self.assertNoResult(started)
        self.stage.advance(2)
        problem = str(self.failureResultOf(started, StartError).value)
        self.assertIn("the bus of this node is not that of the other nodes: none of them (1, such as ann-", problem)
        self.assertEqual(list(self.stage.nodes[0].membership.members), [self.stage.nodes[0].membership.node])

    def other_store(self) -> ClusterNode:
        """
        One more node, which has another store.
        """
        table, self.stage.table = self.stage.table, StageTable()
        stray = self.stage.make_node()
        self.other_table = self.stage.table
        self.stage.table = table
        return stray

    def test_other_store(self) -> None:
        """
        A node that has the bus of the others, and another store, does not start. The log of the others names it.
        """
        self.stage.start(self.stage.nodes[0])
        stray = self.other_store()
        started = stray.start()
        self.stage.advance(4.5)
        self.assertNoResult(started)
        self.stage.advance(2)
        problem = str(self.failureResultOf(started, StartError).value)
        other = self.stage.nodes[0].membership.node
        self.assertIn(f"the store of this node is not that of node {other}, which has the same bus", problem)
        self.assertIn(f"node {stray.membership.node} has another store than this node", "".join(self.lines.of("warn")))
        self.assertEqual(list(self.stage.nodes[0].membership.members), [other])

    def test_other_stores(self) -> None:
        """
        So it is if the others with the same store answer.
        """
        self.stage.start(self.stage.nodes[0])
        self.stage.bus(0).disconnect()
        first = self.other_store()
        self.stage.start(first)
        self.stage.bus(0).reconnect()
        self.stage.advance(2)
        self.stage.table, table = self.other_table, self.stage.table
        second = self.stage.make_node()
        self.stage.table = table
        started = second.start()
        self.stage.advance(6)
        self.failureResultOf(started, StartError)

    def test_emptied_store(self) -> None:
        """
        A node whose store was emptied just now has that of the others, as soon as they have written the table anew.
        """
        self.stage.start(self.stage.nodes[0])
        self.stage.table.document = None
        started = self.stage.nodes[1].start()
        self.stage.advance(4)
        self.successResultOf(started)
        self.assertEqual(self.stage.nodes[1].membership.table, self.stage.nodes[0].membership.table)
        self.stage.kill(1)

    def test_late(self) -> None:
        """
        A node that answers late is asked again.
        """
        self.stage.start(self.stage.nodes[0])
        self.stage.bus(0).disconnect()
        started = self.stage.nodes[1].start()
        self.stage.advance(2)
        self.assertNoResult(started)
        self.stage.bus(0).reconnect()
        self.stage.advance(1.1)
        self.successResultOf(started)
        self.stage.kill(1)

    def test_dead(self) -> None:
        """
        It does not wait for a node that is found dead meanwhile.
        """
        self.stage.settings = self.stage.settings.__class__(partitions=4, join_timeout=30.0)
        self.stage.start(self.stage.nodes[0])
        self.stage.kill(0)
        node = self.stage.make_node()
        started = node.start()
        self.stage.advance(4)
        self.assertNoResult(started)
        self.stage.advance(5)
        self.successResultOf(started)
        self.stage.kill(2)
