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
    return RedisLink(settings, reactor)
