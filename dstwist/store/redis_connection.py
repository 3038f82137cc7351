"""
The connection of a store to the Redis of its options.

txredisapi imports the global reactor, so this module is imported only when a Redis is configured.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.redis import RedisSettings
from dstwist.redis.cluster import RedisCluster
from dstwist.redis.interface import IRedis
from dstwist.redis.link import RedisLink


def connect(settings: RedisSettings, reactor: Any) -> IRedis:
    """
    A connection that is not started.
    """
    return (RedisCluster if settings.nodes else RedisLink)(settings, reactor)
