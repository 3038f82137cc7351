"""
The options of a connection.
"""

from __future__ import annotations

from typing import NamedTuple


class LinkSettings(NamedTuple):
    """
    The server, and how long things may take. Times are in seconds.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    # The name of the user in Redis' access control list.
    username: str | None = None
    password: str | None = None
    db: int = 0
    # The name that Redis shows for the connection.
    client_name: str = "dstwist"
    # How long an attempt to connect may take, and the start in all.
    connect_timeout: float = 10.0
    # The connection is given up if calls wait for answers, and no byte has come for this long.
    command_timeout: float = 10.0
    # Redis is asked for a sign of life if no byte has come for this long.
    probe_interval: float = 5.0
    # The first wait before a new attempt to connect; then twice as long each time, up to the longest.
    reconnect_delay: float = 0.05
    max_reconnect_delay: float = 2.0
    # How long a call waits while there is no connection.
    max_wait: float = 5.0
    # How many calls, and how many bytes of calls, may wait to be sent or answered.
    max_waiting: int = 20_000
    max_waiting_bytes: int = 64 * 2**20
    # A larger answer ends the connection.
    max_reply_bytes: int = 512 * 2**20
