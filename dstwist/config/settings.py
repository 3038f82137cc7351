"""
All settings: a frozen class for each section of config.yml. L{dstwist.config.load} makes them.

The comment above a field is its documentation. Durations are seconds here and milliseconds in the file; sizes are
bytes. A field with C{built=False} is read and checked, but has no effect yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dstwist.config.admin import AdminSettings, read_admin
from dstwist.config.auth import AuthSettings, OpenSettings, read_auth
from dstwist.config.cluster import (
    ClusterConfig,
    ClusterRegistrySettings,
    ClusterSettings,
    ClusterStateSettings,
    LockSettings,
    read_cluster_node,
)
from dstwist.config.endpoints import DEFAULT_ENDPOINTS, Endpoint, HttpEndpoint, WebSocketEndpoint, read_endpoints
from dstwist.config.fields import (
    MAX_INTEGER,
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
from dstwist.config.monitoring import MonitorSettings, read_monitoring
from dstwist.config.permission import PermissionSettings, read_permission
from dstwist.config.plugins import PluginSettings, read_plugins
from dstwist.config.redis import RedisBusSettings
from dstwist.config.stores import (
    CacheSettings,
    DefaultStorage,
    MemorySettings,
    StorageSettings,
    read_cache,
    read_storage,
)
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

    # Whether the matching listeners are asked in random order. Otherwise they are asked in the order of their requests.
    shuffle_providers: bool = flag(True)
    # How long a listener may take to accept or reject before the next one is asked.
    response_timeout: float = milliseconds(500)
    # How often the server searches again for a provider of subscribed names without one. None (a second or less):
    # never.
    rematch_interval: float | None = option(read_rematch_interval, 30.0)
    # After a search for a provider has failed: how long no listener is asked about the name again.
    match_cooldown: float = milliseconds(10000, minimum=0)
    # The longest pattern of a listener, in characters. An addition of dstwist, like the one below.
    max_pattern_length: int = integer(1000)
    # The most patterns of one topic that a connection may listen to.
    max_patterns: int = integer(1000)


@dataclass(frozen=True)
class FeatureSettings:
    """
    C{enabledFeatures}: the topics that are served.
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
    # Whether the provider receives the user name of the caller.
    provide_requestor_name: bool = flag(False)
    # Whether the provider receives the clientData of the caller.
    provide_requestor_data: bool = flag(False)
    # Whether a call goes to another provider if the provider that accepted it disconnects. An addition of dstwist, like
    # all below.
    reroute_accepted: bool = flag(True)
    # The most calls of one client that wait for a response.
    max_pending_calls: int = integer(10000)
    # The most bytes of the calls of one client that wait for a response.
    max_pending_bytes: int = integer(16777216)


#: C{presence.gracePeriod} in a cluster, if the file does not say it: users go from node to node.
CLUSTER_GRACE_PERIOD = 2.0


