"""
C{cache} and C{storage}: where records are kept while they are in use, and where they are kept for good. Each section is
C{{type, options}}.

==============  ==================  ====================================================  ====================
C{type}         for                 where records are kept                                settings
==============  ==================  ====================================================  ====================
C{default}      cache               in memory                                             L{MemorySettings}
C{default}      storage             see below                                             L{DefaultStorage}
C{memory}       cache and storage   in memory                                             L{MemorySettings}
C{sqlite}       storage             in a file                                             L{SqliteSettings}
C{none}         storage             nowhere: every read misses, every write succeeds      L{NoStorage}
C{redis}        cache and storage   in a Redis                                            L{RedisSettings}
another one     cache and storage   in a store of the operator's own                      L{PluginSettings}
==============  ==================  ====================================================  ====================

The default storage is the file C{records.sqlite} in the data directory, or none without such a directory.

C{module} or C{path} in the place of C{type} names a class or function of the operator's own. The types of the Node
server's connectors are known, also by the names of their npm packages, and refused as long as they are not built: a
server that ignored them would lose data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import (
    as_section,
    from_mapping,
    integer,
    integer_reader,
    milliseconds,
    one_of,
    option,
    optional,
    read_text,
    suggestion,
)
from dstwist.config.file import Reading, join
from dstwist.config.plugins import PluginSettings, read_plugin
from dstwist.config.redis import RedisSettings, read_redis
from dstwist.errors import ConfigError
from dstwist.memory_limits import usable_memory

#: By default, a store in memory takes the memory that the process may use, divided by this number. The rest is
#: for outgoing bytes, requests and subscriptions, and for the interpreter, which needs more memory than its objects.
MEMORY_DIVISOR = 4

#: Connectors of the Node server that are not built yet.
CONNECTORS = ("memcached", "hazelcast", "postgres", "mongodb", "rethinkdb", "elasticsearch")

# The npm package of a connector, perhaps with a directory in front of it. Those for v2 and v3 had no scope.
_PACKAGE = re.compile(r"(?:.*/)?(?:@deepstream/|(deepstream\.io-))(?:cache|storage)-([a-z]+)/?")

_SYNCHRONOUS = ("full", "normal", "off")


def _read_file(value: Any, path: str, reading: Reading) -> str:
    return reading.absolute(read_text(value, path), path)


def _read_synchronous(value: Any, path: str, reading: Reading) -> str:
    found = read_text(value, path).lower()
    if found not in _SYNCHRONOUS:
        raise ConfigError(path, one_of(found, _SYNCHRONOUS))
    return found


def _share_of_memory() -> int:
    return usable_memory() // MEMORY_DIVISOR


def _bound(minimum: int, maximum: int) -> Any:
    return option(optional(integer_reader(minimum, maximum)), None)


@dataclass(frozen=True)
class DefaultStorage:
    """
    The default: a file, if there is a data directory and the cache is no Redis.
    """


@dataclass(frozen=True)
class NoStorage:
    """
    Nothing is kept for good.
    """


@dataclass(frozen=True)
class MemorySettings:
    """
    C{options} of the type C{memory}, and of the default cache.
    """

    # The most records. null: no limit. A cache forgets the records that were not used for longest. A storage, and a
    # cache without a storage, refuses new ones.
    max_entries: int | None = _bound(1, 2**53)
    # The most bytes of memory for all records with their names, by an estimate that is rather too high. null: no limit.
    # By default a quarter of the memory that the process may use.
    max_bytes: int | None = option(optional(integer_reader(1, 2**53)), _share_of_memory)


@dataclass(frozen=True)
class SqliteSettings:
    """
    C{options} of the type C{sqlite}.
    """

    # The file. By default records.sqlite in the data directory.
    path: str | None = option(_read_file, None)
    # The failures that an acknowledged write survives. full: a power failure. normal: a crash of the process. off: a
    # crash of the process, but a power failure may damage the file.
    synchronous: str = option(_read_synchronous, "full")
    # The largest size of the file and its write-ahead log together, in bytes. null: no limit but the disk.
    max_bytes: int | None = _bound(1_000_000, 2**53)
    # The most operations that wait for the disk; others are refused.
    max_waiting: int = integer(20000)
    # How long a write waits while another program has locked the file.
    busy_timeout: float = milliseconds(5000, minimum=0)


CacheSettings = MemorySettings | RedisSettings | PluginSettings
SettledStorage = NoStorage | MemorySettings | SqliteSettings | RedisSettings | PluginSettings
StorageSettings = DefaultStorage | SettledStorage

_CACHES = ("default", "memory", "redis")
_STORAGES = ("default", "none", "memory", "sqlite", "redis")
_KEYS = ("type", "name", "path", "module", "options")


def read_cache(value: Any, path: str, reading: Reading) -> CacheSettings:
    found = _read_store(value, path, reading, _CACHES)
    if isinstance(found, (RedisSettings, PluginSettings)):
        return found
    _, options, where = found
    return from_mapping(MemorySettings, options, where, reading)


def read_storage(value: Any, path: str, reading: Reading) -> StorageSettings:
    found = _read_store(value, path, reading, _STORAGES)
    if isinstance(found, (RedisSettings, PluginSettings)):
        return found
    kind, options, where = found
    if kind == "memory":
        return from_mapping(MemorySettings, options, where, reading)
    if kind == "sqlite":
        return from_mapping(SqliteSettings, options, where, reading)
    if options:
        raise ConfigError(where, f"the type {kind} has no options; say which type they are for")
    return NoStorage() if kind == "none" else DefaultStorage()


def _read_store(
    value: Any, path: str, reading: Reading, types: tuple[str, ...]
) -> RedisSettings | PluginSettings | tuple[str, dict[str, Any], str]:
    """
    A Redis; a class of the operator's own; or another one of C{types}, the options, and where they stand.
    """
    section = as_section(value, path)
    for key in section:
        if key not in _KEYS:
            raise ConfigError(join(path, key), f"unknown option{suggestion(key, _KEYS)}")
    where = join(path, "options")
    kind, key, old = _read_kind(section, path)
    if kind == "redis":
        return read_redis(section.get("options"), where, reading, legacy_layout=old)
    options = as_section(section.get("options"), where)
    if key in ("module", "path") and kind not in CONNECTORS:
        return read_plugin(key, kind, options, path, reading, "stores")
    if kind in types:
        return kind, options, where
    if kind in CONNECTORS:
        raise ConfigError(join(path, key), f"{kind} is known but not built yet; data would be lost silently")
    if kind in _STORAGES:
        raise ConfigError(join(path, key), f"{kind} is for the storage; {one_of(kind, types)}")
    return PluginSettings("name", kind, options, join(path, key))


def _read_kind(section: dict[str, Any], path: str) -> tuple[str, str, bool]:
    """
    The type of a store, the key that says it, and whether that is the package of a connector for v2 and v3.
    """
    # In the Node server, type is for its own stores, and name for other ones. Here, both are the same.
    key = next((key for key in ("module", "path", "name") if section.get(key) is not None), "type")
    kind = read_text(section.get(key, "default"), join(path, key))
    package = None if key == "module" else _PACKAGE.fullmatch(kind)
    return (kind, key, False) if package is None else (package[2], key, package[1] is not None)
