"""
The connection of a store to the Redis of its options.

txredisapi imports the global reactor, so this module is imported only when a Redis is configured.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.redis import RedisSettings
from dstwist.errors import ConfigError
from dstwist.redis.interface import IRedis
from dstwist.redis.link import RedisLink
from dstwist.redis.settings import LinkSettings


def connect(settings: RedisSettings, reactor: Any) -> IRedis:
    """
    A connection that is not started.
    """
    for key, given in (
        ("nodes", settings.nodes),
        ("sentinels", settings.sentinels),
        ("path", settings.path),
        ("tls", settings.tls),
    ):
        if given:
            raise ConfigError(f"{settings.where}.{key}", "this is not built yet")
    link = LinkSettings(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password,
        db=settings.db,
        connect_timeout=settings.connect_timeout,
        command_timeout=settings.command_timeout,
        probe_interval=settings.probe_interval,
        max_reconnect_delay=settings.max_reconnect_delay,
        max_wait=settings.reconnect_wait,
        max_waiting=settings.max_waiting,
        max_waiting_bytes=settings.max_waiting_bytes,
        max_reply_bytes=settings.max_reply_bytes,
    )
    return RedisLink(link, reactor)
