"""
Writing records: the order of the steps. L{dstwist.services.record.fast_writes} serves nearly all writes in a shorter
way.

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

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.freeing import LARGE_WEIGHT
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Record
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.services.record.attempts import Attempts
from dstwist.services.record.commits import Commit
from dstwist.services.record.decide import Batch, Outcome, WriteDecisions
from dstwist.services.record.failures import RecordError
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.store import RecordStore
from dstwist.services.record.write_permission import Decided


class RecordWriter:
    """
    Serves the writes.
    """

    def __init__(
        self,
        store: RecordStore,
        parts: RecordParts,
        decisions: WriteDecisions,
    ) -> None:
        news, refusals = parts.news, parts.refusals
        self._peek = store.peek
        self._unresolved = store.unresolved
        self._store = store
        self._reconciliation = parts.reconciliation
        self._is_final = store.is_final
        self._queue = parts.queue
        self._publish = news.written
        self._found = news.found
        self._refusals = refusals
        self._decisions = decisions
        self._free = parts.large_values.free
        self._turns = Turns.of(parts.clock)

    async def write(self, name: str, message: Message, sender: IRequester) -> None:
        """
        Serve a write, and the writes that are queued right behind it, as one batch.
        """
        await self.serve(name, message, sender, ())

    async def serve(
        self,
        name: str,
        message: Message,
        sender: IRequester,
        decided: Decided,
    ) -> None:
        """
        Serve a write as L{write} does.

        @param decided: the decisions about the first write that the permission was asked for already.
        """
        loaded = self._peek(name)
        if loaded is None:
            try:
                loaded = await self._store.load(name)
            except RecordError as error:
                # The writes behind this one fail with the same error.
                self._not_written(name, message, sender, error)
                return
        await self._decide_and_commit(name, message, sender, loaded or NO_RECORD, decided, None)

    async def serve_refused(self, batch: Batch, commit: Commit, found: Record) -> None:
        """
        Go on with a write on the fast path that the arbiter has refused.

        @param found: the record, as of L{ISharedStore.replace<dstwist.interfaces.ISharedStore.replace>}.
        """
        attempts = self._store.attempts()
        if await self._decides_again(commit.name, batch, found, attempts):
            await self._decide_and_commit(commit.name, commit.message, commit.sender, found, (), attempts)

    async def _decide_and_commit(
        self,
        name: str,
        message: Message,
        sender: IRequester,
        first: Record,
        decided: Decided,
        attempts: Attempts | None,
    ) -> None:
        """
        Serve a write, and those behind it, on the record C{first}. If its data are C{None}, there is none.

        @param decided: as of L{serve}.
        @param attempts: the attempts of the write so far, if it was refused.
        """
        while True:
            removed = -1
            if first.data is None:
                # If the store remembers a removed record, the versions go on from there.
                first, removed = NO_RECORD, first.version
            batch = await self._decisions.batch(self.write, name, first, message, sender, decided, removed)
            changes = batch.changes
            before = None if first is NO_RECORD else first
            try:
                if changes:
                    found = await self._store.commit(name, before, batch.last, () if before is None else changes)
                else:
                    found = await self._store.confirm(name, before)
            except RecordError as error:
                if changes:
                    await self.commit_failed(name, batch, error)
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
            first, decided = found, ()
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

    async def commit_failed(self, name: str, batch: Batch, error: RecordError) -> None:
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
