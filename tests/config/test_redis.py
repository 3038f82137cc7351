"""
Tests for L{dstwist.config.redis}.
"""

from __future__ import annotations

from dstwist.config.file import Reading
from dstwist.config.redis import RedisBusSettings, RedisSettings, read_connection
from dstwist.config.redis_nodes import RedisAddress
from dstwist.config.redis_tls import RedisTlsSettings
from tests.config.helpers import RedisCase


class RedisTests(RedisCase):
    """
    The options of a Redis.
    """

    def test_defaults(self) -> None:
        """
        Without options it is the server of this machine, and records are two keys without a prefix.
        """
        for content in ("cache: {type: redis}", "cache: {name: redis, options: {}}", "cache: {name: redis, options: }"):
            self.assertEqual(RedisSettings(), self.load(content).cache)
        found = RedisSettings()
        self.assertEqual(("127.0.0.1", 6379, 0, None), (found.host, found.port, found.db, found.tls))
        self.assertEqual(("", None, False, 0), (found.prefix, found.ttl, found.legacy_layout, found.min_replicas))
        self.assertEqual(RedisSettings(), self.load("storage: {type: redis}").storage)

    def test_bus(self) -> None:
        """
        A message bus has the options of a connection, and a prefix of its channels.
        """
        reading = Reading("", {})
        found = read_connection(RedisBusSettings, {"host": "bus", "channelPrefix": "app:"}, "options", reading)
        self.assertEqual(RedisBusSettings(host="bus", channel_prefix="app:", where="options"), found)
        self.assertEqual("", read_connection(RedisBusSettings, {}, "options", reading).channel_prefix)
        read_connection(RedisBusSettings, {"ttl": 60}, "options", reading)
        (problem,) = reading.problems
        self.assertIn("options.ttl", str(problem))

    def test_one_server(self) -> None:
        """
        The options of the connector for one server, and those of dstwist.
        """
        found = self.redis(
            "{host: cache, port: 6380, password: secret, username: ann, db: 2, family: 6, ttl: 60, prefix: 'app:',"
            " legacyLayout: true, minReplicas: 1, connectTimeout: 10, commandTimeout: 20, probeInterval: 30,"
            " maxReconnectDelay: 40, reconnectWait: 50, maxWaiting: 60, maxWaitingBytes: 70, maxReplyBytes: 80000000}"
        )
        expected = RedisSettings(
            host="cache",
            port=6380,
            password="secret",
            username="ann",
            db=2,
            family=6,
            ttl=60,
            prefix="app:",
            legacy_layout=True,
            min_replicas=1,
            connect_timeout=0.01,
            command_timeout=0.02,
            probe_interval=0.03,
            max_reconnect_delay=0.04,
            reconnect_wait=0.05,
            max_waiting=60,
            max_waiting_bytes=70,
            max_reply_bytes=80000000,
        )
        self.assertEqual(expected, found)
        self.assertEqual("cache.options", found.where)

    def test_variables(self) -> None:
        """
        Options come from variables as everywhere; an empty password is none.
        """
        options = "{host: '${REDIS_HOST}', port: '${REDIS_PORT}', password: '${REDIS_PASSWORD}'}"
        found = self.redis(options, REDIS_HOST="cache", REDIS_PORT="1", REDIS_PASSWORD="007")
        self.assertEqual(("cache", 1, "007"), (found.host, found.port, found.password))
        self.assertIsNone(self.redis(options, REDIS_HOST="cache", REDIS_PORT="1").password)

    def test_nothing(self) -> None:
        """
        An option without a value is its default, where there is one.
        """
        self.assertEqual(
            RedisSettings(), self.redis("{password: , tls: , ttl: 0, prefix: '', nodes: , path: , name: }")
        )
        self.assertEqual(RedisSettings(), self.redis("{tls: false, ttl: , prefix: , username: ''}"))

    def test_url(self) -> None:
        """
        A URL has more than the Node server takes from it: the user and the database as well.
        """
        expected = RedisSettings(host="cache", port=6380, username="ann", password="s/t", db=3)
        for options in (
            "{url: 'redis://ann:s%2Ft@cache:6380/3'}",
            "'redis://ann:s%2Ft@cache:6380/3'",
            "{url: 'redis://cache:6380/3', username: ann, password: s/t}",
            "{url: 'redis://ann:s%2Ft@cache:6380/3', host: cache, db: 3, password: s/t}",
        ):
            self.assertEqual(expected, self.redis(options), options)
        self.assertEqual(expected, self.redis("'${URL}'", URL="redis://ann:s%2Ft@cache:6380/3"))
        self.assertEqual(RedisTlsSettings(), self.redis("'rediss://cache'").tls)
        found = self.redis("{url: 'rediss://cache', tls: {servername: other}}")
        self.assertEqual(RedisTlsSettings(servername="other"), found.tls)
        self.assertEqual("/run/r.sock", self.redis("'unix:///run/r.sock'").path)

    def test_sentinels(self) -> None:
        """
        The options of ioredis for Sentinels.
        """
        found = self.redis(
            "{sentinels: [{host: a, port: 1}, {host: b}, 'c:3'], name: main, role: master, password: p,"
            " sentinelUsername: s, sentinelPassword: q}"
        )
        self.assertEqual((RedisAddress("a", 1), RedisAddress("b", 26379), RedisAddress("c", 3)), found.sentinels)
        self.assertEqual(
            ("main", "p", "s", "q"), (found.name, found.password, found.sentinel_username, found.sentinel_password)
        )
        self.assertIsNone(self.redis("{sentinels: ['a'], name: m, tls: true}").sentinel_tls)
        found = self.redis("{sentinels: ['a'], name: m, tls: {servername: x}, enableTLSForSentinelMode: true}")
        self.assertEqual(RedisTlsSettings(servername="x"), found.sentinel_tls)
        self.assertEqual(RedisTlsSettings(), self.redis("{sentinels: ['a'], name: m, sentinelTLS: {}}").sentinel_tls)

    def test_cluster(self) -> None:
        """
        The options of the connector for a Redis Cluster. The nodes share one password.
        """
        expected = RedisSettings(nodes=(RedisAddress("a", 1), RedisAddress("b", 6379)), password="p", prefix="x:")
        for options in (
            "{nodes: [{host: a, port: 1, password: p}, {host: b, password: p}], redisOptions: {keyPrefix: 'x:'},"
            " maxRedirections: 16}",
            "{nodes: ['a:1', 'redis://:p@b'], redisOptions: {password: p}, prefix: 'x:'}",
            "{nodes: ['a:1', 'b'], password: p, redisOptions: {prefix: 'x:'}}",
        ):
            self.assertEqual(expected, self.redis(options), options)

    def test_socket(self) -> None:
        """
        The path of a UNIX socket is relative to the file.
        """
        self.assertEqual(f"{self.directory}/r.sock", self.redis("{path: r.sock}").path)

    def test_other_names(self) -> None:
        """
        Options have the names of ioredis and node_redis, too. Those that mean nothing here are noted.
        """
        found = self.load(
            "cache: {type: redis, options: {keyPrefix: 'a:', auth_pass: b, lazyConnect: true, parser: x}}"
        )
        self.assertEqual(RedisSettings(prefix="a:", password="b"), found.cache)
        told = [note for note in found.notes if "has no effect" in note]
        self.assertEqual(2, len(told))
        self.assertTrue(told[0].startswith("CONFIG | cache.options.lazyConnect has no effect: the connection is made"))
        self.assertEqual(
            "cache.options.keyPrefix: expected a text, got 5; put it in quotes",
            self.refusal("cache: {type: redis, options: {keyPrefix: 5}}"),
        )

    def test_secret(self) -> None:
        """
        The settings do not show passwords and keys in a log.
        """
        for options in (
            "{username: hunter2, password: hunter2, tls: {passphrase: hunter2}}",
            "'rediss://:hunter2@cache/1'",
            "{nodes: [{host: a, password: hunter2}]}",
            "{sentinels: [a], name: m, sentinelPassword: hunter2}",
        ):
            found = self.redis(options)
            self.assertNotIn("hunter2", f"{found!r} {found} {found.tls} {found.address}")

    def test_misplaced_secret(self) -> None:
        """
        The error does not show a URL, or a part of one, that is in the place of something else.
        """
        for options, expected in (
            ("{host: 'ann:hunter2@a:1'}", "host: expected the name or address of a host; a URL is the option url"),
            ("{nodes: [{host: ':hunter2@a'}]}", "nodes[0].host: expected the name or address of a host"),
            ("{nodes: 'redis://:hunter2@a'}", "nodes: expected a list, got a text"),
            ("{sentinels: ':hunter2@a', name: m}", "sentinels: expected a list, got a text"),
            ("{path: 'redis://:hunter2@a'}", "path: expected the path of a UNIX socket; a URL is the option url"),
        ):
            refusal = self.refusal(f"cache: {{type: redis, options: {options}}}")
            self.assertIn(f"cache.options.{expected}", refusal)
            self.assertNotIn("hunter2", refusal)

    def test_address(self) -> None:
        """
        The log tells where Redis is.
        """
        for options, expected in (
            ("{}", "127.0.0.1:6379"),
            ("'rediss://[::1]:7/1'", "[::1]:7, database 1, TLS"),
            ("{path: /run/r.sock}", "unix:/run/r.sock"),
            ("{sentinels: [a, b], name: m}", "m of sentinel a:26379, b:26379"),
            ("{nodes: ['a:1', 'b:2']}", "cluster a:1, b:2"),
        ):
            self.assertEqual(expected, self.redis(options).address)

    def test_record_size(self) -> None:
        """
        Each record that can be written can be read again.
        """
        for tier in ("cache", "storage"):
            text = f"{tier}: {{type: redis, options: {{maxReplyBytes: 8389607}}}}"
            problem = f"{tier}.options.maxReplyBytes: expected at least 8389608, since a record may have 8388608 bytes"
            self.assertIn(problem, self.refusal(text))
            self.load(text + "\nrecord: {maxSize: 8388607}")

    def test_apart(self) -> None:
        """
        Cache and storage must not have the same keys.
        """
        redis, other = (f"{{type: redis, options: {{host: a, prefix: '{prefix}'}}}}" for prefix in "xy")
        self.load(f"cache: {redis}\nstorage: {other}")
        self.assertEqual(
            "cache.options: cache and storage have the same keys in the same Redis; leave out the storage (the cache "
            "is one then), or give each a prefix of its own",
            self.refusal(f"cache: {redis}\nstorage: {redis}"),
        )

    def test_refused(self) -> None:
        """
        Options that are unknown, that mean two things, or that cannot work are refused.
        """
        self.refused(
            ("{hots: a}", ".hots: unknown option; did you mean host?"),
            ("{channelPrefix: a}", ".channelPrefix: unknown option; did you mean prefix?"),
            ("{host: 'redis://a'}", ".host: expected the name or address of a host; a URL is the option url"),
            ("{host: 'a b'}", '.host: expected the name or address of a host, got "a b"'),
            ("{host: }", ".host: expected a text, got null"),
            ("{port: 70000}", ".port: expected a number from 1 to 65535"),
            ("{password: 123}", ".password: expected a text; put it in quotes"),
            ("{family: 5}", ".family: expected 4, 6, or 0 for both, got 5"),
            ("{url: 'redis://a', host: b}", ".host: host is said twice, with different values"),
            ("{url: 'redis://:x@a', password: b}", ".password: password is said twice, with different values"),
            ("{url: 'rediss://a', tls: false}", ".tls: the url begins with rediss, which means TLS"),
            ("{url: 'redis://a', path: /b}", ".host: path says already where Redis is; leave out one of them"),
            ("{nodes: [a], host: b}", ".host: nodes says already where Redis is"),
            ("{nodes: []}", ".nodes: expected at least one server"),
            ("{nodes: [a], db: 1}", ".db: a Redis Cluster has only the database 0"),
            ("{nodes: [a], prefix: '{x}'}", ".prefix: braces decide about the server"),
            ("{nodes: [a], minReplicas: 1}", ".minReplicas: this is not possible with a Redis Cluster"),
            ("{nodes: [{host: a, password: x}, {host: b, password: y}]}", ".password: password is said twice"),
            ("{nodes: [{hots: a}]}", ".nodes[0].hots: unknown option; options of all servers belong to redisOptions"),
            ("{nodes: [a], redisOptions: {nodes: [b]}}", ".redisOptions.nodes: this belongs one level up"),
            ("{nodes: [a], redisOptions: {x: 1}}", ".redisOptions.x: unknown option"),
            ("{sentinels: [a]}", ".name: missing; it is the name that the Sentinels have for the primary"),
            ("{sentinels: [a], name: b, role: slave}", '.role: expected master, got "slave"'),
            ("{name: b}", ".name: this is for sentinels, and there are none"),
            ("{sentinelPassword: b}", ".sentinelPassword: this is for sentinels, and there are none"),
            ("{path: /a, tls: true}", ".tls: a UNIX socket has no TLS"),
            ("{username: a}", ".password: missing; a user needs one"),
            ("{keyPrefix: a, prefix: a}", ".keyPrefix: this is another name of prefix, which is there too"),
            ("{ttl: -1}", ".ttl: expected a number from 0"),
        )
