"""
Tests for L{dstwist.cluster.from_settings}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.cluster.from_settings import build_cluster
from dstwist.cluster.kinds import USER
from dstwist.cluster.table_memory import MemoryTable
from dstwist.config.load import load
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError
from dstwist.interfaces import IClusterTableHost
from dstwist.store.memory import MemoryStore
from tests.store.redis_stage import OwnReactor


@implementer(IClusterTableHost)
class HostingStore(MemoryStore):
    """
    A store that keeps the table.
    """

    def cluster_table(self) -> MemoryTable:
        return MemoryTable()


class BuildTests(SynchronousTestCase):
    """
    L{build_cluster}.
    """

    def setUp(self) -> None:
        self.reactor: Any = OwnReactor()
        self.addCleanup(self._close)

    def _close(self) -> None:
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)

    def settings(self) -> Settings:
        bus = {"type": "redis", "options": {"maxWaitingBytes": 12345678}}
        config = {"serverName": "ann", "clusterNode": bus, "cache": {"type": "redis"}}
        return load({**config, "presence": {"gracePeriod": 1500}}, {})

    def test_single(self) -> None:
        """
        Without C{clusterNode} there is only this node.
        """
        self.assertIsNone(build_cluster(Settings(), MemoryStore(), self.reactor, self.reactor))

    def test_cluster(self) -> None:
        """
        The node has the name and the times of the configuration.
        """
        node = build_cluster(self.settings(), HostingStore(), self.reactor, self.reactor)
        assert node is not None
        self.assertEqual(node.name, "ann")
        self.assertTrue(node.membership.node.startswith("ann-"))
        self.assertEqual(node.settings.grace, {USER: 1.5})
        self.assertEqual(node.settings.max_waiting_bytes, 12345678)

    def test_no_table(self) -> None:
        """
        A store that cannot keep the table of the nodes is refused.
        """
        error = self.assertRaises(
            ConfigError, build_cluster, self.settings(), MemoryStore(), self.reactor, self.reactor
        )
        self.assertIn("clusterNode: the store that has the records cannot keep the table", str(error))
