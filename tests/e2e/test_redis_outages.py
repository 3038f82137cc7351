"""
Outages of the Redis that has the records, and what the official clients of both generations see of them.

The table in C{docs/redis.rst}, *Outages*, has a row for each of these tests.
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.e2e.clients import Client
from tests.e2e.free_port import free_port
from tests.e2e.records import Record
from tests.e2e.scenario import QUICK, Scenario, for_each_generation, scratch_directory
from tests.e2e.server import PATIENCE, Server, ServerFailed
from tests.redis_server import RedisServer
from tests.store.redis_stage import OwnReactor
from tests.tcp_proxy import TCPProxy

#: What the callback of a write hears if the store has failed, has no room, or has not answered.
FAILED = {"v2": "storage error", "v7": "RECORD_UPDATE_ERROR"}
FULL = {"v2": "storage is full", "v7": "RECORD_UPDATE_ERROR"}

#: How the log shows that the connection is there again.
CONNECTED = "REDIS_CONNECTION | connected"

_CONFIG = """
{tier}:
  type: redis
  options: {{port: {port}, reconnectWait: {wait}, commandTimeout: {answer}, probeInterval: 200, maxReconnectDelay: 100}}
record: {{writeTimeout: 19000, storageRetrievalTimeout: 18000}}
{more}
"""


class OutageScenario(Scenario):
    """
    A server whose storage is a Redis, and a client.
    """

    options = QUICK
    tls = False
    first = "v2"

    #: How long operations wait for a connection, in milliseconds.
    wait = 100

    #: How long a Redis may take for an answer, in milliseconds.
    answer = 16_000

    #: What the Redis is: C{storage}, behind a cache in memory; or C{cache}, without a storage.
    tier = "storage"

    def configured(self, port: int, more: str = "") -> Path:
        config = scratch_directory() / "config.yml"
        text = _CONFIG.format(tier=self.tier, port=port, wait=self.wait, answer=self.answer, more=more)
        config.write_text(text, encoding="utf-8")
        return config

    def serve(self, more: str = "") -> tuple[Server, Client, RedisServer]:
        redis = self.own_redis(durable=True)
        server = self.own_server(self.configured(redis.port, more))
        return server, self.logged_in(self.first, server), redis

    def ready(self, server: Server) -> tuple[int, str]:
        """
        The answer of C{/ready}.
        """
        try:
            with urlopen(f"http://127.0.0.1:{server.port}/ready", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode().strip()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode().strip()

    def take_away(self, server: Server, redis: RedisServer) -> None:
        """
        End Redis, and come back when the server has noticed it.
        """
        lines = server.log.count("REDIS_CONNECTION")
        redis.kill()
        server.wait_for_line("REDIS_CONNECTION", lines + 1)

    def bring_back(self, server: Server, redis: RedisServer, empty: bool = False) -> None:
        """
        Start Redis, and come back when the server is connected.
        """
        lines = server.log.count(CONNECTED)
        redis.start(empty)
        server.wait_for_line(CONNECTED, lines + 1)

    def compared(self, server: Server, text: str) -> None:
        """
        The server has compared its records, with that result.
        """
        server.wait_for_line(text)
        server.take_trouble()

    def stored(self, redis: RedisServer, name: str) -> tuple[int, bytes]:
        """
        What Redis has.
        """
        version, data = redis.command("MGET", f"{name}_v", f"{name}_d")
        return int(version), data


class GoneTests(OutageScenario):
    """
    Redis is gone, and comes back with all it had.
    """

    def test_gone_for_longer(self) -> None:
        """
        Writes fail, and the client takes them back; what is in the memory is read. When Redis is back, all goes on.
        """
        server, client, redis = self.serve()
        record, name = Record(client, self.name("a")), self.name("b")
        redis.command("MSET", f"{name}_v", 1, f"{name}_d", "{}")
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        self.take_away(server, redis)
        self.assertEqual(record.set_with_ack('{"n":2}'), FAILED[self.first])
        record.until('{"n":1}')
        self.assertEqual(self.ready(server), (503, "not ready: the storage cannot write"))
        other = self.logged_in(self.first, server)
        self.assertEqual(other.look("snapshot", record.name), '{"n":1}')
        self.assertIn("RECORD_LOAD_ERROR", other.look("snapshot", name))
        for each in (client, other):
            each.tolerate_error("RECORD_UPDATE_ERROR")
            each.tolerate_error("RECORD_LOAD_ERROR")
        self.bring_back(server, redis)
        self.assertEqual(other.look("snapshot", name), "{}")
        self.assertIsNone(record.set_with_ack('{"n":3}'))
        self.assertEqual(self.ready(server), (200, "ready"))
        self.assertEqual(self.stored(redis, record.name), (record.version, b'{"n":3}'))
        self.compared(server, "has the same versions")
        # One line about all requests that failed.
        self.assertEqual(server.log.count("requests for records fail"), 1)

    def test_restarted_from_its_file(self) -> None:
        """
        No client notices a restart of a Redis that has all its data.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        record.subscribe()
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        before = record.changes()
        self.take_away(server, redis)
        self.bring_back(server, redis)
        self.compared(server, "the storage has the same versions of all 1 records that are known here")
        self.fence(client, client)
        self.assertEqual(record.changes(), before)

    def test_lost_for_good(self) -> None:
        """
        With C{exitOnFatalError}, the server ends with status 1 and a reason.
        """
        server, client, redis = self.serve("exitOnFatalError: true\ndependencyInitializationTimeout: 2000")
        redis.kill()
        self.assertEqual(server.wait_for_end(), 1)
        self.assertIn("PLUGIN_ERROR | the storage cannot be used for 2 s", server.log)
        client.expect_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[self.first])
        server.take_trouble()


