"""
Tests for L{dstwist.config.cluster}.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.cluster import ClusterConfig, ClusterSettings
from dstwist.config.redis import RedisBusSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.config.settings import Settings
from tests.config.helpers import ConfigCase

STORE = "cache: {type: redis}\n"
CLUSTER = f"{STORE}clusterNode: {{type: redis}}\n"


class ClusterCase(ConfigCase):
    """
    A file with a cluster.
    """

    def cluster(self, content: str) -> ClusterConfig:
        found = self.load(content).cluster
        assert found is not None
        return found

    def bus(self, section: str) -> Any:
        return self.cluster(f"{STORE}clusterNode: {section}").bus

    def times(self, content: str) -> ClusterSettings:
        return self.cluster(CLUSTER + content).settings


class BusTests(ClusterCase):
    """
    C{clusterNode}.
    """

    def test_single(self) -> None:
        """
        Without a bus there is one node, and nothing to remark.
        """
        for content in (
            "",
            "clusterNode:",
            "clusterNode: {type: default}",
            "clusterNode: {name: default, options: {}}",
        ):
            settings = self.load(content)
            self.assertIsNone(settings.cluster, content)
            self.assertEqual((), settings.notes)
        self.assertIsNone(Settings().cluster)

    def test_defaults(self) -> None:
        """
        The bus of the Node server, by the short name or the package: the Redis of this machine, channels without a
        prefix.
        """
        for section in (
            "{type: redis}",
            "{name: redis, options: {}}",
            "{type: default, name: redis}",
            "{name: '@deepstream/clusternode-redis'}",
            "{path: deepstream.io-msg-redis}",
            "{path: ./node_modules/deepstream.io-msg-redis/}",
            "{type: '@deepstream/clusternode-redis', options: }",
        ):
            self.assertEqual(RedisBusSettings(), self.bus(section), section)
        self.assertEqual("", RedisBusSettings().channel_prefix)

    def test_v2(self) -> None:
        """
        The message connector of a file for v2.
        """
        content = (
            "plugins:\n"
            "  message: {name: redis, options: {host: bus, port: 1, serverName: one}}\n"
            "  cache: {name: redis, options: {host: cache}}\n"
        )
        settings = self.load(content)
        assert settings.cluster is not None
        self.assertEqual(RedisBusSettings(host="bus", port=1), settings.cluster.bus)
        self.assertEqual("plugins.message.options", settings.cluster.bus.where)
        notes = "\n".join(settings.notes)
        self.assertIn("CONFIG | plugins.message is taken for clusterNode, its name in v5 and later", notes)
        self.assertIn("serverName has no effect: the node has the name that serverName at the top gives it", notes)

    def test_options(self) -> None:
        """
        The options are those of a connection to a Redis, and the prefix of the channels.
        """
        found = self.bus(
            "{type: redis, options: {url: 'rediss://ann:secret@bus:6380/2', channelPrefix: 'app:', probeInterval: 500}}"
        )
        expected = RedisBusSettings(
            host="bus",
            port=6380,
            username="ann",
            password="secret",
            db=2,
            tls=RedisTlsSettings(),
            channel_prefix="app:",
            probe_interval=0.5,
        )
        self.assertEqual(expected, found)
        self.assertEqual("clusterNode.options", found.where)
        self.assertEqual(RedisBusSettings(host="bus"), self.bus("{type: redis, options: 'redis://bus'}"))
        found = self.bus("{type: redis, options: {sentinels: [a, b], name: main, password: p}}")
        self.assertEqual((RedisAddress("a", 26379), RedisAddress("b", 26379)), found.sentinels)
        found = self.bus("{type: redis, options: {nodes: ['a:7000'], redisOptions: {password: p}}}")
        self.assertEqual(((RedisAddress("a", 7000),), "p"), (found.nodes, found.password))

    def test_refused(self) -> None:
        """
        Other types, and options that the bus does not have, are refused: nodes would not know of each other.
        """
        self.assert_refused(
            *(
                (STORE + content, expected)
                for content, expected in (
                    ("clusterNode: {type: rediss}", "clusterNode.type: expected one of default, redis, got"),
                    ("clusterNode: {name: vertical}", "clusterNode.name: vertical is known but not built yet; nodes"),
                    ("clusterNode: {path: deepstream.io-msg-amqp}", "clusterNode.path: amqp is known but not built"),
                    ("clusterNode: {type: nats}", "clusterNode.type: nats is known but not built yet"),
                    ("clusterNode: {path: ./bus.js}", "clusterNode.path: expected one of default, redis"),
                    ("clusterNode: {typ: redis}", "clusterNode.typ: unknown option; did you mean type?"),
                    ("clusterNode: redis", 'clusterNode: expected a section (key: value), got "redis"'),
                    ("clusterNode: {options: {host: a}}", "clusterNode.options: the type default has no options"),
                    ("clusterNode: {type: redis, options: {hots: a}}", "clusterNode.options.hots: unknown option"),
                    (
                        "clusterNode: {type: redis, options: {prefix: a}}",
                        "clusterNode.options.prefix: unknown option; did you mean channelPrefix?",
                    ),
                    (
                        "clusterNode: {type: redis, options: {keyPrefix: a}}",
                        "clusterNode.options.keyPrefix: unknown option; did you mean channelPrefix?",
                    ),
                    ("clusterNode: {type: redis, options: {ttl: 1}}", "clusterNode.options.ttl: unknown option"),
                )
            )
        )

    def test_one_redis(self) -> None:
        """
        Records with a prefix, or in a database of their own, do not keep two clusters on one Redis apart: the log says
        so, unless the channels have a prefix.
        """
        note = "CONFIG | clusterNode.options.channelPrefix is empty: another cluster on the same Redis needs another"
        for options in ("{db: 1}", "{prefix: 'a:'}"):
            notes = self.load(f"storage: {{type: redis, options: {options}}}\nclusterNode: {{type: redis}}").notes
            self.assertTrue(any(line.startswith(note) for line in notes), notes)
        content = "cache: {type: redis, options: {db: 1}}\nclusterNode: {type: redis, options: {channelPrefix: 'a:'}}"
        self.assertEqual((), self.load(content).notes)
        self.assertEqual((), self.load(CLUSTER).notes)


class StoreTests(ClusterCase):
    """
    The nodes of a cluster share their records.
    """

    def test_shared(self) -> None:
        """
        A Redis, or a store of one's own, which is looked at when it is loaded.
        """
        for content in (
            "cache: {type: redis}",
            "storage: {type: redis}",
            "cache: {type: redis, options: {prefix: 'c:'}}\nstorage: {type: redis, options: {prefix: 's:'}}\n"
            "record: {storageExclusionPrefixes: [a/]}",
            "cache: {type: redis}\nstorage: {type: none}",
            "storage: {module: 'a.b:C'}",
            "cache: {module: 'a.b:C'}",
        ):
            self.assertIsNotNone(self.load(f"{content}\nclusterNode: {{type: redis}}").cluster)

    def test_not_shared(self) -> None:
        """
        Records in memory or in a file belong to one node, so the server does not start.
        """
        shared = "clusterNode: the nodes of a cluster share their records, and no store for that is configured: use a "
        file = "storage.type: the file of an SQLite storage belongs to one node"
        for content, expected in (
            ("", shared),
            ("storage: {type: none}", shared),
            ("cache: {type: memory}\nstorage: {type: memory}", shared),
            ("cache: {type: redis}\nstorage: {type: memory}", shared),
            ("storage: {type: sqlite}", file),
            ("cache: {type: redis}\nstorage: {type: sqlite}", file),
            (
                "storage: {type: redis}\nrecord: {storageExclusionPrefixes: [a/]}",
                "record.storageExclusionPrefixes: these records are in the cache only",
            ),
        ):
            self.assert_refused((f"{content}\nclusterNode: {{type: redis}}", expected))


class TimeTests(ClusterCase):
    """
    C{cluster}, and the options of the Node server in its place.
    """

    def test_defaults(self) -> None:
        """
        Without the section, all times are the defaults, and a user who changes nodes stays online.
        """
        self.assertEqual(ClusterSettings(), self.times(""))
        self.assertEqual(2.0, self.load(CLUSTER).presence.grace_period)
        self.assertEqual(0.0, self.load(f"{CLUSTER}presence: {{gracePeriod: 0}}").presence.grace_period)
        self.assertEqual(2.0, self.load(f"{CLUSTER}presence: {{maxUsersInGrace: 1}}").presence.grace_period)

    def test_options(self) -> None:
        """
        Each option, in seconds and bytes.
        """
        expected = ClusterSettings(
            lease_interval=2.0,
            lease_time=10.0,
            subscribe_timeout=0.3,
            join_timeout=0.0,
            compare_interval=5.0,
            linger=0.0,
            subscribe_window=7,
            outage_buffer=0,
            absence_timeout=11.0,
            lease_margin=1.0,
        )
        found = self.times(
            "cluster: {leaseInterval: 2000, leaseTime: 10000, subscribeTimeout: 300, joinTimeout: 0, linger: 0,"
            " compareInterval: 5000, subscribeWindow: 7, outageBuffer: 0, absenceTimeout: 11000}"
        )
        self.assertEqual(expected, found)

    def test_fitting(self) -> None:
        """
        A short lease is renewed more often, and a bus that may be silent for longer is noticed later.
        """
        found = self.times("cluster: {leaseTime: 3000}")
        self.assertEqual((0.5, 3.0, 0.3), (found.lease_interval, found.lease_time, found.lease_margin))
        self.assertEqual(1.0, self.times("cluster: {leaseTime: 20000}").lease_interval)
        bus = "{type: redis, options: {commandTimeout: 10000, probeInterval: 2000}}"
        notice_time = self.cluster(f"{STORE}clusterNode: {bus}").settings.bus_notice_time
        self.assertGreaterEqual(notice_time, 10.0 + 1.25 * 2.0)

    def test_bounds(self) -> None:
        """
        Times that do not fit together are refused, by the names that they have in the file.
        """
        for content, expected in (
            (
                "cluster: {leaseTime: 3999, leaseInterval: 1000}",
                "cluster.leaseTime: expected at least 4000, which is 4 times cluster.leaseInterval",
            ),
            ("cluster: {leaseInterval: 3000}", "cluster.leaseTime: expected at least 12000"),
            ("cluster: {leaseInterval: 99}", "cluster.leaseInterval: expected a number from 100"),
            ("cluster: {leaseTime: 399}", "cluster.leaseTime: expected at least 400"),
            ("cluster: {absenceTimeout: 5999}", "cluster.absenceTimeout: expected at least 6000, as cluster.leaseTime"),
            ("cluster: {partitions: 16}", "cluster.partitions: unknown option"),
            (
                "clusterRegistry: {options: {nodeInactiveTimeout: 100}}",
                "clusterRegistry.options.nodeInactiveTimeout: expected at least 400",
            ),
            ("clusterNodeInactiveTimeout: 100", "clusterNodeInactiveTimeout: expected at least 400"),
            (
                "cluster: {leaseTime: 6000}\nclusterRegistry: {options: {nodeInactiveTimeout: 6000}}",
                "clusterRegistry.options.nodeInactiveTimeout: this is another name of cluster.leaseTime",
            ),
            ("leaseTime: 6000", "leaseTime: unknown option; it is an option of cluster: indent it below that"),
        ):
            self.assert_refused((CLUSTER + content, expected))

    def test_registry(self) -> None:
        """
        The time after which a node of the Node server is gone is that of the lease.
        """
        for content, name in (
            (
                "clusterRegistry: {options: {nodeInactiveTimeout: 8000, keepAliveInterval: 5000}}",
                "clusterRegistry.options.nodeInactiveTimeout",
            ),
            ("clusterNodeInactiveTimeout: 8000", "clusterNodeInactiveTimeout"),
        ):
            settings = self.load(CLUSTER + content)
            assert settings.cluster is not None
            found = settings.cluster.settings
            self.assertEqual((8.0, 1.0, 0.8), (found.lease_time, found.lease_interval, found.lease_margin))
            self.assertIn(f"CONFIG | {name} is taken for cluster.leaseTime", settings.notes)

    def test_no_effect(self) -> None:
        """
        Options of the Node server that mean nothing here are noted with the reason, if they are not the defaults; so
        are those of a cluster if there is none.
        """
        for content, note in (
            (
                "clusterRegistry: {options: {keepAliveInterval: 1}}",
                "clusterRegistry.options.keepAliveInterval has no effect: cluster.leaseInterval is for that",
            ),
            (
                "clusterRegistry: {options: {role: x}}",
                "clusterRegistry.options.role has no effect: all nodes of a cluster are alike",
            ),
            (
                "clusterStates: {options: {checkSumBuffer: 1}}",
                "clusterStates.options.checkSumBuffer has no effect: nodes compare digests",
            ),
            (
                "locks: {options: {holdTimeout: 50}}",
                "locks.options.holdTimeout has no effect: the owner of a name decides, without a lock",
            ),
            ("cluster: {linger: 1}", "cluster has no effect: clusterNode names no bus"),
            (
                "clusterRegistry: {options: {nodeInactiveTimeout: 9}}",
                "clusterRegistry.options.nodeInactiveTimeout has no effect: clusterNode names no bus",
            ),
        ):
            (found,) = self.load(content).notes
            self.assertTrue(found.startswith(f"CONFIG | {note}"), found)
        written_out = (
            "cluster:\nclusterRegistry: {type: default, options: {keepAliveInterval: 5000, role: deepstream}}\n"
            "clusterStates: {options: {reconciliationTimeout: 500}}\nlocks: {options: {requestTimeout: 1000}}"
        )
        self.assertEqual((), self.load(written_out).notes)
