"""
The records that permission rules refer to: from the cache, and from the storage what is not in there.

They are read as they are kept at the moment. Writes that are under way are not waited for: rules of two records that
refer to each other would wait for ever.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError
from dstwist.interfaces import IStore, Record


class RecordLookup:
    """
    Looks up records, within the times that C{record.cacheRetrievalTimeout} and C{storageRetrievalTimeout} give.
    """

    def __init__(self, cache: IStore, storage: IStore | None, settings: RecordSettings, clock: IReactorTime) -> None:
        self._cache = cache
        self._storage = storage
        self._clock = clock
        self._cache_timeout = settings.cache_retrieval_timeout
        self._storage_timeout = settings.storage_retrieval_timeout
        self._excluded = tuple(settings.storage_exclusion_prefixes)

    def load(self, name: str) -> Deferred[Record | None]:
        """
        The record of a name, C{None} if there is none. Fails with L{StoreError} if a store fails, or takes too long.
        """
        asked = self._cache.get(name)
        if asked.called and isinstance(asked.result, Record):
            return asked
        return Deferred.fromCoroutine(self._load(name, asked))

    async def _load(self, name: str, asked: Deferred[Record | None]) -> Record | None:
        record = await self._within(asked, self._cache_timeout, "cache")
        if record is None and self._storage is not None and not name.startswith(self._excluded):
            record = await self._within(self._storage.get(name), self._storage_timeout, "storage")
        return record

    async def _within(self, answer: Deferred[Record | None], timeout: float, where: str) -> Record | None:
        if not answer.called:
            answer.addTimeout(timeout, self._clock)
        try:
            return await answer
        except TimeoutError:
            raise StoreError(f"no answer from the {where} within {timeout:g} s") from None
