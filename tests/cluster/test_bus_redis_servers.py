"""
Tests for L{dstwist.cluster.bus_redis}, with real servers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dstwist.cluster.bus_redis import RedisBus
from dstwist.config.redis import RedisBusSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.errors import StoreError
from tests.cluster import bus_contract
from tests.cluster.redis_servers import ServerBusTestCase
from tests.logs import Lines
from tests.redis_groups import RedisCluster, SentinelGroup
from tests.redis_server import RedisServer
from tests.store.contract import PATIENCE
from tests.store.redis_stage import authority, encrypted_server, shared_cluster
from tests.tcp_proxy import BOTH, TO_CLIENT, TO_SERVER


class ServerContractTests(ServerBusTestCase, bus_contract.BusContract):
    """
    The contract of a bus, over one server.
    """


class PlaceTests(ServerBusTestCase):
    """
    The ways to a Redis.
    """

    def start_both(self) -> None:
        # Each test has a server of its own.
        pass

    def talk(self, **options: Any) -> list[RedisBus]:
        """
        Start two buses, and have one talk to the other.
        """
        buses = [self.make_at(replace(self.settings, **options)) for _ in range(2)]
        got: list[bytes] = []
        for bus in buses:
            self.wait(bus.start())
        self.wait(buses[0].subscribe("news", got.append))
        buses[1].publish("news", b"1")
        self.until(lambda: got == [b"1"])
        return buses

    def test_unix_socket(self) -> None:
        """
        A UNIX socket.
        """
        self.talk(path=str(self.server.unix_socket))

    def test_lines(self) -> None:
        """
        The log tells the two connections of a bus apart.
        """
        lines = Lines(self)
        self.wait(self.make_at(replace(self.settings, port=self.server.port)).start())
        connected = sorted(line.partition(" (")[2] for line in lines.of("info") if "connected" in line)
        self.assertEqual(["bus, publishing)", "bus, subscribing)"], connected)

    def test_database(self) -> None:
        """
        Channels belong to no database.
        """
        self.talk(port=self.server.port, db=3)

    def test_tls(self) -> None:
        """
        TLS, and a user with a password.
        """
        server = encrypted_server()
        # As in docs/redis.rst.
        rights = "+publish +subscribe +unsubscribe +info +ping +role +client|id +client|kill +client|setname"
        server.command("ACL", "SETUSER", "bus", "on", ">secret", "&p:*", *rights.split())
        tls = RedisTlsSettings(ca=authority().pem)
        login: dict[str, Any] = {
            "host": "localhost",
            "port": server.tls_port,
            "tls": tls,
            "username": "bus",
            "password": "secret",
        }
        self.talk(**login)
        other = self.make_at(RedisBusSettings(connect_timeout=PATIENCE, channel_prefix="q:", **login))
        started = other.start()
        self.until(lambda: started.called)
        self.assertIn("channelPrefix", str(self.failureResultOf(started, StoreError).value))

    def test_sentinel(self) -> None:
        """
        The primary that Sentinels name. After a fail-over the buses talk by way of the new one.
        """
        group = SentinelGroup(replicas=1)
        self.addCleanup(group.destroy)
        group.start()
        sentinels = tuple(RedisAddress(*address) for address in group.addresses)
        buses = self.talk(sentinels=sentinels, name=group.name)
        before = group.kill_primary()
        for bus in buses:
            self.until(lambda bus=bus: bus.is_lost)  # type: ignore[misc]
        for bus in buses:
            self.until(lambda bus=bus: not bus.is_lost)  # type: ignore[misc]
        self.assertIsNot(group.primary, before)
        got: list[bytes] = []
        self.wait(buses[0].subscribe("news", got.append))
        buses[1].publish("news", b"2")
        self.until(lambda: got == [b"2"])


class ClusterContractTests(ServerBusTestCase, bus_contract.BusContract):
    """
    The contract of a bus, over a Redis Cluster.
    """

    def make(self) -> RedisBus:
        self.cluster_servers = shared_cluster().servers
        nodes = tuple(RedisAddress("127.0.0.1", server.port) for server in self.cluster_servers)
        # A message of an earlier test may still be on its way between the servers.
        prefix = f"{self.id()}:"
        return self.make_at(replace(self.settings, nodes=nodes, channel_prefix=prefix))

    def disconnect(self, bus: Any) -> None:
        # There is no proxy in front of the nodes. The bus connects again at once.
        for server in self.cluster_servers:
            server.command("CLIENT", "KILL", "TYPE", "pubsub")

    def reconnect(self, bus: Any) -> None:
        pass


class ClusterFaultTests(ServerBusTestCase):
    """
    A Redis Cluster that loses a node.
    """

    def start_server(self) -> RedisServer:
        # The cluster goes on although no replica takes over the slots.
        self.group = RedisCluster(cluster_require_full_coverage="no")
        self.addCleanup(self.group.destroy)
        self.group.start()
        return self.group.servers[0]

    def make(self) -> RedisBus:
        nodes = tuple(RedisAddress("127.0.0.1", server.port) for server in self.group.servers)
        return self.make_at(replace(self.settings, nodes=nodes))

    def test_killed(self) -> None:
        """
        The node to which a bus has subscribed is killed. The bus comes back with another one.
        """
        (used,) = [server for server in self.group.servers if server.command("PUBSUB", "CHANNELS", "p:!abob")]
        used.kill()
        self.until(lambda: self.bob.is_lost)
        self.until(lambda: not self.bob.is_lost)
        self.subscribe(self.bob, "news")
        self.bob.publish("news", b"1")
        self.until(lambda: self.got == [("bob", "news", b"1")])


class FaultTestCase(ServerBusTestCase):
    """
    A test with a server of its own.
    """

    def start_server(self) -> RedisServer:
        server = RedisServer()
        self.addCleanup(server.destroy)
        server.start()
        return server

    def setUp(self) -> None:
        super().setUp()
        self.subscribe(self.ann, "news")
        self.subscribe(self.bob, "news")
        self.proxy = self.proxies[self.bob]

    def comes_back(self, *buses: Any) -> None:
        """
        Wait until the buses are back, and have them talk.
        """
        for bus in buses:
            self.until(lambda bus=bus: not bus.is_lost)  # type: ignore[misc]
            self.subscribe(bus, "news")
        self.got.clear()
        self.ann.publish("news", b"from ann")
        self.bob.publish("news", b"from bob")
        self.until_ended(self.ann, self.bob)
        expected = [(name, "news", payload) for name in ("ann", "bob") for payload in (b"from ann", b"from bob")]
        self.assertEqual(sorted(self.got), expected)

    def lost(self, *buses: Any) -> None:
        for bus in buses:
            self.until(lambda bus=bus: bus.is_lost)  # type: ignore[misc]


class FaultTests(FaultTestCase):
    """
    A server and a network that fail in a way that the bus sees at once.
    """

    def test_cut(self) -> None:
        """
        Both connections of one bus are cut, again and again. Each time it is back by itself; the other bus goes on.
        """
        for rst in (False, True, False):
            self.proxy.cut(rst=rst)
            self.lost(self.bob)
            self.comes_back(self.bob)
        self.assertEqual(self.changes, ["back"] + ["lost", "back"] * 3)

    def test_cut_anywhere(self) -> None:
        """
        A connection ends in the middle of messages and of commands. Payloads arrive at most once, and in their order.
        """
        for direction in (TO_CLIENT, TO_SERVER):
            for count in range(1, 400, 57):
                self.changes.clear()
                cut = self.proxy.cut_after(count, direction)
                for number in range(20):
                    self.bob.send("ann", b"%03d" % number)
                    self.ann.send("bob", b"%03d" % number)
                self.wait(cut)
                # The other connection, too: the bus would go on if nothing was in doubt on the first.
                self.proxy.cut()
                self.until(lambda: self.changes == ["lost", "back"])
                self.until_ended(self.ann, self.bob)
                for name in ("ann", "bob"):
                    came = [payload for receiver, _, payload in self.got if receiver == name]
                    self.assertEqual(came, sorted(set(came)))
                self.got.clear()

    def test_delay(self) -> None:
        """
        A delay that is longer than the interval of probes, and shorter than the time-out, does no harm.
        """
        self.proxy.delay(0.2)
        self.bob.send("ann", b"1")
        self.until_ended(self.bob)
        self.assertEqual(self.got, [("ann", "to ann", b"1")])
        self.assertEqual(self.changes, ["back"])

    def test_killed(self) -> None:
        """
        Redis is killed and comes back, without data. Both buses are lost and back.
        """
        for _ in range(2):
            self.server.kill()
            self.lost(self.ann, self.bob)
            self.server.start(empty=True)
            self.comes_back(self.ann, self.bob)

    def test_subscriber_killed(self) -> None:
        """
        Redis ends the subscribing connections only, as it does with those that read too slowly.
        """
        self.server.command("CLIENT", "KILL", "TYPE", "pubsub")
        self.lost(self.ann, self.bob)
        self.comes_back(self.ann, self.bob)

    def test_kept(self) -> None:
        """
        If one bus alone is cut off for a moment, what it sends meanwhile arrives, in its order.
        """
        self.disconnect(self.bob)
        self.lost(self.bob)
        sent = [b"%02d" % number for number in range(50)]
        for payload in sent:
            self.bob.publish("news", payload)
        self.reconnect(self.bob)
        self.until(lambda: not self.bob.is_lost)
        self.until_ended(self.bob)
        self.assertEqual(self.got, [("ann", "news", payload) for payload in sent])

    def test_refused_later(self) -> None:
        """
        The user loses its rights, and gets them back.
        """
        self.server.command("ACL", "SETUSER", "default", "-publish")
        self.bob.send("ann", b"1")
        self.lost(self.bob)
        self.server.command("ACL", "SETUSER", "default", "+publish")
        self.until(lambda: not self.ann.is_lost)
        self.until(lambda: not self.bob.is_lost)

    def test_many_subjects(self) -> None:
        """
        A bus comes back with more subjects than the window has room for.
        """
        subjects = [f"s{number}" for number in range(12000)]
        self.proxy.cut()
        self.lost(self.bob)
        self.until(lambda: not self.bob.is_lost)
        confirmed = [self.bob.subscribe(subject, self.receive("bob", subject)) for subject in subjects]
        self.until(lambda: all(each.called for each in confirmed))
        self.assertEqual(self.changes, ["back", "lost", "back"])
        for subject in subjects:
            self.ann.publish(subject, b"1")
        self.until_ended(self.ann)
        self.assertEqual(len(self.got), len(subjects))


class SilenceTests(FaultTestCase):
    """
    A server and a network that fail without a sign: the bus is lost when nothing has come for C{commandTimeout}.
    """

    settings = replace(ServerBusTestCase.settings, command_timeout=0.6)

    def test_half_open(self) -> None:
        """
        A network that swallows everything, on both connections or in one direction, is noticed.
        """
        for directions in (BOTH, TO_CLIENT, TO_SERVER):
            self.proxy.swallow(directions)
            self.lost(self.bob)
            self.proxy.heal()
            self.proxy.cut()
            self.comes_back(self.bob)

    def test_one_half_open(self) -> None:
        """
        One of the two connections alone is half-open.
        """
        for number in (0, 1):
            link = self.proxy.links[number]
            for flow in link.flows.values():
                flow.swallowed = True
            self.lost(self.bob)
            self.comes_back(self.bob)

    def test_stall(self) -> None:
        """
        The network stalls for longer than the time-out. What was sent before arrives late, and at most once.
        """
        self.proxy.stall()
        for number in range(5):
            self.bob.send("ann", b"%d" % number)
        self.lost(self.bob)
        self.proxy.resume()
        self.until(lambda: not self.bob.is_lost)
        self.until_ended(self.bob)
        came = [payload for _, _, payload in self.got]
        self.assertEqual(came, sorted(set(came)))
        self.comes_back(self.bob)

    def test_paused(self) -> None:
        """
        The process of Redis hangs for longer than the time-out.
        """
        self.server.pause()
        self.bob.send("ann", b"1")
        self.lost(self.ann, self.bob)
        self.server.resume()
        self.comes_back(self.ann, self.bob)
