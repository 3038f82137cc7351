"""
Tests for L{dstwist.cluster.node}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.cluster.digest import State
from dstwist.errors import StartError
from dstwist.interfaces import ILifecycle
from tests.cluster.stage import Stage
from tests.logs import Lines


class NodeTests(SynchronousTestCase):
    """
    L{ClusterNode<dstwist.cluster.node.ClusterNode>}.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.stage = Stage(self, 2)
        self.ann, self.bob = self.stage.nodes
        self.told: list[tuple[str, State]] = []
        self.bob.directory.on_told("u", lambda name, state: self.told.append((name, state)))

    def test_start(self) -> None:
        """
        Nodes that have started know each other, share the partitions, and log it.
        """
        verifyObject(ILifecycle, self.ann)
        self.stage.start()
        self.assertEqual(set(self.ann.membership.members), {self.ann.membership.node, self.bob.membership.node})
        self.assertEqual(sum(map(self.ann.membership.owns, range(4))), 2)
        self.assertEqual(self.bob.description, f"node {self.bob.membership.node}, with 1 other nodes")
        self.assertIn(f"CLUSTER | node {self.bob.membership.node} is there", self.lines.of("info"))

    def test_directory(self) -> None:
        """
        A node is told of the names that another one holds.
        """
        self.stage.start()
        self.bob.directory.watch_all("u")
        self.ann.directory.hold("u", "alice")
        self.stage.turn()
        self.assertEqual(self.told, [("alice", (True, ()))])

    def test_not_ready(self) -> None:
        """
        Clients should go to another node while a node joins, or while it alone has no bus. If no node has a bus, all
        serve their own clients.
        """
        self.assertEqual(self.ann.not_ready(), "the node joins the cluster")
        self.stage.start()
        self.assertIsNone(self.ann.not_ready())
        self.stage.bus(0).disconnect()
        self.stage.advance(2)
        self.assertIsNone(self.ann.not_ready())
        self.stage.advance(3)
        self.assertEqual(self.ann.not_ready(), "the bus of this node is lost, and other nodes have theirs")
        self.stage.bus(1).disconnect()
        self.stage.advance(2)
        self.assertIsNone(self.ann.not_ready())
        self.stage.bus(0).reconnect()
        self.stage.bus(1).reconnect()
        self.stage.advance(2)
        self.assertIsNone(self.ann.not_ready())

    def test_no_bus_and_no_store(self) -> None:
        """
        If bus and store are away at once, a node does not know of the buses of the others, and claims nothing.
        """
        self.stage.start()
        self.stage.table.away = True
        for number in (0, 1):
            self.stage.bus(number).disconnect()
        self.stage.advance(6)
        self.assertIsNone(self.ann.not_ready())

    def test_not_ready_dead(self) -> None:
        """
        A node that was found dead joins anew, and is not ready meanwhile.
        """
        self.stage.start()
        reasons: list[str | None] = []
        self.ann.membership.observe(lambda: reasons.append(self.ann.not_ready()))
        table = self.ann.membership.table
        members = {self.bob.membership.node: table.members[self.bob.membership.node]}
        self.stage.table.document = replace(table, version=table.version + 1, members=members).encode()
        self.stage.advance(2)
        self.assertIn("the node joins the cluster", reasons)
        self.assertIsNone(self.ann.not_ready())

    def test_stop(self) -> None:
        """
        A node that stops in order gives its partitions away, leaves the table, and does nothing any more.
        """
        self.stage.start()
        handed_over = self.ann.hand_over()
        self.stage.advance(2)
        self.successResultOf(handed_over)
        self.assertEqual(sum(map(self.bob.membership.owns, range(4))), 4)
        stopped = self.ann.stop()
        self.stage.advance(2)
        self.successResultOf(stopped)
        self.assertEqual(list(self.bob.membership.members), [self.bob.membership.node])
        self.assertTrue(self.ann.bus.is_lost)
        self.assertTrue(any("has left" in line for line in self.lines.of("info")))

    def test_stop_without_store(self) -> None:
        """
        A node whose store does not answer stops nevertheless.
        """
        self.stage.start()
        self.stage.table.away = True
        handed_over = self.ann.hand_over()
        self.stage.advance(7)
        self.successResultOf(handed_over)
        stopped = self.ann.stop()
        self.stage.advance(7)
        self.successResultOf(stopped)

    def test_refused(self) -> None:
        """
        A node that is refused, because it has another leaseTime, stops what it has started.
        """
        self.stage.start(self.ann, self.bob)
        self.stage.settings = replace(self.stage.settings, lease_time=9)
        cat = self.stage.make_node()
        started = cat.start()
        self.stage.advance(3)
        self.failureResultOf(started, StartError)
        self.assertTrue(cat.bus.is_lost)

    def test_stop_early(self) -> None:
        """
        A node that is not a member yet stops at once.
        """
        self.stage.table.away = True
        started = self.ann.start()
        self.successResultOf(self.ann.hand_over())
        self.successResultOf(self.ann.stop())
        self.stage.advance(2)
        self.assertNoResult(started)
