"""
Tests for L{dstwist.cluster.table}.
"""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.table import MOVES_PER_TABLE, Assignment, Member, Table, partition_of

ANN = Member("1.0", 1, 6000)
BOB = Member("1.1", 2, 9000, leaving=True)


def table(owners: str, version: int = 5, tokens: tuple[int, ...] = ()) -> Table:
    """
    A table whose owners have names of one letter; C{-}: none.
    """
    tokens = tokens or (1,) * len(owners)
    assignments = tuple(
        Assignment(None if owner == "-" else owner, token) for owner, token in zip(owners, tokens, strict=True)
    )
    return Table(version, "a", dict.fromkeys(sorted({*owners} - {"-"}), ANN), assignments)


def owners(table: Table) -> str:
    return "".join(assignment.owner or "-" for assignment in table.assignments)


class DocumentTests(SynchronousTestCase):
    """
    The table as a document.
    """

    def test_round_trip(self) -> None:
        """
        A document contains the whole table, owners that are no members included.
        """
        for each in (
            Table.first(4),
            table("ab-a", tokens=(3, 4, 0, 5)),
            Table(7, "b", {"a": ANN, "b": BOB}, (Assignment("gone", 2), Assignment("b", 7)), "1f"),
        ):
            self.assertEqual(Table.decode(each.encode(), len(each.assignments)), each)

    def test_no_identity(self) -> None:
        """
        Tables of releases that do not know the identity of the store have none.
        """
        document = json.loads(table("ab").encode())
        del document["store"]
        self.assertEqual(Table.decode(json.dumps(document).encode(), 2), table("ab"))

    def test_none(self) -> None:
        """
        Without a document the table is the first one: empty, with version 0.
        """
        self.assertEqual(Table.decode(None, 4), Table(0, "", {}, (Assignment(None, 0),) * 4))

    def test_unusable(self) -> None:
        """
        Everything that is no table of this format and size is refused.
        """
        good = table("ab").encode()
        for bad in (
            b"",
            b"{}",
            b"[]",
            b"null",
            good.replace(b'"format":1', b'"format":2'),
            good.replace(b'"owners":[0,1]', b'"owners":[0,9]'),
            good.replace(b'"owners":[0,1]', b'"owners":[0]'),
            good.replace(b'"version":5', b'"version":"5"'),
        ):
            self.assertRaises(ValueError, Table.decode, bad, 2)
        self.assertRaises(ValueError, Table.decode, good, 3)

    def test_partition(self) -> None:
        """
        All nodes put a name into the same partition.
        """
        self.assertEqual([partition_of(name, 256) for name in ("ann", "bob", "\ud800")], [115, 64, 40])


class PlanTests(SynchronousTestCase):
    """
    L{Table.planned}.
    """

    def test_first(self) -> None:
        """
        The first node gets all partitions, with the new version as their token.
        """
        planned = Table.first(3).planned(1, {"a": ANN}, {"a"})
        self.assertEqual(planned.assignments, (Assignment("a", 1),) * 3)

    def test_orphans(self) -> None:
        """
        Partitions of a node that is no member any more go to the members that have the fewest; the others stay.
        """
        planned = table("ccccab").planned(6, {"a": ANN, "b": ANN}, {"a", "b"})
        self.assertEqual(owners(planned), "ababab")
        self.assertEqual([a.token for a in planned.assignments], [6, 6, 6, 6, 1, 1])

    def test_no_bus(self) -> None:
        """
        Members whose bus is lost are given nothing, and keep what they have.
        """
        planned = table("cab").planned(6, {"a": ANN, "b": ANN}, {"a"})
        self.assertEqual(owners(planned), "aab")

    def test_no_usable(self) -> None:
        """
        If no member can take a partition, it has no owner.
        """
        self.assertEqual(owners(table("ca").planned(6, {"a": ANN}, ())), "-a")

    def test_even(self) -> None:
        """
        The node that has more than its share gives the rest to those that have the fewest. They get new tokens; the
        others stay.
        """
        members = {"a": ANN, "b": ANN, "c": ANN}
        planned = table("aaaaaab").planned(6, members, members, giver="a")
        self.assertEqual(owners(planned), "cbcaaab")
        self.assertEqual([a.token for a in planned.assignments], [6, 6, 6, 1, 1, 1, 1])

    def test_some_at_a_time(self) -> None:
        """
        A node gives no more than some partitions away in one table, and none but its own.
        """
        members = {"a": ANN, "b": ANN}
        many = 4 * MOVES_PER_TABLE
        planned = table("a" * many).planned(6, members, members, giver="a")
        self.assertEqual(owners(planned), "b" * MOVES_PER_TABLE + "a" * (many - MOVES_PER_TABLE))
        self.assertEqual(owners(table("aaaa").planned(6, members, members, giver="b")), "aaaa")
        self.assertEqual(owners(table("aab").planned(6, members, members, giver="a")), "aab")

    def test_yielding(self) -> None:
        """
        A member that yields gives all its partitions away, unless no other member is usable.
        """
        members = {"a": ANN, "b": ANN}
        self.assertEqual(owners(table("aab").planned(6, members, members, {"a"})), "bbb")
        self.assertEqual(owners(table("aab").planned(6, members, {"a"}, {"a"})), "aab")


class PastTests(SynchronousTestCase):
    """
    Stores that have gone back.
    """

    def test_merged_identity(self) -> None:
        """
        The identity of the store is the known one, not that of a store that was emptied.
        """
        known, stale = replace(table("ab"), store="1f"), replace(table("ab", version=1), store="2e")
        self.assertEqual(known.merged(stale).store, "1f")
        self.assertEqual(table("ab").merged(stale).store, "2e")

    def test_merged(self) -> None:
        """
        Of each partition the later assignment counts, and members of both tables are members.
        """
        known, stale = table("aab", tokens=(1, 5, 3)), table("acc", tokens=(1, 2, 4))
        merged = known.merged(stale)
        self.assertEqual(owners(merged), "aac")
        self.assertEqual(sorted(merged.members), ["a", "b", "c"])

    def test_repaired(self) -> None:
        """
        A token that is lower than a known one, or equal for another owner, is replaced by the new version.
        """
        read = table("abc", tokens=(1, 2, 3))
        known = table("axy", tokens=(1, 2, 9)).assignments
        self.assertEqual([a.token for a in read.repaired(known, 10).assignments], [1, 10, 10])
        self.assertIs(read.repaired(read.assignments, 10), read)
