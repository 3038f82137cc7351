"""
Tests for L{dstwist.transports.turn_frames}. L{tests.routing.test_shared_frames} tests it with many outboxes.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.routing.shared_frames import SharedFrames
from dstwist.transports.outbox import Outbox
from dstwist.transports.outbox_group import OutboxGroup
from tests.transports.helpers import Overflow, PushTransport


class TurnFramesTests(SynchronousTestCase):
    """
    The frames of one outbox.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = PushTransport()
        self.outbox = Outbox(self.transport, OutboxGroup(self.clock), 1000, Overflow())
        self.shared = SharedFrames(None, b"c")

    def sent(self) -> bytes:
        self.clock.advance(0)
        return self.transport.take()

    def test_count(self) -> None:
        """
        Shared frames are queued frames.
        """
        self.assertEqual((self.outbox.queued, self.outbox.empty), (0, True))
        self.outbox.share(self.shared)
        self.assertEqual((self.outbox.queued, self.outbox.empty), (1, False))
        self.shared.add(b"d")
        self.outbox.write(b"e")
        self.assertEqual((self.outbox.queued, self.outbox.empty), (3, False))
        self.assertEqual(self.sent(), b"cde")
        self.assertEqual((self.outbox.queued, self.outbox.empty), (0, True))

    def test_behind_own(self) -> None:
        """
        Shared frames leave behind those that were written before, and before those that are written later.
        """
        self.outbox.write(b"a")
        self.outbox.write(b"b")
        self.outbox.share(self.shared)
        self.shared.add(b"d")
        self.outbox.write(b"e")
        self.assertFalse(self.shared.is_open)
        self.assertEqual(self.sent(), b"abcde")

    def test_twice(self) -> None:
        """
        An outbox that begins to share others takes the first ones along.
        """
        self.outbox.share(self.shared)
        other = SharedFrames(None, b"d")
        self.outbox.share(other)
        other.add(b"e")
        self.assertEqual((self.shared.is_open, other.is_open), (False, True))
        self.assertEqual(self.sent(), b"cde")
        self.assertFalse(other.is_open)

    def test_next_turn(self) -> None:
        """
        After its end a turn leaves nothing behind.
        """
        self.outbox.share(self.shared)
        self.sent()
        self.outbox.write(b"f")
        self.assertEqual(self.sent(), b"f")
