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
    if settings.nodes:
        raise ConfigError(f"{settings.where}.nodes", "this is not built yet")
    return RedisLink(settings, reactor)
