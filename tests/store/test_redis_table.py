"""
Tests for L{dstwist.store.redis_table}, with real servers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.interfaces import TableReading
from dstwist.redis.cluster import RedisCluster
from dstwist.redis.link import RedisLink
from dstwist.store.redis_table import RedisTable
from tests.cluster import table_contract
from tests.redis_server import RedisServer
from tests.store.contract import PATIENCE
from tests.store.redis_stage import PATIENT, OwnReactor, shared_cluster, shared_server
from tests.tcp_proxy import TCPProxy


def server_key(name: bytes) -> bytes:
    return b"p:!" + name


class RedisTableTests(table_contract.TableContract):
    """
    A table in one server.
    """

    def setUp(self) -> None:
        self.reactor: Any = OwnReactor()
        self.addCleanup(self._close)
        self.redis = self.connect()
        self.wait(self.redis.start())
        self.addCleanup(lambda: self.wait(self.redis.stop()))
        self.table = RedisTable(self.redis, server_key)

    def connect(self) -> Any:
        server = shared_server()
        server.command("FLUSHALL")
        return RedisLink(RedisConnectionSettings(port=server.port, **PATIENT), self.reactor)

    def wait(self, outcome: Deferred[Any]) -> Any:
        self.reactor.run_until(lambda: outcome.called)
        return self.successResultOf(outcome)

    def _close(self) -> None:
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)

    def test_together(self) -> None:
        """
        If many nodes replace one document at the same time, one of them does.
        """
        outcomes = self.wait(gatherResults([self.table.replace(None, b"%d" % number) for number in range(50)]))
        self.assertEqual(outcomes.count(True), 1)
        self.assertEqual(self.read().document, b"%d" % outcomes.index(True))

    def test_whole(self) -> None:
        """
        A reading has the document and the leases of one moment: while leases go with replacements, each reading has
        either the old document and the lease, or the new one without it.
        """
        self.wait(self.table.renew("a", b"1"))
        readings = [self.table.renew("reader", b"1") for _ in range(3)]
        self.table.replace(None, b"new", {"a": b"1"})
        readings += [self.table.renew("reader", b"1") for _ in range(3)]
        old, new = TableReading(None, {"a": b"1", "reader": b"1"}), TableReading(b"new", {"reader": b"1"})
        found = self.wait(gatherResults(readings))
        self.assertEqual(found, [old] * 3 + [new] * 3)

    def test_unreadable(self) -> None:
        """
        Names of nodes that are no text fail a reading.
        """
        outcome = self.wait(self.redis.call(b"p:!{cluster}leases", "HSET", b"p:!{cluster}leases", b"\xff", b"1"))
        self.assertEqual(outcome, 1)
        reading = self.table.renew("a", b"1")
        self.reactor.run_until(lambda: reading.called)
        self.failureResultOf(reading, StoreError)

    def test_other_type(self) -> None:
        """
        A key of another type fails a reading, and nothing is replaced.
        """
        self.wait(self.redis.call(b"p:!{cluster}leases", "SET", b"p:!{cluster}leases", b"text"))
        outcomes = [self.table.renew("a", b"1"), self.table.replace(None, b"one", {"a": None})]
        for outcome in outcomes:
            self.reactor.run_until(lambda outcome=outcome: outcome.called)
            self.failureResultOf(outcome, StoreError)
        self.assertEqual(self.wait(self.redis.call(b"p:!{cluster}table", "EXISTS", b"p:!{cluster}table")), 0)


class ClusterTableTests(RedisTableTests):
    """
    A table in a Redis Cluster.
    """

    def connect(self) -> Any:
        cluster = shared_cluster()
        for server in cluster.servers:
            server.command("FLUSHALL")
        nodes = tuple(RedisAddress("127.0.0.1", server.port) for server in cluster.servers)
        return RedisCluster(RedisConnectionSettings(nodes=nodes, **PATIENT), self.reactor)


class FaultTests(SynchronousTestCase):
    """
    A server that fails, behind a network that fails.
    """

    def setUp(self) -> None:
        self.reactor: Any = OwnReactor()
        self.addCleanup(self._close)
        self.server = RedisServer()
        self.addCleanup(self.server.destroy)
        self.server.start()
        self.proxy = TCPProxy(self.reactor, self.server.port)
        self.proxy.listen()
        self.addCleanup(lambda: self.wait(Deferred.fromCoroutine(self.proxy.stop())))
        settings = RedisConnectionSettings(
            port=self.proxy.port,
            connect_timeout=PATIENCE,
            command_timeout=1.0,
            probe_interval=0.2,
            reconnect_wait=PATIENCE,
        )
        redis = RedisLink(settings, self.reactor)
        self.wait(redis.start())
        self.addCleanup(lambda: self.wait(redis.stop()))
        self.table = RedisTable(redis, server_key)

    def wait(self, outcome: Deferred[Any]) -> Any:
        self.reactor.run_until(lambda: outcome.called)
        return self.successResultOf(outcome)

    def fails(self, outcome: Deferred[Any]) -> None:
        self.reactor.run_until(lambda: outcome.called)
        self.failureResultOf(outcome, StoreError)

    def _close(self) -> None:
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)

    def test_lost_answer(self) -> None:
        """
        A replacement whose answer is lost fails, and has taken effect. The same again is refused.
        """
        self.wait(self.table.renew("a", b"1"))
        # Redis has the script from now on.
        self.assertFalse(self.wait(self.table.replace(b"other", b"one")))
        self.proxy.cut_before_reply(b"EVALSHA")
        self.fails(self.table.replace(None, b"one", {"a": b"1"}))
        self.assertEqual(self.wait(self.table.renew("b", b"2")), TableReading(b"one", {"b": b"2"}))
        self.assertFalse(self.wait(self.table.replace(None, b"one")))

    def test_hangs(self) -> None:
        """
        A server that hangs fails the operations; then all goes on.
        """
        self.wait(self.table.renew("a", b"1"))
        self.server.pause()
        self.fails(self.table.renew("a", b"2"))
        self.server.resume()
        reading = None
        while reading is None or reading.leases != {"a": b"3"}:
            outcome = self.table.renew("a", b"3")
            self.reactor.run_until(lambda outcome=outcome: outcome.called)
            outcome.addErrback(lambda failure: None)
            reading = self.successResultOf(outcome)

    def test_emptied(self) -> None:
        """
        After a restart without data there is no document, and no lease but the one that is written.
        """
        self.wait(self.table.renew("a", b"1"))
        self.assertTrue(self.wait(self.table.replace(None, b"one")))
        self.server.kill()
        self.fails(self.table.renew("a", b"2"))
        self.server.start(empty=True)
        self.assertEqual(self.wait(self.table.renew("b", b"3")), TableReading(None, {"b": b"3"}))
