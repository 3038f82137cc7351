"""
Which stores of a configuration to export from, and to import into.

==================================  =================================================  ================================
storage                             cache in memory                                    cache in a Redis, or of a
                                                                                       plug-in
==================================  =================================================  ================================
an SQLite file, a Redis, or of a    all records are in the storage; those with a       records with such a prefix are
plug-in                             prefix of C{storageExclusionPrefixes} are in       in the cache, all others in the
                                    memory only                                        storage
none, or in memory                  all records are in memory only: refused            all records are in the cache
==================================  =================================================  ================================

A cache that is not in memory may outlive the server. So an import removes a record from it when it has written the
record to the storage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IReactorTime

from dstwist.config.plugins import PluginSettings
from dstwist.config.redis import RedisSettings
from dstwist.config.settings import Settings
from dstwist.config.stores import NoStorage, SqliteSettings
from dstwist.errors import StoreError, TransferError
from dstwist.interfaces import IEnumerableStore, IStore
from dstwist.store.from_settings import build_stores, settled, sqlite_path
from dstwist.transfer.batches import Item, Outcome, known_versions, write_batch
from dstwist.transfer.sqlite_reader import SqliteReader

#: An import has so many writes under way at most.
MAX_WAITING = 20_000

#: The settings of stores that may outlive the server.
_OUTLIVING = (RedisSettings, PluginSettings)


def settle(settings: Settings, data_dir: str | None) -> Settings:
    """
    The settings with the storage that C{default} stands for.
    """
    return replace(settings, storage=settled(settings.storage, settings.cache, data_dir))


def sqlite_file(settings: Settings, data_dir: str | None, instead: str) -> str:
    """
    The path of the file of the storage, which has to be an SQLite file.

    @param instead: the command for other storages.
    @raise ConfigError: the options do not say where it is.
    @raise TransferError: it is no SQLite file.
    """
    settings = settle(settings, data_dir)
    storage = settings.storage
    if isinstance(storage, SqliteSettings):
        return sqlite_path(storage, data_dir)
    if isinstance(storage, _OUTLIVING):
        raise TransferError(f"the storage is {_named(storage)}, and not an SQLite file: use dstwist {instead}")
    if isinstance(settings.cache, _OUTLIVING):
        raise TransferError(
            f"the records are in {_named(settings.cache)}, and in no SQLite file: use dstwist {instead}"
        )
    raise TransferError("there is no storage that survives the server; --data-dir or --config says where it is")


class Part(NamedTuple):
    """
    A store to export from.

    @ivar source: the store (L{dstwist.transfer.exporting.Source}).
    @ivar wanted: whether the store is the authority of the record of that name.
    """

    source: Any
    wanted: Callable[[str], bool]
    description: str


def export_parts(settings: Settings, data_dir: str | None, reactor: Any) -> tuple[list[Part], list[str]]:
    """
    The stores to export from, not started, and notes for the operator.

    @raise ConfigError: one of them cannot be made.
    @raise TransferError: there is none, or it cannot list its records.
    """
    settings = settle(settings, data_dir)
    excluded = settings.record.storage_exclusion_prefixes
    parts: list[Part] = []
    storage, cache = settings.storage, settings.cache
    if isinstance(storage, SqliteSettings):
        path = sqlite_path(storage, data_dir)
        parts.append(Part(SqliteReader(path), lambda name: not name.startswith(excluded), path))
    elif isinstance(storage, _OUTLIVING):
        made = build_stores(Settings().cache, storage, data_dir, reactor).storage
        source = _enumerable(made, f"the storage {_named(storage)}")
        parts.append(Part(source, lambda name: not name.startswith(excluded), _named(storage)))
    if not isinstance(cache, _OUTLIVING):
        if not parts:
            raise TransferError(_IN_MEMORY)
        return parts, [_note(excluded)] if excluded else []
    if not parts or excluded:
        made = build_stores(cache, NoStorage(), None, reactor).cache
        all_of_it = not parts
        source = _enumerable(made, f"the cache {_named(cache)}")
        parts.append(Part(source, lambda name: all_of_it or name.startswith(excluded), _named(cache)))
    return parts, []


_IN_MEMORY = (
    "the records are in memory only, and no other process can reach them; --data-dir or --config says where a store is"
)


def _note(excluded: Sequence[str]) -> str:
    return (
        f"Records with the prefixes {', '.join(excluded)} (record.storageExclusionPrefixes) are not exported: they are"
        " in the memory of the server only."
    )


def _named(settings: RedisSettings | PluginSettings) -> str:
    return f"redis {settings.address}" if isinstance(settings, RedisSettings) else settings.source


def _enumerable(store: Any, what: str) -> Any:
    if not IEnumerableStore.providedBy(store):
        raise TransferError(f"{what} cannot list its records: it does not provide dstwist.interfaces.IEnumerableStore")
    return store


class Destination:
    """
    The stores to import into.

    @ivar description: names them for the operator.
    @param storage: C{None} if all records go into the cache.
    @param cache: C{None} if it is in memory.
    @param excluded: the prefixes of names that do not go into the storage.
    """

    def __init__(
        self,
        storage: IStore | None,
        cache: IStore | None,
        excluded: tuple[str, ...],
        description: str,
        clock: IReactorTime,
    ) -> None:
        self.description = description
        self._storage = storage
        self._cache = cache
        self._excluded = excluded
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: Settings, data_dir: str | None, reactor: Any) -> Destination:
        """
        @raise ConfigError: one of the stores cannot be made.
        @raise TransferError: there is no store that survives this process.
        """
        settings = settle(settings, data_dir)
        storage = settings.storage
        if isinstance(storage, (SqliteSettings, RedisSettings)):
            storage = replace(storage, max_waiting=MAX_WAITING)
        cache_settings = settings.cache
        if isinstance(cache_settings, RedisSettings):
            cache_settings = replace(cache_settings, max_waiting=MAX_WAITING)
        lasts = isinstance(storage, (SqliteSettings, *_OUTLIVING))
        outlives = isinstance(cache_settings, _OUTLIVING)
        if not lasts and not outlives:
            raise TransferError(_IN_MEMORY)
        excluded = settings.record.storage_exclusion_prefixes
        made = build_stores(cache_settings, storage if lasts else NoStorage(), data_dir, reactor, settings.record)
        cache = made.cache if outlives else None
        description = made.storage_description if lasts else made.cache_description
        return cls(made.storage, cache, excluded, description, reactor)

    async def start(self) -> None:
        """
        @raise StoreError: a store cannot be used.
        """
        for store in self._stores():
            await store.start()

    async def stop(self) -> None:
        for store in self._stores():
            await store.stop()

    def _stores(self) -> Iterator[IStore]:
        for store in (self._storage, self._cache):
            if store is not None:
                yield store

    def store_of(self, name: str) -> IStore | None:
        """
        The store that is the authority of a record; C{None} if that is the memory of the server.
        """
        if self._storage is None or name.startswith(self._excluded):
            return self._cache
        return self._storage

    async def version(self, name: str) -> int:
        """
        The version of a record; -1 if there is none.

        @raise TransferError: the store does not say.
        """
        store = self.store_of(name)
        return -1 if store is None else (await known_versions(store, [name], self._clock))[name]

    async def write(self, items: Sequence[Item], overwrite: bool) -> Outcome:
        """
        Write records of different names (L{dstwist.transfer.batches}).

        @raise TransferError: a store does not answer.
        """
        outcome = Outcome([], [], [])
        for store in self._stores():
            own = [item for item in items if self.store_of(item.name) is store]
            if own:
                written, skipped, failed = await write_batch(store, own, overwrite, self._clock)
                outcome.written.extend(written)
                outcome.skipped.extend(skipped)
                outcome.failed.extend(failed)
        if self._storage is not None and self._cache is not None:
            await self._forget([*outcome.written, *outcome.skipped])
        return outcome

    async def _forget(self, items: Sequence[Item]) -> None:
        """
        Remove records from the cache that are in the storage now.
        """
        assert self._cache is not None
        names = [item.name for item in items if self.store_of(item.name) is self._storage]
        results: list[tuple[bool, Any]] = await DeferredList(
            [self._cache.delete(name) for name in names], consumeErrors=True
        )
        for success, result in results:
            if not success:
                raise StoreError(f"an old record may be in the cache: {result.getErrorMessage()}")