class PatientTests(OutageScenario):
    """
    Operations wait for longer than the outage.
    """

    wait = 15_000

    def test_gone_for_a_moment(self) -> None:
        """
        A write that is made during a short outage is acknowledged when Redis is back.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        self.take_away(server, redis)
        write = record.start_set('{"n":2}')
        self.bring_back(server, redis)
        self.assertIsNone(write.error())
        self.assertEqual(self.stored(redis, record.name), (record.version, b'{"n":2}'))
        self.compared(server, "has the same versions")


class GoneBackTests(OutageScenario):
    """
    Redis comes back with less than it had.
    """

    def test_restarted_empty(self) -> None:
        """
        Subscribers are told that their records are deleted. They can be created anew.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        self.take_away(server, redis)
        self.bring_back(server, redis, empty=True)
        record.wait_for_event("delete")
        self.compared(server, f"the {self.tier} has lost writes of 1 of 1 records: {record.name}")
        again = Record(client, record.name, key="again")
        self.assertIsNone(again.set_with_ack('{"n":2}'))
        self.assertEqual(self.stored(redis, record.name)[1], b'{"n":2}')

    def test_restored(self) -> None:
        """
        Subscribers of either generation take what is there now, although its version is lower, and write to it.
        """
        server, client, redis = self.serve()
        reader = self.logged_in("v7" if self.first == "v2" else "v2", server)
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        version = record.version
        saved = scratch_directory() / "saved"
        shutil.copytree(redis.directory / "appendonlydir", saved)
        for number in (2, 3, 4):
            self.assertIsNone(record.set_with_ack(f'{{"n":{number}}}'))
        copy = Record(reader, record.name)
        copy.until('{"n":4}')
        self.take_away(server, redis)
        shutil.rmtree(redis.directory / "appendonlydir")
        shutil.copytree(saved, redis.directory / "appendonlydir")
        self.bring_back(server, redis)
        for each in (record, copy):
            each.until('{"n":1}')
            self.assertEqual(each.version, version)
        self.compared(server, f"the {self.tier} has lost writes of 1 of 1 records: {record.name}")
        self.assertIsNone(copy.set_with_ack('{"n":5}'))
        record.until('{"n":5}')
        self.assertIsNone(record.set_with_ack('{"n":6}'))
        copy.until('{"n":6}')
        self.assertEqual(self.stored(redis, record.name), (version + 2, b'{"n":6}'))

    def test_write_in_flight(self) -> None:
        """
        A write that a client sends before it hears that Redis was restored is refused, and the client has what Redis
        has in the end.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        version = record.version
        saved = scratch_directory() / "saved"
        shutil.copytree(redis.directory / "appendonlydir", saved)
        for number in (2, 3, 4):
            self.assertIsNone(record.set_with_ack(f'{{"n":{number}}}'))
        client.deafen()
        self.take_away(server, redis)
        shutil.rmtree(redis.directory / "appendonlydir")
        shutil.copytree(saved, redis.directory / "appendonlydir")
        self.bring_back(server, redis)
        self.compared(server, f"the {self.tier} has lost writes of 1 of 1 records: {record.name}")
        write = record.start_set('{"n":5}')
        client.hear()
        self.assertIsNotNone(write.error())
        client.tolerate_error({"v2": "VERSION_EXISTS", "v7": "INVALID_VERSION"}[self.first])
        record.until('{"n":1}')
        self.assertEqual(record.version, version)
        self.assertIsNone(record.set_with_ack('{"n":6}'))
        self.assertEqual(self.stored(redis, record.name), (version + 1, b'{"n":6}'))

    def test_older_replica(self) -> None:
        """
        The same if a replica takes the place of its primary that did not have the last writes.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        replica = self.own_redis(durable=True, replica_of=redis)
        replica.wait_for_replica()
        replica.wait_for(lambda: not _rewrites(replica))
        replica.stop()
        self.assertIsNone(record.set_with_ack('{"n":2}'))
        self.take_away(server, redis)
        replica.port = redis.port
        replica.settings["port"] = str(redis.port)
        del replica.settings["replicaof"]
        (replica.directory / "redis.conf").unlink()
        self.bring_back(server, replica)
        record.until('{"n":1}')
        self.compared(server, f"the {self.tier} has lost writes of 1 of 1 records: {record.name}")
        self.assertIsNone(record.set_with_ack('{"n":3}'))
        self.assertEqual(self.stored(replica, record.name), (record.version, b'{"n":3}'))


