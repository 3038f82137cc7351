"""
Writing records: the order of the steps, which decides which of several writers wins.

::

    load --> for each queued write: permitted?  valid?  the next version?  --> a new state, or a refusal
         --> one commit of the last state  --> in order: the news of each new state, the answer to each writer

A write is decided in its turn, on the record as it is then: permission, version and data are all checked with one
L{Change<dstwist.record.Change>}. The writes that are queued while the stores are busy are decided one after the other
and committed together, in a I{batch}. So a slow storage limits the number of batches, and not the number of writes. A
batch is limited in time and in bytes; the writes behind it form the next batch. No client is told of a state before the
stores have it.

===================================  ===================================================================================
version of the write                 outcome
===================================  ===================================================================================
-1                                   the next version
the current one and one              that version
the current one or less              VERSION_EXISTS
more                                 INVALID_VERSION
of a deleted predecessor             VERSION_EXISTS: see L{dstwist.services.record.replicas}
===================================  ===================================================================================

Writes that create a record (CREATEANDUPDATE, CREATEANDPATCH, and acknowledged writes of v4+ clients) find version 0 and
C{{}} if the record does not exist. All other writes fail then.

If a commit fails, the accepted writes of the batch fail, the refusals that followed from them are decided again, and
the record is reconciled (L{dstwist.services.record.reconcile}).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IPermission, IRequester
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.freeing import LARGE_WEIGHT
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, NoRoom
from dstwist.protocol.message import UNREAD, Message
from dstwist.record import NO_RECORD, Change, Record
from dstwist.scheduling.large_values import LargeValues
from dstwist.scheduling.time_slices import STEP_TIME, TurnPause
from dstwist.scheduling.turns import TIME_SLICE, Turns
from dstwist.services.record.failures import RecordError
from dstwist.services.record.news import RecordNews
from dstwist.services.record.queue import RecordQueue, Request
from dstwist.services.record.reconcile import Reconciliation
from dstwist.services.record.refusals import RecordRefusals, SendConflict, SendRefusal
from dstwist.services.record.sizes import RecordSizes
from dstwist.services.record.store import Commit, RecordStore
from dstwist.services.record.write_permission import WritePermission, creates, is_plain

_RECORD = Topic.RECORD
_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH
_CREATEANDUPDATE = RecordAction.CREATEANDUPDATE

#: The limit for the weight (L{dstwist.protocol.weights}) of the states of one batch, and of the answers that contain
#: the record. All of them are in memory at the same time. Larger batches would save commits only for records whose
#: commit costs less than their writes.
MAX_BATCH_WEIGHT = 64 * 1024 * 1024

#: A write, its sender, its outcome, and the change on which it was decided.
_Outcome = tuple[Message, IRequester, Record | SendRefusal, Change]


class RecordWriter:
    """
    Serves the writes.
    """

    def __init__(
        self,
        store: RecordStore,
        reconciliation: Reconciliation,
        queue: RecordQueue,
        permission: IPermission,
        news: RecordNews,
        refusals: RecordRefusals,
        write_permission: WritePermission,
        sizes: RecordSizes,
        large_values: LargeValues,
        settings: RecordSettings,
        clock: IReactorTime,
    ) -> None:
        self._peek = store.peek
        self._known = store.known
        self._unresolved = store.unresolved
        # Whether there can be writes for the fast path.
        self._is_fast = store.is_instant and (
            store.has_callbacks or not store.has_storage or bool(settings.storage_exclusion_prefixes)
        )
        self._begin = store.begin if store.has_callbacks else None
        self._excluded = settings.storage_exclusion_prefixes
        self._hold = queue.hold
        self._release = queue.release
        self._on_commit = self._committed
        self._store = store
        self._reconciliation = reconciliation
        self._keep = store.keep
        self._queue = queue
        self._busy = queue.busy
        self._allows = permission.allows
        self._publish = news.written
        self._refusals = refusals
        self._write_permission = write_permission
        self._predecessors = refusals.predecessors
        self._may_target_predecessor = refusals.may_target_predecessor
        self._is_subscribed = refusals.is_subscribed
        self._hot_path_prefixes = settings.storage_hot_path_prefixes
        self._make = sizes.make
        self._limits = sizes.limits
        self._free = large_values.free
        self._turns = Turns.of(clock)
        # Acquired while a long write is read.
        self._long_writes = DeferredLock()

    def handle(self, message: Message, sender: IRequester) -> None:
        """
        Serve a write in its turn.

        The fast path is for a write that waits for nothing but a storage with callbacks: the record is not busy, the
        cache answers at once, and the permission is decided at once. Such a write needs no coroutine, which would
        nearly double its time. L{_serve} serves all other writes. If the permission has been asked, L{_serve} gets its
        decision.

        The order of the decisions is the same in both: permission, version and data, permission to see the record of a
        conflict. C{tests.services.record.test_write.SameOutcomeTests} serves the same writes by both.
        """
        name: str = message.name  # type: ignore[assignment]  # codecs let no write through without it
        if name in self._busy:
            self._refusals.queued(name, message, sender)
            self._queue.submit(self.write, name, message, sender)
            return
        decision: bool | Deferred[bool] | None = None
        action = message.action
        if (
            self._is_fast
            and (action is _PATCH or action is _UPDATE)  # is_plain(message); the call takes 1 % longer
            and message.data is not None
            and (message.value is not UNREAD or len(message.data) < READ_IN_PARTS_LENGTH)
        ):
            state = self._known(name)
            if state is not None and name not in self._unresolved:
                change = Change(state, message, self._limits)
                decision = self._allows(message, sender, change)
                if decision is True:
                    outcome: Record | SendRefusal | None = None
                    version = state.version + 1
                    if message.version == version and name not in self._predecessors:
                        # Nearly all writes. L{_decide} would make the same record, but the call takes 4 % longer. It
                        # also handles the error.
                        try:
                            outcome = self._make(version, change)
                        except ValueError:
                            pass
                    if outcome is None:
                        outcome = self._decide(name, message, sender, change)
                    if isinstance(outcome, Record):
                        if self._begin is not None and not name.startswith(self._excluded):
                            commit = Commit(name, message, sender, outcome, change, self._on_commit)
                            self._hold(commit)
                            self._begin(commit)
                            return
                        if self._keep(name, outcome):
                            self._publish(name, message, sender, outcome, change)
                            if (state.weight or 0) > LARGE_WEIGHT:
                                self._free(change.replaced())
                            return
                    elif not isinstance(outcome, SendConflict) or self._is_subscribed(name, sender):
                        outcome()
                        return
        self._queue.start(self._serve(name, message, sender, decision), self.write, name, message, sender)

    def _committed(self, commit: Commit, error: RecordError | None) -> None:
        """
        The commit of a write on the fast path has ended.
        """
        message, change = commit.message, commit.change
        if error is not None:
            outcomes: list[_Outcome] = [(message, commit.sender, commit.record, change)]
            self._queue.go_on(commit, self.write, self._commit_failed(commit.name, change.old, outcomes, [], error))
            return
        try:
            self._publish(commit.name, message, commit.sender, commit.record, change)
        except Exception:
            self._queue.broke(commit)
        else:
            self._release(commit)

    async def write(self, name: str, message: Message, sender: IRequester) -> None:
        """
        Serve a write, and the writes that are queued right behind it, as one batch.
        """
        await self._serve(name, message, sender, None)

    async def _serve(
        self,
        name: str,
        message: Message,
        sender: IRequester,
        decision: bool | Deferred[bool] | None,
    ) -> None:
        """
        @param decision: the decision about the first write; C{None}: the permission was not asked yet.
        """
        loaded = self._peek(name)
        if loaded is None:
            try:
                loaded = await self._store.load(name)
            except RecordError as error:
                # The writes behind this one fail with the same error.
                self._not_written(name, message, sender, error)
                return
        state = first = loaded or NO_RECORD
        outcomes: list[_Outcome] = []
        taken: list[Request] = []
        room = MAX_BATCH_WEIGHT
        long = False
        now = self._turns.now
        deadline = now() + TIME_SLICE
        while True:
            change = Change(state, message, self._limits)
            if change.is_long:
                long = True
                await self._compute(change)
            outcome: Record | SendRefusal | None
            if is_plain(message) and not (state is NO_RECORD and creates(message, sender)):
                if decision is None:
                    decision = self._allows(message, sender, change)
                outcome = (
                    None
                    if decision is True
                    else await self._write_permission.check_decision(name, message, sender, change, decision)
                )
                decision = None
            else:
                outcome = await self._write_permission.check_effect(name, message, sender, change)
            if outcome is None:
                outcome = self._decide(name, message, sender, change)
                if isinstance(outcome, SendConflict) and not await self._write_permission.may_see(name, sender, change):
                    outcome = partial(self._refusals.outdated, name, message, sender)
            outcomes.append((message, sender, outcome, change))
            if isinstance(outcome, Record):
                state = outcome
            room -= state.weigh()
            if room < 0 or now() > deadline:
                break
            following = self._queue.take_following(name, self.write)
            if following is None:
                break
            taken.append(following)
            message, sender = following.message, following.sender
        if state is not first:
            try:
                await self._store.commit(name, state)
            except RecordError as error:
                await self._commit_failed(name, first, outcomes, taken, error)
                if long:
                    self._free([value for *_, change in outcomes for value in change.release()])
                return
        await self._publish_outcomes(name, outcomes)
        if long:
            # The values of this batch that are not large are freed when it ends, which takes some time as well.
            await self._turns.next()
        self._free_unused(outcomes)

    def _free_unused(self, outcomes: list[_Outcome]) -> None:
        """
        Free the large values that no record needs after a batch.
        """
        unused: list[Any] = []
        for _, _, outcome, change in outcomes:
            if not isinstance(outcome, Record):
                if change.is_long:
                    unused += change.release()
            elif (change.old.weight or 0) > LARGE_WEIGHT:
                unused += change.replaced()
        if unused:
            self._free(unused)

    async def _compute(self, change: Change) -> None:
        """
        Read a long write, and compute its effect, in slices; one at a time of all records, since values take much more
        memory than their texts.
        """
        async with self._long_writes:
            pause = TurnPause(self._turns)
            for _ in change.computing():
                if pause.due():
                    await pause.wait()
            if pause.due(STEP_TIME):
                # To measure the new record is one step, and a long one.
                await pause.wait()

    async def _publish_outcomes(self, name: str, outcomes: list[_Outcome]) -> None:
        """
        Tell what came of a batch. The record's queue stands still meanwhile, so this may take several turns: to send a
        large record to many subscribers takes longer than to write it.
        """
        pause = TurnPause(self._turns)
        for place, (message, sender, outcome, change) in enumerate(outcomes):
            if place and pause.due():
                await pause.wait()
            if isinstance(outcome, Record):
                self._publish(name, message, sender, outcome, change)
            else:
                outcome()

    # -- decision

    def _decide(self, name: str, message: Message, sender: IRequester, change: Change) -> Record | SendRefusal:
        """
        The new state that a permitted write makes, or its refusal.
        """
        state = change.old
        current = state.version
        wanted: int = message.version  # type: ignore[assignment]  # codecs let no write through without it
        refusals = self._refusals
        if message.is_write_ack and refusals.has_no_callback(name, message, sender):
            message = replace(message, is_write_ack=None)
        try:
            if state is NO_RECORD:
                if not creates(message, sender):
                    change.data  # noqa: B018  # raises if the write is invalid
                    reason = f"Received update for non-existant record {name}"
                    return partial(refusals.failed, name, message, sender, state, reason)
                current = 0
            elif wanted == current + 1 and not (
                name in self._predecessors and self._may_target_predecessor(name, message, sender)
            ):
                return self._make(wanted, change)
            if (
                wanted == -1
                or (state is NO_RECORD and wanted == 1)
                or (message.action is _CREATEANDUPDATE and name.startswith(self._hot_path_prefixes))
            ):
                return self._make(current + 1, change)
            change.data  # noqa: B018
        except NoRoom as problem:
            return partial(refusals.failed, name, message, sender, state, str(problem))
        except ValueError as problem:
            return partial(refusals.invalid, name, message, sender, state, str(problem))
        if wanted > current + 1 and not sender.dialect.merges_versions_ahead:
            return partial(refusals.ahead, name, message, sender, state)
        return SendConflict(refusals.conflict, name, message, sender, state)

    # -- failures of the stores

    def _not_written(self, name: str, message: Message, sender: IRequester, error: RecordError) -> None:
        unresolved = self._reconciliation.add_writer(name, sender)
        self._refusals.unreadable(name, message, sender, error, unresolved)

    async def _commit_failed(
        self, name: str, first: Record, outcomes: list[_Outcome], taken: list[Request], error: RecordError
    ) -> None:
        """
        The commit of a batch failed.

        @param first: the record before the batch.
        @param taken: the requests of all writes but the first.
        """
        again = []
        self._reconciliation.assume(name, None if first is NO_RECORD else first)
        for place, (message, sender, outcome, change) in enumerate(outcomes):
            if isinstance(outcome, Record):
                self._refusals.commit_failed(name, message, sender, error.detail)
                self._reconciliation.add_writer(name, sender)
            elif change.old is first:
                outcome()
            else:
                again.append(taken[place - 1])
        self._queue.requeue(name, again)
        await self._reconciliation.try_to_reconcile(name)
