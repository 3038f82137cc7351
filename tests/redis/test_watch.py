"""
Tests for L{dstwist.redis.watch}, on a link.
"""

from __future__ import annotations

from dstwist.errors import ConnectionBroken
from tests.redis.stage import LinkTestCase


class WatchTests(LinkTestCase):
    """
    A probe each second, and three seconds for an answer.
    """

    def test_probe(self) -> None:
        """
        A silent server is asked for a sign of life, and kept if it gives one.
        """
        peer = self.connect()
        for _ in range(10):
            self.pass_time(1.5)
            self.assertEqual(peer.take(), [(b"PING",)])
            peer.answer("PONG")
        self.assertFalse(peer.closed)

    def test_half_open(self) -> None:
        """
        A connection without an answer to the probe is given up.
        """
        peer = self.connect()
        self.pass_time(1.5)
        self.assertEqual(peer.take(), [(b"PING",)])
        self.pass_time(2)
        self.assertFalse(peer.closed)
        self.pass_time(2)
        self.assertTrue(peer.closed)
        self.assertIn("did not answer for 3 s", str(self.link.problem()))

    def test_no_answer(self) -> None:
        """
        A call without an answer in time is in doubt, and the connection is given up. There is no probe meanwhile.
        """
        peer = self.connect()
        self.submit("a", "GET", "a")
        self.pass_time(2.5)
        self.assertEqual(peer.take(), [(b"GET", b"a")])
        self.assertEqual(self.outcomes, [])
        self.pass_time(1.5)
        self.assertEqual(self.kinds(), [("a", ConnectionBroken)])
        self.assertTrue(peer.closed)

    def test_slow(self) -> None:
        """
        A server that sends bytes, however slowly, is there.
        """
        peer = self.connect()
        self.submit("a", "GET", "a")
        self.turn()
        for byte in b"$8\r\nabcdefgh\r\n":
            self.pass_time(2)
            peer.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.outcomes, [("a", b"abcdefgh")])

    def test_late_call(self) -> None:
        """
        The time of a call begins when it is sent, however long the server was silent before.
        """
        peer = self.connect()
        self.pass_time(0.9)
        self.submit("a", "GET", "a")
        self.pass_time(2.5)
        self.assertFalse(peer.closed)

    def test_jump(self) -> None:
        """
        A process that was stopped for an hour does not give up a connection that works.
        """
        peer = self.connect()
        self.submit("a", "GET", "a")
        self.turn()
        self.clock.advance(3600)
        peer.answer("x")
        self.assertEqual(self.outcomes, [("a", b"x")])
        self.assertFalse(peer.closed)
