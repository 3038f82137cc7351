"""
A Redis Cluster whose nodes do what a test says, without a network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.redis.cluster import RedisCluster
from dstwist.redis.primary import Endpoints
from dstwist.redis.slots import SLOTS
from tests.redis.stage import FACTS, Command, Endpoint, Peer, greeted

#: The half of the slots that the first node has at the beginning.
HALF = SLOTS // 2


class Nodes(Endpoints):
    """
    Nodes at the ports 1 to 4 of one host.
    """

    def __init__(self) -> None:
        self.ports = {port: Endpoint() for port in (1, 2, 3, 4)}

    def server(self, host: str, port: int) -> Endpoint:
        return self.ports[port]


class ClusterTestCase(SynchronousTestCase):
    """
    A test with a cluster of two nodes with slots, and two without.

    @ivar ranges: the map that the nodes know: first and last slot, and port.
    @ivar ranges_of: the map of single nodes that know another one.
    @ivar state: the state of the cluster that they know.
    @ivar came: the commands for data that have come to each node, and are not answered.
    @ivar outcomes: the outcomes of the calls, in their order: (argument, answer or error).
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.nodes = Nodes()
        self.ranges = [(0, HALF - 1, 1), (HALF, SLOTS - 1, 2)]
        self.ranges_of: dict[int, list[tuple[int, int, int]]] = {}
        self.state = "ok"
        self.maps = 0
        self.came: dict[int, list[tuple[Peer, Command]]] = {1: [], 2: [], 3: [], 4: []}
        self.outcomes: list[tuple[Any, Any]] = []
        self.cluster = self.make()

    def make(self, **options: Any) -> RedisCluster:
        addresses = tuple(RedisAddress("h", port) for port in (1, 2))
        settings = RedisConnectionSettings(nodes=addresses, **options)
        self.cluster = RedisCluster(settings, self.clock, "dstwist-n1", self.nodes, jitter=lambda: 1.0)
        return self.cluster

    def serve(self) -> None:
        """
        Let the nodes answer all but commands for data.
        """
        busy = True
        while busy:
            busy = False
            self.clock.advance(0)
            for port, endpoint in self.nodes.ports.items():
                for peer in endpoint.peers:
                    if not peer.closed:
                        for command in peer.take():
                            busy = True
                            self._serve(port, peer, command)

    def _serve(self, port: int, peer: Peer, command: Command) -> None:
        answer = greeted(command, {**FACTS, "redis_mode": "cluster", "run_id": f"run{port}"}, peer.number)
        if command[:2] == (b"CLUSTER", b"SLOTS"):
            self.maps += 1
            answer = [[first, last, ["h", owner, "id"]] for first, last, owner in self.ranges_of.get(port, self.ranges)]
        elif command[:2] == (b"CLUSTER", b"INFO"):
            answer = f"cluster_state:{self.state}\r\n"
        if answer is None:
            self.came[port].append((peer, command))
        elif answer is not ...:
            peer.answer(answer)

    def start(self, **options: Any) -> None:
        """
        Start the cluster.
        """
        if options:
            self.make(**options)
        started = self.cluster.start()
        self.serve()
        self.successResultOf(started)

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass in small steps.
        """
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.serve()

    def until(self, true: Callable[[], object]) -> None:
        """
        Let time pass until C{true()}.
        """
        for _ in range(1000):
            if true():
                return
            self.pass_time(0.05)
        self.fail("it does not happen")

    def submit(self, key: str | None, *words: Any) -> None:
        """
        Make a call; its outcome gets into C{outcomes} under the last word.
        """
        self.cluster.submit(key, words, self.done, words[-1])

    def done(self, argument: Any, error: Exception | None, reply: Any) -> None:
        self.outcomes.append((argument, reply if error is None else error))

    def sent(self, port: int) -> list[str]:
        """
        The commands that have come to a node, and are not answered.
        """
        self.serve()
        return [b" ".join(command).decode() for _, command in self.came[port]]

    def answer(self, port: int, *answers: Any) -> None:
        """
        A node answers its first commands.
        """
        self.serve()
        for answer in answers:
            peer, _ = self.came[port].pop(0)
            peer.answer(answer)
        self.serve()

    def lose(self, port: int, refuses: Any = None) -> None:
        """
        All connections of a node are lost.
        """
        self.nodes.ports[port].refuses = refuses
        self.came[port].clear()
        for peer in self.nodes.ports[port].peers:
            peer.close()

    def kinds(self) -> list[Any]:
        """
        The outcomes with the class of an error in place of the error.
        """
        return [(name, type(found) if isinstance(found, Exception) else found) for name, found in self.outcomes]
