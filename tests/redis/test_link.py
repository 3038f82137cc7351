"""
Tests for L{dstwist.redis.link}.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from dstwist.errors import ConnectionBroken, StoreError
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.interface import IRedis
from tests.redis.stage import LinkTestCase


class CallTests(LinkTestCase):
    """
    Calls on a link that is ready.
    """

    def test_interface(self) -> None:
        """
        A link provides L{IRedis}.
        """
        verifyObject(IRedis, self.link)

    def test_one_write(self) -> None:
        """
        The calls of a turn leave in one write, in their order, and answers are matched by their order.
        """
        peer = self.connect()
        writes = peer.writes
        for name in ("a", "b", "c"):
            self.submit(name, "GET", name)
        self.assertEqual(peer.value(), b"")
        self.assertEqual(self.sent(), [(b"GET", b"a"), (b"GET", b"b"), (b"GET", b"c")])
        self.assertEqual(peer.writes, writes + 1)
        peer.answer(1, None, ["12", [b"\xff"]])
        self.assertEqual(self.outcomes, [("a", 1), ("b", None), ("c", [b"12", [b"\xff"]])])

    def test_words(self) -> None:
        """
        Words are bytes, texts or numbers.
        """
        peer = self.connect()
        answer = self.link.call("k", "SET", b"\xff\r\n", 12)
        self.assertEqual(self.sent(), [(b"SET", b"\xff\r\n", b"12")])
        peer.answer("OK")
        self.assertEqual(self.successResultOf(answer), b"OK")

    def test_error(self) -> None:
        """
        An error fails its own call only. An error in a list is an item of the list.
        """
        peer = self.connect()
        failing, other = self.link.call("k", "INCR", "k"), self.link.call("k", "EXEC")
        self.turn()
        peer.answer(RedisReplyError("WRONGTYPE Operation"), [RedisReplyError("ERR x"), 1])
        self.assertEqual(self.failureResultOf(failing, RedisReplyError).value.code, "WRONGTYPE")
        error, one = self.successResultOf(other)
        self.assertIsInstance(error, RedisReplyError)
        self.assertEqual(one, 1)

    def test_bad_callback(self) -> None:
        """
        A caller that fails does not keep others from their answers.
        """
        peer = self.connect()

        def fail(argument: Any, error: Any, reply: Any) -> None:
            raise ZeroDivisionError

        self.link.submit("a", ("GET", "a"), fail, None)
        self.submit("b", "GET", "b")
        self.turn()
        peer.answer(1, 2)
        self.assertEqual(self.outcomes, [("b", 2)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_lost(self) -> None:
        """
        A call whose answer does not come before the connection ends is in doubt.
        """
        peer = self.connect()
        self.submit("a", "GET", "a")
        self.turn()
        peer.close()
        (outcome,) = self.outcomes
        self.assertIsInstance(outcome[1], ConnectionBroken)


class StartTests(LinkTestCase):
    """
    The start.
    """

    def test_greeting(self) -> None:
        """
        The link logs in, chooses the database, and gives itself a name.
        """
        self.connect(username="ann", password="secret", db=3)
        (greeting,) = self.greetings
        self.assertEqual(greeting[0], (b"AUTH", b"ann", b"secret"))
        self.assertEqual(greeting[1], (b"SELECT", b"3"))
        self.assertIn((b"CLIENT", b"SETNAME", b"dstwist-n1"), greeting)

    def test_identity(self) -> None:
        """
        Callbacks are told which server it is, before waiting calls are sent. Their own calls are first.
        """
        seen: list[Any] = []

        def connected(server: Any) -> None:
            seen.append(server)
            self.submit(None, "GET", "own")

        self.link.on_connected.append(connected)
        self.submit("a", "GET", "waiting")
        started = self.link.start()
        self.turn()
        self.peer.answer(*map(self._greeted, self.peer.take()))
        self.successResultOf(started)
        self.assertEqual(self.sent(), [(b"GET", b"own"), (b"GET", b"waiting")])
        (server,) = seen
        self.assertEqual((server.address, server.run_id, server.offset), ("here:6379", "a" * 40, 17))
        self.assertEqual((server.replication_id, server.role, server.version), ("b" * 40, "master", "7.0.15"))

    def test_unreachable(self) -> None:
        """
        If no connection can be made in time, the start fails; the text says the address and the reason.
        """
        self.endpoint.refuses = "connection refused"
        started = self.link.start()
        self.assertNoResult(started)
        self.clock.pump([0.5] * 30)
        text = str(self.failureResultOf(started, StoreError).value)
        self.assertIn("here:6379", text)
        self.assertIn("connection refused", text)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """
        A server that accepts connections and says nothing is no Redis.
        """
        started = self.link.start()
        self.clock.pump([1.0] * 15)
        self.assertIn("did not answer in time", str(self.failureResultOf(started, StoreError).value))
        self.assertTrue(self.peer.closed)

    def test_refused(self) -> None:
        """
        A wrong password ends the start at once.
        """
        self.make(password="wrong")
        self.special["AUTH"] = RedisReplyError("WRONGPASS invalid username-password pair or user is disabled.")
        started = self.link.start()
        self.greet()
        text = str(self.failureResultOf(started, StoreError).value)
        self.assertIn("WRONGPASS", text)
        self.assertNotIn("wrong", text.replace("WRONGPASS", ""))
