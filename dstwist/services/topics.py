"""
Makes the services of all topics from the settings.

===========  ===========================================  =============================================
topic        service                                      its registries
===========  ===========================================  =============================================
EVENT        L{EventService}                              subscriptions, listeners
RECORD       L{RecordService}                             subscriptions, listeners (which also tell
                                                          subscribers whether a record has a provider)
RPC          L{RpcService}                                providers
PRESENCE     L{PresenceService}                           makes its own subscriptions
===========  ===========================================  =============================================

The budgets for subscriptions and for waiting requests are shared by all topics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import Settings
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import IPermission, IRequester, ITopicService
from dstwist.limits.budgets import Budget
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.permission.denials import Denials
from dstwist.permission.recheck import GrantType
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.event import EventService
from dstwist.services.presence import PresenceService
from dstwist.services.record.service import RecordService
from dstwist.services.rpc.service import RpcService
from dstwist.store.tiers import TieredStore


@dataclass
class Topics:
    """
    The services of one node.

    @ivar by_topic: the services that are switched on.
    @ivar grant_types: the kinds of grants (subscriptions, listeners and so on) that new rules may take from clients.
    @ivar subscriptions: the subscriptions of events and records, and the providers of procedures.
    @ivar subscription_bytes: the bytes of memory of all subscriptions.
    @ivar pending_bytes: the bytes of all waiting requests.
    """

    by_topic: dict[Topic, ITopicService] = field(default_factory=dict)
    grant_types: list[GrantType] = field(default_factory=list)
    records: RecordService | None = None
    listeners: dict[Topic, ListenerRegistry] = field(default_factory=dict)
    subscriptions: dict[Topic, SubscriptionRegistry] = field(default_factory=dict)
    rpc: RpcService | None = None
    presence: PresenceService | None = None
    subscription_bytes: Budget = field(default_factory=Budget)
    pending_bytes: Budget = field(default_factory=Budget)

    @property
    def stop_before_closing(self) -> list[RpcService | PresenceService]:
        """
        The services that would react to the end of each connection.
        """
        return [service for service in (self.rpc, self.presence) if service is not None]

    def disconnecting(self) -> None:
        """
        The server is about to close all connections. Presence tells no client that users go, and no call is given to
        another provider.
        """
        for service in self.stop_before_closing:
            service.stop()

    def sending_away(self, client: IRequester) -> None:
        """
        The server closes the connection of C{client} right after this, and goes on.
        """
        if self.rpc is not None:
            self.rpc.sending_away(client)

    async def stop(self) -> None:
        """
        All connections are closed. Returns when the stores have all writes of clients.
        """
        for listeners in self.listeners.values():
            listeners.stop()
        if self.records is not None:
            await self.records.stop()


class TopicBuilder:
    """
    Makes the services of one node.

    @param cluster: C{None}: there are no other nodes.
    @param offers: decides which names are offered to which listeners; C{None}: all matching names are.
    @param denials: is told of requests that are denied.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        cluster: ClusterNode | None,
        users: UserRegistry,
        outgoing: OutgoingBytes,
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
        # The bytes of all subscriptions, and of all waiting requests.
        self._subscription_bytes = Budget(settings.limits.max_subscription_bytes)
        self._pending_bytes = Budget(settings.limits.max_pending_bytes)
        self._topics = Topics(subscription_bytes=self._subscription_bytes, pending_bytes=self._pending_bytes)

    def build_topics(self) -> Topics:
        """
        The services of the topics that are switched on.
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
        return self._topics

    def _build_events(self) -> None:
        subscriptions, listeners = self._registries(Topic.EVENT)
        self._topics.by_topic[Topic.EVENT] = EventService(subscriptions, listeners, self._cluster)
        self._topics.grant_types += (
            GrantType(subscriptions, Topic.EVENT, EventAction.SUBSCRIBE, EventAction.SUBSCRIBE),
            GrantType(listeners, Topic.EVENT, EventAction.LISTEN, EventAction.LISTEN),
            GrantType(listeners.offered, Topic.EVENT, EventAction.LISTEN, None),
        )

    def _build_records(self) -> None:
        subscriptions, listeners = self._registries(Topic.RECORD, announce=True)
        service = RecordService(
            subscriptions,
            listeners,
            self._cluster,
            self._permission,
            self._tiers,
            self._settings.record,
            self._reactor,
            self._pending_bytes,
            self._denials,
        )
        self._topics.by_topic[Topic.RECORD] = self._topics.records = service
        self._users.observe_connections(service.logged_in, service.logged_out)
        self._topics.grant_types += (
            GrantType(subscriptions, Topic.RECORD, RecordAction.READ, RecordAction.SUBSCRIBECREATEANDREAD),
            GrantType(listeners, Topic.RECORD, RecordAction.LISTEN, RecordAction.LISTEN),
            GrantType(listeners.offered, Topic.RECORD, RecordAction.LISTEN, None),
        )

    def _build_rpc(self) -> None:
        limit = self._settings.limits.max_subscriptions
        providers = SubscriptionRegistry(
            Topic.RPC, "MULTIPLE_PROVIDERS", limit, self._subscription_bytes, clock=self._reactor
        )
        self._topics.subscriptions[Topic.RPC] = providers
        service = RpcService(
            providers, self._settings.rpc, self._reactor, room=self._pending_bytes, cluster=self._cluster
        )
        self._topics.by_topic[Topic.RPC] = self._topics.rpc = service
        self._topics.grant_types.append(GrantType(providers, Topic.RPC, RpcAction.PROVIDE, RpcAction.PROVIDE))

    def _build_presence(self) -> None:
        limit = self._settings.limits.max_subscriptions
        presence = PresenceService(
            self._users,
            self._settings.presence,
            self._reactor,
            limit,
            self._subscription_bytes,
            self._outgoing,
            self._cluster,
        )
        self._topics.by_topic[Topic.PRESENCE] = self._topics.presence = presence
        subscribe, subscribe_all = PresenceAction.SUBSCRIBE, PresenceAction.SUBSCRIBE_ALL
        self._topics.grant_types += (
            GrantType(presence.single_users, Topic.PRESENCE, subscribe, subscribe),
            GrantType(presence.all_users, Topic.PRESENCE, subscribe_all, subscribe_all, named=False),
        )

    def _registries(self, topic: Topic, announce: bool = False) -> tuple[SubscriptionRegistry, ListenerRegistry]:
        subscriptions = SubscriptionRegistry(
            topic,
            limit=self._settings.limits.max_subscriptions,
            room=self._subscription_bytes,
            outgoing=self._outgoing,
            clock=self._reactor,
        )
        listeners = ListenerRegistry(
            topic,
            subscriptions,
            self._settings.listen,
            self._reactor,
            announce=announce,
            permission=self._offers,
            cluster=self._cluster,
        )
        self._topics.listeners[topic] = listeners
        self._topics.subscriptions[topic] = subscriptions
        return subscriptions, listeners
