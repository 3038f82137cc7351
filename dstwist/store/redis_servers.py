"""
All servers that have keys: one, or the primaries of a Redis Cluster.

A call is sent to the server of its key, so each server is stood for by a key that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure

from dstwist.errors import StoreError
from dstwist.redis.interface import IRedis
from dstwist.store.redis_layout import Layout, tag_of


async def servers_of(redis: IRedis, is_cluster: bool) -> list[bytes]:
    """
    A key of each server.

    @raise StoreError: the servers cannot be found out.
    """
    if not is_cluster:
        return [b""]
    found: dict[Any, bytes] = {}
    answer = await redis.call(None, "CLUSTER", "SLOTS")
    for start, _, primary, *_ in answer:
        found.setdefault(tuple(primary[:2]), b"{%b}" % tag_of(start))
    if not found:
        raise StoreError("the Redis Cluster has no server with slots")
    return list(found.values())


def together(asked: Sequence[Deferred[Any]]) -> Deferred[list[Any]]:
    """
    The answers to several calls; if calls fail, the failure of the first that does.
    """
    return gatherResults(asked, consumeErrors=True).addErrback(_first)


def _first(failure: Failure) -> Failure:
    assert isinstance(failure.value, FirstError)
    return failure.value.subFailure


class NameScan:
    """
    The names of all records, a page at a time.

    @param servers: a key of each server.
    """

    def __init__(self, servers: Sequence[bytes], position: bytes = b"0") -> None:
        self._servers = servers
        self._position = position

    async def next(self, redis: IRedis, layout: Layout, limit: int) -> tuple[list[str], NameScan | None]:
        """
        The names of a page, and the scan that goes on behind it; C{None} at the end. Pages of Redis may be empty.
        """
        server, *others = self._servers
        position, keys = await redis.call(
            server, "SCAN", self._position, "MATCH", layout.pattern, "COUNT", max(1, limit)
        )
        names = dict.fromkeys(name for name in map(layout.name_of, keys) if name is not None)
        if position != b"0":
            return list(names), NameScan(self._servers, position)
        return list(names), NameScan(others) if others else None
