"""
Options of ioredis and node_redis, the libraries of the Node server's connectors, that have another name here or mean
nothing. Real configuration files have them, because the connectors hand all options on.
"""

from __future__ import annotations

from collections.abc import Mapping

_RECONNECTION = "the connection is made again by itself, with growing intervals"
_QUEUE = "commands wait for the connection, see reconnectWait and maxWaiting"
_PIPELINE = "all commands of a turn are sent together"
_SUBSCRIPTIONS = "the bus of a cluster subscribes anew by itself"
_TYPES = "replies are read as the layout of the records says"
_PRIMARY = "records are read from the primary"
_CODE = "it is code, which no configuration file can contain"
_CLUSTER = "the slots of a Redis Cluster are read again when they change"
_DOUBT = "a command without an answer is never sent again, because it may have had its effect"
_TCP = "small packets are sent at once, and idle connections are probed, see probeInterval"

#: By the name of an option: why it has no effect.
IGNORED: Mapping[str, str] = {
    # ioredis
    "autoResendUnfulfilledCommands": _DOUBT,
    "autoResubscribe": _SUBSCRIPTIONS,
    "autoPipeliningIgnoredCommands": _PIPELINE,
    "blockingTimeout": "no command blocks",
    "connectionName": "the connection has the name of the node",
    "disconnectTimeout": "see shutdownTimeout",
    "dropBufferSupport": _TYPES,
    "enableAutoPipelining": _PIPELINE,
    "enableOfflineQueue": _QUEUE,
    "enableReadyCheck": "a server that is loading its data is always waited for",
    "failoverDetector": "the role of the server is checked at each connection",
    "keepAlive": _TCP,
    "lazyConnect": "the connection is made at the start",
    "maxRetriesPerRequest": _QUEUE,
    "maxScriptsCachingTime": "scripts are kept",
    "monitor": "no connection monitors the server",
    "natMap": "the addresses that a server tells are used as they are",
    "noDelay": _TCP,
    "offlineQueue": _QUEUE,
    "preferredSlaves": _PRIMARY,
    "readOnly": _PRIMARY,
    "reconnectOnError": _CODE,
    "retryStrategy": _RECONNECTION,
    "scripts": _CODE,
    "sentinelCommandTimeout": "connectTimeout is for Sentinels as well",
    "sentinelMaxConnections": "Sentinels are asked one after the other",
    "sentinelReconnectStrategy": _RECONNECTION,
    "sentinelRetryStrategy": _RECONNECTION,
    "showFriendlyErrorStack": "errors have their place in the log",
    "socketTimeout": _TCP,
    "stringNumbers": _TYPES,
    "updateSentinels": "the Sentinels are those of the configuration",
    # the cluster of ioredis
    "clusterRetryStrategy": _RECONNECTION,
    "dnsLookup": _CODE,
    "maxRedirections": "a redirection is followed",
    "resolveSrv": _CODE,
    "retryDelayOnClusterDown": _RECONNECTION,
    "retryDelayOnFailover": _RECONNECTION,
    "retryDelayOnMoved": "a redirection is followed at once",
    "retryDelayOnTryAgain": "a redirection is followed at once",
    "scaleReads": _PRIMARY,
    "shardedSubscribers": _SUBSCRIPTIONS,
    "slotsRefreshInterval": _CLUSTER,
    "slotsRefreshTimeout": _CLUSTER,
    "useSRVRecords": "the nodes are named by host and port",
    # node_redis
    "detect_buffers": _TYPES,
    "disable_resubscribing": _SUBSCRIPTIONS,
    "enable_offline_queue": _QUEUE,
    "max_attempts": _RECONNECTION,
    "no_ready_check": "a server that is loading its data is always waited for",
    "parser": "replies are parsed by hiredis if it is installed",
    "retry_max_delay": "the option is maxReconnectDelay",
    "retry_strategy": _CODE,
    "retry_unfulfilled_commands": _DOUBT,
    "return_buffers": _TYPES,
    "socket_initial_delay": _TCP,
    "socket_keepalive": _TCP,
    "string_numbers": _TYPES,
    # the connectors
    "serverName": "the node has the name that serverName at the top gives it",
}

#: By the name of an option in node_redis or ioredis: its name here.
RENAMED: Mapping[str, str] = {
    "auth_pass": "password",
    "connect_timeout": "connectTimeout",
    "keyPrefix": "prefix",
    "user": "username",
}


def ignored(key: str) -> str | None:
    """
    Why the option has no effect; C{None} if it is not one of these.
    """
    return IGNORED.get(key)


def renamed(key: str) -> str:
    """
    The name of the option here.
    """
    return RENAMED.get(key, key)
