"""
Tests for L{dstwist.redis.redo}, on a link.
"""

from __future__ import annotations

from dstwist.errors import ConnectionBroken, StoreUnreachable
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.scripts import Script
from tests.redis.stage import LinkTestCase

ADD = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
SHA = ADD.sha.encode()
NOSCRIPT = RedisReplyError("NOSCRIPT No matching script. Please use EVAL.")


class ScriptTests(LinkTestCase):
    """
    Scripts, whose calls keep their order although Redis has lost them.
    """

    def run_add(self, key: str, number: int) -> None:
        self.link.run(ADD, [key], [number], self.done, (key, number))

    def test_run(self) -> None:
        """
        A script is sent by its digest.
        """
        peer = self.connect()
        self.run_add("a", 5)
        self.assertEqual(self.sent(), [(b"EVALSHA", SHA, b"1", b"a", b"5")])
        peer.answer(5)
        self.assertEqual(self.outcomes, [(("a", 5), 5)])

    def test_lost_script(self) -> None:
        """
        If Redis has lost a script, it is loaded, and all calls are sent again in their order; later calls wait.
        """
        peer = self.connect()
        for number in (1, 2, 3):
            self.run_add("a", number)
        self.turn()
        peer.take()
        peer.answer(NOSCRIPT, NOSCRIPT)
        self.run_add("a", 4)
        self.assertEqual(self.sent(), [])
        peer.answer(NOSCRIPT)
        load, *again = self.sent()
        self.assertEqual(load, (b"SCRIPT", b"LOAD", ADD.text.encode()))
        self.assertEqual([words[-1] for words in again], [b"1", b"2", b"3", b"4"])
        peer.answer(ADD.sha, 1, 3, 6, 10)
        self.assertEqual([reply for _, reply in self.outcomes], [1, 3, 6, 10])

    def test_overtaken(self) -> None:
        """
        If a later call on the same key was executed, because another client had loaded the script, the earlier call
        fails, and had no effect.
        """
        peer = self.connect()
        for key, number in (("a", 1), ("b", 2), ("a", 3)):
            self.run_add(key, number)
        self.turn()
        peer.take()
        peer.answer(NOSCRIPT, NOSCRIPT, 3)
        self.assertEqual([argument for argument, _ in self.outcomes], [("a", 1), ("a", 3)])
        self.assertIsInstance(self.outcomes[0][1], StoreUnreachable)
        self.assertEqual([words[-1] for words in self.sent()][1:], [b"2"])

    def test_doubtful(self) -> None:
        """
        The same if the later call may have had an effect before it failed. A call that was refused had none.
        """
        for text, sent in (("TOOLARGE an answer", []), ("ERR in a script", []), ("OOM no room", [b"1"])):
            peer = self.connect()
            self.run_add("a", 1)
            self.run_add("a", 2)
            self.turn()
            peer.take()
            peer.answer(NOSCRIPT, RedisReplyError(text))
            self.assertEqual([words[-1] for words in self.sent()][1:], sent, text)

    def test_lost_again(self) -> None:
        """
        A script that cannot be loaded fails in the end.
        """
        peer = self.connect()
        self.run_add("a", 1)
        for _ in range(10):
            commands = self.sent()
            peer.answer(*[NOSCRIPT for _ in commands])
        (outcome,) = self.outcomes
        self.assertEqual(outcome[1].code, "NOSCRIPT")

    def test_connection_lost(self) -> None:
        """
        A refused call whose connection ends before it was sent again had no effect.
        """
        peer = self.connect()
        self.run_add("a", 1)
        self.run_add("a", 2)
        self.turn()
        peer.answer(NOSCRIPT)
        peer.close()
        self.assertEqual([type(error) for _, error in self.outcomes], [StoreUnreachable, ConnectionBroken])