def _rewrites(redis: RedisServer) -> bool:
    """
    Whether a Redis writes its append-only file anew, or is about to.
    """
    found = redis.info("persistence")
    return (found["aof_rewrite_in_progress"], found["aof_rewrite_scheduled"]) != ("0", "0")


class GoneBackCacheTests(GoneBackTests):
    """
    The same without a storage: the server has no memory of the records but the versions that it has sent.
    """

    tier = "cache"


class RefusingTests(OutageScenario):
    """
    Redis answers, and refuses writes.
    """

    def test_full(self) -> None:
        """
        Writes fail, reads go on, and it heals when there is room.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        redis.command("CONFIG", "SET", "maxmemory", "1")
        self.assertEqual(record.set_with_ack('{"n":2}'), FULL[self.first])
        client.tolerate_error("RECORD_UPDATE_ERROR")
        record.until('{"n":1}')
        redis.command("CONFIG", "SET", "maxmemory", "0")
        self.assertIsNone(record.set_with_ack('{"n":3}'))
        self.assertEqual(self.ready(server), (200, "ready"))
        self.assertEqual(self.stored(redis, record.name), (record.version, b'{"n":3}'))
        server.take_trouble()

    def test_read_only(self) -> None:
        """
        A Redis that becomes a replica is not written to. When it is a primary again, writes go on.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        redis.command("REPLICAOF", "127.0.0.1", free_port())
        self.assertEqual(record.set_with_ack('{"n":2}'), FAILED[self.first])
        client.tolerate_error("RECORD_UPDATE_ERROR")
        record.until('{"n":1}')
        self.assertEqual(self.ready(server), (503, "not ready: the storage cannot write"))
        lines = server.log.count(CONNECTED)
        redis.command("REPLICAOF", "NO", "ONE")
        server.wait_for_line(CONNECTED, lines + 1)
        self.assertIsNone(record.set_with_ack('{"n":3}'))
        self.assertEqual(self.ready(server), (200, "ready"))
        self.assertEqual(self.stored(redis, record.name), (record.version, b'{"n":3}'))
        self.compared(server, "has the same versions")


