"""
Builds the part of a node in a cluster from the settings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.cluster.kinds import EXACT, USER
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError
from dstwist.interfaces import IClusterTableHost, IStore


def build_cluster(settings: Settings, arbiter: IStore, reactor: Any, clock: IReactorTime) -> ClusterNode | None:
    """
    The part of this node, not started; C{None} if there is only this node.

    @param arbiter: the store that all nodes share.
    @param clock: a clock that is never set.
    @raise ConfigError: the store cannot keep the table of the nodes.
    """
    cluster = settings.cluster
    if cluster is None:
        return None
    if not IClusterTableHost.providedBy(arbiter):
        raise ConfigError(
            "clusterNode",
            "the store that has the records cannot keep the table of the nodes: it does not provide "
            "dstwist.interfaces.IClusterTableHost",
        )
    # Its library imports the global reactor.
    from dstwist.cluster.bus_redis import make_bus

    times = replace(
        cluster.settings,
        grace={USER: settings.presence.grace_period},
        max_waiting_bytes=cluster.bus.max_waiting_bytes,
        max_name_bytes=settings.limits.max_subscription_bytes,
    )
    name = settings.server_name
    bus = make_bus(cluster.bus, times, reactor, f"dstwist-{name}")
    return ClusterNode(name, bus, arbiter.cluster_table(), clock, times, EXACT)
