"""
Any primary of a Redis Cluster, for what is not about keys: publishing, and subscriptions.

A Redis Cluster passes each published message on to all its nodes, so a subscription at one of them gets all messages.
The nodes of a cluster of dstwist are spread over the primaries at random. After a lost connection another primary is
taken, if there is one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.redis.cluster_map import ClusterMap
from dstwist.redis.primary import Endpoints, Place
from dstwist.redis.slots import SlotMap


class AnyPrimary:
    """
    A primary of the cluster.

    @param choose: takes one of several.
    """

    def __init__(
        self,
        settings: RedisConnectionSettings,
        reactor: Any,
        endpoints: Endpoints | None = None,
        choose: Callable[[Sequence[RedisAddress]], RedisAddress] = random.choice,
    ) -> None:
        self.name = settings.address
        self._interval = settings.probe_interval
        self._reactor = reactor
        self._endpoints = endpoints or Endpoints(settings, reactor)
        self._map = ClusterMap(settings, reactor, self._endpoints)
        self._choose = choose
        self._known: RedisAddress | None = None
        self._moved: Callable[[str], object] | None = None
        self._timer: IDelayedCall | None = None

    async def find(self) -> Place:
        self._moved = None
        primaries = _primaries(await self._map.fetch())
        others = [address for address in primaries if address != self._known]
        self._known = self._choose(others or primaries)
        return Place(self._endpoints.server(*self._known), str(self._known))

    def watch(self, moved: Callable[[str], object]) -> None:
        self._moved = moved
        if self._timer is None:
            self._timer = self._reactor.callLater(self._interval, self._look)

    def stop(self) -> None:
        self._moved = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._map.stop()

    def _look(self) -> None:
        self._timer = None
        if self._moved is not None:
            # If the cluster does not work, messages may be passed on all the same.
            Deferred.fromCoroutine(self._map.fetch()).addCallbacks(self._looked, lambda failure: None)
            self._timer = self._reactor.callLater(self._interval, self._look)

    def _looked(self, found: SlotMap) -> None:
        moved = self._moved
        if moved is not None and self._known not in _primaries(found):
            self._moved = None
            moved("it is no primary of the Redis Cluster any more")


def _primaries(found: SlotMap) -> list[RedisAddress]:
    return sorted({each.address for each in found.ranges})
