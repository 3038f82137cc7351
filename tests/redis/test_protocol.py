"""
Tests for L{dstwist.redis.protocol}, on a link.
"""

from __future__ import annotations

from dstwist.errors import ConnectionBroken
from dstwist.redis.errors import RedisReplyError
from tests.redis.stage import LinkTestCase


class AnswerTests(LinkTestCase):
    """
    Answers, however their bytes come.
    """

    def test_pieces(self) -> None:
        """
        An answer may come in pieces.
        """
        peer = self.connect()
        self.submit("a", "GET", "a")
        self.turn()
        for byte in b"*2\r\n$3\r\nabc\r\n:5\r\n":
            self.assertEqual(self.outcomes, [])
            peer.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.outcomes, [("a", [b"abc", 5])])

    def test_no_answer_of_redis(self) -> None:
        """
        A peer that does not speak Redis' protocol is left.
        """
        peer = self.connect()
        self.submit("a", "GET", "a")
        self.turn()
        peer.protocol.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertTrue(peer.closed)
        self.assertIn("no answer of Redis", str(self.outcomes[0][1]))

    def test_large_answer(self) -> None:
        """
        An answer that is too large ends the connection; many small ones do not.
        """
        peer = self.connect(max_reply_bytes=100)
        for _ in range(2):
            self.submit("a", "GET", "a")
        self.turn()
        peer.protocol.dataReceived(b"$60\r\n" + b"x" * 60 + b"\r\n$60\r\n")
        self.assertFalse(peer.closed)
        peer.protocol.dataReceived(b"x" * 60 + b"\r\n")
        self.assertEqual(len(self.outcomes), 2)
        self.submit("a", "GET", "a")
        self.turn()
        peer.protocol.dataReceived(b"$200\r\n" + b"x" * 100)
        self.assertTrue(peer.closed)
        self.assertIn("more than 100 bytes", str(self.outcomes[2][1]))

    def test_calls_behind_a_large_answer(self) -> None:
        """
        Only the call whose answer is too large gets that error. Those behind it are in doubt.
        """
        peer = self.connect(max_reply_bytes=100)
        for name in "ab":
            self.submit(name, "GET", name)
        self.turn()
        peer.protocol.dataReceived(b"$200\r\n" + b"x" * 100)
        outcomes = dict(self.outcomes)
        self.assertIs(type(outcomes["a"]), RedisReplyError)
        self.assertEqual(outcomes["a"].code, "TOOLARGE")
        self.assertIsInstance(outcomes["b"], ConnectionBroken)
