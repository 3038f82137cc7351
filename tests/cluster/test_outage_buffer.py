"""
Tests for L{dstwist.cluster.outage_buffer}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.outage_buffer import OutageBuffer


class OutageBufferTests(SynchronousTestCase):
    """
    A buffer of 10 bytes and 5 s.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.buffer = OutageBuffer(10, 5.0, self.clock)

    def test_order(self) -> None:
        """
        Payloads are kept in their order, and taken once.
        """
        for channel, payload in ((b"a", b"1"), (b"b", b"2"), (b"a", b"3")):
            self.buffer.keep(channel, payload)
        self.assertEqual(self.buffer.take(), [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
        self.assertEqual(self.buffer.take(), [])
        self.assertEqual(self.buffer.dropped, 0)

    def test_bytes(self) -> None:
        """
        A payload for which there is no room is dropped; a smaller one may have room. Taking makes room.
        """
        self.buffer.keep(b"a", b"123456")
        self.buffer.keep(b"b", b"123")
        self.buffer.keep(b"c", b"12")
        self.assertEqual(self.buffer.dropped, 1)
        self.assertEqual(self.buffer.take(), [(b"a", b"123456"), (b"c", b"12")])
        self.buffer.keep(b"d", b"123456789")
        self.buffer.clear()
        self.buffer.keep(b"e", b"123456789")
        self.assertEqual(self.buffer.take(), [(b"e", b"123456789")])

    def test_age(self) -> None:
        """
        Old payloads are dropped, and make room for others.
        """
        self.buffer.keep(b"a", b"1234")
        self.clock.advance(3)
        self.buffer.keep(b"b", b"1234")
        self.clock.advance(2.5)
        self.buffer.keep(b"c", b"1234")
        self.assertEqual(self.buffer.take(), [(b"b", b"1234"), (b"c", b"1234")])
        self.assertEqual(self.buffer.dropped, 1)
        self.buffer.keep(b"d", b"1234")
        self.clock.advance(6)
        self.assertEqual(self.buffer.take(), [])
        self.assertEqual(self.buffer.dropped, 2)
