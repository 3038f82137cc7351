"""
Tests for L{dstwist.redis.greeting}, on a link.
"""

from __future__ import annotations

from dstwist.errors import StoreError
from dstwist.redis.errors import RedisReplyError
from tests.logs import Lines
from tests.redis.stage import LinkTestCase


class ServerTests(LinkTestCase):
    """
    Servers that cannot be used.
    """

    def refusal(self) -> str:
        started = self.link.start()
        self.greet()
        return str(self.failureResultOf(started, StoreError).value)

    def test_loading(self) -> None:
        """
        A server that reads its data is waited for.
        """
        self.special["PING"] = RedisReplyError("LOADING Redis is loading the dataset in memory")
        started = self.link.start()
        self.greet()
        self.assertNoResult(started)
        self.assertIn("LOADING", str(self.link.problem()))
        self.special.clear()
        self.reconnect()
        self.successResultOf(started)

    def test_replica(self) -> None:
        """
        A replica is waited for until it is a primary.
        """
        self.special["ROLE"] = ["slave", "10.0.0.1", 6380, "connected", 17]
        started = self.link.start()
        self.greet()
        self.assertNoResult(started)
        self.assertIn("replica of 10.0.0.1:6380", str(self.link.problem()))
        self.special.clear()
        self.reconnect()
        self.successResultOf(started)

    def test_becomes_replica(self) -> None:
        """
        A server that becomes a replica is left when all calls are answered. New calls wait for the primary.
        """
        lines = Lines(self)
        self.connect()
        for key in "abc":
            self.submit(key, "SET", key, 1, name=key)
        self.turn()
        self.special["ROLE"] = ["slave", "10.0.0.1", 6380, "connected", 17]
        old = self.peer
        old.answer("OK", RedisReplyError("READONLY You can't write against a read only replica."))
        self.assertFalse(old.closed)
        self.assertIn("it is a replica now", str(self.link.problem()))
        self.submit("d", "SET", "d", 1, name="d")
        old.answer(RedisReplyError("READONLY You can't write against a read only replica."))
        self.assertTrue(old.closed)
        self.assertEqual(self.kinds(), [("a", b"OK"), ("b", RedisReplyError), ("c", RedisReplyError)])
        self.assertIn("it is a replica now", lines.of("error")[0])
        self.reconnect()
        self.special.clear()
        self.reconnect()
        self.assertEqual(self.greetings[-1][-1], (b"SET", b"d", b"1"))
        self.assertIsNone(self.link.problem())

    def test_read_only_disk(self) -> None:
        """
        A server that cannot save its data refuses PING, and can be read all the same.
        """
        self.special["PING"] = RedisReplyError("MISCONF Redis is configured to save RDB snapshots")
        self.connect()

    def test_too_many_clients(self) -> None:
        """
        A server that has too many clients is asked again.
        """
        self.special["PING"] = RedisReplyError("ERR max number of clients reached")
        started = self.link.start()
        self.greet()
        self.assertNoResult(started)
        self.special.clear()
        self.reconnect()
        self.successResultOf(started)

    def test_no_password(self) -> None:
        """
        A missing password ends the start, and the text names its option.
        """
        self.make(where="clusterNode.options")
        self.special["PING"] = RedisReplyError("NOAUTH Authentication required.")
        text = self.refusal()
        self.assertIn("NOAUTH", text)
        self.assertIn("; set clusterNode.options.password", text)

    def test_wrong_password(self) -> None:
        """
        The same for a wrong password.
        """
        self.make(where="storage.options", password="geheim")
        self.special["AUTH"] = RedisReplyError("WRONGPASS invalid username-password pair or user is disabled.")
        self.assertIn("; check storage.options.username and storage.options.password", self.refusal())

    def test_unknown_command(self) -> None:
        """
        Redis repeats the words of a command that it does not know. The password among them does not get into the text.
        """
        self.make(password="geheim")
        self.special["AUTH"] = RedisReplyError("ERR unknown command 'AUTH', with args beginning with: 'geheim'")
        self.assertNotIn("geheim", self.refusal())

    def test_no_such_database(self) -> None:
        """
        A database that does not exist ends the start.
        """
        self.make(db=99)
        self.special["SELECT"] = RedisReplyError("ERR DB index is out of range")
        self.assertIn("DB index is out of range", self.refusal())

    def test_cluster(self) -> None:
        """
        A node of a Redis Cluster would refuse most keys.
        """
        self.facts["redis_mode"] = "cluster"
        self.assertIn("the option nodes", self.refusal())

    def test_sentinel(self) -> None:
        """
        A Sentinel is no server for data.
        """
        self.special["ROLE"] = ["sentinel", []]
        self.assertIn("sentinel", self.refusal())

    def test_proxy(self) -> None:
        """
        A proxy that answers otherwise than Redis is refused.
        """
        self.special["CLIENT ID"] = "OK"
        self.assertIn("proxy", self.refusal())
