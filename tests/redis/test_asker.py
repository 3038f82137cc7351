"""
Tests for L{dstwist.redis.asker}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.asker import Asker
from dstwist.redis.errors import RedisReplyError
from tests.redis.stage import Endpoint

TIMEOUT = 2.0


class AskerTests(SynchronousTestCase):
    """
    One server that is asked C{A}, and C{B 1}; the answers are read as a sum.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        self.asker = self.make()

    def make(self, login: tuple[str | None, str | None] = (None, None)) -> Asker[int]:
        address = RedisAddress("h", 1)
        commands = (("A",), ("B", 1))
        return Asker(address, lambda *where: self.endpoint, login, TIMEOUT, self.clock, commands, sum)

    def answer(self, *values: Any) -> list[Any]:
        """
        The server answers.

        @return: the commands that have come.
        """
        self.clock.advance(0)
        peer = self.endpoint.peers[-1]
        commands = peer.take()
        if values:
            peer.answer(*values)
        return commands

    def test_answer(self) -> None:
        """
        The connection is kept for the next question.
        """
        for _ in range(2):
            asked = self.asker.ask()
            self.assertEqual(self.answer(1, 2), [(b"A",), (b"B", b"1")])
            self.assertEqual(self.successResultOf(asked), 3)
        self.assertEqual(self.endpoint.attempts, 1)

    def test_together(self) -> None:
        """
        Those who ask while the server is being asked get the same answer.
        """
        asked = [self.asker.ask() for _ in range(3)]
        self.assertEqual(len(self.answer(1, 2)), 2)
        self.assertEqual([self.successResultOf(each) for each in asked], [3, 3, 3])

    def test_error(self) -> None:
        """
        An error of Redis does not end the connection.
        """
        asked = self.asker.ask()
        self.answer(1, RedisReplyError("ERR no"))
        self.assertEqual(str(self.failureResultOf(asked, RedisReplyError).value), "ERR no")
        asked = self.asker.ask()
        self.answer(1, 2)
        self.assertEqual(self.successResultOf(asked), 3)
        self.assertEqual(self.endpoint.attempts, 1)

    def test_unreadable(self) -> None:
        """
        An answer that cannot be read ends the connection; the next question makes another one.
        """
        asked = self.asker.ask()
        self.answer(1, "two")
        self.failureResultOf(asked, TypeError)
        self.assertTrue(self.endpoint.peers[0].closed)
        asked = self.asker.ask()
        self.answer(1, 2)
        self.assertEqual(self.successResultOf(asked), 3)
        self.assertEqual(self.endpoint.attempts, 2)

    def test_silent(self) -> None:
        """
        A server that does not answer in time is not asked on that connection again.
        """
        asked = self.asker.ask()
        self.answer(1)
        self.clock.advance(TIMEOUT)
        self.failureResultOf(asked)
        self.assertTrue(self.endpoint.peers[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unreachable(self) -> None:
        """
        The reason gets to those who ask; the next question tries again.
        """
        self.endpoint.refuses = "refused"
        self.failureResultOf(self.asker.ask())
        self.endpoint.refuses = None
        asked = self.asker.ask()
        self.answer(1, 2)
        self.assertEqual(self.successResultOf(asked), 3)

    def test_lost(self) -> None:
        """
        A connection that is lost fails the question.
        """
        asked = self.asker.ask()
        self.answer(1)
        self.endpoint.peers[0].close()
        self.failureResultOf(asked, StoreError)

    def test_login(self) -> None:
        """
        The asker logs in before the first question on a connection.
        """
        for login, words in (
            ((None, "pw"), (b"AUTH", b"pw")),
            (("ann", "pw"), (b"AUTH", b"ann", b"pw")),
        ):
            self.asker = self.make(login)
            asked = self.asker.ask()
            self.assertEqual(self.answer("OK"), [words])
            self.answer(1, 2)
            self.assertEqual(self.successResultOf(asked), 3)

    def test_wrong_login(self) -> None:
        """
        A refusal ends the connection, and the text does not repeat the password.
        """
        self.asker = self.make((None, "pw"))
        asked = self.asker.ask()
        self.answer(RedisReplyError("ERR unknown command `AUTH`, with args beginning with: `pw`"))
        text = str(self.failureResultOf(asked, StoreError).value)
        self.assertIn("it refuses AUTH: ERR unknown command", text)
        self.assertNotIn("pw", text)
        self.assertTrue(self.endpoint.peers[0].closed)

    def test_stop(self) -> None:
        """
        A stop ends the question and the connection.
        """
        asked = self.asker.ask()
        self.answer(1)
        self.asker.stop()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(self.endpoint.peers[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
