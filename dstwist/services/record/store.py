"""
The cache and the storage as one store.

======  =============================================================================================================
load    from the cache; if the cache does not have the record, from the storage, and the cache is given what is found
commit  to the arbiter (L{dstwist.store.tiers}), and after its answer to the cache, if that is another store
delete  from the arbiter, and after its answer from the cache
======  =============================================================================================================

In this order no client reads a state that a crash could take back. Records whose names have a prefix of
C{storageExclusionPrefixes} are only in the cache; so are all records if there is no storage.

A commit or a deletion names the record on which it was decided. If another writer was faster, the arbiter has another
version and refuses: nothing was written, the cache is given the record that is there, and the caller decides again. In
a cluster, the cache of a node may be outdated, so a refusal is confirmed by the arbiter as well.

A write that fails leaves the record unresolved: L{dstwist.services.record.reconcile}. An unresolved record is
reconciled before it is loaded. One failure leaves no doubt: if the arbiter has not executed the write
(L{StoreRefusal}), the record is what it was. It is not unresolved then, and that is how the callers know.

Nearly all requests that reach the storage are writes. So if the storage writes without Deferreds (L{ICallbackStore}),
L{RecordStore.begin} makes none, and one timer watches the time of all writes.

If the only store is in a server of its own, a write is decided on a guess (L{dstwist.services.record.guesses}).

If a load fails, all requests that are queued for the record fail with the same error, without another load.

Always true: of one record at most one operation is under way, since all methods are called by steps of
L{RecordQueue<dstwist.services.record.queue.RecordQueue>}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreRefusal
from dstwist.interfaces import (
    Change,
    ICallbackStore,
    IInstantStore,
    IKnowingStore,
    ISharedStore,
    Record,
)
from dstwist.protocol.constants import RecordAction
from dstwist.record import NO_RECORD
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.record.attempts import Attempts, RefusalCounts
from dstwist.services.record.commits import AwaitedCommit, Commit
from dstwist.services.record.comparison import Comparison
from dstwist.services.record.failures import RecordError, complain, outpaced, read_failed, write_failed
from dstwist.services.record.guesses import Guesses
from dstwist.services.record.nodes import RecordNodes
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.reconcile import Reconciliation
from dstwist.store.tiers import CACHE_TIER, STORAGE_TIER, TieredStore, TierError, within


class RecordStore:
    """
    Loads, writes and deletes records, for the steps of their queues. It reads through L{TieredStore}.

    @ivar known: the record on which a write is decided without a wait: from a cache that needs no time to answer, or a
        guess. For records that are not unresolved.
    @ivar unresolved: the names of the records whose last write is unresolved.
    @ivar keep: writes a record that is only in the cache, if the cache needs no time for that. Returns whether it did;
        if not, use L{commit}.
    @ivar lacks: whether a write may make version 1 of a record by L{keep} without a look at the stores: the record is
        only in the cache, and the cache has neither the record nor a tombstone of it.
    @ivar has_storage: whether there is a storage.
    @ivar is_instant: whether L{known} may have records.
    @ivar has_callbacks: whether the store behind L{begin} has callbacks, so that it can be used.
    @ivar refusals: how many writes another writer was faster than.
    @ivar comparisons: by tier, the comparisons of the arbiters that may go back.
    @param nodes: C{None} if no other node writes to the stores.
    @param free: frees the data of a large guess (L{dstwist.scheduling.large_values}).
    """

    def __init__(
        self,
        tiers: TieredStore,
        reconciliation: Reconciliation,
        queue: RecordQueue,
        settings: RecordSettings,
        clock: IReactorTime,
        nodes: RecordNodes | None = None,
        free: Callable[[list[Any]], object] | None = None,
    ) -> None:
        cache, storage = tiers.cache, tiers.storage
        instant: IInstantStore | None = IInstantStore(cache, None)
        self.known: Callable[[str], Record | None] = _not_known if instant is None else instant.known
        self.unresolved = tiers.unresolved
        self._keep: Callable[[str, Record], bool] = _not_kept if instant is None else instant.keep
        self.keep = self._keep if storage is None else self._keep_excluded
        self._lacks: Callable[[str], bool] = _not_lacking
        # Other nodes are told what a load finds. A cache without an arbiter of its own has its tombstones elsewhere.
        if nodes is None and IKnowingStore.providedBy(cache) and ISharedStore.providedBy(cache):
            self._lacks = IKnowingStore(cache).lacks
        self.lacks = self._lacks if storage is None else self._lacks_excluded
        self.is_instant = instant is not None
        self.has_storage = storage is not None
        self._tiers = tiers
        self._reconciliation = reconciliation
        self._cache = cache
        self._arbiter = tiers.arbiter
        self._write_cache = tiers.write_cache
        self._alone = nodes is None
        self._seen = None if nodes is None else nodes.seen
        self._queue = queue
        self._excluded = settings.storage_exclusion_prefixes
        self._write_timeout = settings.write_timeout
        self._clock = clock
        callbacks: ICallbackStore | None = ICallbackStore(cache if storage is None else storage, None)
        self.has_callbacks = callbacks is not None
        self._submit = None if callbacks is None else callbacks.submit
        self._submit_tier = CACHE_TIER if storage is None else STORAGE_TIER
        self._guesses: Guesses | None = None
        if storage is None and instant is None and callbacks is not None and ISharedStore.providedBy(cache):
            self._guesses = guesses = Guesses(cache, settings.max_guess_bytes, clock, free)
            self.known = guesses.known
            self.is_instant = True
        # The writes that the storage has not answered.
        self._commits: Deadlines[Commit | AwaitedCommit] = Deadlines(settings.write_timeout, clock, self._late)
        self._on_answer = self._answered
        self._times = tiers.writes
        self._seconds = tiers.seconds
        # One of the writes that the storage has not answered, whose time is measured, and when it began. To measure all
        # of them would take too long.
        self._measured: Commit | AwaitedCommit | None = None
        self._measured_since = 0.0
        self.comparisons: dict[str, Comparison] = {}
        self.refusals = RefusalCounts()

    def peek(self, name: str) -> Record | None:
        """
        The record on which a write is decided without a wait. C{None} says nothing about the record: L{load} it.
        """
        return None if name in self.unresolved else self.known(name)

    def is_final(self, name: str) -> bool:
        """
        Whether L{known} is right about the record, so that a refusal need not be confirmed: L{confirm}.
        """
        return self._guesses is None and (self._alone or self._arbiter(name)[1] == CACHE_TIER)

    def _keep_excluded(self, name: str, record: Record) -> bool:
        return name.startswith(self._excluded) and self._keep(name, record)

    def _lacks_excluded(self, name: str) -> bool:
        return name.startswith(self._excluded) and self._lacks(name)

    def comparison(self, name: str) -> Comparison | None:
        """
        The comparison of the arbiter of a record; C{None} if that arbiter does not go back.
        """
        return self.comparisons.get(self._arbiter(name)[1]) if self.comparisons else None

    @property
    def unanswered(self) -> int:
        """
        How many writes of L{begin} have no answer.
        """
        return len(self._commits)

    def stop(self) -> None:
        """
        Nothing is under way any more, and nothing follows.
        """
        self._commits.stop()

    async def load(self, name: str, tells: bool = True) -> Record | None:
        """
        The record; C{None} if there is none.

        @param tells: whether the subscribers on this node are told if they have another version.
        @raise RecordError: RECORD_LOAD_ERROR, CACHE_RETRIEVAL_TIMEOUT or STORAGE_RETRIEVAL_TIMEOUT.
        """
        failure = self._queue.failure(name)
        if isinstance(failure, RecordError):
            raise RecordError(failure.action, failure.detail)
        if name in self.unresolved:
            return await self._reconciliation.reconcile(name)
        try:
            record = await self._tiers.read(name, self._promote)
        except TierError as error:
            problem = read_failed(name, error)
            self._queue.failed(name, problem)
            raise problem from error
        if self._guesses is not None:
            self._guesses.learn(name, record)
        comparison = self.comparison(name)
        if comparison is not None:
            await comparison.check(name, record)
        if tells and self._seen is not None:
            self._seen(name, record)
        return record

    def forget(self, name: str) -> None:
        """
        Forget the copy of a record that this node has beside the arbiter: it may be wrong.
        """
        if self._guesses is not None:
            self._guesses.learn(name, None)
        elif self._tiers.is_stored(name) and self.is_instant:
            self._cache.delete(name)

    async def commit(
        self, name: str, before: Record | None, record: Record, changes: Sequence[Change] = ()
    ) -> Record | None:
        """
        Write C{record} in place of C{before}.

        @param before: the record on which the write was decided; C{None}: there was none.
        @param changes: the changes that lead from C{before} to C{record}.
        @return: C{None} if the record is written. Otherwise another writer was faster: the record that is there
            instead; L{NO_RECORD} if there is none.
        @raise RecordError: RECORD_UPDATE_ERROR; unless the write had no effect, the record is unresolved now.
        """
        action = RecordAction.RECORD_UPDATE_ERROR
        expected = None if before is None else before.version
        arbiter, tier = self._arbiter(name)
        if tier == self._submit_tier and self._submit is not None:
            commit = AwaitedCommit(name, record)
            self.begin(commit, expected, changes)
            return await commit.ended
        self._check_room(action)
        if tier == CACHE_TIER:
            known = self.known(name)
            if known is not None and known.version == expected and self._keep(name, record):
                return None
        found: Record | None = await self._write(name, tier, arbiter.replace(name, expected, record, changes), action)
        if tier == STORAGE_TIER:
            await self._fill_cache(name, record if found is None else found, action)
        return found

    async def confirm(self, name: str, before: Record | None) -> Record | None:
        """
        For a request that is refused: make sure that the record on which this was decided is not outdated.

        @return: as of L{commit}.
        @raise RecordError: as of L{load}.
        """
        if self.is_final(name):
            return None
        try:
            found = await self._tiers.read_arbiter(name) or NO_RECORD
        except TierError as error:
            raise read_failed(name, error) from error
        if found.version == (before or NO_RECORD).version:
            return None
        if self._guesses is not None:
            self._guesses.learn(name, found)
        else:
            await self._fill_cache(name, found, RecordAction.RECORD_UPDATE_ERROR)
        return found

    async def delete(self, name: str, before: Record | None) -> Record | None:
        """
        Delete a record.

        @param before: the record on which the deletion was decided; C{None}: there was none.
        @return: as of L{commit}.
        @raise RecordError: RECORD_DELETE_ERROR; unless the deletion had no effect, the record is unresolved now.
        """
        action = RecordAction.RECORD_DELETE_ERROR
        self._check_room(action)
        arbiter, tier = self._arbiter(name)
        removal = arbiter.remove(name, None if before is None else before.version)
        found: Record | None = await self._write(name, tier, removal, action)
        if tier == STORAGE_TIER:
            await self._fill_cache(name, NO_RECORD if found is None else found, action)
        if self._guesses is not None:
            self._guesses.learn(name, found)
        return found

    def attempts(self) -> Attempts:
        """
        The attempts of a write that was refused once, because another writer was faster.
        """
        return Attempts(self._write_timeout, self._clock, self.refusals)

    def outpaced(self, name: str, action: RecordAction) -> RecordError:
        """
        Other writers were faster in each attempt, so that there are no more.

        @param action: the error for the client.
        """
        return outpaced(name, action, self._arbiter(name)[1], self._write_timeout)

    def begin(self, commit: Commit | AwaitedCommit, expected: int | None, changes: Sequence[Change]) -> None:
        """
        Write a record to the arbiter, which must have callbacks, and then to the cache if that is another store. Then
        call C{commit.done}: in a later turn, or before this method returns. If there is an error, the record is
        unresolved, unless the write had no effect.

        @param expected: the version of the record on which the write was decided; C{None}: there was none.
        @param changes: the changes that lead from that record to the new one.
        """
        assert self._submit is not None
        # This is a set, which is nearly always empty.
        if self.unresolved:
            try:
                self._check_room(RecordAction.RECORD_UPDATE_ERROR)
            except RecordError as error:
                commit.done(commit, error, None)
                return
        self._commits.add(commit)
        if self._measured is None:
            self._measured, self._measured_since = commit, self._seconds()
        try:
            self._submit(commit.name, expected, commit.record, changes, self._on_answer, commit)
        except Exception as problem:
            self._answered(commit, problem, None)

    def _answered(self, commit: Commit | AwaitedCommit, error: Exception | None, found: Record | None) -> None:
        """
        The arbiter has written the record, or has refused or failed.
        """
        if commit is self._measured:
            self._measure()
        if not self._commits.remove(commit):
            return  # Its time was up.
        if error is not None:
            self._failed(commit, error)
        elif self._guesses is not None:
            self._guesses.learn(commit.name, commit.record if found is None else found)
            commit.done(commit, None, found)
        elif found is None and self._keep(commit.name, commit.record):
            commit.done(commit, None, None)
        else:
            record = commit.record if found is None else found
            filling = self._fill_cache(commit.name, record, RecordAction.RECORD_UPDATE_ERROR)
            Deferred.fromCoroutine(filling).addCallbacks(
                lambda _: commit.done(commit, None, found), lambda failure: commit.done(commit, failure.value, None)
            )

    def _measure(self) -> None:
        """
        The write whose time is measured has an answer, or no more time.
        """
        self._measured = None
        self._times[self._submit_tier].observe(self._seconds() - self._measured_since)

    def _late(self, commit: Commit | AwaitedCommit) -> None:
        if commit is self._measured:
            self._measure()
        self._failed(commit, self._write_timeout)

    def _failed(self, commit: Commit | AwaitedCommit, reason: Exception | float) -> None:
        problem = self._write_failed(commit.name, RecordAction.RECORD_UPDATE_ERROR, self._submit_tier, reason)
        commit.done(commit, problem, None)

    async def _fill_cache(self, name: str, record: Record, action: RecordAction) -> None:
        """
        Give the cache a record that the storage has; L{NO_RECORD}: the storage has none.
        """
        if record.data is None:
            await self._write(name, CACHE_TIER, self._cache.delete(name), action)
        elif not self._keep(name, record):
            await self._write(name, CACHE_TIER, self._write_cache(name, record), action)

    def _promote(self, name: str, record: Record) -> None:
        """
        Give the cache a record that only the storage had. This is not waited for: the cache executes whatever it is
        asked next after it.
        """
        self._write_cache(name, record).addErrback(self._not_promoted, name)

    def _not_promoted(self, failure: Failure, name: str) -> None:
        complain(RecordAction.RECORD_LOAD_ERROR, name, CACHE_TIER, failure.value)

    def _check_room(self, action: RecordAction) -> None:
        if self._reconciliation.full:
            raise RecordError(action, "too many records are waiting for the stores to recover")

    async def _write(self, name: str, tier: str, answer: Deferred[Any], action: RecordAction) -> Any:
        reason: Exception | float
        begin = None if answer.called else self._seconds()
        try:
            return await within(answer, self._write_timeout, self._clock)
        except TimeoutError:
            reason = self._write_timeout
        except Exception as error:
            reason = error
        finally:
            if begin is not None:
                self._times[tier].observe(self._seconds() - begin)
        problem = self._write_failed(name, action, tier, reason)
        raise problem from (reason if isinstance(reason, Exception) else None)

    def _write_failed(self, name: str, action: RecordAction, tier: str, reason: Exception | float) -> RecordError:
        """
        A tier has failed a write or a deletion, or is late. The record is unresolved now, unless its arbiter says that
        the write had no effect. A cache that refuses what the storage has leaves it unresolved: the two differ.

        @return: the error for the client.
        """
        if not isinstance(reason, StoreRefusal) or tier != self._arbiter(name)[1]:
            self._reconciliation.add(name)
        return write_failed(name, action, tier, reason)


def _not_known(name: str) -> Record | None:
    return None


def _not_lacking(name: str) -> bool:
    return False


def _not_kept(name: str, record: Record) -> bool:
    return False
