"""
What is remembered of deleted records.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IRequester
from dstwist.services.record.recent_deletions import RecentDeletions
from tests.fakes import BusyClock, FakeConnection
from tests.turns import LONGEST, turn_lengths


class RecentDeletionsTests(SynchronousTestCase):
    """
    L{RecentDeletions}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.ann, self.bob = FakeConnection("ann"), FakeConnection("bob")
        self.make()

    def make(self, deletion_memory: float = 600.0, max_deletion_memory: int = 10000, max_bytes: int = 10**7) -> None:
        self.deletions = RecentDeletions(
            RecordSettings(
                deletion_memory=deletion_memory, max_deletion_memory=max_deletion_memory, max_deletion_bytes=max_bytes
            ),
            self.clock,
        )

    def test_first_write(self) -> None:
        """
        The first write to the next record is one to the version that follows, of a connection that did not hold the
        deleted record.
        """
        self.deletions.add("a", 7, [self.ann])
        self.assertTrue(self.deletions.is_first_write("a", self.bob, 8))
        for name, connection, version in (
            ("a", self.ann, 8),
            ("a", self.bob, 9),
            ("a", self.bob, 7),
            ("b", self.bob, 8),
        ):
            self.assertFalse(self.deletions.is_first_write(name, connection, version))

    def test_suspects(self) -> None:
        """
        Who comes later may hold it too, until it was told what is there now.
        """
        self.deletions.suspect("a", self.ann)
        self.deletions.add("a", 7, [])
        self.assertFalse(self.deletions.may_hold("a", self.ann))
        self.deletions.suspect("a", self.ann)
        self.assertTrue(self.deletions.may_hold("a", self.ann))
        self.deletions.clear("a", self.ann)
        self.deletions.clear("a", self.ann)
        self.assertFalse(self.deletions.may_hold("a", self.ann))

    def test_missing(self) -> None:
        """
        The deletion of a record that did not exist is remembered only if clients were subscribed: they had a copy.
        """
        self.deletions.add("a", -1, [])
        self.assertNotIn("a", self.deletions.names)
        self.deletions.add("a", -1, [self.ann])
        self.assertTrue(self.deletions.may_hold("a", self.ann))
        self.assertFalse(self.deletions.may_hold("a", self.bob))

    def test_again(self) -> None:
        """
        If a record is deleted once more, the greater version counts, and all who may hold one of both.
        """
        self.deletions.add("a", 7, [self.ann])
        self.deletions.add("a", 2, [self.bob])
        self.assertTrue(self.deletions.may_hold("a", self.ann) and self.deletions.may_hold("a", self.bob))
        self.assertTrue(self.deletions.is_first_write("a", FakeConnection(), 8))

    def test_expires(self) -> None:
        """
        After a while nothing is known any more.
        """
        self.deletions.add("a", 7, [self.ann])
        self.deletions.add("b", 7, [])
        self.clock.advance(599)
        self.assertTrue(self.deletions.is_first_write("a", self.bob, 8))
        self.clock.advance(1)
        self.assertFalse(self.deletions.is_first_write("a", self.bob, 8))
        self.assertNotIn("a", self.deletions.names)
        self.deletions.add("c", 7, [])
        self.assertNotIn("b", self.deletions.names)

    def test_limit(self) -> None:
        """
        Of too many deletions the oldest are forgotten.
        """
        self.make(max_deletion_memory=2)
        for name in "abcd":
            self.deletions.add(name, 1, [self.ann])
        self.assertEqual([name for name in "abcd" if name in self.deletions.names], ["c", "d"])

    def test_bytes(self) -> None:
        """
        So it is if they take too much memory: by their names, by those who held the records, and by those who come
        later.
        """
        self.make(max_bytes=10_000)
        names = [f"{number}" + "x" * 4000 for number in range(3)]
        for name in names:
            self.deletions.add(name, 1, [])
        self.assertEqual([name in self.deletions.names for name in names], [False, True, True])
        crowd: list[IRequester] = [FakeConnection() for _ in range(30)]
        self.deletions.add("a", 1, crowd)
        self.assertEqual([name in self.deletions.names for name in (*names, "a")], [False, False, False, True])
        self.deletions.add("b", 1, [])
        for connection in crowd:
            self.deletions.suspect("b", connection)
        self.assertEqual([name in self.deletions.names for name in "ab"], [False, True])
        for _ in range(2):
            for connection in crowd:
                self.deletions.suspect("b", connection)
        self.assertIn("b", self.deletions.names)
        self.deletions.add("c", 1, [FakeConnection() for _ in range(100)])
        self.assertEqual([name in self.deletions.names for name in "abc"], [False, False, False])

    def test_weight(self) -> None:
        """
        What is forgotten, cleared or closed weighs nothing any more.
        """
        for name in "abc":
            self.deletions.add(name, 1, [self.ann, self.bob])
        self.assertGreater(self.deletions.weight, 0)
        self.deletions.clear("a", self.ann)
        self.deletions.clear("a", self.ann)
        self.deletions.add("b", 2, [self.ann])
        self.ann.close()
        self.bob.close()
        for name in "abc":
            self.deletions.add(name, -1, [])
        self.clock.advance(600)
        self.deletions.add("d", -1, [])
        self.assertEqual((self.deletions.weight, [name in self.deletions.names for name in "abcd"]), (0, [False] * 4))

    def test_off(self) -> None:
        """
        Who wants nothing remembered gets that.
        """
        self.make(deletion_memory=0)
        self.deletions.add("a", 7, [self.ann])
        self.assertNotIn("a", self.deletions.names)

    def test_closed(self) -> None:
        """
        Nothing is kept of connections that are gone, and one callback is all that one carries.
        """
        for name in "ab":
            self.deletions.add(name, 7, [self.ann, self.bob])
        self.assertEqual(len(self.ann.callbacks), 1)
        self.ann.close()
        self.deletions.suspect("a", self.ann)
        self.assertFalse(self.deletions.may_hold("a", self.ann))
        self.assertTrue(self.deletions.may_hold("a", self.bob))


