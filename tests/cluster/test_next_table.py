"""
Tests for L{dstwist.cluster.next_table}. How partitions are spread is tested in L{tests.cluster.test_table}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.next_table import Writer, next_table
from dstwist.cluster.table import Assignment, Member, Table

ENTRY = Member("1.0", 1, 6000)
ANN = Writer("ann", ENTRY, bus_is_lost=False, is_alone=False)
BOTH = Table(5, "bob", {"ann": ENTRY, "bob": ENTRY}, (Assignment("ann", 3), Assignment("bob", 4)))


class NextTableTests(SynchronousTestCase):
    """
    L{next_table}.
    """

    def written(
        self, writer: Writer = ANN, dead: tuple[str, ...] = (), base: Table = BOTH, known: Table = BOTH
    ) -> Table | None:
        return next_table(BOTH, base, writer, dead, lambda node: True, known.assignments)

    def owners(self, table: Table | None) -> list[str | None]:
        assert table is not None
        return [owner for owner, _ in table.assignments]

    def test_no_reason(self) -> None:
        """
        Without a reason no table is written.
        """
        self.assertIsNone(self.written())

    def test_pending(self) -> None:
        """
        If an earlier table may still take effect, the same is written with another version.
        """
        table = next_table(BOTH, BOTH, ANN, (), lambda node: True, BOTH.assignments, is_pending=True)
        self.assertEqual(table, replace(BOTH, version=6, writer="ann"))

    def test_joins(self) -> None:
        """
        A node that is not in the table adds itself, as its writer and with the next version.
        """
        table = self.written(replace(ANN, node="cat"))
        assert table is not None
        self.assertEqual((list(table.members), table.writer, table.version), (["ann", "bob", "cat"], "cat", 6))

    def test_dead(self) -> None:
        """
        A dead node is left out, and its partitions go to others.
        """
        table = self.written(dead=("bob",))
        assert table is not None
        self.assertEqual(list(table.members), ["ann"])
        self.assertEqual(table.assignments, (("ann", 3), ("ann", 6)))

    def test_leaves(self) -> None:
        """
        A node that leaves is left out, and gives all its partitions away. So does a node that is about to leave.
        """
        for writer in (replace(ANN, entry=None), replace(ANN, entry=ENTRY._replace(leaving=True))):
            self.assertEqual(self.owners(self.written(writer)), ["bob", "bob"])

    def test_bus(self) -> None:
        """
        A node whose bus is lost keeps its partitions at first, takes none, and gives them away if it is alone with that
        for long.
        """
        lost = replace(ANN, bus_is_lost=True)
        self.assertIsNone(self.written(lost))
        self.assertEqual(self.owners(self.written(lost, dead=("bob",))), ["ann", None])
        self.assertEqual(self.owners(self.written(replace(lost, is_alone=True))), ["bob", "bob"])

    def test_gone_back(self) -> None:
        """
        A table that has gone back is replaced even if only its version is another one.
        """
        table = self.written(base=replace(BOTH, version=8))
        assert table is not None
        self.assertEqual(table.version, 9)

    def test_lower_token(self) -> None:
        """
        A partition whose token is lower than the one that this node knows has a new token, higher than all.
        """
        known = replace(BOTH, assignments=(Assignment("ann", 3), Assignment("cat", 17)))
        table = self.written(known=known)
        assert table is not None
        self.assertEqual(table.assignments, (("ann", 3), ("bob", 18)))
