"""
Tests for L{dstwist.api.figures}.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

import dstwist.assembly.requests as requests_module
from dstwist.api.errors import MessageDenied
from dstwist.api.figures import Figures
from dstwist.cluster.bus_memory import MemoryNetwork
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.table_memory import MemoryTable
from dstwist.config.cluster import ClusterSettings
from dstwist.config.settings import Settings
from dstwist.node import Node
from tests.api.stage import ApiTestCase, ignore
from tests.streams.stage import StreamTestCase


class FigureTests(ApiTestCase):
    """
    L{Counting<dstwist.api.figures.Counting>}.
    """

    def test_figures(self) -> None:
        """
        The numbers at this moment.
        """
        self.assertEqual(self.api.figures(), Figures(0, 0, 0, 1, 0, 0, 0, 0))
        for user in ("ann", "ann", "bob"):
            self.client("v4", user).subscribe("news")
        self.done(self.api.records.set("a", {}))
        bob = self.api.as_user("bob")
        self.done(bob.records.subscribe("b", ignore))
        self.done(bob.rpc.provide("add", ignore))
        self.assertEqual(self.api.figures(), Figures(3, 0, 2, 2, 1, 1, 1, 1))
        self.assertRaises(MessageDenied, bob.figures)
        bob.close()
        self.assertEqual(self.api.figures(), Figures(3, 0, 2, 1, 1, 0, 0, 1))


class StreamFigureTests(StreamTestCase):
    """
    A node with streams.
    """

    def test_streams(self) -> None:
        """
        A stream counts until it ends.
        """
        reader, _ = self.open("/api/events/news"), self.open("/api/events/news")
        api = self.node.api
        self.assertEqual((api.figures().streams, api.metrics()["dstwist_streams"]), (2, 2))
        self.assertEqual(api.figures().connections, 0)
        reader.connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((api.figures().streams, api.metrics()["dstwist_streams"]), (1, 1))


class ClusterFigureTests(ApiTestCase):
    """
    A node of a cluster.
    """

    def make_node(self, settings: Settings) -> Node:
        def build(settings: Settings, arbiter: object, reactor: IReactorTime, clock: IReactorTime) -> ClusterNode:
            return ClusterNode("ann", MemoryNetwork(clock).bus(), MemoryTable(), clock, ClusterSettings(partitions=4))

        self.patch(requests_module, "build_cluster", build)
        return super().make_node(settings)

    def test_cluster(self) -> None:
        """
        The figures of a node of a cluster have those of its part in it.
        """
        figures = self.api.figures().cluster
        assert figures is not None
        self.assertEqual((figures.members, figures.partitions, figures.bus_is_lost), (1, 4, False))
        assert figures.news is not None and figures.arbiter is not None
        self.assertEqual((figures.news.early, figures.news.differed, figures.arbiter.refusals), (0, {}, 0))

    def test_not_ready(self) -> None:
        """
        C{/ready} has the reason of the cluster.
        """
        # The node asks other nodes about their stores, and there are none.
        self.reactor.pump([0.1] * 50)
        self.assertIsNone(self.node.not_ready())
        self.patch(ClusterNode, "not_ready", lambda cluster: "the node joins the cluster")
        self.assertEqual(self.node.not_ready(), "the node joins the cluster")
