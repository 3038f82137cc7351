"""
Makes the permission, and the parts that serve requests.
"""

from __future__ import annotations

from typing import Any

from dstwist.cluster.from_settings import build_cluster
from dstwist.config.settings import Settings
from dstwist.connections.users import UserRegistry
from dstwist.limits.outgoing_bytes import outgoing_bytes
from dstwist.permission.denials import Denials
from dstwist.permission.open import OpenPermission
from dstwist.permission.reload import RuleReload
from dstwist.permission.selection import build_permission
from dstwist.plugins import PluginContext
from dstwist.routing.router import Router
from dstwist.scheduling.clocks import steady_clock, wall_time
from dstwist.services.topics import TopicBuilder
from dstwist.store.from_settings import Stores
from dstwist.store.tiers import TieredStore


class PermissionParts:
    """
    The parts that decide what clients may do.

    @ivar tiers: the records, in the cache and in the storage.
    @ivar denials: is told of requests that are denied.
    """

    def __init__(self, settings: Settings, stores: Stores, reactor: Any) -> None:
        self.tiers = TieredStore(stores.cache, stores.storage, settings.record, reactor)
        self.permission = build_permission(
            settings.permission, wall_time(reactor), self.tiers.load, PluginContext(reactor, stores.storage)
        )
        self.denials = Denials(self.permission, settings.logger.log_denied)


class RequestParts:
    """
    The parts that serve requests, from any kind of client.

    @ivar outgoing: counts the bytes that wait for clients.
    @ivar cluster: C{None}: there are no other nodes.
    @ivar topics: the services of the topics.
    @ivar router: takes the requests.
    @ivar rules: reads the permission rules again.
    """

    def __init__(
        self, settings: Settings, stores: Stores, users: UserRegistry, permitted: PermissionParts, reactor: Any
    ) -> None:
        permission, denials = permitted.permission, permitted.denials
        self.outgoing = outgoing_bytes(settings.limits, reactor)
        self.cluster = build_cluster(settings, stores.arbiter, reactor, steady_clock(reactor))
        self.topics = TopicBuilder(
            settings,
            reactor,
            self.cluster,
            users,
            self.outgoing,
            permission,
            # If everything is permitted, nothing needs a decision for each name.
            None if isinstance(permission, OpenPermission) else permission,
            permitted.tiers,
            denials,
        ).build_topics()
        self.router = Router(permission, self.topics.by_topic, settings.limits.max_name_length, reactor, denials)
        self.rules = RuleReload(permission, settings.permission, self.topics.grant_types, reactor, self.router.drain)
