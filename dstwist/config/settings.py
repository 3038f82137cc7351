"""
All settings: one frozen class a section of config.yml, made by L{dstwist.config.load}.

The comment above a field is its documentation. Durations are seconds here and milliseconds in the file; sizes are
bytes. A field with C{built=False} is read and checked, but has no effect so far.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dstwist.config.auth import AuthSettings, OpenSettings, read_auth
from dstwist.config.endpoints import DEFAULT_ENDPOINTS, WebSocketEndpoint, read_endpoints
from dstwist.config.fields import (
    MAX_SIZE,
    component,
    flag,
    from_mapping,
    integer,
    integer_reader,
    milliseconds,
    milliseconds_reader,
    not_built,
    option,
    optional,
    read_component,
    section,
    text,
    texts,
)
from dstwist.config.file import Reading, join
from dstwist.config.http_server import HttpSettings, read_http
from dstwist.config.limits import LimitSettings
from dstwist.config.permission import PermissionSettings, read_permission
from dstwist.config.stores import (
    CacheSettings,
    DefaultStorage,
    MemorySettings,
    StorageSettings,
    read_cache,
    read_storage,
)
from dstwist.config.unsupported import read_ignored, read_monitoring, read_plugins
from dstwist.config.values import (
    LOG_LEVELS,
    generate_uid,
    read_log_level,
    read_rematch_interval,
    read_server_name,
)


@dataclass(frozen=True)
class ListenSettings:
    """
    C{listen}: active data providers.
    """

    # Ask the matching providers in random order, not in the order in which they came.
    shuffle_providers: bool = flag(True)
    # How long a provider may take to accept or reject before the next one is asked.
    response_timeout: float = milliseconds(500)
    # How often a provider is looked for again, for what is subscribed and has none. A second or less: None, never.
    rematch_interval: float | None = option(read_rematch_interval, 30.0)
    # After nobody wanted a name: how long nobody is asked again.
    match_cooldown: float = milliseconds(10000, minimum=0)
    # The longest pattern that may be listened to, in characters. An addition of dstwist, like the one below.
    max_pattern_length: int = integer(1000)
    # How many patterns of one topic a connection may listen to.
    max_patterns: int = integer(1000)


@dataclass(frozen=True)
class FeatureSettings:
    """
    C{enabledFeatures}: the topics that are there at all.
    """

    event: bool = flag(True)
    record: bool = flag(True)
    rpc: bool = flag(True)
    presence: bool = flag(True)
    monitoring: bool = flag(False, built=False)


@dataclass(frozen=True)
class RpcSettings:
    """
    C{rpc}: remote procedure calls.
    """

    # How long a provider may take to accept a request.
    ack_timeout: float = milliseconds(1000)
    # How long a provider may take to answer.
    response_timeout: float = milliseconds(10000)
    # Whether the provider is told who asks.
    provide_requestor_name: bool = flag(False)
    # Whether the provider is given the asking user's clientData.
    provide_requestor_data: bool = flag(False)
    # Whether a call goes to another provider if the one that had accepted it disconnects. An addition of dstwist, like
    # all below.
    reroute_accepted: bool = flag(True)
    # How many calls of one client may be waiting for an answer.
    max_pending_calls: int = integer(10000)
    # How many bytes the calls of one client that wait for an answer may hold.
    max_pending_bytes: int = integer(16777216)


@dataclass(frozen=True)
class PresenceSettings:
    """
    C{presence}: who is online. An addition of dstwist.
    """

    # How long a user whose last connection ended may take to come back without having left.
    grace_period: float = option(milliseconds_reader(0, 600000), 0.0)
    # How many users may be away at a time without having left. Of more, those leave who have been away longest.
    max_users_in_grace: int = integer(10000)


@dataclass(frozen=True)
class RecordSettings:
    """
    C{record}: records and lists.
    """

    # How long the cache may take to answer.
    cache_retrieval_timeout: float = milliseconds(1000)
    # How long the storage may take to answer.
    storage_retrieval_timeout: float = milliseconds(2000)
    # Records whose names start like this are never stored.
    storage_exclusion_prefixes: tuple[str, ...] = texts()
    # Records whose names start like this are set, whatever version the writer says.
    storage_hot_path_prefixes: tuple[str, ...] = texts()
    # How long the cache, and the storage, may take to write. An addition of dstwist, like all below.
    write_timeout: float = milliseconds(10000)
    # How large a record may become, in bytes of JSON text.
    max_size: int = integer(8388608)
    # How many requests may wait for one record.
    max_queued_requests: int = integer(10000)
    # A client for whose requests more is waiting is not read from until there is less.
    max_pending_bytes: int = integer(1048576)
    # How long the version of a deleted record is remembered, to tell late writes to it from writes to the next one.
    deletion_memory: float = milliseconds(600000, minimum=0)
    # Of how many records; the oldest are forgotten.
    max_deletion_memory: int = integer(10000)
    # How many bytes of memory that may take, with the connections that may hold a deleted record.
    max_deletion_bytes: int = integer(16777216)
    # How many elements a write may fill in between the end of an array and the index that it writes, all paths of a
    # message together.
    max_array_gap: int = integer(1000, minimum=0)


@dataclass(frozen=True)
class ClusterRegistrySettings:
    """
    C{clusterRegistry.options}: which nodes there are.
    """

    keep_alive_interval: float = milliseconds(5000, built=False)
    active_check_interval: float = milliseconds(1000, built=False)
    node_inactive_timeout: float = milliseconds(6000, built=False)
    role: str = text("deepstream", built=False)


@dataclass(frozen=True)
class ClusterStateSettings:
    """
    C{clusterStates.options}: which node has subscribers and providers of what.
    """

    reconciliation_timeout: float = milliseconds(500, built=False)
    check_sum_buffer: float = milliseconds(20, built=False)


@dataclass(frozen=True)
class LockSettings:
    """
    C{locks.options}: what only one node may do at a time.
    """

    hold_timeout: float = milliseconds(1000, minimum=50, built=False)
    request_timeout: float = milliseconds(1000, minimum=50, built=False)


@dataclass(frozen=True)
class SubscriptionSettings:
    """
    C{subscriptions.options}.
    """

    subscriptions_sanity_timer: float = milliseconds(10000, minimum=50, built=False)


@dataclass(frozen=True)
class TelemetryOptions:
    """
    C{telemetry.options}. Nothing is ever sent.
    """

    enabled: bool = flag(False, built=False)
    debug: bool = flag(False, built=False)
    deployment_id: str | None = text(None)


@dataclass(frozen=True)
class TelemetrySettings:
    """
    C{telemetry}.
    """

    type: str = text("deepstreamIO")
    enabled: bool = flag(False, built=False)
    options: TelemetryOptions = section(TelemetryOptions, runs=False)


@dataclass(frozen=True)
class LoggerOptions:
    """
    C{logger.options} of the default logger.
    """

    # Lines never have colours.
    colors: bool = flag(False, built=False)
    # What is logged, whatever the logLevel of the top level says.
    log_level: int | None = option(optional(read_log_level), None)
    # Whether requests that the permission denies are logged at level INFO, not DEBUG. An addition of dstwist.
    log_denied: bool = flag(False)
    # The size at which the log file is rotated, in bytes; None (null): never. An addition of dstwist, like the one
    # below.
    max_file_size: int | None = option(optional(integer_reader(10_000, MAX_SIZE)), 10_485_760)
    # How many older log files are kept.
    max_files: int = integer(10, maximum=10_000)


def _read_logger(value: Any, path: str, reading: Reading) -> LoggerOptions:
    found = read_component(value, path, reading, runs=False)
    if found.type == "default":
        return from_mapping(LoggerOptions, found.options, join(path, "options"), reading)
    not_built(path, reading)
    return LoggerOptions()


@dataclass(frozen=True)
class Settings:
    """
    The whole configuration.
    """

    # The node's name, its own within the cluster. UUID, or nothing: one is made up at each start.
    server_name: str = option(read_server_name, generate_uid)
    # What is logged: 0 DEBUG, 1 INFO, 2 WARN, 3 ERROR, 100 OFF; that and all above it.
    log_level: int = option(read_log_level, LOG_LEVELS["INFO"])
    # The topics that are there at all.
    features: FeatureSettings = section(FeatureSettings, key="enabledFeatures")
    # Active data providers.
    listen: ListenSettings = section(ListenSettings)
    # The port and what all share that is served there.
    http: HttpSettings = option(read_http, HttpSettings, key="httpServer")
    # What clients may use of it.
    limits: LimitSettings = section(LimitSettings)
    # Where clients connect.
    endpoints: tuple[WebSocketEndpoint, ...] = option(read_endpoints, DEFAULT_ENDPOINTS, key="connectionEndpoints")
    # Who may come in: the authenticators, which are asked in this order.
    auth: tuple[AuthSettings, ...] = option(read_auth, (OpenSettings(),))
    # What they may do.
    permission: PermissionSettings = option(read_permission, PermissionSettings())
    # How long stopping may take before connections are cut. An addition of dstwist.
    shutdown_timeout: float = milliseconds(10000, minimum=0)

    # Remote procedure calls.
    rpc: RpcSettings = section(RpcSettings)
    # Who is online.
    presence: PresenceSettings = section(PresenceSettings)
    # Records and lists.
    record: RecordSettings = section(RecordSettings)
    # Where records are kept while they are in use.
    cache: CacheSettings = option(read_cache, MemorySettings)
    # Where they are kept for good.
    storage: StorageSettings = option(read_storage, DefaultStorage)
    # What happens to log lines.
    logger: LoggerOptions = option(_read_logger, LoggerOptions)
    # Where counters go.
    monitoring: tuple[str, ...] = option(read_monitoring, ("none",))
    # The cluster: the bus between its nodes, who is in it, who has what, who may do what alone.
    cluster_node: str = option(read_ignored, "default")
    cluster_registry: ClusterRegistrySettings = component(ClusterRegistrySettings)
    cluster_states: ClusterStateSettings = component(ClusterStateSettings)
    locks: LockSettings = component(LockSettings)
    # Subscriptions of clients that are gone are looked for.
    subscriptions: SubscriptionSettings = component(SubscriptionSettings)
    # Reports to the makers of the Node server. None are ever sent.
    telemetry: TelemetrySettings = section(TelemetrySettings, runs=False)
    # Plug-ins of the Node server, which cannot run here.
    plugins: tuple[str, ...] = option(read_plugins, ())
    # A logo at start.
    show_logo: bool = flag(False, built=False)
    # How long the parts of the server may take to start.
    dependency_initialization_timeout: float = milliseconds(2000, minimum=1000)
    # Where plug-ins are.
    lib_dir: str | None = text(None, built=False)
    # Whether the process ends at a fatal error.
    exit_on_fatal_error: bool = flag(False, built=False)

    # The file that all this comes from, None if all are defaults.
    source: str | None = field(default=None)
    # Lines for the log at start.
    notes: tuple[str, ...] = field(default=())
