"""
Where records are: in the cache, and behind it in the storage.

======  =============================================================================================================
load    the cache; if it has nothing, the storage, and what is found there goes into the cache
commit  the storage, and when that has it, the cache
delete  likewise
======  =============================================================================================================

So nobody ever reads what a crash could take back. Names with a prefix of C{storageExclusionPrefixes} are in the cache
alone, as all are if there is no storage.

A store that fails, or does not answer in time, may have done what it was asked, or do it later. From then on the record
is *doubtful*: the storage (else the cache) is asked what is true, the cache is made to agree, and C{told} is called
with it. Before that is done the record is not loaded; if it cannot be done it is tried again after a while. Since a
store takes the operations on one name in order, what it answers then is not changed by what was asked before.

If that is what everybody knew before, only those are told whose writes failed meanwhile: all others are in step, and
may have sent the next version already, which they would take back.

Of one name no two operations are under way at the same time: all is called from steps of L{RecordQueue}. Who stood in
line when a record could not be read is not made to wait for it once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError, StoreFull
from dstwist.interfaces import IConnection, IInstantStore, Record
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RecordAction
from dstwist.services.record.queue import RecordQueue
from dstwist.store.tiers import CACHE, TieredStore, TierError, record_writer, within

#: How long a doubtful record waits for the next try, in seconds: the first and the longest time.
RETRY_FIRST = 1.0
RETRY_MOST = 60.0

#: With more doubtful records, nothing is written any more.
MAX_DOUBTS = 100000


class RecordError(StoreError):
    """
    A store could not do what a client wants.

    @ivar action: what the client is told: a code of the RECORD topic.
    """

    def __init__(self, action: RecordAction, detail: str) -> None:
        super().__init__(detail)
        self.action = action
        self.detail = detail


@dataclass(eq=False, slots=True)
class _Doubt:
    """
    Nobody knows what is true of a record.

    @ivar wait: how long until the next try.
    @ivar known: what everybody knew before, once that was said.
    @ivar astray: whose writes failed.
    """

    wait: float = 0.0
    timer: IDelayedCall | None = None
    known: Record | None | bool = False
    astray: dict[IConnection, None] = field(default_factory=dict)


class RecordStore:
    """
    Cache and storage as one.

    @ivar keep: keeps a record that is kept in the cache alone, if that takes no time. Whether it is done: L{commit} is
        for all others.
    @ivar keeps_at_once: whether there can be any such record.
    @ivar known: the record, if that is in the cache and takes no time: only records that are not in doubt count.
    @ivar doubts: the doubtful records; to be looked at only.
    @ivar told: called with a name, what is true of it, and who is to hear that (C{None}: everybody), once a doubt is
        resolved.
    @ivar retry: called with the name of a doubtful record when it is time to L{settle} it.
    """

    _log = Logger()

    def __init__(
        self,
        tiers: TieredStore,
        queue: RecordQueue,
        settings: RecordSettings,
        clock: IReactorTime,
    ) -> None:
        self.told: Callable[[str, Record | None, list[IConnection] | None], None] = lambda name, record, astray: None
        self.retry: Callable[[str], None] = lambda name: None
        cache, storage = tiers.cache, tiers.storage
        instant = IInstantStore(cache, None)
        self.known: Callable[[str], Record | None] = _nothing if instant is None else instant.known
        self._keep: Callable[[str, Record], bool] = _not_at_once if instant is None else instant.keep
        self.keep = self._keep if storage is None else self._keep_excluded
        self.keeps_at_once = instant is not None and (storage is None or bool(settings.storage_exclusion_prefixes))
        self._tiers = tiers
        self._cache = cache
        self._storage = storage
        self._kept = tiers.is_stored
        self._write_cache = record_writer(cache)
        self._write_storage = record_writer(cache if storage is None else storage)
        self._queue = queue
        self._excluded = settings.storage_exclusion_prefixes
        self._write_timeout = settings.write_timeout
        self._clock = clock
        self.doubts: dict[str, _Doubt] = {}
        self._stopped = False

    def stop(self) -> None:
        """
        Try nothing again.
        """
        self._stopped = True
        for doubt in self.doubts.values():
            if doubt.timer is not None and doubt.timer.active():
                doubt.timer.cancel()

    def peek(self, name: str) -> Record | None:
        """
        The record, if that is in the cache, takes no time, and is not in doubt. C{None} says nothing: L{load} it.
        """
        return None if name in self.doubts else self.known(name)

    def _keep_excluded(self, name: str, record: Record) -> bool:
        return name.startswith(self._excluded) and self._keep(name, record)

    async def load(self, name: str) -> Record | None:
        """
        The record; C{None} if there is none.

        @raise RecordError: RECORD_LOAD_ERROR, CACHE_RETRIEVAL_TIMEOUT or STORAGE_RETRIEVAL_TIMEOUT.
        """
        failure = self._queue.failure(name)
        if isinstance(failure, RecordError):
            raise RecordError(failure.action, failure.detail)
        if name in self.doubts:
            return await self.settle(name)
        try:
            return await self._tiers.read(name, self._promote)
        except TierError as error:
            problem = self._not_read(error, name)
            self._queue.failed(name, problem)
            raise problem from error

    async def commit(self, name: str, record: Record) -> None:
        """
        Keep a record.

        @raise RecordError: RECORD_UPDATE_ERROR; the record is doubtful now.
        """
        self._check_doubts(RecordAction.RECORD_UPDATE_ERROR)
        if self._kept(name):
            assert self._storage is not None
            await self._write(name, "storage", self._write_storage(name, record), RecordAction.RECORD_UPDATE_ERROR)
        if not self._keep(name, record):
            done = self._write_cache(name, record)
            await self._write(name, "cache", done, RecordAction.RECORD_UPDATE_ERROR)

    async def delete(self, name: str) -> None:
        """
        Forget a record.

        @raise RecordError: RECORD_DELETE_ERROR; the record is doubtful now.
        """
        self._check_doubts(RecordAction.RECORD_DELETE_ERROR)
        if self._kept(name):
            assert self._storage is not None
            await self._write(name, "storage", self._storage.delete(name), RecordAction.RECORD_DELETE_ERROR)
        await self._write(name, "cache", self._cache.delete(name), RecordAction.RECORD_DELETE_ERROR)

    async def refresh(self, name: str) -> Record | None:
        """
        The record as it is where it is kept for good, whatever the cache has; afterwards the cache has the same.

        @raise RecordError: as L{load} does; the record is doubtful now.
        """
        return await self._agree(name)

    async def settle(self, name: str) -> Record | None:
        """
        Resolve the doubt about a record.

        @raise RecordError: as L{load} does; it stays doubtful.
        """
        doubt = self.doubts.get(name)
        record = await self._agree(name)
        in_step = doubt is not None and doubt.known == record
        self.told(name, record, list(doubt.astray) if doubt is not None and in_step else None)
        return record

    def knew(self, name: str, known: Record | None) -> None:
        """
        Before a record became doubtful, everybody knew that it held C{known}.
        """
        doubt = self.doubts.get(name)
        if doubt is not None and doubt.known is False:
            doubt.known = known

    def went_astray(self, name: str, connection: IConnection) -> bool:
        """
        A write of C{connection} failed. Returns whether the record is in doubt; if so, the client is sent the record
        once the stores answer.
        """
        doubt = self.doubts.get(name)
        if doubt is None:
            return False
        doubt.astray[connection] = None
        return True

    async def try_to_settle(self, name: str) -> None:
        """
        L{settle}; if that fails, it is tried again later.
        """
        try:
            await self.settle(name)
        except RecordError:
            pass  # logged, and those in line know

    def _promote(self, name: str, record: Record) -> None:
        # Not waited for: whatever is asked of the cache next comes after it.
        self._write_cache(name, record).addErrback(self._not_promoted, name)

    async def _agree(self, name: str) -> Record | None:
        try:
            record = await self._tiers.refresh(name)
        except TierError as error:
            problem = self._not_read(error, name)
            self._doubt(name)
            self._queue.failed(name, problem)
            raise problem from error
        self._tiers.unresolved.discard(name)
        doubt = self.doubts.pop(name, None)
        if doubt is not None and doubt.timer is not None and doubt.timer.active():
            doubt.timer.cancel()
        return record

    def _check_doubts(self, code: RecordAction) -> None:
        if len(self.doubts) >= MAX_DOUBTS:
            raise RecordError(code, "too many records are waiting for the stores to recover")

    def _doubt(self, name: str) -> None:
        doubt = self.doubts.get(name)
        if doubt is None:
            doubt = self.doubts[name] = _Doubt()
            self._tiers.unresolved.add(name)
        if doubt.timer is None or not doubt.timer.active():
            doubt.wait = min(doubt.wait * 2, RETRY_MOST) or RETRY_FIRST
            doubt.timer = None if self._stopped else self._clock.callLater(doubt.wait, self._try_again, name)

    def _try_again(self, name: str) -> None:
        self.retry(name)

    def _not_read(self, error: TierError, name: str) -> RecordError:
        """
        Log C{error}; return what the client is told.
        """
        tier = error.tier
        if not isinstance(error.reason, Exception):
            late = RecordAction.CACHE_RETRIEVAL_TIMEOUT if tier == CACHE else RecordAction.STORAGE_RETRIEVAL_TIMEOUT
            self._complain(late, name, tier, f"no answer within {error.reason:g} s")
            return RecordError(late, name)
        self._complain(RecordAction.RECORD_LOAD_ERROR, name, tier, error.reason)
        # What exactly is wrong with a store is none of a client's business.
        return RecordError(RecordAction.RECORD_LOAD_ERROR, f"error while loading {name} from {tier}")

    async def _write(self, name: str, where: str, answer: Deferred[None], code: RecordAction) -> None:
        try:
            await within(answer, self._write_timeout, self._clock)
        except TimeoutError:
            self._complain(code, name, where, f"no answer within {self._write_timeout:g} s")
            self._doubt(name)
            raise RecordError(code, f"{where} timeout") from None
        except Exception as error:
            self._complain(code, name, where, error)
            self._doubt(name)
            problem = "is full" if isinstance(error, StoreFull) else "error"
            raise RecordError(code, f"{where} {problem}") from error

    def _not_promoted(self, failure: Any, name: str) -> None:
        self._complain(RecordAction.RECORD_LOAD_ERROR, name, "cache", failure.value)

    def _complain(self, code: RecordAction, name: str, where: str, problem: object) -> None:
        if isinstance(problem, Exception) and not isinstance(problem, StoreError):
            # Not what a store says that cannot: a mistake in it.
            self._log.failure("the {where} broke", Failure(problem), where=where)
        self._log.error(
            "{event} | {where}, record {name}: {problem}",
            where=where,
            name=shown(name),
            problem=problem,
            event=code.name,
        )


def _nothing(name: str) -> Record | None:
    return None


def _not_at_once(name: str, record: Record) -> bool:
    return False
