"""
Tests for L{dstwist.services.record.reminders}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.interfaces import IRequester
from dstwist.record import Change, Record
from dstwist.services.record import reminders
from dstwist.services.record.reminders import COPY_MEMORY_SECONDS, MAX_COPIES, MAX_COPIES_EACH, QUIET_SECONDS, Reminders
from tests.fakes import FakeConnection
from tests.services.record.stage import update


def change(before: object, after: object) -> Change:
    """
    A write of a whole record.
    """
    return Change(Record(2, before), update("a", 3, after))


class RemindersTests(SynchronousTestCase):
    """
    Clients that were refused a write, and may have had the next accepted by accident.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.reminded: list[tuple[str, IRequester]] = []
        self.reminders = Reminders(self.clock, lambda name, connection: self.reminded.append((name, connection)))
        self.ann = FakeConnection("ann")

    def lose(self) -> None:
        self.reminders.refused("a", self.ann)

    def win(self, connection: IRequester | None = None, name: str = "a") -> None:
        """
        A write that changes the record is accepted.
        """
        self.reminders.accepted(name, connection or self.ann, 3, change({"x": 1}, {"x": 2}))

    def remembered(self, *names: str) -> list[str]:
        """
        The records of C{names} of which the copy of ann may be wrong.
        """
        return [name for name in names if self.reminders.remembers(name, self.ann)]

    def assert_reminded(self, times: int) -> None:
        self.assertEqual(self.reminded, [("a", self.ann)] * times)

    def test_lost_and_won(self) -> None:
        """
        A client that lost and then won is told once, when it has not written for a while; then all is forgotten.
        """
        self.lose()
        self.assertFalse(self.reminders.is_unsure("a", self.ann))
        self.win()
        self.assertTrue(self.reminders.is_unsure("a", self.ann))
        self.clock.advance(QUIET_SECONDS - 0.01)
        self.assert_reminded(0)
        self.clock.advance(0.01)
        self.assert_reminded(1)
        self.assertFalse(self.reminders.is_unsure("a", self.ann))
        self.clock.advance(COPY_MEMORY_SECONDS)
        self.assert_reminded(1)
        self.assertEqual(len(self.reminders.copies), 0)
        self.clock.advance(QUIET_SECONDS)  # when its timer finds out that no client is left
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_still_writing(self) -> None:
        """
        While it writes on it is not told: that would make it give up what is on its way.
        """
        self.lose()
        for _ in range(10):
            self.win()
            self.clock.advance(QUIET_SECONDS / 2)
        self.assert_reminded(0)
        self.clock.advance(QUIET_SECONDS)
        self.assert_reminded(1)

    def test_crossed(self) -> None:
        """
        A write that it sent before it got the reminder may have won by accident as well: it is told again, after twice
        the time.
        """
        self.lose()
        self.win()
        self.clock.advance(QUIET_SECONDS)
        self.clock.advance(COPY_MEMORY_SECONDS - 0.1)
        self.win()
        self.clock.advance(2 * QUIET_SECONDS - 0.01)
        self.assert_reminded(1)
        self.clock.advance(0.01)
        self.assert_reminded(2)

    def test_lost_only(self) -> None:
        """
        A client that lost, and had no further write accepted, knows why: it is forgotten when nothing can be on its
        way.
        """
        self.lose()
        self.clock.advance(COPY_MEMORY_SECONDS - 0.1)
        self.lose()
        self.clock.advance(COPY_MEMORY_SECONDS - 0.1)
        self.assertTrue(self.reminders.remembers("a", self.ann))
        self.clock.advance(0.1)
        self.assertEqual(len(self.reminders.copies), 0)
        self.win()
        self.assertEqual(len(self.reminders.copies), 0)
        self.clock.advance(QUIET_SECONDS)
        self.assert_reminded(0)

    def test_told_otherwise(self) -> None:
        """
        A client that is refused again is told with the refusal.
        """
        self.lose()
        self.win()
        self.lose()
        self.assertFalse(self.reminders.is_unsure("a", self.ann))
        self.clock.advance(QUIET_SECONDS)
        self.assert_reminded(0)

    def test_others(self) -> None:
        """
        No other client and no other record is affected.
        """
        self.lose()
        self.win(name="b")
        self.win(FakeConnection("bob"))
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(self.reminded, [])

    def test_too_many(self) -> None:
        """
        If too many clients lost, the first are forgotten.
        """
        self.patch(reminders, "MAX_COPIES", 2)
        self.lose()
        for name in "bcd":
            self.reminders.refused(name, self.ann)
        self.assertEqual(self.remembered(*"abcd"), ["c", "d"])
        self.win()
        self.clock.advance(QUIET_SECONDS + COPY_MEMORY_SECONDS)
        self.assert_reminded(0)
        self.assertEqual(len(self.reminders.copies), 0)

    def test_too_heavy(self) -> None:
        """
        The same holds if their names take too much memory; the latest is always remembered, and a forgotten one makes
        room.
        """
        self.patch(reminders, "MAX_COPY_BYTES", 10_000)
        names = [f"{number}" + "x" * 4000 for number in range(6)]
        for name in names:
            self.reminders.refused(name, self.ann)
        self.assertEqual(self.remembered(*names), names[-2:])
        self.reminders.refused("y" * 20_000, self.ann)
        self.assertEqual(len(self.reminders.copies), 1)
        self.clock.advance(COPY_MEMORY_SECONDS)
        for name in names[:2]:
            self.reminders.refused(name, self.ann)
        self.assertEqual(len(self.reminders.copies), 2)

    def test_share(self) -> None:
        """
        If one client loses more often than all may, its own first ones are forgotten, whatever state they are in. What
        other clients may wrongly believe is remembered.
        """
        bob = FakeConnection("bob")
        self.lose()
        self.win()
        self.reminders.refused("a", bob)
        for number in range(MAX_COPIES + 1):
            self.reminders.refused(str(number), self.ann)
            if number % 3 == 0:
                self.win(name=str(number))
        self.assertEqual(len(self.reminders.copies), MAX_COPIES_EACH + 1)
        self.assertFalse(self.reminders.remembers("a", self.ann))
        self.win(bob)
        self.assertTrue(self.reminders.is_unsure("a", bob))
        self.reminders.stop()

    def test_heavy_share(self) -> None:
        """
        The same holds for the memory that its names take; a record that it loses again counts as new.
        """
        bob = FakeConnection("bob")
        self.reminders.refused("a", bob)
        self.patch(reminders, "MAX_COPY_BYTES_EACH", 10_000)
        names = [f"{number}" + "x" * 4000 for number in range(6)]
        for name in names:
            self.reminders.refused(name, self.ann)
            self.reminders.refused(names[0], self.ann)
        self.assertTrue(self.reminders.remembers("a", bob))
        left = set(self.remembered(*names))
        self.assertTrue({names[0], names[5]} <= left and len(left) <= 3, len(left))
        self.reminders.stop()

    def test_stop(self) -> None:
        """
        When the server stops no timer is left, and none is started any more.
        """
        self.lose()
        self.reminders.refused("b", self.ann)
        self.win()
        self.reminders.stop()
        self.lose()
        self.win()
        self.assertEqual(len(self.reminders.copies), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
