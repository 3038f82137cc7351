"""
The cache and the storage as one store.

======  =============================================================================================================
load    from the cache; if the cache does not have the record, from the storage, and the cache is given what is found
commit  to the storage, and after its answer to the cache
delete  from the storage, and after its answer from the cache
======  =============================================================================================================

In this order no client reads a state that a crash could take back. Records whose names have a prefix of
C{storageExclusionPrefixes} are only in the cache; so are all records if there is no storage.

A write that fails leaves the record unresolved: L{dstwist.services.record.reconcile}. An unresolved record is
reconciled before it is loaded.

Nearly all requests that reach the storage are writes. So if the storage writes without Deferreds (L{ICallbackStore}),
L{RecordStore.begin} makes none, and one timer watches the time of all writes.

If a load fails, all requests that are queued for the record fail with the same error, without another load.

Always true: of one record at most one operation is under way, since all methods are called by steps of
L{RecordQueue<dstwist.services.record.queue.RecordQueue>}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import ANY_VERSION, Change, ICallbackStore, IInstantStore, IRequester, Record
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.message import Message
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.record.failures import RecordError, complain, read_failed, write_failed
from dstwist.services.record.queue import NONE_SERVED, Held, RecordQueue
from dstwist.services.record.reconcile import Reconciliation
from dstwist.store.tiers import CACHE_TIER, STORAGE_TIER, TieredStore, TierError, record_writer, within

#: With more unresolved records, all writes are refused.
MAX_UNRESOLVED_RECORDS = 100000


class Commit(Held):
    """
    One write to the stores. If it is the write of one request, it is the queue of its record as well: each object more
    for each write that is under way costs time.

    @ivar change: the change that led to C{record}.
    @ivar done: called with this object when the write has ended, and with the L{RecordError} if it failed.
    """

    __slots__ = ("change", "done", "record")

    def __init__(
        self,
        name: str,
        message: Message,
        sender: IRequester,
        record: Record,
        change: Change,
        done: Callable[[Any, RecordError | None], None],
    ) -> None:
        # The fields of L{Held} are set here, because another call would take a fifth of the time of this one.
        self.name = name
        self.message = message
        self.sender = sender
        self.served = NONE_SERVED
        self.waiting = None
        self.failure = None
        self.failing = 0
        self.record = record
        self.change = change
        self.done = done


class _AwaitedCommit:
    """
    One write to the stores that a coroutine waits for.

    @ivar ended: fires when the write has ended, with the L{RecordError} if it failed.
    """

    __slots__ = ("ended", "name", "record")

    def __init__(self, name: str, record: Record) -> None:
        self.name = name
        self.record = record
        self.ended: Deferred[None] = Deferred()

    def done(self, commit: object, error: RecordError | None) -> None:
        if error is None:
            self.ended.callback(None)
        else:
            self.ended.errback(error)


class RecordStore:
    """
    Loads, writes and deletes records, for the steps of their queues. It reads through L{TieredStore}.

    @ivar known: the record, if the cache has it and needs no time to answer. For records that are not unresolved.
    @ivar unresolved: the names of the records whose last write is unresolved.
    @ivar keep: writes a record that is only in the cache, if the cache needs no time for that. Returns whether it did;
        if not, use L{commit}.
    @ivar has_storage: whether there is a storage.
    @ivar is_instant: whether the cache is one that L{known} and L{keep} can use.
    @ivar has_callbacks: whether the storage has callbacks, so that L{begin} can be used.
    """

    def __init__(
        self,
        tiers: TieredStore,
        reconciliation: Reconciliation,
        queue: RecordQueue,
        settings: RecordSettings,
        clock: IReactorTime,
    ) -> None:
        cache, storage = tiers.cache, tiers.storage
        instant = IInstantStore(cache, None)
        self.known: Callable[[str], Record | None] = _not_known if instant is None else instant.known
        self.unresolved = tiers.unresolved
        self._keep: Callable[[str, Record], bool] = _not_kept if instant is None else instant.keep
        self.keep = self._keep if storage is None else self._keep_excluded
        self.is_instant = instant is not None
        self.has_storage = storage is not None
        self._tiers = tiers
        self._reconciliation = reconciliation
        self._cache = cache
        self._storage = storage
        self._is_stored = tiers.is_stored
        self._write_cache = record_writer(cache)
        self._write_storage = record_writer(cache if storage is None else storage)
        self._queue = queue
        self._excluded = settings.storage_exclusion_prefixes
        self._write_timeout = settings.write_timeout
        self._clock = clock
        callbacks = None if storage is None else ICallbackStore(storage, None)
        self.has_callbacks = callbacks is not None
        self._submit = None if callbacks is None else callbacks.submit
        # The writes that the storage has not answered.
        self._commits: Deadlines[Commit | _AwaitedCommit] = Deadlines(settings.write_timeout, clock, self._late)
        self._on_answer = self._answered

    def peek(self, name: str) -> Record | None:
        """
        The record, if the cache has it, needs no time to answer, and can be trusted. C{None} says nothing about the
        record: L{load} it.
        """
        return None if name in self.unresolved else self.known(name)

    def _keep_excluded(self, name: str, record: Record) -> bool:
        return name.startswith(self._excluded) and self._keep(name, record)

    def stop(self) -> None:
        """
        Nothing is under way any more, and nothing follows.
        """
        self._commits.stop()

    async def load(self, name: str) -> Record | None:
        """
        The record; C{None} if there is none.

        @raise RecordError: RECORD_LOAD_ERROR, CACHE_RETRIEVAL_TIMEOUT or STORAGE_RETRIEVAL_TIMEOUT.
        """
        failure = self._queue.failure(name)
        if isinstance(failure, RecordError):
            raise RecordError(failure.action, failure.detail)
        if name in self.unresolved:
            return await self._reconciliation.reconcile(name)
        try:
            return await self._tiers.read(name, self._promote)
        except TierError as error:
            problem = read_failed(name, error)
            self._queue.failed(name, problem)
            raise problem from error

    async def commit(self, name: str, record: Record) -> None:
        """
        Write a record.

        @raise RecordError: RECORD_UPDATE_ERROR; the record is unresolved now.
        """
        is_stored = self._is_stored(name)
        if is_stored and self._submit is not None:
            commit = _AwaitedCommit(name, record)
            self.begin(commit)
            await commit.ended
            return
        self._check_room(RecordAction.RECORD_UPDATE_ERROR)
        if is_stored:
            await self._write(name, STORAGE_TIER, self._write_storage(name, record), RecordAction.RECORD_UPDATE_ERROR)
        if not self._keep(name, record):
            await self._write_to_cache(name, record)

    async def delete(self, name: str) -> None:
        """
        Delete a record.

        @raise RecordError: RECORD_DELETE_ERROR; the record is unresolved now.
        """
        self._check_room(RecordAction.RECORD_DELETE_ERROR)
        if self._is_stored(name):
            assert self._storage is not None
            await self._write(name, STORAGE_TIER, self._storage.delete(name), RecordAction.RECORD_DELETE_ERROR)
        await self._write(name, CACHE_TIER, self._cache.delete(name), RecordAction.RECORD_DELETE_ERROR)

    def begin(self, commit: Commit | _AwaitedCommit) -> None:
        """
        Write a record to the storage, which must have callbacks, and to the cache. Then call C{commit.done}: in a later
        turn, or before this method returns. If there is an error, the record is unresolved.
        """
        assert self._submit is not None
        # This is a set, which is nearly always empty.
        if self.unresolved:
            try:
                self._check_room(RecordAction.RECORD_UPDATE_ERROR)
            except RecordError as error:
                commit.done(commit, error)
                return
        self._commits.add(commit)
        try:
            self._submit(commit.name, ANY_VERSION, commit.record, (), self._on_answer, commit)
        except Exception as problem:
            self._answered(commit, problem)

    def _answered(self, commit: Commit | _AwaitedCommit, error: Exception | None, found: Record | None = None) -> None:
        """
        The storage has written the record, or has failed.
        """
        if not self._commits.remove(commit):
            return  # Its time was up.
        if error is not None:
            self._failed(commit, error)
        elif self._keep(commit.name, commit.record):
            commit.done(commit, None)
        else:
            Deferred.fromCoroutine(self._write_to_cache(commit.name, commit.record)).addCallbacks(
                lambda _: commit.done(commit, None), lambda failure: commit.done(commit, failure.value)
            )

    def _late(self, commit: Commit | _AwaitedCommit) -> None:
        self._failed(commit, self._write_timeout)

    def _failed(self, commit: Commit | _AwaitedCommit, reason: Exception | float) -> None:
        problem = write_failed(commit.name, RecordAction.RECORD_UPDATE_ERROR, STORAGE_TIER, reason)
        self._reconciliation.add(commit.name)
        commit.done(commit, problem)

    async def _write_to_cache(self, name: str, record: Record) -> None:
        await self._write(name, CACHE_TIER, self._write_cache(name, record), RecordAction.RECORD_UPDATE_ERROR)

    def _promote(self, name: str, record: Record) -> None:
        """
        Give the cache a record that only the storage had. This is not waited for: the cache executes whatever it is
        asked next after it.
        """
        self._write_cache(name, record).addErrback(self._not_promoted, name)

    def _not_promoted(self, failure: Failure, name: str) -> None:
        complain(RecordAction.RECORD_LOAD_ERROR, name, CACHE_TIER, failure.value)

    def _check_room(self, action: RecordAction) -> None:
        if len(self._reconciliation) >= MAX_UNRESOLVED_RECORDS:
            raise RecordError(action, "too many records are waiting for the stores to recover")

    async def _write(self, name: str, tier: str, answer: Deferred[None], action: RecordAction) -> None:
        reason: Exception | float
        try:
            await within(answer, self._write_timeout, self._clock)
            return
        except TimeoutError:
            reason = self._write_timeout
        except Exception as error:
            reason = error
        problem = write_failed(name, action, tier, reason)
        self._reconciliation.add(name)
        raise problem from (reason if isinstance(reason, Exception) else None)


def _not_known(name: str) -> Record | None:
    return None


def _not_kept(name: str, record: Record) -> bool:
    return False
