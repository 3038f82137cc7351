"""
Tests for L{dstwist.cluster.recent_writes}.
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster import remembered_names
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.recent_writes import KEEP_SECONDS, RECENT_SECONDS, RecentWrites
from tests.cluster.stage import Stage


class RecentWritesTests(SynchronousTestCase):
    """
    L{RecentWrites}. What the first node hears is written down: names, C{*} for any record, and C{.} for the end.
    """

    def setUp(self) -> None:
        self.stage = Stage(self, 3)
        self.heard: list[str] = []
        self.ann, self.bob, self.cat = [self.make(node) for node in self.stage.nodes]
        self.stage.start()

    def make(self, node: ClusterNode) -> RecentWrites:
        heard = self.heard if node is self.stage.nodes[0] else []
        writes = RecentWrites(
            node.peers,
            node.membership,
            self.stage.clock,
            self.stage.settings,
            heard.append,
            lambda: heard.append("*"),
            lambda: heard.append("."),
        )
        self.addCleanup(writes.stop)
        return writes

    def ask(self) -> str:
        self.heard.clear()
        self.ann.ask()
        self.stage.advance(0.1)
        return "".join(self.heard)

    def test_answers(self) -> None:
        """
        The node hears what the others have written, each name once, and then that this was all.
        """
        self.ann.lost()
        self.ann.written("x")
        for name in "aba":
            self.bob.written(name)
        self.cat.written("c")
        heard = self.ask()
        self.assertEqual((sorted(heard), heard[-1]), (sorted("abc."), "."))

    def test_slices(self) -> None:
        """
        Very many names come in several items, and the end after the last.
        """
        self.ann.lost()
        names = [f"n{number} " for number in range(3 * self.stage.settings.names_per_item)]
        for name in names:
            self.bob.written(name)
        self.assertEqual(self.ask(), "".join(names) + ".")

    def test_lost_slice(self) -> None:
        """
        A member of which a slice was lost is asked again.
        """
        self.ann.lost()
        names = [f"n{number} " for number in range(2 * self.stage.settings.names_per_item)]
        for name in names:
            self.bob.written(name)
        peers = self.stage.nodes[1].peers
        # There is room for the end of the answer, and not for its names.
        restored = self.patch(peers, "_most_bytes", 2000)
        self.assertNotIn(".", self.ask())
        self.assertGreater(peers.dropped, 0)
        restored.restore()
        self.heard.clear()
        self.stage.advance(2)
        self.assertEqual("".join(self.heard), "".join(names) + ".")

    def test_forgotten(self) -> None:
        """
        Names are remembered for a while only.
        """
        self.bob.written("a")
        self.stage.advance(RECENT_SECONDS - 1)
        self.bob.written("b")
        self.ann.lost()
        self.assertEqual(self.ask(), "ab.")
        self.stage.advance(RECENT_SECONDS)
        self.assertEqual(self.ask(), "ab.")
        self.stage.advance(RECENT_SECONDS)
        self.assertEqual(self.ask(), ".")

    def test_kept(self) -> None:
        """
        After a loss no name is forgotten for long: another node may find the store later.
        """
        self.bob.written("a")
        self.bob.lost()
        self.stage.advance(KEEP_SECONDS - RECENT_SECONDS)
        self.bob.written("b")
        self.ann.lost()
        self.assertEqual(self.ask(), "ab.")
        self.stage.advance(3 * RECENT_SECONDS)
        self.assertEqual(self.ask(), ".")

    def test_too_many(self) -> None:
        """
        A node that has written too many records says so.
        """
        self.ann.lost()
        with patch.object(remembered_names, "MAX_NAMES", 2):
            for name in "abc":
                self.bob.written(name)
            self.assertEqual(self.ask(), "*.")

    def test_long_names(self) -> None:
        """
        So does a node whose names are too long.
        """
        self.ann.lost()
        with patch.object(remembered_names, "MAX_BYTES", 2000):
            for letter in "abc":
                self.bob.written(letter * 1000)
        self.assertEqual(self.ask(), "*.")

    def test_stop(self) -> None:
        """
        After the end no timer is started: writes may still end, and so may a comparison.
        """
        self.bob.stop()
        before = len(self.stage.clock.getDelayedCalls())
        self.bob.written("a")
        self.bob.ask()
        self.assertEqual(len(self.stage.clock.getDelayedCalls()), before)

    def test_silent(self) -> None:
        """
        A member that does not answer is asked again.
        """
        self.ann.lost()
        self.bob.written("b")
        lost = self.patch(self.stage.network, "travel_times", lambda *_: ())
        self.assertEqual(self.ask(), "")
        lost.restore()
        self.stage.advance(2)
        self.assertEqual(self.heard, ["b", "."])

    def test_died(self) -> None:
        """
        A member that is found dead is not waited for.
        """
        self.ann.lost()
        self.stage.kill(2)
        self.assertEqual(self.ask(), "")
        self.stage.advance(20)
        # Nobody knows what it has written.
        self.assertEqual(self.heard, ["*", "."])

    def test_died_before(self) -> None:
        """
        A member that was found dead shortly before this node found the store may have written any record. One that was
        found dead long before has not.
        """
        cat = self.stage.nodes[2].membership.node
        self.stage.kill(2)
        while cat in self.stage.nodes[0].membership.members:
            self.stage.advance(0.1)
        self.stage.advance(RECENT_SECONDS - 1)
        self.ann.lost()
        self.assertEqual(self.ask(), "*.")
        self.stage.advance(2)
        self.ann.lost()
        self.assertEqual(self.ask(), ".")

    def test_lost_again(self) -> None:
        """
        When the store goes back again, the answers to the earlier question are not all that matters.
        """
        self.ann.lost()
        self.heard.clear()
        self.ann.ask()
        self.ann.lost()
        self.stage.advance(5)
        self.assertEqual(self.heard, [])
        self.assertEqual(self.ask(), ".")
