"""
One thing at a time of each record.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IConnection
from dstwist.protocol.message import Message
from dstwist.services.record.queue import RecordQueue
from tests.fakes import FakeConnection
from tests.services.record.stage import A, ask

READ = ask(A.READ, "a")


class RecordQueueTests(SynchronousTestCase):
    """
    L{RecordQueue}.
    """

    def setUp(self) -> None:
        self.refused: list[str] = []
        self.make()
        self.log: list[str] = []
        self.waiting: list[Deferred[None]] = []
        self.ann = FakeConnection("ann")

    def make(self, **settings: Any) -> None:
        self.clock = Clock()
        self.queue = RecordQueue(
            RecordSettings(**settings), lambda name, message, sender: self.refused.append(name), self.clock
        )

    async def at_once(self, name: str, message: Message, sender: IConnection) -> None:
        self.log.append(f"at once {name}")

    async def slow(self, name: str, message: Message, sender: IConnection) -> None:
        self.log.append(f"start {name}")
        wait: Deferred[None] = Deferred()
        self.waiting.append(wait)
        await wait
        self.log.append(f"end {name}")

    async def greedy(self, name: str, message: Message, sender: IConnection) -> None:
        taken = []
        while (request := self.queue.take_following(name, self.greedy)) is not None:
            taken.append(request)
        self.log.append(f"{name} takes {len(taken)}")
        if len(taken) > 2:
            self.queue.requeue(name, taken[1:])

    async def unlucky(self, name: str, message: Message, sender: IConnection) -> None:
        self.log.append(repr(self.queue.failure(name)))

    def go_on(self) -> None:
        self.waiting.pop(0).callback(None)

    async def exhausted(self, name: str, message: Message, sender: IConnection) -> None:
        raise MemoryError

    def test_no_memory(self) -> None:
        """
        A read for which there is not enough memory is answered with an error; the queue goes on. It is unknown what
        of a write was done: its client has to start anew.
        """
        for action in (A.READ, A.HEAD, A.HAS):
            self.queue.submit(self.exhausted, "a", ask(action, "a"), self.ann)
            (answer,) = self.ann.take()
            self.assertEqual((answer.action, answer.is_error), (A.RECORD_LOAD_ERROR, True))
        self.queue.submit(self.at_once, "a", READ, self.ann)
        self.assertEqual(self.log, ["at once a"])
        self.assertFalse(self.ann.closed)
        self.queue.submit(self.slow, "a", READ, self.ann)
        self.queue.submit(self.exhausted, "a", READ, self.ann)
        self.queue.submit(self.exhausted, "a", ask(A.UPDATE, "a", b"{}", version=2), self.ann)
        self.assertEqual(self.ann.take(), [])
        self.go_on()
        self.assertEqual([answer.action for answer in self.ann.take()], [A.RECORD_LOAD_ERROR])
        self.assertTrue(self.ann.closed)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 5)

    def test_at_once(self) -> None:
        """
        What need not wait is done at once, and nothing of it is kept.
        """
        self.queue.submit(self.at_once, "a", READ, self.ann)
        self.assertEqual(self.log, ["at once a"])
        self.assertNotIn("a", self.queue.busy)

    def test_in_turn(self) -> None:
        """
        Behind what waits all wait, in their order; other records are none of their business.
        """
        self.queue.submit(self.slow, "a", READ, self.ann)
        self.queue.submit(self.at_once, "a", READ, self.ann)
        self.queue.submit(self.slow, "a", READ, self.ann)
        self.queue.submit(self.at_once, "b", READ, self.ann)
        self.assertEqual(self.log, ["start a", "at once b"])
        self.go_on()
        self.assertEqual(self.log[2:], ["end a", "at once a", "start a"])
        self.assertIn("a", self.queue.busy)
        self.go_on()
        self.assertNotIn("a", self.queue.busy)

    def test_long_line(self) -> None:
        """
        However many stand in line, none stands on the shoulders of another.
        """
        self.make(max_queued_requests=100000)
        self.queue.submit(self.slow, "a", READ, self.ann)
        for _ in range(5000):
            self.queue.submit(self.at_once, "a", READ, self.ann)
        self.go_on()
        self.assertEqual(len(self.log), 5002)

    def test_then(self) -> None:
        """
        Who wants to know is told when a request was served, whether at once, later, or not at all.
        """
        self.make(max_queued_requests=1)
        for step in (self.at_once, self.slow, self.at_once, self.at_once):
            self.queue.submit(step, "a", READ, self.ann, lambda: self.log.append("served"))
        self.assertEqual(self.log, ["at once a", "served", "start a", "served"])
        self.assertEqual(self.refused, ["a"])
        self.go_on()
        self.assertEqual(self.log[4:], ["end a", "served", "at once a", "served"])

    def test_always(self) -> None:
        """
        Some requests find a place in a full line too.
        """
        self.make(max_queued_requests=1)
        self.queue.submit(self.slow, "a", READ, self.ann)
        for _ in range(3):
            self.queue.submit(self.at_once, "a", READ, self.ann, always=True)
        self.assertEqual(self.refused, [])

    def test_take(self) -> None:
        """
        A step can serve those right behind it as well, if they want the same; and put back what it did not.
        """
        self.queue.submit(self.slow, "a", READ, self.ann)
        for step in (self.greedy, self.greedy, self.at_once, self.greedy, self.greedy, self.greedy, self.greedy):
            self.queue.submit(step, "a", READ, self.ann)
        self.go_on()
        expected = ["a takes 1", "at once a", "a takes 3", "a takes 1"]
        self.assertEqual(self.log[2:], expected)
        self.assertNotIn("a", self.queue.busy)

    def test_failed(self) -> None:
        """
        A failure is shared by all who stood in line, and by nobody who came later.
        """
        error = ValueError("gone")
        self.queue.submit(self.slow, "a", READ, self.ann)
        self.queue.submit(self.unlucky, "a", READ, self.ann)
        self.queue.submit(self.slow, "a", READ, self.ann)
        self.queue.failed("a", error)
        self.queue.submit(self.unlucky, "a", READ, self.ann)
        self.go_on()
        self.go_on()
        self.assertEqual([line for line in self.log if "a" not in line.split()], [repr(error), "None"])
        self.assertIsNone(self.queue.failure("a"))

    def test_drained(self) -> None:
        """
        One can wait for all lines to be empty.
        """
        self.successResultOf(self.queue.drained())
        self.queue.submit(self.slow, "a", READ, self.ann)
        self.queue.submit(self.slow, "b", READ, None)
        drained = self.queue.drained()
        self.go_on()
        self.assertNoResult(drained)
        self.go_on()
        self.successResultOf(drained)

    def test_broken(self) -> None:
        """
        A step that breaks is logged, its sender is closed, and those behind it are served.
        """

        async def broken(name: str, message: Message, sender: IConnection) -> None:
            raise ZeroDivisionError

        bob = FakeConnection("bob")
        self.queue.submit(self.slow, "a", READ, bob)
        self.queue.submit(broken, "a", READ, self.ann)
        self.queue.submit(self.at_once, "a", READ, bob)
        self.go_on()
        self.assertEqual((self.log[-1], self.ann.closed, bob.closed), ("at once a", True, False))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_broken_at_once(self) -> None:
        """
        What breaks before it had to wait is its caller's to deal with.
        """

        async def broken(name: str, message: Message, sender: IConnection) -> None:
            raise ZeroDivisionError

        served: list[str] = []
        self.assertRaises(
            ZeroDivisionError, self.queue.submit, broken, "a", READ, self.ann, lambda: served.append("served")
        )
        self.assertNotIn("a", self.queue.busy)
        self.assertEqual(served, ["served"])
