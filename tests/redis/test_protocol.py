"""
Tests for L{dstwist.redis.protocol}, on a link.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import ConnectionBroken
from dstwist.redis.call import Call, pack
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.protocol import RedisProtocol
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


class Socket(Connection):
    """
    A plain socket that takes some bytes at once; the others are queued.
    """

    def __init__(self) -> None:
        self.room: Any = 1000
        self.taken = b""
        self.queued = b""

    def writeSomeData(self, data: bytes) -> Any:
        if not isinstance(self.room, int):
            return self.room
        self.taken += data[: self.room]
        return min(len(data), self.room)

    def write(self, data: bytes) -> None:
        self.queued += data

    def writeSequence(self, iovec: Any) -> None:
        self.queued += b"".join(iovec)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


class SocketTests(SynchronousTestCase):
    """
    Bytes that go to a plain socket directly.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.socket = Socket()
        self.protocol = RedisProtocol(self.answered, lambda *ended: None, self.clock, 1000)
        self.protocol.makeConnection(self.socket)

    def answered(self, call: Call, reply: Any) -> None:
        call.done(call.argument, None, reply)

    def ask(self, word: str) -> bytes:
        """
        Send a command.

        @return: its bytes.
        """
        self.protocol.ask(word)
        self.clock.advance(0)
        return pack((word,))

    def test_directly(self) -> None:
        """
        Nothing is queued while the socket takes all, and nothing waits for the confirmation of earlier bytes.
        """
        self.assertEqual(self.ask("A") + self.ask("B"), self.socket.taken)
        self.assertEqual(self.socket.queued, b"")
        self.assertTrue(self.socket.no_delay)

    def test_full(self) -> None:
        """
        What the socket does not take is queued, and all that follows, until all is answered.
        """
        self.socket.room = 5
        bytes_of_both = self.ask("A") + self.ask("B")
        self.assertEqual(self.socket.taken + self.socket.queued, bytes_of_both)
        self.assertEqual(len(self.socket.taken), 5)
        self.socket.room = 1000
        self.protocol.dataReceived(b"+OK\r\n")
        queued = self.ask("C")
        self.assertTrue(self.socket.queued.endswith(queued))
        self.protocol.dataReceived(b"+OK\r\n+OK\r\n")
        directly = self.ask("D")
        self.assertTrue(self.socket.taken.endswith(directly))

    def test_lost(self) -> None:
        """
        If the connection is lost, the usual way of writing finds out.
        """
        self.socket.room = ConnectionLost()
        self.assertEqual(self.ask("A"), self.socket.queued)
