"""
Tests for L{dstwist.cluster.figures}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.figures import ArbiterFigures, ClusterFigures, NewsFigures
from tests.cluster.stage import Stage


class FiguresTests(SynchronousTestCase):
    """
    L{ClusterCounting<dstwist.cluster.figures.ClusterCounting>}, at the first of two nodes.
    """

    def setUp(self) -> None:
        self.stage = Stage(self, 2, grace={"u": 2.0})
        self.ann, self.bob = self.stage.nodes
        self.stage.start()

    def count(self) -> ClusterFigures:
        return self.ann.figures.count()

    def test_membership(self) -> None:
        """
        Members, the version of the table, the age of the lease, and partitions.
        """
        figures = self.count()
        self.assertEqual((figures.members, figures.table_version), (2, self.ann.membership.table.version))
        # The first node had all partitions, and gave some of them to the second.
        self.assertEqual((figures.partitions, figures.partitions_taken, figures.partitions_given), (2, 4, 2))
        assert figures.lease_age is not None
        self.assertLess(figures.lease_age, 1.2)
        self.stage.table.document = None
        self.stage.advance(1.2)
        self.assertGreaterEqual(self.count().went_back + self.bob.figures.count().went_back, 1)

    def test_bus(self) -> None:
        """
        Losses of the bus, messages that were dropped, and subjects that are not confirmed.
        """
        self.assertEqual((self.count().bus_is_lost, self.count().bus_losses), (False, 0))
        subjects = self.ann.subjects("e", lambda *received: None, lambda name: None)
        subjects.want("news")
        self.assertEqual(self.count().unconfirmed, 1)
        self.stage.turn()
        self.assertEqual(self.count().unconfirmed, 0)
        self.stage.bus(0).disconnect()
        before = self.count().dropped
        subjects.publish("news", b"")
        figures = self.count()
        self.assertEqual((figures.bus_is_lost, figures.bus_losses, figures.dropped), (True, 1, before + 1))

    def test_digests(self) -> None:
        """
        Copies that differ, at the owner and at the member.
        """
        self.stage.bus(1).disconnect()
        self.bob.directory.hold("u", "alice")
        self.bob.directory.hold("u", "carol")
        self.stage.turn()
        self.stage.bus(1).reconnect()
        self.stage.advance(3)
        self.assertGreater(self.count().digests_differed + self.bob.figures.count().digests_differed, 0)

    def test_absences(self) -> None:
        """
        Names that no node holds any more wait for their grace time and for the members, which are named.
        """
        for name in ("alice", "carol", "dave", "erin"):
            self.ann.directory.hold("u", name)
        self.stage.turn()
        for name in ("alice", "carol", "dave", "erin"):
            self.ann.directory.release("u", name)
        self.stage.turn()
        self.assertGreater(self.count().absences, 0)
        self.stage.bus(1).disconnect()
        self.stage.advance(4)
        self.assertIn(self.bob.membership.node, self.count().awaited)
        self.stage.bus(1).reconnect()
        self.stage.advance(6)
        self.assertEqual((self.count().absences, self.count().awaited), (0, ()))

    def test_records(self) -> None:
        """
        The figures of the topic of records, if there is one.
        """
        self.assertEqual((self.count().news, self.count().arbiter), (None, None))
        news, arbiter = NewsFigures(1, 2, 3, {"gap": 2, "comparison": 1}, 4), ArbiterFigures(1, 2, 3, 4, 5)
        self.ann.figures.news = lambda: news
        self.ann.figures.arbiter = lambda: arbiter
        figures = self.count()
        self.assertEqual((figures.news, figures.arbiter), (news, arbiter))
        self.assertIn("records: 3; records in doubt: 3", str(figures))