@dataclass(frozen=True)
class PresenceSettings:
    """
    C{presence}: which users are online. An addition of dstwist.
    """

    # How long a user counts as online after their last connection has closed. The default is longer in a cluster, see
    # CLUSTER_GRACE_PERIOD.
    grace_period: float = option(milliseconds_reader(0, 600000), 0.0)
    # The most users who count as online without a connection. If there are more, those leave first that have been away
    # longest.
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
    # Records whose names start like this are written without a check of the version.
    storage_hot_path_prefixes: tuple[str, ...] = texts()
    # How long the cache, and the storage, may take to write, and how long a write is tried again while other writers of
    # a shared store are faster. An addition of dstwist, like all below.
    write_timeout: float = milliseconds(10000)
    # The largest record, in bytes of JSON text.
    max_size: int = integer(8388608)
    # The most requests that wait for one record.
    max_queued_requests: int = integer(10000)
    # The server stops reading from a client while more bytes of its requests are waiting.
    max_pending_bytes: int = integer(1048576)
    # How long the version of a deleted record is remembered, so that the next record of that name has higher versions.
    deletion_memory: float = milliseconds(86400000, minimum=0)
    # For how many records; the oldest are forgotten.
    max_deletion_memory: int = integer(10000)
    # The most bytes for this, including the connections that may have a copy of a deleted record.
    max_deletion_bytes: int = integer(16777216)
    # If records are in a cache outside this process, and in no storage: the most bytes of memory for guesses, on which
    # writes are decided before the cache has compared their versions.
    max_guess_bytes: int = integer(67108864)
    # The most elements that a write may fill in between the end of an array and the index that it writes, for all paths
    # of a message together.
    max_array_gap: int = integer(1000, minimum=0)


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
    C{logger.options}, of the default logger and of the one that writes JSON.
    """

    # Lines never have colours.
    colors: bool = flag(False, built=False)
    # The lowest level that is logged. It overrides logLevel of the top level.
    log_level: int | None = option(optional(read_log_level), None)
    # Whether denied requests are logged at level INFO, not DEBUG. An addition of dstwist.
    log_denied: bool = flag(False)
    # The size at which the log file is rotated, in bytes; None (null): never. An addition of dstwist, like the one
    # below.
    max_file_size: int | None = option(optional(integer_reader(10_000, MAX_INTEGER)), 10_485_760)
    # How many older log files are kept.
    max_files: int = integer(10, maximum=10_000)

    # Whether each line is a JSON object: the type json, or the plug-in pino of the Node server.
    json: bool = False


def _read_logger(value: Any, path: str, reading: Reading) -> LoggerOptions:
    found = read_component(value, path, reading, runs=False)
    is_pino = found.type == "plug-in pino"
    if found.type not in ("default", "json") and not is_pino:
        not_built(path, reading)
        return LoggerOptions()
    # The plug-in hands its other options on to a library of JavaScript.
    is_json = found.type == "json" or is_pino
    return from_mapping(LoggerOptions, found.options, join(path, "options"), reading, runs=not is_pino, json=is_json)


@dataclass(frozen=True)
class Settings:
    """
    The whole configuration.
    """

    # The name of the node, which is unique in the cluster. UUID, or nothing: each start generates one.
    server_name: str = option(read_server_name, generate_uid)
    # The lowest level that is logged: 0 DEBUG, 1 INFO, 2 WARN, 3 ERROR, 100 OFF.
    log_level: int = option(read_log_level, LOG_LEVELS["INFO"])
    # The topics that are served.
    features: FeatureSettings = section(FeatureSettings, key="enabledFeatures")
    # Active data providers.
    listen: ListenSettings = section(ListenSettings)
    # The port, and the options of all endpoints on it.
    http: HttpSettings = option(read_http, HttpSettings, key="httpServer")
    # The limits for clients.
    limits: LimitSettings = section(LimitSettings)
    # The paths that clients connect to.
    endpoints: tuple[Endpoint, ...] = option(read_endpoints, DEFAULT_ENDPOINTS, key="connectionEndpoints")
    # The authenticators, which are asked in this order.
    auth: tuple[AuthSettings, ...] = option(read_auth, (OpenSettings(),))
    # Which requests of clients are allowed.
    permission: PermissionSettings = option(read_permission, PermissionSettings())
    # How long stopping may take before connections are aborted. An addition of dstwist.
    shutdown_timeout: float = milliseconds(10000, minimum=0)
    # How long a stop sends clients away in small groups, before it closes the others. An addition of dstwist.
    drain_time: float = milliseconds(0, minimum=0)

    # Remote procedure calls.
    rpc: RpcSettings = section(RpcSettings)
    # Which users are online.
    presence: PresenceSettings = section(PresenceSettings)
    # Records and lists.
    record: RecordSettings = section(RecordSettings)
    # The cache of the records.
    cache: CacheSettings = option(read_cache, MemorySettings)
    # The storage of the records.
    storage: StorageSettings = option(read_storage, DefaultStorage)
    # The logger.
    logger: LoggerOptions = option(_read_logger, LoggerOptions)
    # Where operators read the figures of the server.
    monitoring: tuple[MonitorSettings, ...] = option(read_monitoring, ())
    # The bus between the nodes of a cluster. None: there is only this node.
    cluster_node: RedisBusSettings | None = option(read_cluster_node, None)
    # Times and limits of a cluster. An addition of dstwist.
    cluster_settings: ClusterSettings = section(ClusterSettings, key="cluster")
    # Options of the Node server's cluster.
    cluster_registry: ClusterRegistrySettings = component(ClusterRegistrySettings)
    cluster_states: ClusterStateSettings = component(ClusterStateSettings)
    locks: LockSettings = component(LockSettings)
    # Searches for subscriptions of clients that are gone.
    subscriptions: SubscriptionSettings = component(SubscriptionSettings)
    # Reports to the makers of the Node server. They are never sent.
    telemetry: TelemetrySettings = section(TelemetrySettings, runs=False)
    # The administration of a running server. An addition of dstwist.
    admin: AdminSettings = option(read_admin, AdminSettings)
    # Plug-ins that run beside the parts of the server, by name. Those of the Node server cannot run here.
    plugins: Mapping[str, PluginSettings] = option(read_plugins, dict)
    # A logo at start.
    show_logo: bool = flag(False, built=False)
    # How long the parts of the server may take to start.
    dependency_initialization_timeout: float = milliseconds(2000, minimum=1000)
    # Where plug-ins are.
    lib_dir: str | None = text(None, built=False)
    # Whether the process ends if a store in a server of its own is lost.
    exit_on_fatal_error: bool = flag(False)

    # The configuration file; None if all settings are defaults.
    source: str | None = field(default=None)
    # Lines for the log at start.
    notes: tuple[str, ...] = field(default=())

    @property
    def web_sockets(self) -> list[WebSocketEndpoint]:
        """
        The endpoints of WebSockets.
        """
        return [endpoint for endpoint in self.endpoints if isinstance(endpoint, WebSocketEndpoint)]

    @property
    def http_apis(self) -> list[HttpEndpoint]:
        """
        The endpoints of the HTTP API.
        """
        return [endpoint for endpoint in self.endpoints if isinstance(endpoint, HttpEndpoint)]

    @property
    def cluster(self) -> ClusterConfig | None:
        """
        The cluster; C{None} if there is only this node.
        """
        return None if self.cluster_node is None else ClusterConfig(self.cluster_node, self.cluster_settings)
