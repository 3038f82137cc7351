"""
Tests for L{dstwist.limits.outgoing_bytes}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.limits import outgoing_bytes as module
from dstwist.limits.outgoing_bytes import OutgoingBytes, TurnBudget, outgoing_bytes


class FakeQueue:
    """
    A queue that counts how often it was flushed.
    """

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1


class FakeOutbox:
    """
    An outbox that keeps some of its bytes when it gives up for the first time.
    """

    def __init__(self, outgoing: OutgoingBytes, name: str, log: list[str], rest: int = 0) -> None:
        self.outgoing = outgoing
        self.name = name
        self.log = log
        self.rest = rest
        self.counted = 0
        self.given_up = False
        self.problem: Exception | None = None

    def wait(self, size: int) -> None:
        self.outgoing.account(self, size)

    def give_up(self) -> None:
        self.log.append(f"{self.name} gives up")
        self.given_up = True
        self.outgoing.account(self, self.rest)
        self.rest = 0
        self.outgoing.close_later(self)

    def close_slow(self) -> None:
        self.log.append(f"{self.name} is closed")
        if self.problem is not None:
            raise self.problem

    def abort(self) -> None:
        self.log.append(f"{self.name} is aborted")
        if self.problem is not None:
            raise self.problem


class SettingsTests(SynchronousTestCase):
    """
    L{outgoing_bytes}.
    """

    def test_settings(self) -> None:
        """
        The budgets are those of the settings. Without one for all waiting bytes it is an eighth of the memory.
        """
        self.patch(module, "usable_memory", lambda: 8000)
        for most, expected in ((500, 500), (None, 1000)):
            settings = LimitSettings(max_outgoing_bytes=most, max_outgoing_bytes_per_turn=70)
            outgoing = outgoing_bytes(settings, Clock())
            self.assertEqual((outgoing.limit, outgoing.most), (70, expected))


class TurnTests(SynchronousTestCase):
    """
    The budget of a turn.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.outgoing = OutgoingBytes(self.clock, turn_limit=100)
        self.queues = [FakeQueue(), FakeQueue()]
        for queue in self.queues:
            self.outgoing.add(queue)

    def test_make_room(self) -> None:
        """
        When the turn's budget is used up all queues are flushed, and the next bytes have all of it.
        """
        self.outgoing.room -= 101
        self.outgoing.large = True
        self.outgoing.make_room()
        self.assertEqual([queue.flushed for queue in self.queues], [1, 1])
        self.assertEqual((self.outgoing.room, self.outgoing.large), (100, False))

    def test_ended(self) -> None:
        """
        The budget is whole again when the turns of all queues have ended, not before: what is left in another is still
        there.
        """
        self.outgoing.begun()
        self.outgoing.begun()
        self.outgoing.room -= 60
        self.outgoing.large = True
        self.outgoing.ended()
        self.assertEqual((self.outgoing.room, self.outgoing.large), (40, True))
        self.outgoing.ended()
        self.assertEqual((self.outgoing.room, self.outgoing.large), (100, False))

    def test_unlimited(self) -> None:
        """
        If nothing is flushed, the budget never ends.
        """
        budget = TurnBudget()
        budget.room -= 1 << 70
        budget.make_room()
        self.assertGreater(budget.room, 1 << 60)


class WaitingTests(SynchronousTestCase):
    """
    The budget of the process.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.log: list[str] = []
        self.outgoing = OutgoingBytes(self.clock, most=800)

    def outboxes(self, *names: str, rest: int = 0) -> list[FakeOutbox]:
        return [FakeOutbox(self.outgoing, name, self.log, rest) for name in names]

    def test_enough_room(self) -> None:
        """
        Nothing happens up to the limit.
        """
        one, two = self.outboxes("one", "two")
        one.wait(500)
        two.wait(300)
        self.assertEqual((self.outgoing.waiting, self.log), (800, []))
        one.wait(0)
        self.assertEqual(self.outgoing.waiting, 300)

    def test_slowest(self) -> None:
        """
        Above the limit the outbox with most waiting bytes gives up at once, whichever exceeded the limit; it is closed
        later.
        """
        one, two, three = self.outboxes("one", "two", "three")
        one.wait(200)
        two.wait(500)
        three.wait(101)
        self.assertEqual((self.outgoing.waiting, self.log), (301, ["two gives up"]))
        self.clock.advance(0)
        self.assertEqual(self.log, ["two gives up", "two is closed"])
        self.clock.advance(1)
        self.assertEqual(len(self.log), 2)

    def test_closed(self) -> None:
        """
        The connections that are closed are counted.
        """
        one, two = self.outboxes("one", "two")
        one.wait(801)
        two.wait(801)
        self.clock.advance(0)
        self.assertEqual(self.outgoing.slow, 2)

    def test_some_more(self) -> None:
        """
        So many outboxes give up that the next byte does not exceed the limit again.
        """
        boxes = self.outboxes(*"abcdefgh")
        for box in boxes:
            box.wait(100)
        boxes[0].wait(101)
        self.assertEqual((self.outgoing.waiting, self.log), (700, ["a gives up"]))

    def test_rests(self) -> None:
        """
        The rest of a frame that is on its way is kept if that is possible without more than may wait.
        """
        one, two = self.outboxes("one", "two", rest=750)
        two.wait(40)
        one.wait(761)
        self.assertEqual((self.outgoing.waiting, self.log), (790, ["one gives up"]))
        two.wait(51)
        self.assertEqual((self.outgoing.waiting, self.log), (51, ["one gives up", "one gives up"]))

    def test_rest_too_large(self) -> None:
        """
        It is not if that is too much. An outbox in which less waits does not suffer for it.
        """
        one, two = self.outboxes("one", "two", rest=790)
        two.wait(20)
        one.wait(791)
        self.assertEqual((self.outgoing.waiting, self.log), (20, ["one gives up", "one gives up"]))

    def test_less(self) -> None:
        """
        An outbox that gets rid of some bytes closes no connection.
        """
        one, two = self.outboxes("one", "two")
        one.wait(700)
        self.outgoing.most = 500
        one.wait(600)
        self.assertEqual(self.log, [])

    def test_broken(self) -> None:
        """
        A connection that cannot be closed is aborted, and the others are closed all the same.
        """
        one, two, three = self.outboxes("one", "two", "three")
        one.problem = RuntimeError("broken")
        for box in (one, two):
            self.outgoing.close_later(box)
        self.clock.advance(0)
        self.assertEqual(self.log, ["one is closed", "one is aborted", "two is closed"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
