"""
Builds the services of all topics from the settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dstwist.config.settings import Settings
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import ICluster, IPermission, ITopicService
from dstwist.limits.budgets import Budget
from dstwist.limits.outgoing import Outgoing
from dstwist.permission.denials import Denials
from dstwist.permission.recheck import GrantType
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.event import EventService
from dstwist.services.presence import PresenceService
from dstwist.services.record.service import RecordService
from dstwist.services.rpc import RpcService
from dstwist.store.tiers import TieredStore


@dataclass
class Topics:
    """
    The services of one node.

    @ivar by_topic: those that are switched on.
    @ivar grant_types: the kinds of grants (subscriptions, listeners and so on) that new rules may take from clients.
    """

    by_topic: dict[Topic, ITopicService] = field(default_factory=dict)
    grant_types: list[GrantType] = field(default_factory=list)
    records: RecordService | None = None
    listeners: list[ListenerRegistry] = field(default_factory=list)
    reacting: list[RpcService | PresenceService] = field(default_factory=list)

    def disconnecting(self) -> None:
        """
        The server is about to close all connections: no other client is told of that, and no call goes to another
        provider.
        """
        for service in self.reacting:
            service.stop()

    async def stop(self) -> None:
        """
        The last client has gone. Returns when the stores have all writes of clients.
        """
        for listeners in self.listeners:
            listeners.stop()
        if self.records is not None:
            await self.records.stop()


class TopicBuilder:
    """
    Makes the services.

    @param offers: decides which names listeners are offered; C{None} if all are.
    @param denials: told of requests that are denied.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        cluster: ICluster,
        users: UserRegistry,
        outgoing: Outgoing,
        permission: IPermission,
        offers: IPermission | None,
        tiers: TieredStore,
        denials: Denials,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._cluster = cluster
        self._users = users
        self._outgoing = outgoing
        self._permission = permission
        self._offers = offers
        self._tiers = tiers
        self._denials = denials
        # Shared by all topics.
        self._room = Budget(settings.limits.max_subscription_bytes)
        self._pending = Budget(settings.limits.max_pending_bytes)
        self._made = Topics()

    def build(self) -> Topics:
        """
        Those that are switched on.
        """
        features = self._settings.features
        if features.event:
            self._build_events()
        if features.record:
            self._build_records()
        if features.rpc:
            self._build_rpc()
        if features.presence:
            self._build_presence()
        return self._made

    def _build_events(self) -> None:
        subscriptions, listeners = self._registries(Topic.EVENT)
        self._made.by_topic[Topic.EVENT] = EventService(subscriptions, listeners, self._cluster)
        self._made.grant_types += (
            GrantType(subscriptions, Topic.EVENT, EventAction.SUBSCRIBE, EventAction.SUBSCRIBE),
            GrantType(listeners, Topic.EVENT, EventAction.LISTEN, EventAction.LISTEN),
            GrantType(listeners.offered, Topic.EVENT, EventAction.LISTEN, None),
        )

    def _build_records(self) -> None:
        subscriptions, listeners = self._registries(Topic.RECORD, announce=True)
        self._made.by_topic[Topic.RECORD] = self._made.records = RecordService(
            subscriptions,
            listeners,
            self._cluster,
            self._permission,
            self._tiers,
            self._settings.record,
            self._reactor,
            self._pending,
            self._denials,
        )
        self._made.grant_types += (
            GrantType(subscriptions, Topic.RECORD, RecordAction.READ, RecordAction.SUBSCRIBECREATEANDREAD),
            GrantType(listeners, Topic.RECORD, RecordAction.LISTEN, RecordAction.LISTEN),
            GrantType(listeners.offered, Topic.RECORD, RecordAction.LISTEN, None),
        )

    def _build_rpc(self) -> None:
        most = self._settings.limits.max_subscriptions
        providers = SubscriptionRegistry(Topic.RPC, "MULTIPLE_PROVIDERS", most, self._room, clock=self._reactor)
        calls = RpcService(providers, self._settings.rpc, self._reactor, room=self._pending)
        self._made.by_topic[Topic.RPC] = calls
        self._made.reacting.append(calls)
        self._made.grant_types.append(GrantType(providers, Topic.RPC, RpcAction.PROVIDE, RpcAction.PROVIDE))

    def _build_presence(self) -> None:
        most = self._settings.limits.max_subscriptions
        presence = PresenceService(
            self._users, self._settings.presence, self._reactor, most, self._room, self._outgoing
        )
        self._made.by_topic[Topic.PRESENCE] = presence
        self._made.reacting.append(presence)
        one, all_ = PresenceAction.SUBSCRIBE, PresenceAction.SUBSCRIBE_ALL
        self._made.grant_types += (
            GrantType(presence.single, Topic.PRESENCE, one, one),
            GrantType(presence.everybody, Topic.PRESENCE, all_, all_, named=False),
        )

    def _registries(self, topic: Topic, announce: bool = False) -> tuple[SubscriptionRegistry, ListenerRegistry]:
        subscriptions = SubscriptionRegistry(
            topic,
            limit=self._settings.limits.max_subscriptions,
            room=self._room,
            outgoing=self._outgoing,
            clock=self._reactor,
        )
        listeners = ListenerRegistry(
            topic, subscriptions, self._settings.listen, self._reactor, announce=announce, permission=self._offers
        )
        self._made.listeners.append(listeners)
        return subscriptions, listeners
