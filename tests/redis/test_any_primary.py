"""
Tests for L{dstwist.redis.any_primary}.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.any_primary import AnyPrimary
from tests.redis.cluster_stage import Nodes


class AnyPrimaryTests(SynchronousTestCase):
    """
    Nodes at the ports 1 to 4, of which the first two are in the settings.

    @ivar primaries: the ports of those that have slots.
    @ivar state: the state of the cluster, as the nodes know it.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.nodes = Nodes()
        self.primaries = [1, 3]
        self.state = "ok"
        self.offered: list[list[int]] = []
        settings = RedisConnectionSettings(nodes=tuple(RedisAddress("h", port) for port in (1, 2)))
        self.primary = AnyPrimary(settings, self.clock, self.nodes, self.choose)
        self.moved: list[str] = []

    def choose(self, addresses: Sequence[RedisAddress]) -> RedisAddress:
        """
        Take the last one.
        """
        self.offered.append([address.port for address in addresses])
        return addresses[-1]

    def serve(self) -> None:
        busy = True
        while busy:
            busy = False
            self.clock.advance(0)
            for peer in [peer for endpoint in self.nodes.ports.values() for peer in endpoint.peers]:
                for command in peer.take():
                    busy = True
                    if command[1] == b"SLOTS":
                        peer.answer([[port, port, ["h", port, "id"]] for port in self.primaries])
                    else:
                        peer.answer(f"cluster_state:{self.state}\r\n")

    def find(self) -> str:
        found = Deferred.fromCoroutine(self.primary.find())
        self.serve()
        return self.successResultOf(found).address

    def look(self) -> None:
        """
        Let the time pass after which the map is looked at.
        """
        self.clock.advance(1)
        self.serve()

    def test_primaries(self) -> None:
        """
        A primary is chosen, whether it is in the settings or not; afterwards another one, if there is one.
        """
        self.assertEqual([self.find(), self.find(), self.find()], ["h:3", "h:1", "h:3"])
        self.primaries = [3]
        self.assertEqual(self.find(), "h:3")
        self.assertEqual(self.offered, [[1, 3], [1], [3], [3]])

    def test_down(self) -> None:
        """
        There is none if no node says that the cluster works.
        """
        self.state = "fail"
        found = Deferred.fromCoroutine(self.primary.find())
        self.serve()
        self.assertIn("does not work", str(self.failureResultOf(found, StoreError).value))

    def test_watch(self) -> None:
        """
        If it is no primary any more, it is left, once.
        """
        self.find()
        self.primary.watch(self.moved.append)
        self.look()
        self.assertEqual(self.moved, [])
        self.primaries = [1, 2]
        self.look()
        self.look()
        self.assertEqual(len(self.moved), 1)
        self.assertEqual(self.find(), "h:2")
        self.primary.watch(self.moved.append)
        self.look()
        self.assertEqual(len(self.moved), 1)

    def test_watch_down(self) -> None:
        """
        It is not left while the cluster does not work.
        """
        self.find()
        self.primary.watch(self.moved.append)
        self.state = "fail"
        self.look()
        self.assertEqual(self.moved, [])

    def test_stop(self) -> None:
        """
        The watch and all connections end.
        """
        self.find()
        self.primary.watch(self.moved.append)
        self.primary.stop()
        self.primaries = [1, 2]
        self.look()
        self.assertEqual(self.moved, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(all(peer.closed for endpoint in self.nodes.ports.values() for peer in endpoint.peers))
