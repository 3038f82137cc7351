"""
Tests for L{dstwist.store.redis}, with real Redis servers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from dstwist.config.redis import RedisSettings
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.errors import StoreError, StoreFull, StoreRefusal
from dstwist.interfaces import (
    ANY_VERSION,
    ICallbackStore,
    IClusterTableHost,
    IEnumerableStore,
    IStoreStatus,
    Record,
    TableReading,
)
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH
from dstwist.record import NO_RECORD
from dstwist.store.redis import RedisStore
from dstwist.store.redis_connection import connect
from dstwist.store.redis_status import LOOK_SECONDS
from tests.redis_server import RedisServer
from tests.store import contract
from tests.store.contract import PATIENCE
from tests.store.redis_stage import RedisTestCase, authority, encrypted_server, replicated_servers


class ContractTests(RedisTestCase, contract.TombstoneContract):
    """
    The contract of stores, on one server.
    """

    deletion_memory = 3600.0

    def test_more_interfaces(self) -> None:
        """
        It provides the other interfaces of stores, too.
        """
        for interface in (ICallbackStore, IStoreStatus, IEnumerableStore):
            verifyObject(interface, self.make())


class LegacyContractTests(ContractTests):
    """
    The same with one key for each record.
    """

    options = {"legacy_layout": True}


class PrefixContractTests(ContractTests):
    """
    The same with a prefix, which looks like a pattern.
    """

    options = {"prefix": "[a-z]*\\é:"}


class ExpiringContractTests(ContractTests):
    """
    The same with records that expire.
    """

    options = {"ttl": 1000}


class ExpiringLegacyContractTests(ContractTests):
    """
    The same with one key for each record.
    """

    options = {"ttl": 1000, "legacy_layout": True}


class SocketContractTests(ContractTests):
    """
    The same by a UNIX socket.
    """

    def settings(self, **options: Any) -> RedisSettings:
        return super().settings(path=str(self.server.unix_socket), **options)


class EncryptedContractTests(ContractTests):
    """
    The same by TLS, with a user of an access control list who may do no more than the documentation says.
    """

    options = {"username": "dstwist", "password": "secret", "prefix": "app:"}

    def start_server(self) -> RedisServer:
        return encrypted_server()

    def settings(self, **options: Any) -> RedisSettings:
        tls = RedisTlsSettings(ca=authority().pem, servername="localhost")
        return super().settings(port=self.server.tls_port, tls=tls, **options)


class ReplicatedContractTests(ContractTests):
    """
    The same with a replica that must have each write.
    """

    options = {"min_replicas": 1, "command_timeout": PATIENCE}

    def start_server(self) -> RedisServer:
        return replicated_servers()[0]

    def test_too_few(self) -> None:
        """
        If the replica does not have a write in time, the write is in doubt. Here it has taken effect.
        """
        patient, store = self.started(self.make()), self.started(self.make(command_timeout=1.0))
        self.assertIsNone(self.result(patient.set("a", 1, {})))
        replica = replicated_servers()[1]
        self.addCleanup(replica.resume)
        replica.pause()
        writes = [store.replace("a", 1, Record(2, {})), store.remove("b", None), store.replace("a", 1, Record(2, {}))]
        for write in writes[:2]:
            self.assertEqual("only 0 replicas of Redis have it, and not 1", self.failure(write))
        self.assertEqual(Record(2, {}), self.result(writes[2]))
        self.result(store.fence())
        self.assertEqual(Record(2, {}), self.result(store.get("a")))
        replica.resume()
        self.assertIsNone(self.result(patient.replace("a", 2, Record(3, {}))))


class OperationTests(RedisTestCase):
    """
    The content of a Redis after each operation, and the operations that are refused.
    """

    def names(self, store: Any, limit: int = 3) -> list[str]:
        """
        The names of all records.
        """
        names: list[str] = []
        cursor = None
        while True:
            page, cursor = self.result(store.names(cursor, limit))
            names += page
            if cursor is None:
                return sorted(set(names))

    def contents(self) -> dict[str, bytes]:
        found = self.server.contents()
        del found["!store"]
        return found

    def refusal(self, deferred: Deferred[Any], kind: type[Exception] = StoreRefusal) -> str:
        self._wait(deferred)
        return str(self.failureResultOf(deferred, kind).value)

    def test_node_server(self) -> None:
        """
        The keys and values are those of the Node server.
        """
        store = self.started(self.make())
        self.server.command("MSET", "a/b_v", "1", "a/b_d", '{"v": 1.50, "\u00fc": "\\u00e9"}')
        self.assertEqual(Record(1, {"v": 1.5, "\u00fc": "\u00e9"}), self.result(store.get("a/b")))
        self.result(store.replace("a/b", 1, Record(2, {"\u00fc": ["x"]})))
        self.assertEqual({"a/b_v": b"2", "a/b_d": '{"\u00fc":["x"]}'.encode()}, self.contents())

    def test_old_node_server(self) -> None:
        """
        The same with the layout for v2 and v3, whatever the order of the two fields.
        """
        store = self.started(self.make(legacy_layout=True))
        for text in (b'{"_v":1,"_d":{"v":1}}', b'{ "_d": {"v": 1}, "_v": 1 }', b'{"_v":1,"_d":{"v":1},"x":0}'):
            self.server.command("FLUSHALL")
            self.server.command("SET", "a", text)
            self.assertEqual(Record(1, {"v": 1}), self.result(store.get("a")))
            self.assertEqual({"a": 1}, self.result(store.heads(["a"])))
            self.assertEqual(Record(1, {"v": 1}), self.result(store.replace("a", None, Record(0, {}))))
            self.assertIsNone(self.result(store.replace("a", 1, Record(2, []))))
            self.assertEqual({"a": b'{"_v":2,"_d":[]}'}, self.server.contents())

    def test_tombstones(self) -> None:
        """
        The version of a removed record is remembered for a while; a new record has to count on.
        """
        for legacy, key in ((False, "a_t"), (True, "!dstwist/t/a")):
            self.server.command("FLUSHALL")
            store = self.started(self.make(deletion_memory=60, legacy_layout=legacy))
            self.result(store.replace("a", None, Record(7, {})))
            self.assertIsNone(self.result(store.remove("a", 7)))
            self.assertEqual(b"7", self.server.command("GET", key))
            self.assertGreater(self.server.command("PTTL", key), 50_000)
            self.assertIsNone(self.result(store.get("a")))
            self.assertEqual({"a": -1}, self.result(store.heads(["a"])))
            self.assertEqual([], self.names(store))
            for version in (0, 7):
                found = self.result(store.replace("a", None, Record(version, {})))
                self.assertEqual((7, None), (found.version, found.data))
            self.assertIs(NO_RECORD, self.result(store.replace("a", 7, Record(8, {}))))
            self.assertIsNone(self.result(store.replace("a", None, Record(8, {}))))
            self.assertIsNone(self.result(store.remove("a", 8)))
            self.assertEqual(b"8", self.server.command("GET", key))

    def test_no_tombstone(self) -> None:
        """
        A key of another program in the place of a tombstone keeps no record from being created.
        """
        store = self.started(self.make())
        for text in ("abc", "1e3", "0x10", "-5", ""):
            self.server.command("FLUSHALL")
            self.server.command("SET", "a_t", text)
            self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))

    def test_ttl(self) -> None:
        """
        Both keys of a record expire at the same moment, which each write postpones.
        """
        store = self.started(self.make(ttl=100))
        for write in (lambda: store.set("a", 1, {}), lambda: store.replace("a", 1, Record(2, {}))):
            self.result(write())
            expiry = [self.server.command("PEXPIRETIME", key) for key in ("a_v", "a_d")]
            self.assertEqual(expiry[0], expiry[1])
            self.assertGreater(self.server.command("PTTL", "a_v"), 90_000)
            self.server.commands(("PERSIST", "a_v"), ("PERSIST", "a_d"))

    def test_broken(self) -> None:
        """
        Half a record, or no JSON, is an error that names the keys, and no missing record.
        """
        store = self.started(self.make())
        for version, data, problem in (
            ("1", None, "Redis has its version, and no data"),
            ("1", "{", "cannot be read"),
            ("1", "5", "its data are neither an object nor an array"),
            ("1", "[" * 100_000, "cannot be read"),
            ("x", "{}", "its version is no number"),
            ("01", "{}", "its version is no number"),
        ):
            self.server.command("FLUSHALL")
            self.server.command("SET", "a_v", version)
            if data is not None:
                self.server.command("SET", "a_d", data)
            told = self.failure(store.get("a"))
            self.assertIn(f"the record 'a' cannot be read from Redis at 127.0.0.1:{self.server.port} (a_v, a_d)", told)
            self.assertIn(problem, told)

    def test_broken_in_the_way(self) -> None:
        """
        A write to a key that holds no record is refused, and changes nothing.
        """
        for legacy, values in ((False, {"a_v": b"no", "a_d": b"{}"}), (True, {"a": b'{"_v":"1"}'})):
            self.server.command("FLUSHALL")
            store = self.started(self.make(legacy_layout=legacy))
            self.server.commands(*(("SET", *item) for item in values.items()))
            for write in (
                lambda store: store.replace("a", None, Record(0, {})),
                lambda store: store.set("a", 1, {}),
                lambda store: store.remove("a", 1),
                lambda store: store.delete("a"),
            ):
                self.assertIn("NOVERSION the key a", self.refusal(write(store)))
            found = self.server.contents()
            self.assertEqual(values, {key: found[key] for key in values})

    def test_heads_around_broken(self) -> None:
        """
        The versions of other records can be found out although some keys hold none.
        """
        for legacy, keys in ((False, ("no_v", "list_v")), (True, ("no", "list"))):
            self.server.command("FLUSHALL")
            store = self.started(self.make(legacy_layout=legacy))
            self.server.command("SET", keys[0], "no")
            self.server.command("RPUSH", keys[1], "x")
            self.result(store.set("a", 3, {}))
            self.assertEqual({"a": 3, "b": -1}, self.result(store.heads(["no", "a", "list", "b"])))

    def test_other_programs(self) -> None:
        """
        A key of another type belongs to another program: it is not overwritten, whichever of the two it is.
        """
        for legacy, keys in ((False, ("a_v", "a_d", "a_t")), (True, ("a", "!dstwist/t/a"))):
            store = self.started(self.make(legacy_layout=legacy, deletion_memory=60))
            for key in keys:
                self.server.command("FLUSHALL")
                self.server.command("RPUSH", key, "x")
                writes = [store.replace("a", None, Record(0, {}))]
                if not key.endswith("_t") and "/" not in key:
                    writes += [store.set("a", 1, {}), store.remove("a", 1), store.delete("a")]
                for write in writes:
                    self.assertIn("WRONGTYPE", self.refusal(write))
                self.assertEqual([b"x"], self.server.command("LRANGE", key, 0, -1))
                self.assertEqual([key.encode()], self.server.command("KEYS", "*"))

    def test_full(self) -> None:
        """
        A full Redis takes no record, changes nothing by the attempt, and removes records.
        """
        for options in ({}, {"ttl": 100}, {"legacy_layout": True}, {"legacy_layout": True, "ttl": 100}):
            self.server.command("FLUSHALL")
            store = self.started(self.make(deletion_memory=60, **options))
            for name in ("a", "b"):
                self.result(store.set(name, 1, {}))
            before = self.server.contents()
            self.addCleanup(self.server.command, "CONFIG", "SET", "maxmemory", "0")
            self.server.command("CONFIG", "SET", "maxmemory", "1")
            for write in (store.replace("a", 1, Record(2, {})), store.set("a", 2, {}), store.set("c", 1, {})):
                self.assertIn("OOM", self.refusal(write, StoreFull))
            self.assertEqual(before, self.server.contents())
            self.assertIsNone(self.result(store.remove("a", 1)))
            self.assertIsNone(self.result(store.delete("b")))
            self.assertEqual({"a": -1, "b": -1}, self.result(store.heads("ab")))
            self.server.command("CONFIG", "SET", "maxmemory", "0")
            self.assertEqual(1, self.result(store.replace("a", None, Record(1, {}))).version)

    def test_start_full(self) -> None:
        """
        A store starts with a full Redis, which may have records.
        """
        self.result(self.started(self.make()).set("a", 1, {}))
        self.server.command("SCRIPT", "FLUSH")
        self.addCleanup(self.server.command, "CONFIG", "SET", "maxmemory", "0")
        self.server.command("CONFIG", "SET", "maxmemory", "1")
        store = self.started(self.make())
        self.assertEqual(Record(1, {}), self.result(store.get("a")))

    def test_read_only(self) -> None:
        """
        A server that became a replica takes no write. Nothing is in doubt.
        """
        store = self.started(self.make())
        self.result(store.set("a", 1, {}))
        self.addCleanup(self.server.command, "REPLICAOF", "NO", "ONE")
        self.server.command("REPLICAOF", "127.0.0.1", "1")
        self.assertIn("READONLY", self.refusal(store.replace("a", 1, Record(2, {}))))
        self.server.command("REPLICAOF", "NO", "ONE")
        self.assertIsNone(self.result(store.replace("a", 1, Record(2, {}))))

    def test_long_records(self) -> None:
        """
        A long record is read in parts, by readers and by writers that are refused; the stop waits for that.
        """
        data = {"a": ["x" * 20] * READ_IN_PARTS_LENGTH}
        for legacy in (False, True):
            store = self.make(legacy_layout=legacy)
            self.result(store.start())
            self.result(store.set("a", 1, data))
            self.assertEqual(Record(1, data), self.result(store.get("a")))
            found, read = store.replace("a", 0, Record(1, {})), store.get("a")
            stopped = store.stop()
            self.result(stopped)
            self.assertEqual([Record(1, data)] * 2, [self.successResultOf(each) for each in (found, read)])

    def test_long_and_broken(self) -> None:
        """
        A long text that is no JSON is an error.
        """
        store = self.started(self.make())
        self.server.command("MSET", "a_v", "1", "a_d", '["x",' * READ_IN_PARTS_LENGTH)
        self.assertIn("cannot be read", self.failure(store.get("a")))

    def test_unwritable(self) -> None:
        """
        Data that no JSON can say, and names that are no text, fail by themselves.
        """
        store = self.started(self.make())
        good = store.set("b", 1, {})
        self.assertIn("the record 'a' cannot be stored", self.failure(store.set("a", 1, {"a": object()})))
        self.assertIn("cannot be stored", self.failure(store.set("no\ud800name", 1, {})))
        self.assertIsNone(self.result(store.get("no\ud800name")))
        self.assertIsNone(self.result(store.delete("no\ud800name")))
        self.assertIs(NO_RECORD, self.result(store.remove("no\ud800name", 1)))
        self.result(good)

    def test_reserved(self) -> None:
        """
        With one key for each record, names of the server's own keys cannot be stored.
        """
        store = self.started(self.make(legacy_layout=True))
        self.assertIn("are reserved", self.failure(store.set("!dstwist/store", 1, {})))
        self.assertIsNone(self.result(store.get("!dstwist/store")))

    def test_names(self) -> None:
        """
        All records are listed, and nothing else.
        """
        for legacy in (False, True):
            for prefix in ("", "[a]*:"):
                self.server.command("FLUSHALL")
                store = self.started(self.make(legacy_layout=legacy, prefix=prefix, deletion_memory=60))
                self.assertEqual([], self.names(store))
                names = [f"r/{number}" for number in range(50)] + ["a_v", "\u00e9", "*"]
                for name in [*names, "gone"]:
                    self.result(store.set(name, 1, {}))
                self.result(store.remove("gone", 1))
                self.server.command("SET", "xyz_v" if prefix else b"\xff_v", "1")
                self.assertEqual(sorted(names), self.names(store))

    def test_apart(self) -> None:
        """
        Stores with different prefixes share nothing.
        """
        one, other = (self.started(self.make(prefix=prefix)) for prefix in ("a:", "b:"))
        self.result(one.set("r", 1, {}))
        self.assertIsNone(self.result(other.get("r")))
        self.assertEqual(([], ["r"]), (self.names(other), self.names(one)))

    def test_callback(self) -> None:
        """
        The outcome is told without a Deferred, with the argument of the caller.
        """
        store = self.started(self.make())
        told: list[Any] = []
        for expected, version in ((ANY_VERSION, 3), (3, 4), (3, 5)):
            store.submit("a", expected, Record(version, {}), (), lambda *outcome: told.append(outcome), version)
        self.reactor.run_until(lambda: len(told) == 3)
        self.assertEqual([(3, None, None), (4, None, None), (5, None, Record(4, {}))], told)

    def test_contents(self) -> None:
        """
        The log tells what was found. Keys of the server itself and of a cluster do not count; a record has two keys.
        """
        store = self.started(self.make())
        self.assertEqual("nothing yet", store.contents())
        renewed = store.cluster_table().renew("node", b"lease")
        self.reactor.run_until(lambda: renewed.called)
        self.assertEqual("nothing yet", self.started(self.make()).contents())
        self.server.command("MSET", "a_v", 1, "a_d", "{}")
        self.assertEqual("2 keys", self.started(self.make()).contents())
        self.assertIsNone(store.problem())

    def test_cluster_table(self) -> None:
        """
        The store keeps the table of the nodes that share it, under keys that no record has.
        """
        store = self.started(self.make())
        verifyObject(IClusterTableHost, store)
        self.assertTrue(self.result(store.cluster_table().replace(None, b"table")))
        self.assertEqual(self.result(store.cluster_table().renew("ann", b"1")), TableReading(b"table", {"ann": b"1"}))
        self.assertEqual(self.result(store.names(None, 10))[0], [])

    def test_evicting(self) -> None:
        """
        A Redis that may forget records is no storage.
        """
        self.addCleanup(self.server.command, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        self.assertIn("its maxmemory-policy is allkeys-lfu", self.refusal(self.make().start(), StoreError))
        store = self.started(self.make(arbiter=False))
        # Redis has forgotten the data, and not the version.
        self.server.command("SET", "a_v", "1")
        self.assertIsNone(self.result(store.get("a")))

    def test_changed_while_connected(self) -> None:
        """
        A running Redis that is emptied, and one that may forget records from now on, are noticed although the
        connection stays. So is an emptied one once more.
        """
        clock, reasons = Clock(), list[str | None]()
        settings = self.settings()
        store = RedisStore(connect(settings, self.reactor), settings, clock)
        store.on_reconnected(reasons.append)
        self.result(store.start())
        for count in (1, 2):
            before = self.server.command("GET", "!store")
            self.server.command("FLUSHALL")
            clock.advance(LOOK_SECONDS)
            self.reactor.run_until(lambda count=count: len(reasons) == count)
            self.assertIn("has other data than before", str(reasons[-1]))
            self.assertNotIn(self.server.command("GET", "!store"), (None, before))
        self.addCleanup(self.server.command, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        clock.advance(LOOK_SECONDS)
        self.reactor.run_until(lambda: store.problem() is not None)
        self.assertIn("its maxmemory-policy is allkeys-lfu", str(store.problem()))
        self.result(store.stop())
        self.assertEqual([], clock.getDelayedCalls())

    def test_not_there(self) -> None:
        """
        Without a server the start fails, and tells where it should be.
        """
        told = self.refusal(self.make(port=1, connect_timeout=0.1).start(), StoreError)
        self.assertIn("127.0.0.1:1", told)
