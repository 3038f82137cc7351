"""
Tests for L{dstwist.store.redis}, with a real Redis Cluster.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dstwist.config.redis import RedisSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreUnreachable
from dstwist.record import Record
from dstwist.store.redis import RedisStore
from dstwist.store.redis_connection import connect
from dstwist.store.redis_status import LOOK_SECONDS
from tests.redis_groups import RedisCluster
from tests.redis_server import RedisServer
from tests.store import contract
from tests.store.redis_stage import PATIENT, RedisTestCase, shared_cluster

#: Names that a Redis Cluster could take for something else.
NAMES = ["", "}", "}a", "\\", "\\}", "{", "{}", "{a}b", "a{b}c", "a}b{c", "a/b", "\u00e9"]


class ClusterTestCase(RedisTestCase):
    """
    A store in a Redis Cluster of three.
    """

    def start_server(self) -> RedisServer:
        self.cluster = shared_cluster()
        return self.cluster.servers[0]

    def empty(self) -> None:
        for server in self.cluster.servers:
            server.command("FLUSHALL")

    def settings(self, **options: Any) -> RedisSettings:
        nodes = tuple(RedisAddress("127.0.0.1", server.port) for server in self.cluster.servers[1:])
        return RedisSettings(**(PATIENT | {"nodes": nodes} | self.options | options))

    def contents(self) -> dict[str, bytes]:
        """
        The keys of all servers.
        """
        found: dict[str, bytes] = {}
        for server in self.cluster.servers:
            for key in server.command("KEYS", "*"):
                found[key.decode()] = server.command("GET", key)
        return found


class ClusterContractTests(ClusterTestCase, contract.TombstoneContract):
    """
    The contract of stores.
    """

    deletion_memory = 3600.0


class LegacyClusterContractTests(ClusterContractTests):
    """
    The same with one key for each record.
    """

    options = {"legacy_layout": True}


class PrefixClusterContractTests(ClusterContractTests):
    """
    The same with a prefix, and with records that expire.
    """

    options = {"prefix": "app:", "ttl": 1000}


class ClusterLayoutTests(ClusterTestCase):
    """
    All keys of a record are on one server.
    """

    def test_keys(self) -> None:
        """
        The name of a record is in braces.
        """
        store = self.started(self.make(deletion_memory=60))
        self.result(store.replace("a/b", None, Record(0, {})))
        self.result(store.replace("b", None, Record(3, {})))
        self.result(store.remove("b", 3))
        found = self.contents()
        del found["!store"]
        self.assertEqual({"{a/b}_v": b"0", "{a/b}_d": b"{}", "{b}_t": b"3"}, found)

    def test_names(self) -> None:
        """
        Each name is a name of its own, is listed, and is remembered when its record is removed.
        """
        for legacy in (False, True):
            self.empty()
            store = self.started(self.make(deletion_memory=60, legacy_layout=legacy))
            names = [name for name in NAMES if name or not legacy] + [f"r/{number}" for number in range(100)]
            for number, name in enumerate(names):
                self.assertIsNone(self.result(store.replace(name, None, Record(number, {"name": name}))))
            for number, name in enumerate(names):
                self.assertEqual(Record(number, {"name": name}), self.result(store.get(name)))
            self.assertEqual(sorted(names), self.listed(store))
            for number, name in enumerate(names):
                self.assertIsNone(self.result(store.remove(name, number)))
                self.assertEqual(number, self.result(store.replace(name, None, Record(number, {}))).version)
            self.assertEqual([], self.listed(store))

    def listed(self, store: Any) -> list[str]:
        names: list[str] = []
        cursor = None
        while True:
            page, cursor = self.result(store.names(cursor, 10))
            names += page
            if cursor is None:
                return sorted(set(names))

    def test_evicting(self) -> None:
        """
        One server that may forget records is enough for a refusal.
        """
        server = self.cluster.servers[2]
        self.addCleanup(server.command, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        self.assertIn("its maxmemory-policy is allkeys-lru", self.failure(self.make().start()))
        self.assertIsNone(self.result(self.make(arbiter=False).start()))

    def test_changed_while_connected(self) -> None:
        """
        A running Redis Cluster that is emptied is noticed, and so is one server that may forget records from now on.
        """
        clock, reasons = Clock(), list[str | None]()
        settings = self.settings()
        store = RedisStore(connect(settings, self.reactor), settings, clock)
        self.started(store)
        store.on_reconnected(reasons.append)
        self.empty()
        clock.advance(LOOK_SECONDS)
        self.reactor.run_until(lambda: bool(reasons))
        self.assertIn("has other data than before", str(reasons))
        self.assertIn("!store", self.contents())
        server = self.cluster.servers[2]
        self.addCleanup(server.command, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        clock.advance(LOOK_SECONDS)
        self.reactor.run_until(lambda: store.problem() is not None)
        self.assertIn("its maxmemory-policy is allkeys-lru", str(store.problem()))


class MovingTests(ClusterTestCase):
    """
    A slot moves from one server to another.
    """

    def start_server(self) -> RedisServer:
        self.cluster = RedisCluster()
        self.addCleanup(self.cluster.destroy)
        self.cluster.start()
        return self.cluster.servers[0]

    def test_moving(self) -> None:
        """
        Records can be read, written and created during the move and after it. A deletion waits for its keys.
        """
        store = self.started(self.make(deletion_memory=60))
        slot = self.cluster.slot("{a}")
        owner = self.cluster.owner(slot)
        target = next(server for server in self.cluster.servers if server is not owner)
        self.result(store.replace("a", None, Record(0, {})))
        self.cluster.begin_move(slot, target)
        self.assertIsNone(self.result(store.replace("a", 0, Record(1, {}))))
        self.assertEqual(Record(1, {}), self.result(store.get("a")))
        for key in ("{a}_v", "{a}_d"):
            self.cluster.move_key(key, target)
        self.assertIsNone(self.result(store.replace("a", 1, Record(2, {}))))
        removed = store.remove("a", 2)
        self.cluster.finish_move(slot, target)
        self.assertIsNone(self.result(removed))
        self.assertEqual(2, self.result(store.replace("a", None, Record(0, {}))).version)
        self.assertIsNone(self.result(store.replace("a", None, Record(3, {}))))

    def assert_no_effect(self, operation: Deferred[Any]) -> None:
        self._wait(operation)
        self.failureResultOf(operation, StoreUnreachable)

    def test_stuck(self) -> None:
        """
        If the move takes longer than commandTimeout, records that exist can be read and written. An operation on a key
        that is missing fails without effect, and succeeds after the move.
        """
        store = self.started(self.make(command_timeout=2.0, deletion_memory=60))
        slot = self.cluster.slot("{a}")
        owner = self.cluster.owner(slot)
        target = next(server for server in self.cluster.servers if server is not owner)
        self.result(store.replace("a", None, Record(4, {})))
        self.cluster.begin_move(slot, target)
        for version in (4, 5):
            self.assertIsNone(self.result(store.replace("a", version, Record(version + 1, {}))))
            self.assert_no_effect(store.remove("a", version + 1))
            self.assertEqual(Record(version + 1, {}), self.result(store.get("a")))
            # The second time, the record is at the other server.
            if version == 4:
                for key in ("{a}_v", "{a}_d"):
                    self.cluster.move_key(key, target)
        self.cluster.finish_move(slot, target)
        self.assertIsNone(self.result(store.remove("a", 6)))
        self.assertEqual(6, self.result(store.replace("a", None, Record(5, {}))).version)
        self.assertIsNone(self.result(store.replace("a", None, Record(7, {}))))

    def test_stuck_missing(self) -> None:
        """
        The same for a record that does not exist, with and without the version of its deletion.
        """
        store = self.started(self.make(command_timeout=2.0, deletion_memory=60))
        for name in ("a", "b"):
            slot = self.cluster.slot(f"{{{name}}}")
            owner = self.cluster.owner(slot)
            target = next(server for server in self.cluster.servers if server is not owner)
            if name == "b":
                self.result(store.replace(name, None, Record(4, {})))
                self.assertIsNone(self.result(store.remove(name, 4)))
            self.cluster.begin_move(slot, target)
            before = self.contents()
            for failing in (store.get(name), store.replace(name, None, Record(5, {})), store.set(name, 5, {})):
                self.assert_no_effect(failing)
            self.assertEqual(before, self.contents())
            self.cluster.finish_move(slot, target)
            self.assertIsNone(self.result(store.get(name)))
            self.assertIsNone(self.result(store.replace(name, None, Record(5, {}))))
