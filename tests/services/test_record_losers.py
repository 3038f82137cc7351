"""
Who lost a write, and may have won the next by accident.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.interfaces import IConnection
from dstwist.services import record_losers
from dstwist.services.record_losers import MEMORY, QUIET, Losers
from tests.fakes import FakeConnection


class LosersTests(SynchronousTestCase):
    """
    L{Losers}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, IConnection]] = []
        self.losers = Losers(self.clock, lambda name, connection: self.told.append((name, connection)))
        self.ann = FakeConnection("ann")

    def lose(self) -> None:
        self.losers.lost("a", self.ann)

    def win(self) -> None:
        self.losers.won("a", self.ann)

    def assert_told(self, times: int) -> None:
        self.assertEqual(self.told, [("a", self.ann)] * times)

    def test_lost_and_won(self) -> None:
        """
        Who lost and then won is told once, when it has not written for a while; then all is forgotten.
        """
        self.lose()
        self.assertFalse(self.losers.may_be_wrong("a", self.ann))
        self.win()
        self.assertTrue(self.losers.may_be_wrong("a", self.ann))
        self.clock.advance(QUIET - 0.01)
        self.assert_told(0)
        self.clock.advance(0.01)
        self.assert_told(1)
        self.assertFalse(self.losers.may_be_wrong("a", self.ann))
        self.clock.advance(MEMORY)
        self.assert_told(1)
        self.assertEqual(self.losers.unsure, {})
        self.clock.advance(QUIET)  # when its timer finds out that nobody is left
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
        What it wrote before it could hear what it was told may have won by accident as well: it is told again.
        """
        self.lose()
        self.win()
        self.clock.advance(QUIET)
        self.clock.advance(MEMORY - 0.1)
        self.win()
        self.clock.advance(QUIET)
        self.assert_told(2)

    def test_lost_only(self) -> None:
        """
        Who lost, and wrote nothing more that was accepted, knows why: it is forgotten when nothing can be on its way.
        """
        self.lose()
        self.clock.advance(MEMORY - 0.1)
        self.lose()
        self.clock.advance(MEMORY - 0.1)
        self.assertIn((self.ann, "a"), self.losers.unsure)
        self.clock.advance(0.1)
        self.assertEqual(self.losers.unsure, {})
        self.win()
        self.assertEqual(self.losers.unsure, {})
        self.clock.advance(QUIET)
        self.assert_told(0)

    def test_told_otherwise(self) -> None:
        """
        Who is refused again is told with the refusal.
        """
        self.lose()
        self.win()
        self.lose()
        self.assertFalse(self.losers.may_be_wrong("a", self.ann))
        self.clock.advance(QUIET)
        self.assert_told(0)

    def test_others(self) -> None:
        """
        Nobody else, and no other record, has to do with it.
        """
        self.lose()
        self.losers.won("b", self.ann)
        self.losers.won("a", FakeConnection("bob"))
        self.clock.advance(QUIET)
        self.assertEqual(self.told, [])

    def test_too_many(self) -> None:
        """
        Of too many who lost the first are forgotten.
        """
        self.patch(record_losers, "MOST", 2)
        self.lose()
        for name in "bcd":
            self.losers.lost(name, self.ann)
        self.assertEqual(list(self.losers.unsure), [(self.ann, "c"), (self.ann, "d")])
        self.win()
        self.clock.advance(QUIET + MEMORY)
        self.assert_told(0)
        self.assertEqual(self.losers.unsure, {})

    def test_too_heavy(self) -> None:
        """
        So it is if their names take too much memory; the latest is remembered in any case, and what is forgotten makes
        room.
        """
        self.patch(record_losers, "MOST_BYTES", 10_000)
        names = [f"{number}" + "x" * 4000 for number in range(6)]
        for name in names:
            self.losers.lost(name, self.ann)
        self.assertEqual([name for _, name in self.losers.unsure], names[-2:])
        self.losers.lost("y" * 20_000, self.ann)
        self.assertEqual(len(self.losers.unsure), 1)
        self.clock.advance(MEMORY)
        for name in names[:2]:
            self.losers.lost(name, self.ann)
        self.assertEqual(len(self.losers.unsure), 2)

    def test_stop(self) -> None:
        """
        When the server stops no timer is left, and none is started any more.
        """
        self.lose()
        self.losers.lost("b", self.ann)
        self.win()
        self.losers.stop()
        self.lose()
        self.win()
        self.assertEqual(self.losers.unsure, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])
