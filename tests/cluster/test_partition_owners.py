"""
Tests for L{dstwist.cluster.partition_owners}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.partition_owners import PartitionOwners
from dstwist.cluster.table import Assignment, Table


class PartitionOwnersTests(SynchronousTestCase):
    """
    L{PartitionOwners}, at the node C{ann}.
    """

    def setUp(self) -> None:
        self.owners = PartitionOwners(2)
        self.adopt(Assignment("ann", 3), Assignment("bob", 4))

    def adopt(self, *assignments: Assignment) -> None:
        self.owners.adopt(Table(9, "ann", {}, assignments), "ann")

    def counted(self) -> tuple[int, int]:
        return self.owners.taken, self.owners.given

    def test_adopt(self) -> None:
        """
        A table counts for the partitions of which no later owner is known.
        """
        self.adopt(Assignment("cat", 2), Assignment("cat", 5))
        self.assertEqual(self.owners.assignments, [("ann", 3), ("cat", 5)])

    def test_heard(self) -> None:
        """
        A message with a lower token, or with the same token and another owner, does not count.
        """
        self.assertIs(self.owners.heard(0, "cat", 2, "ann"), False)
        self.assertIs(self.owners.heard(0, "cat", 3, "ann"), False)
        self.assertIs(self.owners.heard(0, "ann", 3, "ann"), True)
        self.assertIsNone(self.owners.heard(0, "cat", 4, "ann"))
        self.assertEqual(self.owners.assignments[0], ("cat", 4))

    def test_counts(self) -> None:
        """
        The partitions that this node has got, and those that it has no more, are counted.
        """
        self.assertEqual(self.counted(), (1, 0))
        self.adopt(Assignment("ann", 5), Assignment("ann", 5))
        self.assertEqual(self.counted(), (2, 0))
        self.owners.heard(0, "bob", 6, "ann")
        self.assertEqual(self.counted(), (2, 1))
