"""
C{limits}: how much of the server clients may use. An addition of dstwist.
"""

from __future__ import annotations

from dataclasses import dataclass

from dstwist.config.fields import (
    MAX_SIZE,
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
    C{limits}: what clients may use of the server, all together, by address and by user. An addition of dstwist.

    None (null in the file) is no limit. An address is one of IPv4, or a /64 network of IPv6.
    """

    # How many connections there may be. None: as many as the process may have files open, less a hundred.
    max_connections: int | None = limit(None)
    # How many of one address,
    max_connections_per_address: int | None = limit(None)
    # how many of these that have not logged in,
    max_unauthenticated_per_address: int | None = limit(None)
    # and how many of one user.
    max_connections_per_user: int | None = limit(None)
    # How many new connections a second are taken; more wait in the system's queue.
    max_connection_rate: int | None = limit(None)
    # How many of one address; more are refused.
    max_connection_rate_per_address: int | None = limit(None)
    # How many logins may fail within the window, from one address
    max_failed_logins_per_address: int | None = limit(1000)
    # and under one user name. Whoever knows a name can use this up, and keep its owner out.
    max_failed_logins_per_user: int | None = limit(None)
    # The window, which begins with the first of them.
    failed_login_window: float = milliseconds(60000)
    # How many messages and bytes a second are read from all connections of one user.
    max_message_rate_per_user: int | None = limit(None)
    max_byte_rate_per_user: int | None = limit(None)
    # How many names of one topic a connection may be subscribed to, or provide.
    max_subscriptions: int | None = limit(100000)
    # How many bytes of memory the subscriptions of all connections may take, of all topics. By default an eighth of the
    # memory that the process may use.
    max_subscription_bytes: int | None = option(optional(integer_reader(1, MAX_SIZE)), lambda: usable_memory() // 8)
    # How many bytes of memory the requests of all clients may hold that wait for a provider or a store. By default a
    # sixteenth of the memory that the process may use.
    max_pending_bytes: int | None = option(optional(integer_reader(1, MAX_SIZE)), lambda: usable_memory() // 16)
    # How many bytes of messages that have come in part may be held, of all clients. By default a sixteenth of the
    # memory that the process may use.
    max_incoming_bytes: int | None = option(optional(integer_reader(1, MAX_SIZE)), lambda: usable_memory() // 16)
    # How many characters a name may have: of an event, a record, a procedure, a user; a correlation id as well.
    max_name_length: int | None = limit(4096)
    # How long a connection that the server closes has been open at least. Official clients come back at once, and do
    # again what they were closed for.
    close_delay: float = milliseconds(4000, minimum=0)
    # How many closes may wait for that at a time; more are not delayed.
    max_delayed_closes: int = integer(1000)
    # How many lines of one kind the log gets in an interval, and how many of these about one client or user. Of more,
    # it gets the count at the end of the interval.
    max_log_lines: int | None = limit(200)
    max_log_lines_per_client: int | None = limit(20)
    # The interval.
    log_interval: float = option(milliseconds_reader(100, 86400000), 10.0)
    # How many bytes may wait for all clients together. Past it the clients for which most waits are cut off. None: an
    # eighth of the memory that the process may use.
    max_outgoing_bytes: int | None = limit(None)
    # How many bytes may be queued for all clients before they are sent; nothing more is served until then.
    max_outgoing_bytes_per_turn: int = integer(16777216)
