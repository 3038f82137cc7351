"""
A Redis that first one server uses and then the other: dstwist and the Node server, both with official clients.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.clients import Client
from tests.e2e.node_server import MODULES, call_legacy_connector
from tests.e2e.records import Record, RecordList
from tests.e2e.scenario import QUICK, Scenario, for_each_generation, scratch_directory
from tests.e2e.server import Server
from tests.redis_server import RedisServer

#: Records with names and values that a layout of keys, or a way to write JSON, could get wrong.
RECORDS: dict[str, Any] = {
    "object": {
        "n": 1.5,
        "small": 1e-7,
        "large": 9007199254740991,
        "s": "x",
        "t": True,
        "z": None,
        "e": "",
        "a": [1, "two", {"three": 3}, []],
    },
    "user/nested": {"a": {"b": {"c": [{"d": 1}, []]}}, "key.with.dots": 1, "$dollar": {}},
    "grüße/ключ-日本-😀": {"ключ": 'значение 😀 "quoted" \u0007 \u2028 \\ /'},
    "a/b/c": {"v": 1},
    "/a//b/": {"v": 2},
    "empty": {},
    "ends_v": {"beside": "ends"},
    "ends": {"beside": "ends_v"},
    "ends_d": {"beside": "ends"},
    "ends_t": {"beside": "ends"},
    "{braces}": {"v": 1},
    "it's 100% [of] *?": {"v": 1},
    "!store": {"v": 1},
}


@for_each_generation
class NodeDataTests(Scenario):
    """
    The data of the Node server, here, and the other way round.
    """

    options = QUICK
    tls = False
    first = "v2"

    def assert_records(self, client: Client, expected: dict[str, Any], redis: RedisServer) -> None:
        """
        The client is given these records, with the versions that are in the Redis.
        """
        for name, data in expected.items():
            self.assertEqual(json.loads(client.look("snapshot", name)), data, name)
            # A list of the client for v2 does not know its version.
            if isinstance(data, dict):
                self.assertEqual(Record(client, name).version, int(redis.command("GET", f"{name}_v")), name)

    def serve(self, config: Path) -> tuple[Server, Client]:
        server = self.own_server(config)
        return server, self.logged_in(self.first, server)

    def test_there_and_back(self) -> None:
        """
        dstwist, with the very configuration file of the Node server, serves the records that this has left in a Redis,
        and does not serve those that it has deleted. The Node server then serves what dstwist has made of them.
        """
        redis = self.own_redis()
        node = self.node_server(redis)
        client = self.logged_in("v7", node)
        for name, data in RECORDS.items():
            self.assertIsNone(Record(client, name).set_with_ack(json.dumps(data)))
        changed = Record(client, "changed")
        self.assertIsNone(changed.set_with_ack('{"a":1,"b":{"c":[0]}}'))
        self.assertIsNone(changed.set_with_ack('"x"', "b.c[1]"))
        self.assertIsNone(changed.erase_with_ack("a"))
        numbers = RecordList(client, "lists/1")
        self.assertIsNone(numbers.set_entries_with_ack(["x/1", "x/2"]))
        for name in ("deleted", "deleted/twice"):
            record = Record(client, name)
            self.assertIsNone(record.set_with_ack('{"v":1}'))
            record.delete()
        client.close()
        node.stop()
        expected = {**RECORDS, "changed": {"b": {"c": [0, "x"]}}, "lists/1": ["x/1", "x/2"]}
        self.assertEqual(redis.command("GET", "changed_v"), b"3")

        server, client = self.serve(node.config)
        self.assert_records(client, expected, redis)
        for name in ("deleted", "deleted/twice"):
            self.assertEqual(client.look("has", name), "false")

        for name in RECORDS:
            record = Record(client, name, f"second {name}")
            version = record.version
            self.assertIsNone(record.set_with_ack('["é",{"x":1.25}]', "by.dstwist"))
            self.assertEqual(record.version, version + 1)
            expected[name] = {**expected[name], "by": {"dstwist": ["é", {"x": 1.25}]}}
        numbers = RecordList(client, "lists/1", "second lists/1")
        self.assertIsNone(numbers.set_entries_with_ack(["x/2", "y/ü"]))
        expected["lists/1"] = ["x/2", "y/ü"]
        for name in ("deleted", "made by dstwist"):
            self.assertIsNone(Record(client, name).set_with_ack('{"v":2}'))
            expected[name] = {"v": 2}
        Record(client, "a/b/c", "third a/b/c").delete()
        del expected["a/b/c"]
        client.close()
        server.stop()

        node.start()
        client = self.logged_in("v7", node)
        self.assert_records(client, expected, redis)
        self.assertEqual(client.look("has", "a/b/c"), "false")

    def test_created_anew(self) -> None:
        """
        A record that was deleted here and created anew by the Node server, which begins with version 1 again, is served
        and written.
        """
        redis = self.own_redis()
        node = self.node_server(redis)
        server, client = self.serve(node.config)
        record = Record(client, "a")
        for number in range(5):
            self.assertIsNone(record.set_with_ack(f'{{"n":{number}}}'))
        record.delete()
        node_client = self.logged_in("v7", node)
        self.assertIsNone(Record(node_client, "a").set_with_ack('{"by":"node"}'))
        self.assertEqual(redis.command("GET", "a_v"), b"1")
        again = Record(client, "a", "again")
        self.assertEqual((again.get(), again.version), ('{"by":"node"}', 1))
        self.assertIsNone(again.set_with_ack('{"by":"dstwist"}'))
        self.assertEqual(client.look("snapshot", "a"), '{"by":"dstwist"}')
        # The first one holds the record, and the Node server does not hear of writes of others.
        node_client = self.logged_in("v7", node)
        self.assertEqual(node_client.look("snapshot", "a"), '{"by":"dstwist"}')

    def test_ttl(self) -> None:
        """
        With the options C{ttl} and C{keyPrefix} and the connector named by its package, both servers use the same keys
        and let records expire, counted from the last write. A record that has expired is as one that never was.
        """
        redis = self.own_redis()
        node = self.node_server(redis, "path: @deepstream/cache-redis", ttl=1000, keyPrefix="p:")
        client = self.logged_in("v7", node)
        for name in ("a", "b"):
            self.assertIsNone(Record(client, name).set_with_ack('{"v":1}'))
        client.close()
        node.stop()
        server, client = self.serve(node.config)
        for key in ("p:a_v", "p:a_d", "p:b_v", "p:b_d"):
            self.assertIn(redis.command("TTL", key), range(1, 1001))
            redis.command("EXPIRE", key, 100)
        record = Record(client, "a")
        self.assertIsNone(record.set_with_ack('{"v":2}'))
        for key in ("p:a_v", "p:a_d"):
            self.assertIn(redis.command("TTL", key), range(101, 1001))
        for key in ("p:b_v", "p:b_d"):
            redis.command("PEXPIRE", key, 1)
        redis.wait_for(lambda: redis.command("EXISTS", "p:b_v", "p:b_d") == 0)
        self.assertEqual(client.look("has", "b"), "false")
        self.assertEqual(Record(client, "b").get(), "{}")
        client.close()
        server.stop()
        node.start()
        client = self.logged_in("v7", node)
        self.assertEqual(client.look("snapshot", "a"), '{"v":2}')


@for_each_generation
class LegacyDataTests(Scenario):
    """
    The data of servers 2 and 3, by way of their own connector.
    """

    options = QUICK
    tls = False
    first = "v2"

    def check(self, section: str) -> None:
        redis = self.own_redis()
        old = {name: data for name, data in RECORDS.items() if name != "!store"}
        old["lists/1"] = ["x/1", "x/2"]
        call_legacy_connector(redis, *(("set", name, {"_v": 3, "_d": data}) for name, data in old.items()))
        config = scratch_directory() / "config.yml"
        config.write_text(section.replace("PORT", str(redis.port)), encoding="utf-8")
        server = self.own_server(config)
        client = self.logged_in(self.first, server)
        for name, data in old.items():
            self.assertEqual(json.loads(client.look("snapshot", name)), data, name)
        for name in RECORDS.keys() & old.keys():
            record = Record(client, name)
            self.assertEqual(record.version, 3)
            self.assertIsNone(record.set_with_ack("[2]", "by.dstwist"))
        numbers = RecordList(client, "lists/1")
        self.assertIsNone(numbers.set_entries_with_ack(["x/3"]))
        Record(client, "ends", "second ends").delete()
        self.assertIsNone(Record(client, "new").set_with_ack('{"v":1}'))

        expected: dict[str, Any] = {
            name: {"_v": 4, "_d": {**data, "by": {"dstwist": [2]}}} for name, data in old.items() if name in RECORDS
        }
        expected |= {"lists/1": {"_v": 4, "_d": ["x/3"]}, "new": {"_v": 1, "_d": {"v": 1}}}
        expected["ends"] = None
        found = call_legacy_connector(redis, *(("get", name) for name in expected))
        self.assertEqual(dict(zip(expected, found, strict=True)), expected)

    def test_plugins(self) -> None:
        """
        A configuration file of these servers, with a section C{plugins}, is enough.
        """
        self.check("plugins: {cache: {name: redis, options: {host: 127.0.0.1, port: PORT}}}\n")

    def test_package(self) -> None:
        """
        So is the name of the package, also as a path, and for a storage.
        """
        self.check(
            f"cache: {{path: {MODULES}/deepstream.io-cache-redis, options: {{url: 'redis://127.0.0.1:PORT'}}}}\n"
        )
        self.check("storage: {path: deepstream.io-storage-redis, options: 'redis://127.0.0.1:PORT'}\n")
