"""
Tests for L{dstwist.cluster.departure}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.departure import Departure
from dstwist.cluster.table import Assignment, Member, Table

ANN = Member("1.0", 1, 6000)


def table(owner: str, *members: str) -> Table:
    """
    A table with one partition.
    """
    return Table(5, "ann", dict.fromkeys(members, ANN), (Assignment(owner, 1),))


class DepartureTests(SynchronousTestCase):
    """
    L{Departure}.
    """

    def setUp(self) -> None:
        self.departure = Departure()

    def check(self, read: Table, bus_works: bool = True) -> None:
        self.departure.check(read, read, "ann", lambda node: bus_works)

    def test_hand_over(self) -> None:
        """
        The hand-over ends when the node has no partitions any more.
        """
        ended = self.departure.hand_over()
        self.check(table("ann", "ann", "bob"))
        self.assertNoResult(ended)
        self.check(table("bob", "ann", "bob"))
        self.successResultOf(ended)

    def test_no_taker(self) -> None:
        """
        It ends at once if no other node can take them: there is none, its bus is lost, or it is about to stop, too.
        """
        leaving = Table(5, "ann", {"ann": ANN, "bob": ANN._replace(leaving=True)}, (Assignment("ann", 1),))
        for read, bus_works in ((table("ann", "ann"), True), (table("ann", "ann", "bob"), False), (leaving, True)):
            ended = self.departure.hand_over()
            self.check(read, bus_works)
            self.successResultOf(ended)

    def test_leave(self) -> None:
        """
        The second step ends when the node is out of the table.
        """
        self.assertFalse(self.departure.leaves)
        ended = self.departure.leave()
        self.assertTrue(self.departure.leaves)
        self.assertNoResult(ended)
        self.departure.left()
        self.successResultOf(ended)
