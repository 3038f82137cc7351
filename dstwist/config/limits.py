"""
C{limits}: how much of the server clients may use. An addition of dstwist.
"""

from __future__ import annotations

from dataclasses import dataclass

from dstwist.config.fields import (
    MAX_INTEGER,
    integer,
    integer_reader,
    limit,
    milliseconds,
    milliseconds_reader,
    option,
    optional,
)
from dstwist.memory_limits import usable_memory


@dataclass(frozen=True)
class LimitSettings:
    """
    C{limits}: limits for all clients together, for each address and for each user.

    None (null in the file) is no limit. An address is one of IPv4, or a /64 network of IPv6.
    """

    # The most connections. None: the number of files that the process may open, less a hundred.
    max_connections: int | None = limit(None)
    # The most connections of one address.
    max_connections_per_address: int | None = limit(None)
    # The most connections of one address whose clients have not logged in yet.
    max_unauthenticated_per_address: int | None = limit(None)
    # The most connections of one user.
    max_connections_per_user: int | None = limit(None)
    # The most new connections that are accepted per second; others wait in the queue of the system.
    max_connection_rate: int | None = limit(None)
    # The most new connections of one address per second; others are refused.
    max_connection_rate_per_address: int | None = limit(None)
    # The most logins from one address that may fail within the window.
    max_failed_logins_per_address: int | None = limit(1000)
    # The most logins under one user name that may fail within the window. With this limit, a client that knows a name
    # can lock out the user.
    max_failed_logins_per_user: int | None = limit(None)
    # The length of the window, which begins with the first failed login.
    failed_login_window: float = milliseconds(60000)
    # How long an accepted login of a single request (without a connection) is remembered; 0: not at all.
    request_login_cache_time: float = milliseconds(10000, minimum=0)
    # How many messages and bytes per second are read from all connections of one user.
    max_message_rate_per_user: int | None = limit(None)
    max_byte_rate_per_user: int | None = limit(None)
    # The most names of one topic that a connection may subscribe to, or provide.
    max_subscriptions: int | None = limit(100000)
    # The memory that the subscriptions of all connections and topics may take, in bytes. By default an eighth of the
    # memory that the process may use.
    max_subscription_bytes: int | None = option(optional(integer_reader(1, MAX_INTEGER)), lambda: usable_memory() // 8)
    # The memory that the requests of all clients may take while they wait for a provider or a store, in bytes. By
    # default a sixteenth of the memory that the process may use.
    max_pending_bytes: int | None = option(optional(integer_reader(1, MAX_INTEGER)), lambda: usable_memory() // 16)
    # The most bytes of messages that have arrived in part, of all clients. By default a sixteenth of the memory that
    # the process may use.
    max_incoming_bytes: int | None = option(optional(integer_reader(1, MAX_INTEGER)), lambda: usable_memory() // 16)
    # The memory that the HTTP requests under way and their answers may take, in bytes; further requests are refused. By
    # default a sixteenth of the memory that the process may use.
    max_http_bytes: int | None = option(optional(integer_reader(1, MAX_INTEGER)), lambda: usable_memory() // 16)
    # The most streams of server-sent events, of all clients and of one address.
    max_streams: int | None = limit(10000)
    max_streams_per_address: int | None = limit(1000)
    # The longest name of an event, a record, a procedure or a user, and the longest correlation id, in characters.
    max_name_length: int | None = limit(4096)
    # The server closes a connection only after it has been open for this time, because official clients reconnect at
    # once and repeat the request that the connection was closed for.
    close_delay: float = milliseconds(4000, minimum=0)
    # The most connections that wait to be closed; others are closed at once.
    max_delayed_closes: int = integer(1000)
    # The most log lines of one kind in an interval, and the most of these lines about one client or user. At the end
    # of the interval, the number of the lines that were left out is logged.
    max_log_lines: int | None = limit(200)
    max_log_lines_per_client: int | None = limit(20)
    # The length of the interval.
    log_interval: float = option(milliseconds_reader(100, 86400000), 10.0)
    # How many bytes may wait for all clients together. Past this limit, the clients with the most waiting bytes are cut
    # off. None: an eighth of the memory that the process may use.
    max_outgoing_bytes: int | None = limit(None)
    # How many bytes may be queued for all clients before they are sent; nothing more is served until then.
    max_outgoing_bytes_per_turn: int = integer(16777216)
