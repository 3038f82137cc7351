"""
Tests for L{dstwist.redis.cluster_map}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.cluster_map import ClusterMap
from dstwist.redis.slots import SLOTS
from tests.redis.cluster_stage import Nodes


class MapTests(SynchronousTestCase):
    """
    Nodes at the ports 1 to 4; the first two are in the settings.

    @ivar owners: the port of the owner of all slots, as each node knows it.
    @ivar states: the state of the cluster, as each node knows it.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.nodes = Nodes()
        self.owners = dict.fromkeys(self.nodes.ports, 1)
        self.states = dict.fromkeys(self.nodes.ports, "ok")
        settings = RedisConnectionSettings(nodes=tuple(RedisAddress("h", port) for port in (1, 2)))
        self.map = ClusterMap(settings, self.clock, self.nodes)

    def fetch(self) -> tuple[list[int], Deferred[Any]]:
        """
        Ask for the map.

        @return: the nodes that were asked, in their order, and the outcome.
        """
        fetched = Deferred.fromCoroutine(self.map.fetch())
        asked = []
        busy = True
        while busy:
            busy = False
            self.clock.advance(0)
            for port, endpoint in self.nodes.ports.items():
                for peer in endpoint.peers:
                    for command in peer.take():
                        busy = True
                        if command[1] == b"SLOTS":
                            asked.append(port)
                            peer.answer([[0, SLOTS - 1, ["h", self.owners[port], "id"]]])
                        else:
                            peer.answer(f"cluster_state:{self.states[port]}\r\n")
        return asked, fetched

    def test_first(self) -> None:
        """
        The first node that answers is enough.
        """
        asked, fetched = self.fetch()
        self.assertEqual(asked, [1])
        self.assertEqual(self.successResultOf(fetched).ranges, [(0, SLOTS - 1, RedisAddress("h", 1))])

    def test_cut_off(self) -> None:
        """
        What a node says that was cut off does not count. It is asked last the next time.
        """
        self.states[1] = "fail"
        self.owners[2] = 3
        for expected in ([1, 2], [2]):
            asked, fetched = self.fetch()
            self.assertEqual(asked, expected)
            self.assertEqual(self.successResultOf(fetched).ranges[0].address.port, 3)

    def test_none(self) -> None:
        """
        If no node has a map, the error says why, for each of them.
        """
        self.states[1] = "fail"
        self.nodes.ports[2].refuses = "refused"
        _, fetched = self.fetch()
        text = str(self.failureResultOf(fetched, StoreError).value)
        self.assertIn("h:1: it says that the cluster does not work", text)
        self.assertIn("h:2: ", text)
        self.assertIn("refused", text)

    def test_prefer(self) -> None:
        """
        A node that was named is asked first, also if it was not known.
        """
        self.map.prefer(RedisAddress("h", 4))
        asked, _ = self.fetch()
        self.assertEqual(asked, [4])

    def test_learned(self) -> None:
        """
        The nodes of the map can be asked as well. A node that is not in the map any more is not asked again, unless
        the settings have it.
        """
        self.owners[1] = 3
        self.fetch()
        self.states.update({1: "fail", 2: "fail"})
        self.owners[3] = 4
        asked, _ = self.fetch()
        self.assertEqual(asked, [1, 2, 3])
        self.owners[4] = 4
        self.states[3] = "fail"
        asked, _ = self.fetch()
        self.assertEqual(asked, [3, 1, 2, 4])
        asked, _ = self.fetch()
        self.assertEqual(asked, [4])
        self.states[4] = "fail"
        asked, fetched = self.fetch()
        self.assertEqual(sorted(asked), [1, 2, 4])
        self.failureResultOf(fetched, StoreError)

    def test_stop(self) -> None:
        """
        A stop ends the connections.
        """
        self.fetch()
        self.map.stop()
        self.assertTrue(self.nodes.ports[1].peers[0].closed)
