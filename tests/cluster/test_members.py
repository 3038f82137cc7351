"""
Tests for L{dstwist.cluster.members}.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryBus, MemoryNetwork
from dstwist.cluster.fields import MAX_STEP
from dstwist.cluster.members import Membership
from dstwist.cluster.table import Table, address_of
from dstwist.cluster.table_memory import MemoryTable
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StartError, StoreError
from dstwist.interfaces import TableReading
from tests.logs import Lines

PARTITIONS = 4
SETTINGS = ClusterSettings(partitions=PARTITIONS)


class FailingTable(MemoryTable):
    """
    A table that can be away, and that can lose its answers.
    """

    away = False
    is_silent = False
    loses_answers = False
    #: How many tables are lost on their way.
    losses = 0

    def renew(self, node: str, lease: bytes) -> Deferred[TableReading]:
        if self.is_silent:
            return Deferred()
        if self.away:
            return fail(StoreError("away"))
        return super().renew(node, lease)

    def replace(
        self, expected: bytes | None, document: bytes, forget: Mapping[str, bytes | None] = MappingProxyType({})
    ) -> Deferred[bool]:
        if self.losses:
            self.losses -= 1
            return Deferred()
        answer = super().replace(expected, document, forget)
        return Deferred() if self.loses_answers else answer


class MembershipTests(SynchronousTestCase):
    """
    L{Membership}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.store = FailingTable()
        self.buses: dict[str, MemoryBus] = {}
        self.lines = Lines(self)
        self.seed = 0

    def make_node(self, name: str, settings: ClusterSettings = SETTINGS) -> Membership:
        """
        A node that has not started.
        """
        self.seed += 1
        bus = self.buses[name] = self.network.bus()
        bus.start()
        return Membership(name, "1.0", self.store, bus, self.clock, settings, random.Random(self.seed))

    def node(self, name: str) -> Membership:
        """
        A node that takes part.
        """
        node = self.make_node(name)
        self.successResultOf(node.start())
        return node

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)

    def owned(self, node: Membership) -> int:
        return sum(node.owns(partition) for partition in range(PARTITIONS))

    def decided(self, node: Membership) -> int:
        return sum(node.may_decide(partition) for partition in range(PARTITIONS))

    def read(self) -> Table:
        return Table.decode(self.store.document, PARTITIONS)

    def test_first(self) -> None:
        """
        The first node is the only member, and owns all partitions.
        """
        ann = self.node("ann")
        self.assertEqual([*ann.members], [ann.node])
        self.assertEqual(address_of(ann.node), "ann")
        self.assertEqual(self.decided(ann), PARTITIONS)

    def test_second(self) -> None:
        """
        A second node is given its share.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(1.2)
        self.assertEqual((self.owned(ann), self.owned(bob)), (2, 2))
        self.wait(6)
        self.assertEqual((self.decided(ann), self.decided(bob)), (2, 2))
        self.assertEqual(ann.members, bob.members)

    def test_other_lease_time(self) -> None:
        """
        A node with another leaseTime than a living member does not join.
        """
        ann = self.node("ann")
        bob = self.make_node("bob", ClusterSettings(partitions=PARTITIONS, lease_time=9))
        starting = bob.start()
        self.wait(2.5)
        error = self.failureResultOf(starting, StartError)
        self.assertIn(f"cluster.leaseTime is 9000 here and 6000 at node {ann.node}", str(error.value))
        self.wait(20)
        self.assertEqual([*ann.members], [ann.node])

    def test_other_lease_time_dead(self) -> None:
        """
        It joins if all other members are dead: they are left from before leaseTime was changed.
        """
        ann = self.node("ann")
        ann.stop()
        bob = self.make_node("bob", ClusterSettings(partitions=PARTITIONS, lease_time=9))
        starting = bob.start()
        self.wait(9)
        self.assertNoResult(starting)
        self.wait(3)
        self.successResultOf(starting)
        self.assertEqual([*bob.members], [bob.node])

    def test_other_partitions(self) -> None:
        """
        A node that spreads names over another number of partitions does not join.
        """
        ann = self.node("ann")
        error = self.failureResultOf(self.make_node("bob", ClusterSettings(partitions=8)).start(), StartError)
        self.assertIn(f"{ann.node} spreads names over 4 partitions, and this node over 8", str(error.value))

    def test_death(self) -> None:
        """
        A node whose lease does not move for leaseTime is dead: its partitions go to the others, with a higher token.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(5)
        tokens = [a.token for a in ann.assignments]
        bob.stop()
        self.wait(5)
        self.assertIn(bob.node, ann.members)
        self.wait(3)
        self.assertEqual([*ann.members], [ann.node])
        self.assertEqual(self.decided(ann), PARTITIONS)
        self.assertEqual(sum(a.token > token for a, token in zip(ann.assignments, tokens, strict=True)), 2)
        self.assertEqual([*self.store.leases], [ann.node])

    def test_expired(self) -> None:
        """
        An owner that cannot renew its lease stops deciding before it is dead, and goes on when the store is back.
        """
        ann = self.node("ann")
        self.store.away = True
        self.wait(5)
        self.assertEqual(self.decided(ann), PARTITIONS)
        self.wait(0.5)
        self.assertEqual((self.decided(ann), self.owned(ann)), (0, PARTITIONS))
        self.store.away = False
        self.wait(1.2)
        self.assertEqual(self.decided(ann), PARTITIONS)

    def test_outage(self) -> None:
        """
        No node is dead because the store was away.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(5)
        version = ann.table.version
        self.store.away = True
        self.wait(20)
        self.store.away = False
        self.wait(20)
        self.assertEqual((ann.table.version, bob.table.version), (version, version))

    def test_missing(self) -> None:
        """
        A node that was found dead takes part as a new node, and tells its observers.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(5)
        old, changes = bob.node, []
        bob.observe(lambda: changes.append(bob.node))
        read = self.read()
        self.store.document = read.planned(99, {ann.node: read.members[ann.node]}, {ann.node}).encode()
        self.store.document = self.store.document.replace(b'"version":%d' % read.version, b'"version":99')
        self.wait(2)
        self.assertNotEqual(bob.node, old)
        self.assertEqual(address_of(bob.node), "bob")
        self.assertEqual(sorted(ann.members), sorted((ann.node, bob.node)))
        self.assertIn(bob.node, changes)
        self.assertEqual(len(self.lines.of("warn")), 1)

    def test_lost_answer(self) -> None:
        """
        If the answer of the store is lost, the next reading shows that the table was written.
        """
        ann = self.node("ann")
        self.wait(0.1)
        self.store.loses_answers = True
        self.buses["bob"] = bus = self.network.bus()
        bus.start()
        settings = ClusterSettings(partitions=PARTITIONS)
        bob = Membership("bob", "1.0", self.store, bus, self.clock, settings, random.Random(9))
        started = bob.start()
        self.assertNoResult(started)
        self.wait(3)
        self.successResultOf(started)
        self.assertIn(bob.node, ann.members)

    def test_giving(self) -> None:
        """
        A node does not decide about partitions that it may have given away.
        """
        ann = self.node("ann")
        self.node("bob").stop()
        self.store.loses_answers = True
        self.wait(1.2)
        self.assertEqual(sum(a.owner == ann.node for a in self.read().assignments), 2)
        self.assertEqual((self.owned(ann), self.decided(ann)), (4, 2))

    def test_not_given_after_all(self) -> None:
        """
        A node whose table got lost decides about its partitions again when there is no reason any more to give them
        away. It writes another table first, so that the lost one cannot take effect later.
        """
        ann = self.node("ann")
        self.node("bob")
        self.wait(5)
        version = ann.table.version
        self.buses["ann"].disconnect()
        self.wait(0.05)
        while self.decided(ann):
            # The reason lasts for one attempt only.
            self.store.losses = 1
            self.wait(0.05)
        self.store.losses = 0
        self.buses["ann"].reconnect()
        self.wait(3)
        self.assertEqual((self.owned(ann), self.decided(ann)), (2, 2))
        self.assertGreater(self.read().version, version)

    def test_living(self) -> None:
        """
        A node is not dead if its lease moves at the last moment, even if the verdict is executed late.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(5)
        reading = self.successResultOf(self.store.renew(ann.node, b"9+"))
        verdict = self.read().planned(99, {ann.node: self.read().members[ann.node]}, {ann.node}).encode()
        bob.look()
        self.wait(0.1)
        forget = {bob.node: reading.leases[bob.node]}
        self.assertFalse(self.successResultOf(self.store.replace(reading.document, verdict, forget)))

    def test_emptied(self) -> None:
        """
        If the store is emptied, the version and the tokens go on, and no node has to join anew.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(5)
        nodes, known = sorted(ann.members), ann.table
        self.store.document = None
        self.store.leases.clear()
        self.wait(3)
        self.assertEqual(sorted(self.read().members), nodes)
        self.assertGreater(self.read().version, known.version)
        self.assertEqual(self.read().assignments, known.assignments)
        self.assertEqual((ann.table, bob.table), (self.read(), self.read()))
        self.assertIn("has gone back", self.lines.of("warn")[0])

    def test_lower_token(self) -> None:
        """
        A token that is lower than one that a node has heard of is replaced by a higher one.
        """
        ann = self.node("ann")
        self.assertTrue(ann.heard(1, "x#1", 50))
        self.assertFalse(ann.owns(1))
        self.wait(0.1)
        self.assertGreater(ann.assignments[1].token, 50)
        self.assertTrue(ann.may_decide(1))

    def test_heard(self) -> None:
        """
        A message of an owner counts if its token is not lower than the highest that is known.
        """
        ann = self.node("ann")
        self.assertEqual(ann.assignments[1].token, 1)
        self.assertTrue(ann.heard(1, ann.node, 1))
        self.assertFalse(ann.heard(1, "x#1", 1))
        self.assertFalse(ann.heard(1, ann.node, 0))

    def test_bus_alone(self) -> None:
        """
        A node gives its partitions away if its bus is lost while that of another node works.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(5)
        self.buses["ann"].disconnect()
        self.wait(2.5)
        self.assertEqual(self.owned(ann), 2)
        self.wait(3)
        self.assertEqual((self.owned(ann), self.owned(bob)), (0, 4))
        self.buses["ann"].reconnect()
        self.wait(6)
        self.assertEqual((self.owned(ann), self.owned(bob)), (2, 2))

    def test_bus_away(self) -> None:
        """
        If the bus is lost for all, no partition moves and no node is dead.
        """
        ann = self.node("ann")
        self.node("bob")
        self.wait(5)
        version = ann.table.version
        for bus in self.buses.values():
            bus.disconnect()
        self.wait(20)
        self.assertEqual(ann.table.version, version)

    def test_impossible_token(self) -> None:
        """
        An owner with a token that the table cannot have reached is not believed, and the log says so. Believed, the
        token would become the version of the table.
        """
        ann = self.node("ann")
        known = ann.table.version
        self.assertFalse(ann.heard(0, "eve#1", known + MAX_STEP + 1))
        self.assertIn("eve#1 says that the membership table has version", self.lines.last("warn"))
        self.assertTrue(ann.owns(0))
        self.assertTrue(ann.heard(0, "eve#1", known + MAX_STEP))

    def test_announced(self) -> None:
        """
        A node that hears of a new table reads it at once.
        """
        ann = self.node("ann")
        self.wait(0.2)
        bob = self.node("bob")
        self.assertNotIn(bob.node, ann.members)
        ann.announced(bob.table.version)
        self.clock.advance(0)
        self.assertIn(bob.node, ann.members)

    def test_announce(self) -> None:
        """
        A node announces the tables that it writes.
        """
        ann = self.node("ann")
        self.node("bob")
        announced: list[int] = []
        ann.announce_with(announced.append)
        self.wait(1.2)
        self.assertEqual(announced, [self.read().version])

    def test_orderly_stop(self) -> None:
        """
        A node that stops gives its partitions away first, and then leaves; the others need not find it dead.
        """
        ann, bob = self.node("ann"), self.node("bob")
        self.wait(5)
        handed_over = bob.hand_over()
        self.assertEqual(self.decided(bob), 0)
        self.wait(1)
        self.successResultOf(handed_over)
        self.wait(1)
        self.assertEqual((self.owned(ann), [*ann.members]), (4, sorted((ann.node, bob.node))))
        left = bob.leave()
        self.wait(1.2)
        self.successResultOf(left)
        self.assertEqual([*ann.members], [ann.node])

    def test_last_stop(self) -> None:
        """
        The last node has no other to give its partitions to.
        """
        ann = self.node("ann")
        handed_over = ann.hand_over()
        self.wait(0.1)
        self.successResultOf(handed_over)
        left = ann.leave()
        self.wait(0.1)
        self.successResultOf(left)
        self.assertEqual(self.read().members, {})

    def test_unusable_table(self) -> None:
        """
        A document that is no table is left alone, and logged.
        """
        ann = self.node("ann")
        self.store.document = b"nonsense"
        self.wait(10)
        self.assertEqual((self.store.document, self.decided(ann)), (b"nonsense", 0))
        self.assertIn("cannot be used", self.lines.of("error")[0])
