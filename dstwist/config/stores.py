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
another one     cache and storage   in a store of the operator's own                      L{PluginSettings}
==============  ==================  ====================================================  ====================

The default storage is the file C{records.sqlite} in the data directory, or none without such a directory.

C{module} or C{path} in the place of C{type} names a class or function of the operator's own. The types of the Node
server's connectors are known, and refused as long as they are not built: a server that ignored them would lose data.
"""

from __future__ import annotations

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
from dstwist.errors import ConfigError
from dstwist.memory_limits import usable_memory

#: By default, a store in memory takes the memory that the process may use, divided by this number. The rest is
#: for outgoing bytes, requests and subscriptions, and for the interpreter, which needs more memory than its objects.
MEMORY_DIVISOR = 4

#: Connectors of the Node server.
CONNECTORS = ("redis", "memcached", "hazelcast", "postgres", "mongodb", "rethinkdb", "elasticsearch")

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
    The default: a file, if there is a data directory.
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


CacheSettings = MemorySettings | PluginSettings
StorageSettings = DefaultStorage | NoStorage | MemorySettings | SqliteSettings | PluginSettings

_CACHES = ("default", "memory")
_STORAGES = ("default", "none", "memory", "sqlite")
_KEYS = ("type", "name", "path", "module", "options")


def read_cache(value: Any, path: str, reading: Reading) -> CacheSettings:
    found = _read_store(value, path, reading, _CACHES)
    if isinstance(found, PluginSettings):
        return found
    _, options, where = found
    return from_mapping(MemorySettings, options, where, reading)


def read_storage(value: Any, path: str, reading: Reading) -> StorageSettings:
    found = _read_store(value, path, reading, _STORAGES)
    if isinstance(found, PluginSettings):
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
) -> PluginSettings | tuple[str, dict[str, Any], str]:
    """
    A class of the operator's own; or one of C{types}, the options, and where they stand.
    """
    section = as_section(value, path)
    for key in section:
        if key not in _KEYS:
            raise ConfigError(join(path, key), f"unknown option{suggestion(key, _KEYS)}")
    options = as_section(section.get("options"), join(path, "options"))
    for kind in ("module", "path"):
        if section.get(kind) is not None:
            return read_plugin(kind, read_text(section[kind], join(path, kind)), options, path, reading, "stores")
    # In the Node server, type is for its own stores, and name for other ones. Here, both are the same.
    key = "name" if section.get("name") is not None else "type"
    kind = read_text(section.get(key, "default"), join(path, key))
    if kind in types:
        return kind, options, join(path, "options")
    if kind in CONNECTORS:
        raise ConfigError(join(path, key), f"{kind} is known but not built yet; data would be lost silently")
    if kind in _STORAGES:
        raise ConfigError(join(path, key), f"{kind} is for the storage; {one_of(kind, types)}")
    return PluginSettings("name", kind, options, join(path, key))
