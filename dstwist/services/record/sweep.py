"""
The sweep of a cache in another server, when the cache or the storage behind it may have gone back.

Such a cache may have records that are older than those of the storage, because the cache was restored, or newer ones,
because the storage was. So it is bypassed: reads come from the storage, and fill the cache. Meanwhile the versions of
all records in the cache are compared with those in the storage, a page at a time, and the cache is made to agree. When
that is done, the cache is read again.

A memory cache sets its records aside instead (L{dstwist.services.record.comparison}).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import deferLater

from dstwist.errors import StoreError
from dstwist.interfaces import IDoubtingCache, IEnumerableStore, ISharedStore
from dstwist.log import Logger
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.services.record.failures import RecordError
from dstwist.services.record.parts import RecordParts
from dstwist.store.sole_writer import shared
from dstwist.store.tiers import TieredStore, within

#: About how many names are compared at a time.
PAGE_NAMES = 500

#: How long a page that could not be compared waits for the next attempt, in seconds: the first and the longest time.
FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 5.0

#: The request of the server itself.
_SWEEP = Message(Topic.RECORD, RecordAction.NOTIFY)


def can_be_swept(tiers: TieredStore) -> bool:
    """
    Whether the cache is one for a sweep: it is in front of a storage, and can tell its names and versions.
    """
    cache = tiers.cache
    return (
        tiers.storage is not None
        and not IDoubtingCache.providedBy(cache)
        and IEnumerableStore.providedBy(cache)
        and ISharedStore.providedBy(cache)
    )


class CacheSweep:
    """
    Sweeps one cache.
    """

    _log = Logger()

    def __init__(self, parts: RecordParts) -> None:
        self._tiers = tiers = parts.tiers
        assert tiers.storage is not None, "can_be_swept"
        self._names = IEnumerableStore(tiers.cache).names
        self._cached = ISharedStore(tiers.cache).heads
        self._stored = shared(tiers.storage).heads
        self._queue = parts.queue
        self._reconciliation = parts.reconciliation
        self._timeout = parts.settings.storage_retrieval_timeout
        self._clock = parts.clock
        self._turns = Turns.of(parts.clock)
        # The number of the sweep under way.
        self._number = 0
        self._wait: Deferred[None] | None = None

    def begin(self) -> None:
        """
        Bypass the cache until it is swept. A sweep under way begins anew.
        """
        self.stop()
        self._tiers.bypass_cache(True)
        Deferred.fromCoroutine(self._sweep(self._number)).addErrback(
            lambda failure: self._log.failure("the sweep of the cache failed", failure)
        )

    def stop(self) -> None:
        """
        Compare no further page.
        """
        self._number += 1
        if self._wait is not None:
            self._wait.cancel()

    async def _sweep(self, number: int) -> None:
        cursor: Any = None
        wait = FIRST_RETRY_SECONDS
        compared = corrected = 0
        while number == self._number:
            try:
                page, following = await self._answer(self._names(cursor, PAGE_NAMES))
                names = [name for name in page if self._tiers.is_stored(name)]
                cached = await self._answer(self._cached(names))
                stored = await self._answer(self._stored(names))
            except (StoreError, TimeoutError):
                # One of the two is away again, and the cursor may be worth nothing when it is back.
                await self._pause(wait)
                wait, cursor, compared = min(wait * 2, MAX_RETRY_SECONDS), None, 0
                continue
            different = [name for name in names if cached.get(name, -1) != stored.get(name, -1)]
            if number == self._number:
                await self._correct(different)
            compared += len(names)
            corrected += len(different)
            wait, cursor = FIRST_RETRY_SECONDS, following
            if cursor is None and number == self._number:
                self._tiers.bypass_cache(False)
                self._log.info(
                    "STORE_GONE_BACK | the cache agrees with the storage, after {corrected} of {compared} records were "
                    "corrected",
                    compared=compared,
                    corrected=corrected,
                    event="STORE_GONE_BACK",
                )
                return

    def _answer(self, answer: Deferred[Any]) -> Deferred[Any]:
        return within(answer, self._timeout, self._clock)

    async def _pause(self, seconds: float) -> None:
        wait: Deferred[None] = deferLater(self._clock, seconds)
        self._wait = wait
        try:
            await wait
        except CancelledError:
            pass  # L{stop}

    async def _correct(self, names: list[str]) -> None:
        """
        Make the cache agree about these records. Returns when it does.
        """
        corrected: list[Deferred[None]] = []
        pause = TurnPause(self._turns)
        for name in names:
            if pause.due():
                await pause.wait()
            served: Deferred[None] = Deferred()
            corrected.append(served)
            self._queue.submit(self._correct_one, name, _SWEEP, None, partial(served.callback, None), always=True)
        for served in corrected:
            await served

    async def _correct_one(self, name: str, message: Message, sender: None) -> None:
        if name in self._tiers.unresolved:
            # This tells the clients whose writes have failed.
            await self._reconciliation.try_to_reconcile(name)
            return
        try:
            await self._reconciliation.refresh(name)
        except RecordError:
            pass  # The record is unresolved now, so it is read from the storage.
