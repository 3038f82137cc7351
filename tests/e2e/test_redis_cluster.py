"""
A Redis Cluster of real servers, whose slots move and whose nodes die.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.cluster import RedisCluster
from dstwist.redis.link import RedisLink
from dstwist.redis.scripts import Script
from dstwist.scheduling.firing import fire
from tests.e2e.free_port import free_port
from tests.redis_groups import RedisCluster as Servers
from tests.redis_server import RedisServer, start_in_thread

APPEND = Script("append", "return redis.call('RPUSH', KEYS[1], ARGV[1])")


class ClusterTests(TestCase):
    """
    Three primaries.
    """

    timeout = 300

    async def servers(self, **options: Any) -> Servers:
        servers = Servers(**options)
        self.addCleanup(servers.destroy)
        servers.launch()
        await deferToThread(servers.wait_until_ready)
        return servers

    async def cluster(self, servers: Servers, **options: Any) -> RedisCluster:
        """
        A cluster that knows one of the servers, and finds the others.
        """
        settings = RedisConnectionSettings(
            nodes=(RedisAddress("127.0.0.1", servers.servers[0].port),), connect_timeout=20.0, **options
        )
        cluster = RedisCluster(settings, reactor)
        self.addCleanup(cluster.stop)
        await cluster.start()
        return cluster

    def append(self, cluster: RedisCluster, key: str, value: int) -> Deferred[Any]:
        outcome: Deferred[Any] = Deferred()
        cluster.run(APPEND, [key], [value], fire, outcome)
        return outcome

    async def test_all_nodes(self) -> None:
        """
        Keys are at all three servers.
        """
        servers = await self.servers()
        cluster = await self.cluster(servers)
        await gatherResults([cluster.call(f"k{number}", "SET", f"k{number}", number) for number in range(300)])
        sizes = [server.command("DBSIZE") for server in servers.servers]
        self.assertEqual(sum(sizes), 300)
        self.assertTrue(all(sizes))
        found = await gatherResults([cluster.call(f"k{number}", "GET", f"k{number}") for number in range(300)])
        self.assertEqual(found, [b"%d" % number for number in range(300)])
        self.assertEqual(await cluster.call(None, "PING"), b"PONG")
        self.assertIsNone(cluster.problem())

    async def test_slot_moves(self) -> None:
        """
        Writes of one key keep their order, and none is lost or doubled, while its slot moves to another server.
        """
        # The rights that the server needs, beside those for its keys.
        rights = "+info +ping +role +client|id +client|kill +client|setname +cluster|slots +cluster|info +asking"
        servers = await self.servers(users=[f"user ann on >secret ~* {rights} +evalsha +script|load +rpush"])
        cluster = await self.cluster(servers, reconnect_wait=30.0, username="ann", password="secret")
        key = "list"
        slot = servers.slot(key)
        owner = servers.owner(slot)
        target = next(server for server in servers.servers if server is not owner)
        outcomes: list[Deferred[Any]] = []

        async def write(count: int) -> None:
            for _ in range(count):
                for _ in range(5):
                    outcomes.append(self.append(cluster, key, len(outcomes)))
                await deferLater(reactor, 0.002)

        writing = Deferred.fromCoroutine(write(200))
        await deferLater(reactor, 0.05)
        servers.begin_move(slot, target)
        await deferLater(reactor, 0.05)
        servers.move_key(key, target)
        await deferLater(reactor, 0.05)
        servers.finish_move(slot, target)
        await writing
        self.assertEqual(await gatherResults(outcomes), list(range(1, 1001)))
        self.assertEqual(target.command("LRANGE", key, 0, -1), [b"%d" % number for number in range(1000)])

    async def test_try_again(self) -> None:
        """
        A call with several keys waits until all of them have moved.
        """
        servers = await self.servers()
        cluster = await self.cluster(servers)
        slot = servers.slot("{x}")
        owner = servers.owner(slot)
        target = next(server for server in servers.servers if server is not owner)
        await cluster.call("{x}", "MSET", "{x}a", 1, "{x}b", 2)
        servers.begin_move(slot, target)
        servers.move_key("{x}a", target)
        reading = cluster.call("{x}", "MGET", "{x}a", "{x}b")
        await deferLater(reactor, 0.2)
        self.assertFalse(reading.called)
        servers.finish_move(slot, target)
        self.assertEqual(await reading, [b"1", b"2"])

    async def test_fail_over(self) -> None:
        """
        When a primary dies, its replica takes its place, and the calls go there.
        """
        servers = await self.servers()
        slot = servers.slot("a")
        owner = servers.owner(slot)
        replica = await self.replica(servers, owner)
        cluster = await self.cluster(servers, reconnect_wait=120.0, probe_interval=0.2, command_timeout=10.0)
        await cluster.call("a", "SET", "a", 1)
        await deferToThread(owner.command, "WAIT", 1, 5000)
        owner.kill()
        while cluster.problem() is None:
            await deferLater(reactor, 0.01)
        self.assertEqual(await cluster.call("a", "GET", "a"), b"1")
        self.assertEqual(replica.info("replication")["role"], "master")
        await cluster.fence()

    async def replica(self, servers: Servers, owner: RedisServer) -> RedisServer:
        """
        A replica of one of the servers.
        """
        replica = RedisServer(cluster_enabled="yes", cluster_node_timeout="2000", cluster_port=str(free_port()))
        self.addCleanup(replica.destroy)
        await start_in_thread(replica)
        identity = owner.command("CLUSTER", "MYID")
        replica.command("CLUSTER", "MEET", "127.0.0.1", owner.port, owner.settings["cluster-port"])

        def follows() -> bool:
            try:
                replica.command("CLUSTER", "REPLICATE", identity)
            except Exception:
                return False
            return replica.info("replication")["master_link_status"] == "up"

        await deferToThread(replica.wait_for, follows)
        # The other nodes have to know it, or they do not vote for it.
        for server in servers.servers:
            await deferToThread(server.wait_for, lambda server=server: b" slave " in server.command("CLUSTER", "NODES"))
        return replica

    async def test_no_cluster(self) -> None:
        """
        A server that is no cluster is refused as one, and the other way round.
        """
        servers = await self.servers()
        link = RedisLink(RedisConnectionSettings(port=servers.servers[0].port), reactor)
        self.addCleanup(link.stop)
        error: Any = await self.assertFailure(link.start(), StoreError)
        self.assertIn("the option nodes", str(error))
        server = RedisServer()
        self.addCleanup(server.destroy)
        await start_in_thread(server)
        settings = RedisConnectionSettings(nodes=(RedisAddress("127.0.0.1", server.port),))
        cluster = RedisCluster(settings, reactor)
        self.addCleanup(cluster.stop)
        error = await self.assertFailure(cluster.start(), StoreError)
        self.assertIn("cluster support disabled", str(error))
