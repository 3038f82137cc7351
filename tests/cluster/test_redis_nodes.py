"""
The parts of a cluster together, over a real Redis: the table, the bus, members and the directory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_redis import make_bus
from dstwist.cluster.digest import State
from dstwist.cluster.directory import Directory
from dstwist.cluster.members import Membership
from dstwist.cluster.peers import Peers
from dstwist.config.cluster import ClusterSettings
from dstwist.config.redis import RedisBusSettings
from dstwist.redis.link import RedisLink
from dstwist.store.redis_table import RedisTable
from tests.redis_server import RedisServer
from tests.store.contract import PATIENCE
from tests.store.redis_stage import OwnReactor

USER = "u"

#: Short times, so that the tests are short.
CLUSTER = ClusterSettings(
    partitions=8,
    lease_interval=0.1,
    lease_time=1.0,
    lease_margin=0.1,
    bus_alone_time=0.5,
    recovery_delay=0.1,
    grace={USER: 0.2},
)


class Node:
    """
    A node.

    @ivar online: the users that its clients were told are online.
    @ivar told: all that they were told: the user, and whether online.
    """

    def __init__(self, name: str, port: int, reactor: Any) -> None:
        self.name = name
        settings = RedisBusSettings(
            port=port,
            connect_timeout=PATIENCE,
            command_timeout=PATIENCE,
            probe_interval=0.1,
            max_reconnect_delay=0.1,
            reconnect_wait=0.2,
        )
        self.redis = RedisLink(settings, reactor, f"dstwist-{name}")
        self.bus = make_bus(settings, CLUSTER, reactor, f"dstwist-{name}-bus")
        table = RedisTable(self.redis, lambda key: b"!" + key)
        self.membership = Membership(name, "1.0", table, self.bus, reactor, CLUSTER)
        self.peers = Peers(name, self.membership, self.bus, reactor, CLUSTER)
        self.directory = Directory(self.membership, self.peers, reactor, CLUSTER)
        self.directory.on_told(USER, self._on_told)
        self.online: set[str] = set()
        self.told: list[tuple[str, bool]] = []

    async def start(self) -> None:
        await self.redis.start()
        await self.bus.start()
        self.directory.watch_all(USER)
        await self.membership.start()
        self.directory.start()

    async def die(self) -> None:
        """
        Stop without a word to the others.
        """
        self.membership.stop()
        self.directory.stop()
        self.peers.stop()
        await self.bus.stop()
        await self.redis.stop()

    def _on_told(self, name: str, state: State) -> None:
        online, _ = state
        if online != (name in self.online):
            (self.online.add if online else self.online.discard)(name)
            self.told.append((name, bool(online)))


class NodeTests(SynchronousTestCase):
    """
    Three nodes.
    """

    def setUp(self) -> None:
        self.reactor: Any = OwnReactor()
        self.addCleanup(self._close)
        self.server = RedisServer()
        self.addCleanup(self.server.destroy)
        self.server.start()
        self.nodes = [self.node(name) for name in ("a", "b", "c")]
        self.until(lambda: all(len(node.membership.members) == 3 for node in self.nodes))

    def node(self, name: str) -> Node:
        node = Node(name, self.server.port, self.reactor)
        self.wait(Deferred.fromCoroutine(node.start()))
        self.addCleanup(lambda: self.wait(Deferred.fromCoroutine(node.die())))
        return node

    def until(self, true: Any) -> None:
        self.reactor.run_until(true)

    def wait(self, outcome: Deferred[Any]) -> Any:
        self.until(lambda: outcome.called)
        return self.successResultOf(outcome)

    def until_told(self, online: set[str], *nodes: Node) -> None:
        self.until(lambda: all(node.online == online for node in nodes or self.nodes))

    def _close(self) -> None:
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)

    def test_presence(self) -> None:
        """
        All nodes learn of users who come and go.
        """
        a, b, _ = self.nodes
        a.directory.hold(USER, "ann")
        b.directory.hold(USER, "bob")
        self.until_told({"ann", "bob"})
        a.directory.release(USER, "ann")
        self.until_told({"bob"})

    def test_death(self) -> None:
        """
        The users of a node that dies go. Those of the others stay, whichever node owned the partition.
        """
        a, b, c = self.nodes
        for number in range(20):
            self.nodes[number % 2].directory.hold(USER, f"u{number}")
        self.until_told({f"u{number}" for number in range(20)})
        self.wait(Deferred.fromCoroutine(a.die()))
        self.until(lambda: all(len(node.membership.members) == 2 for node in (b, c)))
        self.until_told({f"u{number}" for number in range(1, 20, 2)}, b, c)
        for node in (b, c):
            self.assertEqual(len(node.told), 30)

    def test_redis_killed(self) -> None:
        """
        Redis is killed, and comes back with nothing. No user is said to be gone; what has changed meanwhile is told.
        """
        a, b, _ = self.nodes
        for number in range(20):
            self.nodes[number % 3].directory.hold(USER, f"u{number}")
        self.until_told({f"u{number}" for number in range(20)})
        self.server.kill()
        for node in self.nodes:
            self.until(lambda node=node: node.bus.is_lost)
        a.directory.hold(USER, "new")
        b.directory.release(USER, "u1")
        self.server.start(empty=True)
        self.until_told({f"u{number}" for number in range(20)} - {"u1"} | {"new"})
        for node in self.nodes:
            self.assertEqual(sorted(node.told[20:]), [("new", True), ("u1", False)])
