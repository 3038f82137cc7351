"""
The RECORD topic: stored documents that stay in step with the copies of their subscribers.

A record has a name, a version and data: an object or array. It is created with version 0 and C{{}}, and every write
makes the next version (C{services.md} section 4). Each write is sent to all other subscribers on every node.

============================  ===================  ====================================================================
from client                   fields               answer
============================  ===================  ====================================================================
SUBSCRIBECREATEANDREAD        names                v4+: ack; for each: READ_RESPONSE (v2/v3: its ack right before)
SUBSCRIBEANDREAD              names                ack; for each: READ_RESPONSE, version -1 if it does not exist
SUBSCRIBEANDHEAD              names                HEAD_RESPONSE_BULK with the versions that are known at once; ack;
                                                   HEAD_RESPONSE for each other name
SUBSCRIBE, UNSUBSCRIBE        names                ack
READ                          name                 READ_RESPONSE, RECORD_NOT_FOUND
HEAD, HAS                     name                 HEAD_RESPONSE, HAS_RESPONSE; version -1, or false, if it does not
                                                   exist
UPDATE, PATCH, ERASE, ...     name, version, ...   see L{dstwist.services.record.decide}
DELETE                        name                 DELETE_SUCCESS, and DELETED to all others; ends all subscriptions
NOTIFY                        names                ack, when each was read anew and sent to its subscribers
LISTEN, ...                   name                 see L{dstwist.routing.listeners}
============================  ===================  ====================================================================

The requests for one record are served one after the other (L{dstwist.services.record.queue}). So no client reads a
write that is half done, and the requests of one client are answered in their order. The errors are in
L{dstwist.services.record.answers}.

Messages arrive here decoded and well formed. The permission of those in C{authorizes_itself} is decided in this
package, together with the data of the record.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.cluster.figures import ArbiterFigures
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IPermission, IRequester, IWriteService
from dstwist.limits.budgets import Budget
from dstwist.permission.denials import Denials
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.large_values import LargeValues
from dstwist.services.record.acks import Acknowledgements
from dstwist.services.record.comparison import Comparison
from dstwist.services.record.decide import WriteDecisions
from dstwist.services.record.delete import RecordDeleter
from dstwist.services.record.early_writes import EarlyWrites
from dstwist.services.record.failures import RecordError
from dstwist.services.record.fast_writes import FastWrites
from dstwist.services.record.held_conflicts import HeldConflicts
from dstwist.services.record.held_discards import HeldDiscards
from dstwist.services.record.news import RecordNews
from dstwist.services.record.nodes import RecordNodes
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.passed_on import PassedOn, Versions
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.read import RecordReader
from dstwist.services.record.reconcile import Reconciliation
from dstwist.services.record.refusals import RecordRefusals
from dstwist.services.record.replicas import Replicas
from dstwist.services.record.sizes import RecordSizes
from dstwist.services.record.store import RecordStore
from dstwist.services.record.sweep import CacheSweep, can_be_swept
from dstwist.services.record.updates import RecordUpdates
from dstwist.services.record.write import RecordWriter
from dstwist.services.record.write_permission import UPSERTS, WritePermission
from dstwist.store.tiers import TieredStore

_RECORD = Topic.RECORD

_WRITES = frozenset(
    (
        RecordAction.UPDATE,
        RecordAction.PATCH,
        RecordAction.ERASE,
        RecordAction.PATCH_MULTI,
        RecordAction.CREATEANDUPDATE,
        RecordAction.CREATEANDPATCH,
    )
)

_READS = frozenset(
    (
        RecordAction.READ,
        RecordAction.HEAD,
        RecordAction.HAS,
        RecordAction.SUBSCRIBE,
        RecordAction.SUBSCRIBEANDHEAD,
        RecordAction.SUBSCRIBEANDREAD,
        RecordAction.SUBSCRIBECREATEANDREAD,
    )
)


class RecordLoad(NamedTuple):
    """
    How much a record service has to do.

    @ivar busy: records of which a request is being served.
    @ivar unanswered: writes that the storage has not answered, or the cache if there is no storage.
    @ivar unresolved: records whose last write is unresolved.
    """

    busy: int
    unanswered: int
    unresolved: int


@implementer(IWriteService)
class RecordService:
    """
    Serves the requests of the topic.

    @param cluster: C{None} if there are no other nodes.
    @param tiers: the cache and the storage of the records.
    @param pending: limits the bytes of the queued requests of all clients.
    """

    authorizes_itself: frozenset[IntEnum] = _WRITES | _READS | {RecordAction.DELETE}

    def __init__(
        self,
        subscriptions: SubscriptionRegistry,
        listeners: ListenerRegistry,
        cluster: ClusterNode | None,
        permission: IPermission,
        tiers: TieredStore,
        settings: RecordSettings,
        clock: IReactorTime,
        pending: Budget | None = None,
        denials: Denials | None = None,
    ) -> None:
        denials = denials if denials is not None else Denials(permission)
        large_values = LargeValues(clock)
        sizes = RecordSizes(settings.max_size, settings.max_array_gap)
        replaceable = tiers.replaceable()

        queue = RecordQueue(settings, self._queue_full, clock, pending)
        nodes: RecordNodes | None = None
        passed_on: Versions | None = None
        if cluster is not None:
            tiers.share()
            # The parts of which this one is told the callbacks are made of it.
            passed_on = nodes = RecordNodes(
                cluster,
                subscriptions,
                queue,
                clock,
                load=lambda name: store.load(name),
                heads=tiers.heads,
                pass_on=lambda message: news.received(message),
                deleted=lambda name, version: updates.deleted(name, version),
                forget=lambda name: store.forget(name),
                wait_for_provider=listeners.wait_for_provider,
            )
        elif replaceable:
            passed_on = PassedOn(subscriptions)
        # Reconciliation and replicas call the updates, which are made of them.
        reconciliation = Reconciliation(tiers, queue, clock, lambda *outcome: updates.resolved(*outcome))
        store = RecordStore(tiers, reconciliation, queue, settings, clock, nodes, large_values.free)

        replicas = Replicas(settings, clock, lambda *copy: updates.remind(*copy))
        acks = Acknowledgements(subscriptions, replicas, clock)
        discards = HeldDiscards(clock)
        early_writes = EarlyWrites(subscriptions.is_subscribed, clock)
        conflicts = HeldConflicts(subscriptions, listeners, replicas, queue, store.load, clock)
        news = RecordNews(subscriptions, replicas, acks, conflicts, nodes, passed_on)
        refusals = RecordRefusals(subscriptions, replicas, acks, conflicts, denials)

        parts = RecordParts(
            settings=settings,
            clock=clock,
            nodes=nodes,
            permission=permission,
            denials=denials,
            subscriptions=subscriptions,
            listeners=listeners,
            tiers=tiers,
            queue=queue,
            reconciliation=reconciliation,
            replicas=replicas,
            conflicts=conflicts,
            news=news,
            refusals=refusals,
            large_values=large_values,
            early_writes=early_writes,
        )
        reader = RecordReader(store, parts, discards, passed_on)
        decisions = WriteDecisions(parts, WritePermission(parts), sizes)
        writer = RecordWriter(store, parts, decisions)
        fast_writes = FastWrites(writer, store, parts, decisions, sizes)
        deleter = RecordDeleter(store, parts)
        updates = RecordUpdates(store, parts)
        if passed_on is not None:
            # In a cluster, such a cache is not read.
            sweep = CacheSweep(parts) if nodes is None and can_be_swept(tiers) else None
            for arbiter in replaceable:
                comparison = Comparison(arbiter, parts, passed_on, sweep)
                store.comparisons[arbiter.tier] = comparison
                arbiter.on_reconnected(comparison.reconnected)
        subscriptions.on_revoke(self._on_revoke)

        if cluster is not None:
            cluster.figures.arbiter = self._count_writes
        self._tiers = tiers
        self._subscriptions = subscriptions
        self._queue = queue
        self._nodes = nodes
        self._reconciliation = reconciliation
        self._store = store
        self._replicas = replicas
        self._acks = acks
        self._discards = discards
        self._early_writes = early_writes
        self._conflicts = conflicts
        self._refusals = refusals
        self._reader = reader
        self._deleter = deleter
        self._actions: dict[IntEnum, Callable[[Message, IRequester], None]] = {
            **reader.actions,
            **dict.fromkeys(_WRITES, fast_writes.handle),
            **dict.fromkeys(UPSERTS, fast_writes.handle_upsert),
            RecordAction.DELETE: deleter.handle,
            RecordAction.NOTIFY: updates.notify,
            RecordAction.LISTEN: listeners.handle,
            RecordAction.UNLISTEN: listeners.handle,
            RecordAction.LISTEN_ACCEPT: listeners.handle,
            RecordAction.LISTEN_REJECT: listeners.handle,
        }

    def handle(self, message: Message, sender: IRequester) -> None:
        # No default: the codecs let through only what a client may send.
        self._actions[message.action](message, sender)

    def logged_in(self, connection: IRequester) -> None:
        """
        C{connection} has logged in. Its writes to records that it has not subscribed to yet may need attention.
        """
        self._early_writes.came(connection)

    def logged_out(self, connection: IRequester) -> None:
        """
        C{connection}, which had logged in, has ended.
        """
        self._early_writes.left(connection)

    def malformed(self, message: Message, sender: IRequester) -> None:
        name = message.name
        if name is not None and message.action in _WRITES:
            self._refusals.malformed(name, message, sender, RecordAction.INVALID_MESSAGE_DATA.name)

    def _count_writes(self) -> ArbiterFigures:
        refusals, unresolved = self._store.refusals, self._reconciliation
        return ArbiterFigures(refusals.refusals, refusals.most, len(unresolved), unresolved.added, self._tiers.fences)

    def load(self) -> RecordLoad:
        """
        How much there is to do at this moment.
        """
        return RecordLoad(len(self._queue.busy), self._store.unanswered, len(self._reconciliation))

    def stop(self) -> Deferred[None]:
        """
        Fires when all requests are served. From now on the stores are not asked again about unresolved records. To
        cancel the Deferred gives the requests up.
        """
        self._reconciliation.stop()
        if self._nodes is not None:
            self._nodes.stop()
        for comparison in self._store.comparisons.values():
            comparison.stop()
        self._conflicts.stop()
        self._replicas.stop()
        self._discards.stop()
        self._early_writes.stop()
        return self._queue.drained().addBoth(self._stopped)

    def _stopped(self, result: Any) -> Any:
        self._store.stop()
        self._acks.stop()
        return result

    def _queue_full(self, name: str, message: Message, sender: IRequester) -> None:
        """
        The queue of a record is full, so a request is refused.
        """
        reason = f"too many requests are waiting for {name}"
        if message.action in _WRITES:
            self._refusals.queue_full(name, message, sender, reason)
        elif message.action is RecordAction.DELETE:
            self._deleter.not_deleted(name, message, sender, RecordError(RecordAction.RECORD_DELETE_ERROR, reason))
        else:
            self._reader.not_loaded(name, message, sender, RecordError(RecordAction.RECORD_LOAD_ERROR, reason))

    def _on_revoke(self, name: str, connection: IRequester) -> None:
        """
        C{connection} may not see the record any more. Its callbacks get the outcome of its writes before it is told so.
        """
        self._conflicts.revoked(name, connection)
        self._acks.revoked(name, connection)