class SlowTests(OutageScenario):
    """
    Redis answers late, or not at all.
    """

    answer = 2000

    def test_slow(self) -> None:
        """
        A Redis that needs less than C{commandTimeout} makes writes slow, and nothing else.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        redis.command("CLIENT", "PAUSE", 500, "ALL")
        self.assertIsNone(record.set_with_ack('{"n":2}'))
        self.assertEqual(self.stored(redis, record.name), (record.version, b'{"n":2}'))
        self.assertEqual(server.log.count("REDIS_CONNECTION"), 1)

    def test_half_open(self) -> None:
        """
        A Redis that answers nothing leaves writes in doubt. When it answers again, the client has what it has.
        """
        server, client, redis = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        redis.pause()
        self.assertEqual(record.set_with_ack('{"n":2}'), FAILED[self.first])
        client.tolerate_error("RECORD_UPDATE_ERROR")
        self.assertEqual(self.ready(server), (503, "not ready: the storage cannot write"))
        lines = server.log.count(CONNECTED)
        redis.resume()
        server.wait_for_line(CONNECTED, lines + 1)
        reader = self.logged_in(self.first, server)
        found = reader.look("snapshot", record.name)
        record.until(found)
        self.assertIsNone(record.set_with_ack('{"n":3}'))
        self.assertEqual(self.stored(redis, record.name), (record.version, b'{"n":3}'))
        server.take_trouble()


class CutTests(OutageScenario):
    """
    The connection to Redis breaks after Redis has taken a write, and before its answer arrives.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reactor: Any = OwnReactor()
        self.calls: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self.thread = threading.Thread(target=self.run_reactor, daemon=True)

    def run_reactor(self) -> None:
        while True:
            self.reactor.iterate(0.01)
            if not self.calls.empty():
                call = self.calls.get()
                if call is None:
                    return
                call()

    def test_before_the_reply(self) -> None:
        """
        The writer gets an error. When the server is connected again, the writer and all others get the true state: the
        write was done, once.
        """
        redis = self.own_redis(durable=True)
        proxy = TCPProxy(self.reactor, redis.port)
        proxy.listen()
        self.thread.start()
        server = self.own_server(self.configured(proxy.port))
        client, reader = (self.logged_in(self.first, server) for _ in range(2))
        record, copy = Record(client, self.name("a")), Record(reader, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        before = record.version
        armed = threading.Event()

        def arm() -> None:
            proxy.cut_before_reply(record.name.encode())
            armed.set()

        self.calls.put(arm)
        self.assertTrue(armed.wait(PATIENCE))
        self.assertEqual(record.set_with_ack('{"n":2}'), FAILED[self.first])
        client.tolerate_error("RECORD_UPDATE_ERROR")
        for each in (record, copy):
            each.until('{"n":2}')
        self.assertEqual(self.stored(redis, record.name), (before + 1, b'{"n":2}'))
        self.assertIsNone(copy.set_with_ack('{"n":3}'))
        record.until('{"n":3}')
        server.take_trouble()

    def tearDown(self) -> None:
        super().tearDown()
        self.calls.put(None)
        self.thread.join(PATIENCE)
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)


class EvictingTests(OutageScenario):
    """
    Redis may forget records.
    """

    def test_refused(self) -> None:
        """
        The server does not start with it.
        """
        redis = self.own_redis(durable=True, maxmemory="100mb", maxmemory_policy="allkeys-lru")
        server = Server(None, self.configured(redis.port))
        error = self.assertRaises(ServerFailed, server.start)
        self.assertEqual(server.wait_for_end(), 1)
        self.assertIn("maxmemory-policy is allkeys-lru", str(error))


for_each_generation(GoneTests)
for_each_generation(PatientTests)
for_each_generation(GoneBackTests)
for_each_generation(GoneBackCacheTests)
for_each_generation(RefusingTests)
for_each_generation(SlowTests)
for_each_generation(CutTests)
del GoneTests, PatientTests, GoneBackTests, GoneBackCacheTests, RefusingTests, SlowTests, CutTests
