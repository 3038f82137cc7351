"""
Tests for L{dstwist.redis.trouble}, on a link.
"""

from __future__ import annotations

from dstwist.redis.errors import RedisReplyError
from tests.logs import Lines
from tests.redis.stage import LinkTestCase

MISCONF = RedisReplyError("MISCONF Errors writing to the AOF file: No space left on device")
OOM = RedisReplyError("OOM command not allowed when used memory > 'maxmemory'.")
BUSY = RedisReplyError("BUSY Redis is busy running a script.")
ASK = (b"SETRANGE", b"a", b"0", b"")


class TroubleTests(LinkTestCase):
    """
    A server that answers with errors about itself.
    """

    def refuse(self, *errors: Exception) -> None:
        for _ in errors:
            self.submit("a", "SET", "a", 1)
        self.turn()
        self.peer.take()
        self.peer.answer(*errors)

    def test_disk(self) -> None:
        """
        A server that refuses writes is a problem until it takes them again. The log says it once, and its end.
        """
        lines = Lines(self)
        self.connect()
        self.refuse(MISCONF, MISCONF)
        self.assertIn("cannot write its data to the disk", str(self.link.problem()))
        for _ in range(5):
            self.pass_time(1.05)
            self.assertEqual(self.peer.take(), [ASK])
            self.peer.answer(MISCONF)
        self.assertEqual(len(lines.of("error")), 1)
        self.assertIn("No space left on device", lines.last("error"))
        self.pass_time(1.05)
        self.peer.answer(0)
        self.assertIsNone(self.link.problem())
        self.assertIn("over: it cannot write", lines.last("info"))
        self.assertFalse(self.peer.closed)

    def test_full(self) -> None:
        """
        maxmemory is a limit that clients can reach. The log says it, but other nodes are no better.
        """
        lines = Lines(self)
        self.connect()
        self.refuse(OOM)
        self.assertIsNone(self.link.problem())
        self.assertIn("memory is full", lines.last("error"))

    def test_script_runs(self) -> None:
        """
        A script that does not end is a problem until the server answers as usual.
        """
        self.connect()
        self.submit(None, "PING")
        self.turn()
        self.peer.take()
        self.peer.answer(BUSY)
        self.assertIn("a script that does not end", str(self.link.problem()))
        self.pass_time(1.05)
        self.assertEqual(self.peer.take(), [(b"PING",)])
        self.peer.answer("PONG")
        self.assertIsNone(self.link.problem())

    def test_lost(self) -> None:
        """
        With the connection the state is forgotten; the next refusal shows whether it lasts.
        """
        self.connect()
        self.refuse(MISCONF)
        self.peer.close()
        self.reconnect()
        self.assertIsNone(self.link.problem())
        self.pass_time(0.5)
        self.assertEqual(self.peer.take(), [])

    def test_lost_meanwhile(self) -> None:
        """
        The same if the server was being asked.
        """
        self.connect()
        self.refuse(MISCONF)
        self.pass_time(1.05)
        self.peer.close()
        self.assertIn("lost", str(self.link.problem()))
        self.reconnect()
        self.assertIsNone(self.link.problem())

    def test_other_trouble(self) -> None:
        """
        The last state counts.
        """
        self.connect()
        self.refuse(MISCONF, OOM)
        self.assertIsNone(self.link.problem())
        self.refuse(BUSY)
        self.assertIn("script", str(self.link.problem()))
        self.pass_time(1.05)
        self.assertEqual(self.peer.take(), [ASK])
