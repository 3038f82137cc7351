"""
Reading records from two tiers: a cache in front of a storage.

==========================================  ==========================================================================
a record                                    is read from
==========================================  ==========================================================================
whose last write is known to have ended     the cache; if the cache does not have it, the storage
whose last write is unresolved              the arbiter: a failed or late write may have left an old value in the
                                            cache
that is stored, while the cache is          the storage: the cache may have gone back, or the storage; or other nodes
bypassed                                    write to the storage, and the cache does not know it
==========================================  ==========================================================================

The I{arbiter} of a record is the tier that decides which of several writers is the first: the storage, or the cache for
records that are not stored (names with a prefix of C{storageExclusionPrefixes}, and all records if there is no
storage).

Always true: reading changes neither tier. The caller decides whether a record from the storage goes into the cache.
Only the steps of the record's queue (L{dstwist.services.record.queue}) may do that, because any other caller could
overwrite a newer write.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.counters.histogram import Histogram
from dstwist.errors import StoreError
from dstwist.interfaces import IInstantStore, IReplaceableStore, ISharedStore, IStore, Record
from dstwist.scheduling.clocks import steady_time
from dstwist.store.sole_writer import record_writer, shared
from dstwist.store.tombstones import Tombstones

CACHE_TIER = "cache"
STORAGE_TIER = "storage"


class TierError(StoreError):
    """
    A tier failed, or did not answer in time.

    @ivar tier: L{CACHE_TIER} or L{STORAGE_TIER}.
    @ivar reason: the exception of the tier, or the time in seconds within which it did not answer.
    """

    def __init__(self, tier: str, reason: Exception | float) -> None:
        late = not isinstance(reason, Exception)
        super().__init__(f"no answer from the {tier} within {reason:g} s" if late else str(reason))
        self.tier = tier
        self.reason = reason


class ReplaceableArbiter(NamedTuple):
    """
    An arbiter that may go back.

    @ivar on_reconnected: as of L{IReplaceableStore}.
    """

    tier: str
    store: ISharedStore
    on_reconnected: Callable[[Callable[[str | None], object]], object]


class TieredStore:
    """
    Reads the records of one node from the cache and the storage, for all parts that need them.
    L{dstwist.services.record.store.RecordStore} writes them.

    @ivar unresolved: the names of the records whose last write is unresolved: it failed or was late, and may or may not
        have taken effect. The record service (L{dstwist.services.record.reconcile}) marks these records.
    @ivar write_cache: gives the cache a record that the storage has, in the turn of the record.
    @ivar reads: by tier, how long the operations took that read, as far as they were waited for.
    @ivar writes: by tier, how long the writes took. L{dstwist.services.record.store.RecordStore} counts them.
    @ivar seconds: the time in seconds, for durations.
    @ivar fences: how often the outcome of unresolved writes was fixed, so that a record could be read.
    @param storage: C{None} if records are only in the cache.
    """

    def __init__(self, cache: IStore, storage: IStore | None, settings: RecordSettings, clock: IReactorTime) -> None:
        self.cache = cache
        self.storage = storage
        self.fences = 0
        self.reads = {CACHE_TIER: Histogram(), STORAGE_TIER: Histogram()}
        self.writes = {CACHE_TIER: Histogram(), STORAGE_TIER: Histogram()}
        self.seconds = steady_time(clock)
        self._unresolved: set[str] = set()
        self._bypassed = False
        self._is_shared = False
        self._fills_cache = True
        self.unresolved: Container[str] = self._unresolved
        self.write_cache = record_writer(cache)
        self._shared_cache = shared(cache, Tombstones(settings, clock.seconds))
        self._shared_storage = None if storage is None else shared(storage, Tombstones(settings, clock.seconds))
        self._clock = clock
        self._timeouts = {
            CACHE_TIER: settings.cache_retrieval_timeout,
            STORAGE_TIER: settings.storage_retrieval_timeout,
        }
        self._excluded = settings.storage_exclusion_prefixes

    def is_stored(self, name: str) -> bool:
        """
        Whether the storage is the arbiter of a record.
        """
        return self.storage is not None and not name.startswith(self._excluded)

    def arbiter(self, name: str) -> tuple[ISharedStore, str]:
        """
        The arbiter of a record, and its tier.
        """
        storage = self._shared_storage
        if storage is None or name.startswith(self._excluded):
            return self._shared_cache, CACHE_TIER
        return storage, STORAGE_TIER

    def replaceable(self) -> list[ReplaceableArbiter]:
        """
        The arbiters that may go back.
        """
        found = []
        for tier, store, arbiter in (
            (STORAGE_TIER, self.storage, self._shared_storage),
            (CACHE_TIER, self.cache, self._shared_cache),
        ):
            replaceable = None if store is None else IReplaceableStore(store, None)
            if replaceable is not None and arbiter is not None:
                found.append(ReplaceableArbiter(tier, arbiter, replaceable.on_reconnected))
        return found

    def bypass_cache(self, bypassed: bool) -> None:
        """
        Whether stored records are read from the storage only.
        """
        self._bypassed = bypassed or self._is_shared

    def share(self) -> None:
        """
        Other nodes write to the arbiters. A cache in front of the storage does not know their writes, so it is bypassed
        for ever. If it is in a server, nodes could leave records in it that are older than those of the storage, which
        a single node would read later. So it is not filled either: what is in it is deleted with the next write.
        """
        self._is_shared = self._bypassed = True
        if not IInstantStore.providedBy(self.cache):
            self.write_cache = self._clear_cache
            self._fills_cache = False

    def _clear_cache(self, name: str, record: Record) -> Deferred[None]:
        return self.cache.delete(name)

    def mark_unresolved(self, name: str) -> None:
        """
        The outcome of the last write of a record is unknown. From now on the record is read from its arbiter.
        """
        self._unresolved.add(name)

    def mark_resolved(self, name: str) -> None:
        """
        The outcome is known, and the cache agrees with the arbiter.
        """
        self._unresolved.discard(name)

    def load(self, name: str) -> Deferred[Record | None]:
        """
        The record as it is kept at this moment, for callers outside the record's queue; C{None} if there is none.
        Writes under way are not waited for: permission rules of two records that refer to each other would wait for
        ever.

        Fails with L{TierError} if a tier fails, or does not answer in time.
        """
        if name in self._unresolved or (self._bypassed and self.is_stored(name)):
            return Deferred.fromCoroutine(self.read_arbiter(name))
        asked = self.cache.get(name)
        if asked.called and isinstance(asked.result, Record):
            return asked
        return Deferred.fromCoroutine(self._read(name, asked, None))

    async def read(self, name: str, on_stored: Callable[[str, Record], object]) -> Record | None:
        """
        The record from the cache, else from the storage; C{None} if there is none. For records whose last write has
        ended.

        @param on_stored: called with the record if it comes from the storage.
        @raise TierError: a tier failed, or did not answer in time.
        """
        if self._bypassed and self.is_stored(name):
            record = await self.read_arbiter(name)
            if record is not None and self._fills_cache:
                on_stored(name, record)
            return record
        return await self._read(name, self.cache.get(name), on_stored)

    async def read_arbiter(self, name: str) -> Record | None:
        """
        The record as its arbiter has it; C{None} if there is none.

        @raise TierError: the arbiter failed, or did not answer in time.
        """
        arbiter, tier = self.arbiter(name)
        record: Record | None = await self._answer(tier, arbiter.get(name))
        return record

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        """
        The versions that the arbiters of these records have; -1 if there is no record. A record whose version cannot be
        read is left out.

        Fails with L{TierError} if an arbiter fails, or does not answer in time.
        """
        return Deferred.fromCoroutine(self._read_heads(names))

    async def _read_heads(self, names: Iterable[str]) -> dict[str, int]:
        by_tier: dict[str, tuple[ISharedStore, list[str]]] = {}
        for name in names:
            arbiter, tier = self.arbiter(name)
            by_tier.setdefault(tier, (arbiter, []))[1].append(name)
        versions: dict[str, int] = {}
        for tier, (arbiter, asked) in by_tier.items():
            versions.update(await self._answer(tier, arbiter.heads(asked)))
        return versions

    async def refresh(self, name: str) -> Record | None:
        """
        L{read_arbiter}, and make the cache agree. Only for the steps of the record's queue. If the last write of the
        record is unresolved, it cannot take effect afterwards any more.

        @raise TierError: a tier failed, or did not answer in time.
        """
        if name in self._unresolved:
            self.fences += 1
            await self._answer(CACHE_TIER, self._shared_cache.fence())
            arbiter, tier = self.arbiter(name)
            if tier == STORAGE_TIER:
                await self._answer(tier, arbiter.fence())
        record = await self.read_arbiter(name)
        if self.is_stored(name):
            await self._answer(
                CACHE_TIER, self.cache.delete(name) if record is None else self.write_cache(name, record)
            )
        return record

    async def _read(
        self, name: str, asked: Deferred[Record | None], on_stored: Callable[[str, Record], object] | None
    ) -> Record | None:
        record: Record | None = await self._answer(CACHE_TIER, asked)
        if record is None and self.is_stored(name):
            assert self.storage is not None
            record = await self._answer(STORAGE_TIER, self.storage.get(name))
            if record is not None and on_stored is not None:
                on_stored(name, record)
        return record

    async def _answer(self, tier: str, answer: Deferred[Any]) -> Any:
        timeout = self._timeouts[tier]
        # A cache in memory answers at once.
        begin = None if answer.called else self.seconds()
        try:
            return await within(answer, timeout, self._clock)
        except TimeoutError:
            raise TierError(tier, timeout) from None
        except Exception as error:
            raise TierError(tier, error) from error
        finally:
            if begin is not None:
                self.reads[tier].observe(self.seconds() - begin)


def within(answer: Deferred[Any], timeout: float, clock: IReactorTime) -> Deferred[Any]:
    """
    C{answer}, which fails with L{TimeoutError} after C{timeout} seconds. An answer that is there already costs no
    timer.
    """
    return answer if answer.called else answer.addTimeout(timeout, clock)
