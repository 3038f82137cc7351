"""
Records that clients of v2 and v3 discarded while they were offline.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Message
from dstwist.services.record.held_discards import (
    DISCARD_DELAY_SECONDS,
    MAX_HELD_DISCARDS,
    MAX_HELD_DISCARDS_EACH,
    HeldDiscards,
)
from tests.fakes import FakeConnection


def ack(name: str) -> Message:
    return Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, names=(name,)).ack()


class HeldDiscardsTests(SynchronousTestCase):
    """
    L{HeldDiscards}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.discards = HeldDiscards(self.clock)
        self.ann = FakeConnection(dialect=TEXT)

    def test_held(self) -> None:
        """
        An acknowledgement leaves after L{DISCARD_DELAY_SECONDS}, once.
        """
        self.discards.hold("a", ack("a"), self.ann)
        self.clock.advance(DISCARD_DELAY_SECONDS - 0.01)
        self.assertEqual(self.ann.take(), [])
        self.clock.advance(0.02)
        self.assertEqual((self.ann.take(), len(self.discards)), ([ack("a")], 0))
        self.assertFalse(self.discards.release("a", self.ann))

    def test_settled(self) -> None:
        """
        It leaves when the client subscribes, and not again.
        """
        self.discards.hold("a", ack("a"), self.ann)
        self.assertTrue(self.discards.release("a", self.ann))
        self.clock.advance(1)
        self.assertEqual(self.ann.take(), [ack("a")])

    def test_others(self) -> None:
        """
        What one client does with one record leaves the others as they are.
        """
        self.discards.hold("a", ack("a"), self.ann)
        self.assertFalse(self.discards.release("b", self.ann))
        self.assertFalse(self.discards.release("a", FakeConnection(dialect=TEXT)))
        self.assertEqual(self.ann.take(), [])

    def test_twice(self) -> None:
        """
        Each discard has its acknowledgement.
        """
        for _ in range(2):
            self.discards.hold("a", ack("a"), self.ann)
        self.clock.advance(1)
        self.assertEqual(self.ann.take(), [ack("a")] * 2)

    def test_bound(self) -> None:
        """
        Past L{MAX_HELD_DISCARDS} the oldest leaves at once.
        """
        clients = [FakeConnection(dialect=TEXT) for _ in range(MAX_HELD_DISCARDS + 2)]
        for client in clients:
            self.discards.hold("a", ack("a"), client)
        heard = [len(client.take()) for client in clients]
        self.assertEqual((heard[:3], sum(heard), len(self.discards)), ([1, 1, 0], 2, MAX_HELD_DISCARDS))

    def test_share(self) -> None:
        """
        If one client has too many, or their names take too much memory, its own oldest leaves at once.
        """
        bob = FakeConnection(dialect=TEXT)
        self.discards.hold("a", ack("a"), bob)
        for number in range(MAX_HELD_DISCARDS_EACH + 2):
            self.discards.hold(str(number), ack(str(number)), self.ann)
        self.assertEqual((self.ann.take(), len(self.discards)), ([ack("0"), ack("1")], MAX_HELD_DISCARDS_EACH + 1))
        self.discards.hold("x" * 2_000_000, ack("x" * 2_000_000), self.ann)
        self.discards.hold("y", ack("y"), self.ann)
        self.assertEqual(len(self.discards), 2)
        self.assertEqual(bob.take(), [])
        self.assertTrue(self.discards.release("a", bob))

    def test_gone(self) -> None:
        """
        A client that leaves meanwhile is told nothing, and forgotten.
        """
        self.discards.hold("a", ack("a"), self.ann)
        self.ann.close()
        self.clock.advance(1)
        self.assertEqual((self.ann.take(), len(self.discards), self.clock.getDelayedCalls()), ([], 0, []))

    def test_stop(self) -> None:
        """
        A server that stops holds nothing.
        """
        self.discards.hold("a", ack("a"), self.ann)
        self.discards.stop()
        self.assertEqual((self.ann.take(), len(self.discards), self.clock.getDelayedCalls()), ([], 0, []))
