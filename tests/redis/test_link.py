"""
Tests for L{dstwist.redis.link}.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from dstwist.errors import ConnectionBroken, StoreError, StoreUnreachable
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.interface import IRedis
from dstwist.redis.scripts import Script
from tests.redis.stage import LinkTestCase

ADD = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
SHA = ADD.sha.encode()
NOSCRIPT = RedisReplyError("NOSCRIPT No matching script. Please use EVAL.")


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


class StartTests(LinkTestCase):
    """
    The start.
    """

    def test_greeting(self) -> None:
        """
        The link logs in, chooses the database, and gives itself a name.
        """
        self.connect(username="ann", password="secret", db=3, client_name="dstwist-n1")
        (greeting,) = self.greetings
        self.assertEqual(greeting[0], (b"AUTH", b"ann", b"secret"))
        self.assertEqual(greeting[1], (b"SELECT", b"3"))
        self.assertIn((b"CLIENT", b"SETNAME", b"dstwist-n1"), greeting)

    def test_identity(self) -> None:
        """
        Those who want to know are told which server it is, before waiting calls are sent. Their own calls are first.
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
