"""
Builds cache and storage from the settings.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple

from dstwist.config.fields import suggestion
from dstwist.config.plugins import PluginSettings
from dstwist.config.redis import RedisSettings, check_apart
from dstwist.config.settings import RecordSettings
from dstwist.config.stores import (
    CONNECTORS,
    CacheSettings,
    DefaultStorage,
    MemorySettings,
    NoStorage,
    SettledStorage,
    SqliteSettings,
    StorageSettings,
)
from dstwist.errors import ConfigError
from dstwist.interfaces import IInstantStore, ISharedStore, IStore, IStoreMaker, IStoreStatus
from dstwist.plugins import NotInstalled, PluginContext, load_plugin
from dstwist.scheduling.large_values import LargeValues
from dstwist.store.memory import MemoryStore
from dstwist.store.plugin_store import PluginStore, SharedPluginStore
from dstwist.store.redis import RedisStore
from dstwist.store.sqlite import SqliteStore
from dstwist.store.tombstones import Tombstones

#: The file of the default storage, in the data directory.
DEFAULT_FILE_NAME = "records.sqlite"

#: The groups of entry points in which plug-ins register stores.
CACHE_GROUP = "dstwist.cache"
STORAGE_GROUP = "dstwist.storage"

_TYPES = ("default", "none", "memory", "sqlite", "redis", *CONNECTORS)


class Stores(NamedTuple):
    """
    Cache and storage.

    @ivar storage: C{None} if records are in the cache only.
    @ivar cache_description: the text for the log; C{storage_description} is the other one.
    """

    cache: IStore
    storage: IStore | None
    cache_description: str
    storage_description: str

    @property
    def arbiter(self) -> IStore:
        """
        The store that decides about the records that are not in the cache only.
        """
        return self.cache if self.storage is None else self.storage

    @property
    def lasting(self) -> IStore | None:
        """
        The store whose records survive the server: the storage, or a Redis without a storage behind it.
        """
        return self.cache if self.storage is None and isinstance(self.cache, RedisStore) else self.storage

    def describe_storage(self) -> str:
        """
        The storage and its content, for the log.
        """
        status = _status(self.storage)
        found = "" if status is None else status.contents()
        return self.storage_description + (found and f": {found}")

    def not_ready(self) -> str | None:
        """
        Why clients should use another server; C{None} if there is no reason. Any client may see the text.
        """
        for name, store in (("storage", self.storage), ("cache", self.cache)):
            status = _status(store)
            if status is not None and status.problem() is not None:
                return f"the {name} cannot write"
        return None


def _status(store: object) -> IStoreStatus | None:
    """
    The state of C{store}; C{None} if the store cannot report it.
    """
    return IStoreStatus(store, None)


def build_stores(
    cache: CacheSettings,
    storage: StorageSettings,
    data_dir: str | None,
    reactor: Any,
    record: RecordSettings | None = None,
    is_cluster: bool = False,
) -> Stores:
    """
    Cache and storage, not started.

    @param data_dir: the directory for data that survives a restart, if there is one.
    @param record: which records are not in the storage, and how long deletions are remembered.
    @param is_cluster: whether other nodes use the same stores.
    @raise ConfigError: one of them cannot be made, or cannot be used by several nodes.
    """
    record = record or RecordSettings()
    settled_storage = settled(storage, cache, data_dir)
    storage_made, storage_description = _build_storage(settled_storage, data_dir, reactor, record)
    if isinstance(cache, RedisSettings):
        if isinstance(storage, RedisSettings):
            check_apart(cache, storage)
        # A record that is not in the storage is nowhere else.
        arbiter = storage_made is None or bool(record.storage_exclusion_prefixes)
        cache_made = _redis(cache, reactor, record, arbiter, "cache")
        cache_description = f"redis {cache.address}"
        if storage_made is None:
            storage_description = "none: the cache has all records"
    elif isinstance(cache, PluginSettings):
        cache_made, cache_description = _load(cache, reactor, CACHE_GROUP), _named(cache)
    else:
        # Without a storage, a record that the cache forgets would be lost.
        evict = storage_made is not None
        free = LargeValues(reactor).free
        cache_made = MemoryStore(
            cache.max_entries,
            cache.max_bytes,
            evict=evict,
            kept=record.storage_exclusion_prefixes,
            free=free,
            tombstones=Tombstones(record, reactor.seconds),
        )
        cache_description = f"memory, {_limits(cache, evict)}"
    if is_cluster:
        _check_plugins(cache, cache_made, settled_storage, storage_made)
    return Stores(cache_made, storage_made, cache_description, storage_description)


def _check_plugins(
    cache: CacheSettings, cache_made: IStore, storage: SettledStorage, storage_made: IStore | None
) -> None:
    """
    Check that stores of the operator's own fit a cluster. L{dstwist.config.cluster.check_shared} checks the others.

    @raise ConfigError: one does not.
    """
    if isinstance(cache, PluginSettings) and storage_made is not None:
        raise ConfigError(
            cache.where,
            "a cache of your own in front of a storage serves one node, and clusterNode says that there are several: "
            "use the default cache or a Redis",
        )
    arbiter = storage if storage_made is not None else cache
    made = cache_made if storage_made is None else storage_made
    if isinstance(arbiter, PluginSettings) and not ISharedStore.providedBy(made):
        raise ConfigError(
            arbiter.where,
            f"{arbiter.source} does not provide dstwist.interfaces.ISharedStore, so it cannot decide between the nodes "
            "of a cluster (clusterNode); see docs/stores.rst",
        )


def settled(storage: StorageSettings, cache: CacheSettings, data_dir: str | None) -> SettledStorage:
    """
    The storage that C{default} stands for. A Redis as the cache has all records then, as with the Node server: an empty
    file would be right against it, and the records that a Node server has left in it would be lost.

    @raise ConfigError: there is a file already, too.
    """
    if not isinstance(storage, DefaultStorage):
        return storage
    if data_dir is None:
        return NoStorage()
    if not isinstance(cache, RedisSettings):
        return SqliteSettings()
    path = sqlite_path(SqliteSettings(), data_dir)
    if os.path.exists(path):
        raise ConfigError(
            "storage.type",
            f"missing; the cache is a Redis, and there is {path}: none, if Redis has the records; sqlite, if the file "
            "has them",
        )
    return NoStorage()


def _build_storage(
    settings: SettledStorage, data_dir: str | None, reactor: Any, record: RecordSettings
) -> tuple[IStore | None, str]:
    if isinstance(settings, NoStorage):
        return None, "none: every read misses, every write succeeds; records are gone when the server stops"
    if isinstance(settings, MemorySettings):
        return (
            MemoryStore(
                settings.max_entries,
                settings.max_bytes,
                evict=False,
                tombstones=Tombstones(record, reactor.seconds),
            ),
            f"memory, {_limits(settings, False)}; records are gone when the server stops",
        )
    if isinstance(settings, SqliteSettings):
        path = sqlite_path(settings, data_dir)
        store = SqliteStore(
            path,
            reactor,
            settings.synchronous,
            settings.max_bytes,
            settings.max_waiting,
            settings.busy_timeout,
            record,
        )
        return store, f"sqlite {path}, synchronous {settings.synchronous}"
    if isinstance(settings, RedisSettings):
        return _redis(settings, reactor, record, True, "storage"), f"redis {settings.address}"
    return _load(settings, reactor, STORAGE_GROUP), _named(settings)


def sqlite_path(settings: SqliteSettings, data_dir: str | None) -> str:
    """
    The path of the file of an SQLite storage.

    @raise ConfigError: neither the settings nor a data directory say where it is.
    """
    if settings.path is not None:
        return settings.path
    if data_dir is None:
        raise ConfigError("storage.options.path", "missing; without a data directory it must say which file")
    return os.path.join(os.path.abspath(data_dir), DEFAULT_FILE_NAME)


def _redis(settings: RedisSettings, reactor: Any, record: RecordSettings, arbiter: bool, tier: str) -> IStore:
    # Its library imports the global reactor.
    from dstwist.store.redis_connection import connect

    connection = connect(replace(settings, part=tier), reactor)
    return RedisStore(connection, settings, reactor, record.deletion_memory, arbiter=arbiter, tier=tier)


def _limits(settings: MemorySettings, evict: bool) -> str:
    limits = []
    if settings.max_bytes is not None:
        limits.append(f"at most {settings.max_bytes / 2**20:.4g} MiB")
    if settings.max_entries is not None:
        limits.append(f"at most {settings.max_entries} records")
    if not limits:
        return "without a limit"
    past = "the records that were not used for longest are forgotten" if evict else "writes are refused"
    return f"{' and '.join(limits)}; past that {past}"


def _named(settings: PluginSettings) -> str:
    return f"{settings.kind} {settings.source}"


def _load(settings: PluginSettings, reactor: Any, group: str) -> IStore:
    try:
        store: IStore = load_plugin(settings, group, IStore, PluginContext(reactor), makers=IStoreMaker)
    except NotInstalled:
        name = settings.source
        problem = f"there is no store of the type {name}: neither built in nor a plug-in of that name"
        raise ConfigError(settings.where, problem + suggestion(name, _TYPES)) from None
    # A store that answers at once is asked directly. Its methods must not fail in other ways than IStore says.
    if IInstantStore.providedBy(store):
        return store
    wrapper = SharedPluginStore if ISharedStore.providedBy(store) else PluginStore
    return wrapper(store, settings.source, reactor)
