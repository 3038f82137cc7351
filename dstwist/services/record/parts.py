"""
The parts of the topic that several other parts need.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IPermission
from dstwist.permission.denials import Denials
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.large_values import LargeValues
from dstwist.services.record.early_writes import EarlyWrites
from dstwist.services.record.held_conflicts import HeldConflicts
from dstwist.services.record.news import RecordNews
from dstwist.services.record.nodes import RecordNodes
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.reconcile import Reconciliation
from dstwist.services.record.refusals import RecordRefusals
from dstwist.services.record.replicas import Replicas
from dstwist.store.tiers import TieredStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordParts:
    """
    L{RecordService<dstwist.services.record.service.RecordService>} makes this once. The constructors of its parts take
    from it what they need, into attributes of their own: a lookup here would cost time with each message.

    L{RecordStore<dstwist.services.record.store.RecordStore>} is not here, because it uses one of the parts that are
    made of these.

    @ivar nodes: C{None} if there are no other nodes.
    """

    settings: RecordSettings
    clock: IReactorTime
    nodes: RecordNodes | None
    permission: IPermission
    denials: Denials
    subscriptions: SubscriptionRegistry
    listeners: ListenerRegistry
    tiers: TieredStore
    queue: RecordQueue
    reconciliation: Reconciliation
    replicas: Replicas
    conflicts: HeldConflicts
    news: RecordNews
    refusals: RecordRefusals
    large_values: LargeValues
    early_writes: EarlyWrites