class ManyHoldersTests(SynchronousTestCase):
    """
    L{RecentDeletions} of records with very many subscribers, when each step takes some time.
    """

    COUNT = 3000

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.deletions = RecentDeletions(RecordSettings(), self.clock)
        self.connections: list[IRequester] = [FakeConnection(str(number)) for number in range(self.COUNT)]
        self.clock.tick = 0.000_01

    def remember(self, version: int = 7) -> None:
        self.deletions.add("a", version, self.connections)

    def test_turns(self) -> None:
        """
        All of them are suspected at once, and no turn lasts too long.
        """
        self.remember(3)
        lengths = turn_lengths(self.clock, self.remember)
        self.assertGreater(len(lengths), 1)
        self.assertLess(max(lengths), LONGEST)
        self.assertTrue(all(self.deletions.may_hold("a", each) for each in self.connections))

    def test_meanwhile(self) -> None:
        """
        Connections that are told of the new record, or close, before everything is entered leave nothing behind.
        """
        empty = self.deletions.weight
        self.remember()
        self.assertTrue(self.deletions.may_hold("a", self.connections[-1]))
        for connection in self.connections[::2]:
            self.deletions.clear("a", connection)
        for connection in self.connections:
            connection.close("gone")
        turn_lengths(self.clock, list)
        self.assertFalse(any(self.deletions.may_hold("a", each) for each in self.connections))
        self.deletions.add("a", -1, [])
        self.clock.advance(100_000)
        self.deletions.add("b", -1, [])
        self.assertEqual((self.deletions.weight, "a" in self.deletions.names), (empty, False))

    def test_again(self) -> None:
        """
        If the record is deleted again meanwhile, connections that close are suspected of neither deletion.
        """
        self.remember()
        self.remember(9)
        turn_lengths(self.clock, list)
        self.assertTrue(all(self.deletions.may_hold("a", each) for each in self.connections))
        for connection in self.connections:
            connection.close("gone")
        turn_lengths(self.clock, list)
        self.assertFalse(any(self.deletions.may_hold("a", each) for each in self.connections))
