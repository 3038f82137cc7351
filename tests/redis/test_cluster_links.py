"""
Tests for L{dstwist.redis.cluster_links}, on a cluster.
"""

from __future__ import annotations

from dstwist.errors import StoreError
from tests.logs import Lines
from tests.redis.cluster_stage import HALF, ClusterTestCase
from tests.redis.test_cluster import LOW


class StartTests(ClusterTestCase):
    """
    The start.
    """

    def refusal(self) -> str:
        started = self.cluster.start()
        self.pass_time(10)
        text = str(self.failureResultOf(started, StoreError).value)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return text

    def test_one_node_known(self) -> None:
        """
        The nodes that are there name the others.
        """
        self.nodes.ports[1].refuses = "refused"
        self.ranges = [(0, HALF - 1, 3), (HALF, 16383, 2)]
        self.start()
        self.submit(LOW, "GET", LOW)
        self.assertEqual(self.sent(3), ["GET {b}"])

    def test_unreachable(self) -> None:
        """
        If no node can be reached, the text names each of them, and why.
        """
        for endpoint in self.nodes.ports.values():
            endpoint.refuses = "gone"
        text = self.refusal()
        self.assertIn("h:1", text)
        self.assertIn("h:2", text)
        self.assertIn("gone", text)

    def test_primary_unreachable(self) -> None:
        """
        All primaries have to be reached at the start.
        """
        self.ranges = [(0, HALF - 1, 3), (HALF, 16383, 2)]
        self.nodes.ports[3].refuses = "gone"
        self.assertIn("h:3", self.refusal())

    def test_does_not_work(self) -> None:
        """
        A cluster that does not work cannot be used.
        """
        self.state = "fail"
        self.assertIn("cluster_state", self.refusal())

    def test_silent(self) -> None:
        """
        Nodes that do not answer are no cluster.
        """
        for endpoint in self.nodes.ports.values():
            endpoint.refuses = ...
        self.assertIn("in time", self.refusal())

    def test_stopped(self) -> None:
        """
        A start that is going on fails if the cluster is stopped.
        """
        self.nodes.ports[1].refuses = ...
        started = self.cluster.start()
        self.successResultOf(self.cluster.stop())
        self.serve()
        self.failureResultOf(started, StoreError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_told(self) -> None:
        """
        The callbacks of users are told of the connections to all nodes.
        """
        servers: list[str] = []
        self.cluster.on_connected.append(lambda server: servers.append(server.address))
        self.start()
        self.assertEqual(sorted(servers), ["h:1", "h:2"])

    def test_gap(self) -> None:
        """
        Slots without a node are a problem.
        """
        self.ranges = [(0, 99, 1), (HALF, 16383, 2)]
        self.start()
        self.assertIn(f"{HALF - 100} of 16384 slots belong to no node", str(self.cluster.problem()))

    def test_log(self) -> None:
        """
        The log says once that the cluster does not work, and that it works again.
        """
        self.start()
        lines = Lines(self)
        self.state = "fail"
        self.lose(1, "refused")
        self.submit(LOW, "GET", LOW)
        self.pass_time(3)
        self.assertEqual(len([line for line in lines.of("error") if "cluster_state" in line]), 1)
        self.state = "ok"
        self.nodes.ports[1].refuses = None
        self.until(lambda: self.cluster.problem() is None)
        self.assertEqual(len([line for line in lines.of("info") if "the cluster works" in line]), 1)
