"""
Tests for L{dstwist.cluster.condition}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.condition import Condition, condition_of
from tests.cluster.stage import Stage

WELL = Condition(True)
NO_BUS = Condition(False, "its bus is lost")


class ConditionTests(SynchronousTestCase):
    """
    L{condition_of}, as C{ann} knows the nodes.
    """

    def setUp(self) -> None:
        self.stage = Stage(self, 2)
        self.ann, self.bob = self.stage.nodes
        self.stage.start()

    def conditions(self) -> tuple[Condition, Condition]:
        """
        The conditions of C{ann} and of C{bob}.
        """
        own, other = (condition_of(self.ann, node.membership.node) for node in (self.ann, self.bob))
        return own, other

    def test_well(self) -> None:
        """
        All are well while they renew their leases, at any moment.
        """
        for _ in range(50):
            self.stage.advance(0.1)
            self.assertEqual(self.conditions(), (WELL, WELL))

    def test_store_away(self) -> None:
        """
        While the store does not answer, a node is not well, and knows nothing about the others.
        """
        self.stage.table.away = True
        self.stage.advance(4)
        own, other = self.conditions()
        self.assertEqual((own.well, other.well), (False, None))
        assert own.problem is not None
        self.assertRegex(own.problem, r"^its lease was renewed [34]\.\d s ago$")
        self.assertEqual(other.problem, own.problem.replace("its lease was renewed", "leases were read"))
        self.stage.table.away = False
        self.stage.advance(4)
        self.assertEqual(self.conditions(), (WELL, WELL))

    def test_bus_lost(self) -> None:
        """
        A node knows at once that its bus is lost, and of other nodes when they have written it into their leases.
        """
        for number, expected in ((0, (NO_BUS, WELL)), (1, (WELL, NO_BUS))):
            self.stage.bus(number).disconnect()
            self.stage.advance(2)
            self.assertEqual(self.conditions(), expected)
            self.stage.bus(number).reconnect()
            self.stage.advance(2)
            self.assertEqual(self.conditions(), (WELL, WELL))

    def test_both_away(self) -> None:
        """
        A node that has lost the bus and the store names both.
        """
        self.stage.table.away = True
        self.stage.bus(0).disconnect()
        self.stage.advance(4)
        self.assertRegex(self.conditions()[0].problem or "", r"^its lease was renewed .* s ago; its bus is lost$")

    def test_silent(self) -> None:
        """
        A node that renews its lease no longer is not well, before it is found dead.
        """
        self.stage.kill(1)
        self.stage.advance(4)
        own, other = self.conditions()
        self.assertEqual((own, other.well), (WELL, False))
        self.assertRegex(other.problem or "", r"^its lease was renewed [34]\.\d s ago$")

    def test_no_lease(self) -> None:
        """
        A node that has not joined yet has no lease, and knows no others.
        """
        cat = self.stage.make_node()
        node = cat.membership.node
        self.assertEqual(condition_of(cat, node), Condition(False, "it has no lease; its bus is lost"))
        self.assertEqual(condition_of(cat, self.ann.membership.node), Condition(None, "this node has read no leases"))
