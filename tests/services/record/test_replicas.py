"""
Tests for L{dstwist.services.record.replicas}: the records about which clients may be wrong.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IConnection
from dstwist.record import Change, Record
from dstwist.services.record import replicas
from dstwist.services.record.replicas import MEMORY, MOST, MOST_EACH, QUIET, Replicas
from tests.fakes import FakeConnection
from tests.services.record.stage import update


def change(before: object, after: object) -> Change:
    """
    A write of a whole record.
    """
    return Change(Record(2, before), update("a", 3, after))


class LosersTests(SynchronousTestCase):
    """
    Clients that lost a write, and may have won the next by accident.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, IConnection]] = []
        self.replicas = Replicas(
            RecordSettings(), self.clock, lambda name, connection: self.told.append((name, connection))
        )
        self.ann = FakeConnection("ann")

    def lose(self) -> None:
        self.replicas.refused("a", self.ann)

    def win(self, connection: IConnection | None = None, name: str = "a") -> None:
        """
        A write that changes the record is accepted.
        """
        self.replicas.accepted(name, connection or self.ann, 3, change({"x": 1}, {"x": 2}))

    def assert_told(self, times: int) -> None:
        self.assertEqual(self.told, [("a", self.ann)] * times)

    def test_lost_and_won(self) -> None:
        """
        A client that lost and then won is told once, when it has not written for a while; then all is forgotten.
        """
        self.lose()
        self.assertFalse(self.replicas.may_differ("a", self.ann))
        self.win()
        self.assertTrue(self.replicas.may_differ("a", self.ann))
        self.clock.advance(QUIET - 0.01)
        self.assert_told(0)
        self.clock.advance(0.01)
        self.assert_told(1)
        self.assertFalse(self.replicas.may_differ("a", self.ann))
        self.clock.advance(MEMORY)
        self.assert_told(1)
        self.assertEqual(self.replicas.losers, {})
        self.clock.advance(QUIET)  # when its timer finds out that no client is left
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_still_writing(self) -> None:
        """
        While it writes on it is not told: that would make it give up what is on its way.
        """
        self.lose()
        for _ in range(10):
            self.win()
            self.clock.advance(QUIET / 2)
        self.assert_told(0)
        self.clock.advance(QUIET)
        self.assert_told(1)

    def test_crossed(self) -> None:
        """
        A write that it sent before it got the reminder may have won by accident as well: it is told again, after twice
        the time.
        """
        self.lose()
        self.win()
        self.clock.advance(QUIET)
        self.clock.advance(MEMORY - 0.1)
        self.win()
        self.clock.advance(2 * QUIET - 0.01)
        self.assert_told(1)
        self.clock.advance(0.01)
        self.assert_told(2)

    def test_lost_only(self) -> None:
        """
        A client that lost, and had no further write accepted, knows why: it is forgotten when nothing can be on its
        way.
        """
        self.lose()
        self.clock.advance(MEMORY - 0.1)
        self.lose()
        self.clock.advance(MEMORY - 0.1)
        self.assertIn((self.ann, "a"), self.replicas.losers)
        self.clock.advance(0.1)
        self.assertEqual(self.replicas.losers, {})
        self.win()
        self.assertEqual(self.replicas.losers, {})
        self.clock.advance(QUIET)
        self.assert_told(0)

    def test_told_otherwise(self) -> None:
        """
        A client that is refused again is told with the refusal.
        """
        self.lose()
        self.win()
        self.lose()
        self.assertFalse(self.replicas.may_differ("a", self.ann))
        self.clock.advance(QUIET)
        self.assert_told(0)

    def test_others(self) -> None:
        """
        No other client and no other record is affected.
        """
        self.lose()
        self.win(name="b")
        self.win(FakeConnection("bob"))
        self.clock.advance(QUIET)
        self.assertEqual(self.told, [])

    def test_too_many(self) -> None:
        """
        If too many clients lost, the first are forgotten.
        """
        self.patch(replicas, "MOST", 2)
        self.lose()
        for name in "bcd":
            self.replicas.refused(name, self.ann)
        self.assertEqual(list(self.replicas.losers), [(self.ann, "c"), (self.ann, "d")])
        self.win()
        self.clock.advance(QUIET + MEMORY)
        self.assert_told(0)
        self.assertEqual(self.replicas.losers, {})

    def test_too_heavy(self) -> None:
        """
        The same holds if their names take too much memory; the latest is always remembered, and a forgotten one makes
        room.
        """
        self.patch(replicas, "MOST_BYTES", 10_000)
        names = [f"{number}" + "x" * 4000 for number in range(6)]
        for name in names:
            self.replicas.refused(name, self.ann)
        self.assertEqual([name for _, name in self.replicas.losers], names[-2:])
        self.replicas.refused("y" * 20_000, self.ann)
        self.assertEqual(len(self.replicas.losers), 1)
        self.clock.advance(MEMORY)
        for name in names[:2]:
            self.replicas.refused(name, self.ann)
        self.assertEqual(len(self.replicas.losers), 2)

    def test_share(self) -> None:
        """
        If one client loses more often than all may, its own first ones are forgotten, whatever state they are in. What
        other clients may wrongly believe is remembered.
        """
        bob = FakeConnection("bob")
        self.lose()
        self.win()
        self.replicas.refused("a", bob)
        for number in range(MOST + 1):
            self.replicas.refused(str(number), self.ann)
            if number % 3 == 0:
                self.win(name=str(number))
        self.assertEqual(len(self.replicas.losers), MOST_EACH + 1)
        self.assertNotIn((self.ann, "a"), self.replicas.losers)
        self.win(bob)
        self.assertTrue(self.replicas.may_differ("a", bob))
        self.replicas.stop()

    def test_heavy_share(self) -> None:
        """
        The same holds for the memory that its names take; a record that it loses again counts as new.
        """
        bob = FakeConnection("bob")
        self.replicas.refused("a", bob)
        self.patch(replicas, "MOST_BYTES_EACH", 10_000)
        names = [f"{number}" + "x" * 4000 for number in range(6)]
        for name in names:
            self.replicas.refused(name, self.ann)
            self.replicas.refused(names[0], self.ann)
        self.assertEqual([name for connection, name in self.replicas.losers if connection is bob], ["a"])
        left = {name for connection, name in self.replicas.losers if connection is self.ann}
        self.assertTrue({names[0], names[5]} <= left and len(left) <= 3, len(left))
        self.replicas.stop()

    def test_stop(self) -> None:
        """
        When the server stops no timer is left, and none is started any more.
        """
        self.lose()
        self.replicas.refused("b", self.ann)
        self.win()
        self.replicas.stop()
        self.lose()
        self.win()
        self.assertEqual(self.replicas.losers, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ReturnedTests(SynchronousTestCase):
    """
    Clients that subscribed without being told what the record holds.
    """

    def setUp(self) -> None:
        self.replicas = Replicas(RecordSettings(), Clock(), lambda name, connection: None)
        self.ann, self.bob = FakeConnection("ann"), FakeConnection("bob")

    def may_differ(self) -> list[bool]:
        return [self.replicas.may_differ("a", connection) for connection in (self.ann, self.bob)]

    def test_until_a_write_is_accepted(self) -> None:
        """
        The copy of such a client may be wrong until a write of its is accepted; to read is not enough.
        """
        self.replicas.returned("a", self.ann, again=True)
        self.replicas.told("a", self.ann)
        anything = change({}, {"x": 1})
        self.replicas.accepted("b", self.ann, 1, anything)
        self.replicas.accepted("a", self.bob, 1, anything)
        self.assertEqual(self.may_differ(), [True, False])
        self.replicas.accepted("a", self.ann, 1, anything)
        self.assertEqual(self.may_differ(), [False, False])

    def test_subscribed_all_the_time(self) -> None:
        """
        A client that was subscribed already has heard all news.
        """
        self.replicas.returned("a", self.ann, again=False)
        self.assertEqual(self.may_differ(), [False, False])

    def test_left(self) -> None:
        """
        A client that is not subscribed any more, for any reason, has no copy.
        """
        for end in (
            lambda: self.replicas.left("a", self.ann),
            lambda: self.replicas.ended("a", [self.bob, self.ann]),
            self.ann.close,
        ):
            self.replicas.returned("a", self.ann, again=True)
            end()
            self.assertEqual(self.may_differ(), [False, False])
        self.assertEqual(self.replicas.returners, {})

    def test_predecessor(self) -> None:
        """
        It may hold a record of that name that was deleted before it came back, until it is told of the new one.
        """
        self.replicas.deleted("a", 7, [self.bob])
        self.replicas.returned("a", self.ann, again=False)
        for connection in (self.ann, self.bob):
            self.assertTrue(self.replicas.may_hold_predecessor("a", connection))
            self.assertTrue(self.replicas.stale("a", connection, 8))
            self.replicas.told("a", connection)
            self.assertFalse(self.replicas.may_hold_predecessor("a", connection))
