"""
Writing records: the order of the steps, and the fast paths.

::

    load --> decide the write, and the writes behind it (L{dstwist.services.record.decide})
     ^   --> one commit of the last state  --> in order: the news of each new state, the answer to each writer
     |           |
     +-----------+  another node was faster (L{dstwist.services.record.attempts})

A write is decided in its turn, on the record as it is then. The writes that are queued while the stores are busy are
committed together, in a I{batch}. So a slow storage limits the number of batches, and not the number of writes. No
client is told of a state before the stores have it.

If another node has written the record since it was loaded, the commit is refused, and all writes of the batch are
decided again on the record of that node, permission included.

If a commit fails, the accepted writes of the batch fail, the refusals that followed from them are decided again, and
the record is reconciled (L{dstwist.services.record.reconcile}), unless the commit had no effect.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.freeing import LARGE_WEIGHT
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH
from dstwist.protocol.message import UNREAD, Message
from dstwist.record import NO_RECORD, Change, Record
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.services.record.attempts import Attempts
from dstwist.services.record.commits import Commit
from dstwist.services.record.decide import Batch, Outcome, WriteDecisions
from dstwist.services.record.failures import RecordError
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.refusals import SendConflict, SendRefusal
from dstwist.services.record.sizes import RecordSizes
from dstwist.services.record.store import RecordStore

_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH


class RecordWriter:
    """
    Serves the writes.
    """

    def __init__(
        self,
        store: RecordStore,
        parts: RecordParts,
        decisions: WriteDecisions,
        sizes: RecordSizes,
    ) -> None:
        excluded = parts.settings.storage_exclusion_prefixes
        queue, news, refusals = parts.queue, parts.news, parts.refusals
        self._peek = store.peek
        self._known = store.known
        self._unresolved = store.unresolved
        # Whether there can be writes for the fast path.
        self._is_fast = store.is_instant and (store.has_callbacks or not store.has_storage or bool(excluded))
        self._begin = store.begin if store.has_callbacks else None
        self._excluded = excluded
        self._hold = queue.hold
        self._release = queue.release
        self._on_commit = self._committed
        self._store = store
        self._reconciliation = parts.reconciliation
        self._keep = store.keep
        self._is_final = store.is_final
        self._queue = queue
        self._busy = queue.busy
        self._allows = parts.permission.allows
        self._publish = news.written
        self._found = news.found
        self._refusals = refusals
        self._decisions = decisions
        self._decide = decisions.decide
        self._predecessors = refusals.predecessors
        self._is_subscribed = refusals.is_subscribed
        self._newcomers = parts.early_writes.newcomers
        self._newcomer_writes = parts.early_writes.written
        self._make = sizes.make
        self._limits = sizes.limits
        self._free = parts.large_values.free
        self._turns = Turns.of(parts.clock)

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
        if sender in self._newcomers:
            self._newcomer_writes(name, sender)
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
                            self._begin(commit, state.version, (change,))
                            return
                        if self._keep(name, outcome):
                            self._publish(name, message, sender, outcome, change)
                            if (state.weight or 0) > LARGE_WEIGHT:
                                self._free(change.replaced())
                            return
                    elif self._is_final(name) and (
                        not isinstance(outcome, SendConflict) or self._is_subscribed(name, sender)
                    ):
                        outcome()
                        return
        self._queue.start(self._serve(name, message, sender, decision), self.write, name, message, sender)

    def _committed(self, commit: Commit, error: RecordError | None, found: Record | None) -> None:
        """
        The commit of a write on the fast path has ended, or another node was faster and C{found} is the record.
        """
        message, change = commit.message, commit.change
        if error is not None or found is not None:
            outcomes: list[Outcome] = [(message, commit.sender, commit.record, change)]
            batch = Batch(change.old, commit.record, outcomes, [], False)
            work = (
                self._commit_failed(commit.name, batch, error)
                if error is not None
                else self._serve_refused(batch, commit, found)  # type: ignore[arg-type]  # one of them is not None
            )
            self._queue.go_on(commit, self.write, work)
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
        await self._decide_and_commit(name, message, sender, loaded or NO_RECORD, decision, None)

    async def _serve_refused(self, batch: Batch, commit: Commit, found: Record) -> None:
        """
        Go on with a write on the fast path that the arbiter has refused.

        @param found: the record, as of L{ISharedStore.replace<dstwist.interfaces.ISharedStore.replace>}.
        """
        attempts = self._store.attempts()
        if await self._decides_again(commit.name, batch, found, attempts):
            await self._decide_and_commit(commit.name, commit.message, commit.sender, found, None, attempts)

    async def _decide_and_commit(
        self,
        name: str,
        message: Message,
        sender: IRequester,
        first: Record,
        decision: bool | Deferred[bool] | None,
        attempts: Attempts | None,
    ) -> None:
        """
        Serve a write, and those behind it, on the record C{first}. If its data are C{None}, there is none.

        @param decision: as of L{_serve}.
        @param attempts: the attempts of the write so far, if it was refused.
        """
        while True:
            removed = -1
            if first.data is None:
                # If the store remembers a removed record, the versions go on from there.
                first, removed = NO_RECORD, first.version
            batch = await self._decisions.batch(self.write, name, first, message, sender, decision, removed)
            changes = batch.changes
            before = None if first is NO_RECORD else first
            try:
                if changes:
                    found = await self._store.commit(name, before, batch.last, () if before is None else changes)
                else:
                    found = await self._store.confirm(name, before)
            except RecordError as error:
                if changes:
                    await self._commit_failed(name, batch, error)
                else:
                    for message, sender, _, _ in batch.outcomes:
                        self._not_written(name, message, sender, error)
                break
            if found is None:
                await self._publish_outcomes(name, batch.outcomes)
                if batch.long:
                    # The values of this batch that are not large are freed when it ends, which takes some time as well.
                    await self._turns.next()
                self._free_unused(batch.outcomes)
                return
            attempts = attempts or self._store.attempts()
            if not await self._decides_again(name, batch, found, attempts):
                break
            first, decision = found, None
            self._free_long(batch)
            del batch
        self._free_long(batch)

    async def _decides_again(self, name: str, batch: Batch, found: Record, attempts: Attempts) -> bool:
        """
        The arbiter has refused a batch, because another node was faster. Wait for the next attempt, if there is one.

        @param found: the record of that node. If its data are C{None}, there is none.
        """
        # The news of the other node may come later than those of the writes that follow.
        if found.data is not None or batch.first is not NO_RECORD:
            record = None if found.data is None else found
            comparison = self._store.comparison(name)
            if comparison is not None and comparison.is_sign(record, batch.first.version):
                await comparison.found_lower(name, record)
            else:
                self._found(name, record)
        if await attempts.another():
            self._queue.requeue(name, batch.taken)
            return True
        # The accepted writes fail. The refused ones are decided again, because the record has changed since.
        error = self._store.outpaced(name, RecordAction.RECORD_UPDATE_ERROR)
        again = []
        for place, (message, sender, outcome, _) in enumerate(batch.outcomes):
            if place and not isinstance(outcome, Record):
                again.append(batch.taken[place - 1])
            else:
                self._refusals.failed(
                    name, message, sender, found if found.data is not None else NO_RECORD, error.detail
                )
        self._queue.requeue(name, again)
        return False

    def _free_long(self, batch: Batch) -> None:
        """
        Free the values of long writes of a batch that has no effect.
        """
        if batch.long:
            unused: list[Any] = []
            for _, _, outcome, change in batch.outcomes:
                if not isinstance(outcome, Record):
                    unused += change.release()
                elif change.is_long:
                    # The store may still have the change, so it is not released.
                    unused += [*(value for _, value in change.changes), outcome.content]
            self._free(unused)

    def _free_unused(self, outcomes: list[Outcome]) -> None:
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

    async def _publish_outcomes(self, name: str, outcomes: list[Outcome]) -> None:
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

    # -- failures of the stores

    def _not_written(self, name: str, message: Message, sender: IRequester, error: RecordError) -> None:
        unresolved = self._reconciliation.add_writer(name, sender)
        self._refusals.unreadable(name, message, sender, error, unresolved)

    async def _commit_failed(self, name: str, batch: Batch, error: RecordError) -> None:
        """
        The commit of a batch failed.
        """
        again = []
        first = batch.first
        had_no_effect = name not in self._unresolved
        self._reconciliation.assume(name, None if first is NO_RECORD else first)
        for place, (message, sender, outcome, change) in enumerate(batch.outcomes):
            if isinstance(outcome, Record) and had_no_effect:
                self._refusals.failed(name, message, sender, first, error.detail)
            elif isinstance(outcome, Record):
                self._refusals.commit_failed(name, message, sender, error.detail)
                self._reconciliation.add_writer(name, sender)
            elif change.old is first and self._is_final(name):
                outcome()
            elif not place:
                self._not_written(name, message, sender, error)
            else:
                again.append(batch.taken[place - 1])
        self._queue.requeue(name, again)
        await self._reconciliation.try_to_reconcile(name)
