"""
The cluster: C{clusterNode}, the bus that carries messages between nodes, and C{cluster}, its times and limits.

============================================  =====================================================================
C{clusterNode}                                means
============================================  =====================================================================
C{{type: default}}, or nothing                there is only this node
C{{type: redis, options}}                     a bus over the channels of a Redis (L{RedisBusSettings})
C{name} or C{path} in the place of C{type}    the same, as the Node server has it: also with the name of the npm
                                              package
============================================  =====================================================================

C{clusterRegistry.options.nodeInactiveTimeout}, the Node server's option, is C{cluster.leaseTime} here. The other
options of C{clusterRegistry}, and all of C{clusterStates} and C{locks}, are checked and have no effect: nodes find each
other by leases in the shared store, compare what they know each C{leaseInterval}, and have no locks.

Always true: a cluster that is read has a shared store, as far as the configuration shows it. The rest is checked when
the stores are made (L{dstwist.store.from_settings}).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dstwist.config.fields import (
    as_section,
    integer,
    milliseconds,
    milliseconds_reader,
    one_of,
    option,
    optional,
    read_text,
    refuse_class,
    suggestion,
    text,
)
from dstwist.config.file import Reading, join
from dstwist.config.redis import RedisBusSettings, read_connection
from dstwist.config.stores import (
    CacheSettings,
    DefaultStorage,
    MemorySettings,
    NoStorage,
    SqliteSettings,
    StorageSettings,
)
from dstwist.errors import ConfigError

#: The Node server's name of C{cluster.leaseTime}, and its default there.
INACTIVE_TIMEOUT = "clusterRegistry.options.nodeInactiveTimeout"
NODE_DEFAULT = 6.0

#: The shortest C{leaseTime}, in lease intervals: some renewals in a row may fail or be late.
MIN_LEASE_INTERVALS = 4

#: The C{leaseInterval} that fits a C{leaseTime} without another one, if that is shorter than the default.
_USUAL_LEASE_INTERVALS = 6

_SHORTEST_INTERVAL = 0.1

#: An owner does not use the last part of its C{leaseTime}: the time divided by this number.
_MARGIN_PART = 10

_TYPES = ("default", "redis")

#: Buses of the Node server, and planned ones, that are not built yet.
_KNOWN_TYPES = ("amqp", "kafka", "nats", "vertical")

_KEYS = ("type", "name", "path", "options")

# The npm package of a bus, perhaps with a directory in front of it; that for v2 had no scope.
_PACKAGE = re.compile(r"(?:.*/)?(?:@deepstream/clusternode-|deepstream\.io-msg-)([a-z]+)/?")


@dataclass(frozen=True)
class ClusterSettings:
    """
    C{cluster}: times and limits of a cluster. An addition of dstwist.
    """

    # How often a node renews its lease, reads the table, and sends digests.
    lease_interval: float = milliseconds(1000, minimum=100)
    # After how long a node whose lease does not move is dead. All nodes need the same.
    lease_time: float = milliseconds(6000)
    # How long a client waits for the bus to confirm a subscription.
    subscribe_timeout: float = milliseconds(1000, minimum=0)
    # How long a new node waits for the answers of all others before it takes clients.
    join_timeout: float = milliseconds(5000, minimum=0)
    # How often the version of each subscribed record is compared with the store.
    compare_interval: float = milliseconds(60000, minimum=1000)
    # How long a subject stays subscribed on the bus after its last client has gone.
    linger: float = milliseconds(10000, minimum=0)
    # How many subscriptions may be unconfirmed at a time.
    subscribe_window: int = integer(5000)
    # How many bytes of messages are kept while the bus is lost; each of them for outage_time at most.
    outage_buffer: int = integer(2**20, minimum=0)
    # After how long a member that does not answer, although others do, is left out of a question.
    absence_timeout: float = milliseconds(30000)

    # The fields below are no options.

    # Over how many partitions names are spread. All nodes need the same number.
    partitions: int = 256
    # How long before the end of its lease an owner stops deciding.
    lease_margin: float = 0.6
    # Within how long a node notices that its bus is lost.
    bus_notice_time: float = 5.0
    # After how long without a bus, which others have, a node gives its partitions away.
    bus_alone_time: float = 3.0
    # How long a message is kept while the bus is lost.
    outage_time: float = 5.0
    # How many names are compared in one operation, and how many such operations may be under way.
    heads_batch: int = 500
    heads_window: int = 4
    # How long early news waits for the news before it, and how much of it one record may keep.
    early_news_time: float = 0.05
    max_early_news: int = 16
    # The longest random delay before a node starts its repairs when the bus is back.
    recovery_delay: float = 1.0
    # How long a name whose last holder has gone is still there, for each kind of name.
    grace: Mapping[str, float] = field(default_factory=dict)
    # How many names are in one message between nodes, and how many items are sent to one node in one turn.
    names_per_item: int = 500
    items_per_turn: int = 100
    # How many bytes of items may wait until they are sent to other nodes. It is maxWaitingBytes of the bus.
    max_waiting_bytes: int = 2**28
    # How many bytes the names may have that this node holds and watches. It is limits.maxSubscriptionBytes.
    max_name_bytes: int | None = None


@dataclass(frozen=True)
class ClusterConfig:
    """
    A cluster.
    """

    bus: RedisBusSettings
    settings: ClusterSettings


_NO_STATES = "nodes compare digests of what they know each cluster.leaseInterval"
_NO_LOCKS = "the owner of a name decides, without a lock"


@dataclass(frozen=True)
class ClusterRegistrySettings:
    """
    C{clusterRegistry.options}: which nodes are in the cluster.
    """

    keep_alive_interval: float = milliseconds(5000, no_effect="cluster.leaseInterval is for that")
    active_check_interval: float = milliseconds(1000, no_effect="cluster.leaseInterval is for that")
    # Another name of cluster.leaseTime.
    node_inactive_timeout: float | None = option(optional(milliseconds_reader(1)), None)
    role: str = text("deepstream", no_effect="all nodes of a cluster are alike")


@dataclass(frozen=True)
class ClusterStateSettings:
    """
    C{clusterStates.options}: which names each node has subscribers and providers for.
    """

    reconciliation_timeout: float = milliseconds(500, no_effect=_NO_STATES)
    check_sum_buffer: float = milliseconds(20, no_effect=_NO_STATES)


@dataclass(frozen=True)
class LockSettings:
    """
    C{locks.options}: actions that only one node may do at a time.
    """

    hold_timeout: float = milliseconds(1000, minimum=50, no_effect=_NO_LOCKS)
    request_timeout: float = milliseconds(1000, minimum=50, no_effect=_NO_LOCKS)


def read_cluster_node(value: Any, path: str, reading: Reading) -> RedisBusSettings | None:
    """
    The bus; C{None} if there is only this node.
    """
    section = as_section(value, path)
    refuse_class(section, path)
    for key in section:
        if key not in _KEYS:
            raise ConfigError(join(path, key), f"unknown option{suggestion(key, _KEYS)}")
    # As with the stores, name and path are for those of others in the Node server, and the same here.
    key = next((key for key in ("path", "name") if section.get(key) is not None), "type")
    where, kind = join(path, key), read_text(section.get(key, "default"), join(path, key))
    package = _PACKAGE.fullmatch(kind)
    kind = kind if package is None else package[1]
    if kind == "redis":
        return read_connection(RedisBusSettings, section.get("options"), join(path, "options"), reading)
    if kind in _KNOWN_TYPES:
        raise ConfigError(where, f"{kind} is known but not built yet; nodes would not know of each other; use redis")
    if kind != "default":
        raise ConfigError(where, one_of(kind, _TYPES))
    if as_section(section.get("options"), join(path, "options")):
        raise ConfigError(join(path, "options"), "the type default has no options; say which type they are for")
    return None


def settled(
    settings: ClusterSettings,
    bus: RedisBusSettings,
    inactive_timeout: float | None,
    given: Mapping[str, Any],
    reading: Reading,
) -> ClusterSettings:
    """
    The settings with those that follow from others.

    @param inactive_timeout: the value of L{INACTIVE_TIMEOUT}.
    @param given: the section C{cluster} of the file.
    @raise ConfigError: times do not fit together.
    """
    interval, time = settings.lease_interval, settings.lease_time
    if inactive_timeout is not None:
        old = reading.written(INACTIVE_TIMEOUT)
        if "leaseTime" in given:
            raise ConfigError(old, "this is another name of cluster.leaseTime, which is there too; leave it out")
        time = inactive_timeout
        reading.renamed["cluster.leaseTime"] = old
        reading.notes.append(f"CONFIG | {old} is taken for cluster.leaseTime")
    if "leaseInterval" not in given:
        interval = max(_SHORTEST_INTERVAL, min(interval, time / _USUAL_LEASE_INTERVALS))
    shortest = MIN_LEASE_INTERVALS * interval
    if time < shortest:
        problem = (
            f"expected at least {round(shortest * 1000)}, which is {MIN_LEASE_INTERVALS} times cluster.leaseInterval"
        )
        raise ConfigError("cluster.leaseTime", problem)
    if settings.absence_timeout < time:
        raise ConfigError("cluster.absenceTimeout", f"expected at least {round(time * 1000)}, as cluster.leaseTime")
    return replace(
        settings,
        lease_interval=interval,
        lease_time=time,
        lease_margin=time / _MARGIN_PART,
        # The bus is lost when a probe does not come back; that is looked at in steps.
        bus_notice_time=bus.command_timeout + 2 * bus.probe_interval,
    )


def check_shared(cache: CacheSettings, storage: StorageSettings, excluded: tuple[str, ...]) -> None:
    """
    Check that all nodes of the cluster share the records, as far as the settings show it.

    @param excluded: the first letters of the records that are in the cache only.
    @raise ConfigError: they do not.
    """
    if isinstance(storage, SqliteSettings):
        raise ConfigError(
            "storage.type",
            "the file of an SQLite storage belongs to one node, and the nodes of a cluster (clusterNode) share their "
            "records: use redis, or none with a Redis as the cache; dstwist export and import copy the records",
        )
    is_cache_shared = not isinstance(cache, MemorySettings)
    if isinstance(storage, MemorySettings) or (isinstance(storage, DefaultStorage | NoStorage) and not is_cache_shared):
        raise ConfigError(
            "clusterNode",
            "the nodes of a cluster share their records, and no store for that is configured: use a Redis as the cache "
            "(cache: {type: redis, options: {...}}) or as the storage",
        )
    if excluded and not is_cache_shared:
        raise ConfigError(
            "record.storageExclusionPrefixes",
            "these records are in the cache only, and the nodes of a cluster (clusterNode) share their records: use a "
            "Redis as the cache, too",
        )
