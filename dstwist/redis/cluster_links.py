"""
The links to the primaries of a Redis Cluster, and which of them has which slots.

The map of the slots is asked for at the start, and whenever a sign shows that it may have changed. If a new map shows
that a node has no slots any more, the link to it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.log import Logger
from dstwist.redis.cluster_map import ClusterMap
from dstwist.redis.interface import ServerIdentity
from dstwist.redis.link import RedisLink
from dstwist.redis.primary import Endpoints, FixedPrimary
from dstwist.redis.reconnection import shown
from dstwist.redis.slots import SLOTS, SlotMap


class ClusterCallbacks(NamedTuple):
    """
    The methods of the cluster.

    @ivar moves: called with each slot that is about to get another owner.
    @ivar changed: called when all slots have their new owners.
    @ivar connected: called with each new connection.
    """

    moves: Callable[[int], object]
    changed: Callable[[], object]
    connected: Callable[[ServerIdentity], object]


class ClusterLinks:
    """
    The links. For the parameters see L{RedisLink}.
    """

    _log = Logger()

    def __init__(
        self,
        settings: RedisConnectionSettings,
        reactor: Any,
        client_name: str,
        endpoints: Endpoints | None,
        callbacks: ClusterCallbacks,
        jitter: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._client_name = client_name
        self._endpoints = endpoints or Endpoints(settings, reactor)
        self._callbacks = callbacks
        self._jitter = jitter
        self._map = ClusterMap(settings, reactor, self._endpoints)
        self._links: dict[RedisAddress, RedisLink] = {}
        self._addresses: dict[RedisLink, RedisAddress] = {}
        self._owners: list[RedisLink | None] = [None] * SLOTS
        self._refreshing = False
        self._again = False
        self._timer: IDelayedCall | None = None
        self._started = False
        self._over = False
        self._problem: str | None = "the map of the slots is not known yet"

    # -- start and stop

    def start(self) -> Deferred[None]:
        """
        Get the map, and connect to all primaries.
        """
        started = Deferred.fromCoroutine(self._start())
        # The map and the links have the time of one attempt each.
        return started.addTimeout(2 * self._settings.connect_timeout, self._reactor).addErrback(self._not_started)

    async def _start(self) -> None:
        try:
            found = await self._map.fetch()
        except StoreError as error:
            raise StoreError(self.text(str(error))) from None
        self._adopt(found, start=False)
        await gatherResults([link.start() for link in self.all], consumeErrors=True)
        self._started = True

    def _not_started(self, failure: Failure) -> Deferred[None]:
        error = failure.value
        # The failure of gatherResults has the one of the link.
        error = getattr(error, "subFailure", failure).value
        if self._over:
            error = StoreError(self.text("the server stops"))
        elif not isinstance(error, StoreError):
            error = StoreError(self.text("the nodes did not answer in time"))
        return self.stop().addCallback(lambda ignored: Failure(error))

    def stop(self) -> Deferred[None]:
        """
        End all connections.
        """
        self._over = True
        self._map.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended: Deferred[Any] = gatherResults([link.stop() for link in self.all], consumeErrors=True)
        return ended.addCallback(lambda ignored: None)

    # -- the links

    @property
    def all(self) -> list[RedisLink]:
        """
        All links.
        """
        return list(self._addresses)

    def __contains__(self, link: RedisLink) -> bool:
        return link in self._addresses

    def owner(self, slot: int) -> RedisLink | None:
        """
        The link to the primary of a slot, if it is known.
        """
        return self._owners[slot]

    def moved(self, slot: int, link: RedisLink) -> None:
        """
        The owner of a slot is another one than the map says.
        """
        self._owners[slot] = link

    def host_of(self, link: RedisLink | None) -> str:
        """
        The host of a node.
        """
        return "" if link is None or link not in self._addresses else self._addresses[link].host

    def link_to(self, address: RedisAddress, start: bool = True) -> RedisLink:
        """
        The link to a node, which is made if there is none.
        """
        link = self._links.get(address)
        if link is None:
            settings, reactor = self._settings, self._reactor
            node = replace(settings, nodes=(), host=address.host, port=address.port)
            primary = FixedPrimary(node, reactor, self._endpoints)
            link = RedisLink(settings, reactor, self._client_name, primary, self._jitter)
            link.on_connected.append(self._callbacks.connected)
            self._links[address] = link
            self._addresses[link] = address
            if start:
                link.start().addErrback(self._node_fails, link)
        return link

    def _node_fails(self, failure: Failure, link: RedisLink) -> None:
        """
        A link that was added later was not made. If the node has slots, the next map leads to another attempt.
        """
        if link in self and not self._over:
            self._owners = [None if owner is link else owner for owner in self._owners]
            self._drop(link)

    def _drop(self, link: RedisLink) -> None:
        """
        End a link when its calls are answered.
        """
        del self._links[self._addresses.pop(link)]
        link.stop()

    # -- the map

    def refresh(self, first: RedisAddress | None = None) -> None:
        """
        Ask for the map.

        @param first: the node to ask first, because another one has named it as the owner of a slot. Nodes learn such a
            change at different times.
        """
        if first is not None:
            self._map.prefer(first)
            # The map that is being asked for may be older.
            self._again = self._refreshing
        if not self._refreshing and not self._over:
            self._refreshing = True
            Deferred.fromCoroutine(self._fetch()).addErrback(
                lambda failure: self._log.failure("the map of a Redis Cluster was not taken", failure)
            )

    async def _fetch(self) -> None:
        try:
            found = await self._map.fetch()
        except CancelledError:
            # The cluster stops.
            pass
        except StoreError as error:
            if not self._over:
                self._has_problem(str(error))
        else:
            if not self._over:
                self._adopt(found)
        finally:
            self._refreshing = False
        if self._again:
            self._again = False
            self.refresh()
        elif self._problem is not None and self._timer is None and not self._over:
            self._timer = self._reactor.callLater(self._settings.probe_interval, self._look)

    def _look(self) -> None:
        self._timer = None
        self.refresh()

    def _adopt(self, found: SlotMap, start: bool = True) -> None:
        owners: list[RedisLink | None] = [None] * SLOTS
        for first, last, address in found.ranges:
            owners[first : last + 1] = [self.link_to(address, start)] * (last - first + 1)
        for slot, (old, new) in enumerate(zip(self._owners, owners, strict=True)):
            if old is not new:
                self._callbacks.moves(slot)
        self._owners = owners
        missing = owners.count(None)
        self._has_problem(f"{missing} of {SLOTS} slots belong to no node" if missing else None)
        in_use = set(owners)
        for link in self.all:
            if link not in in_use:
                self._drop(link)
        self._callbacks.changed()

    # -- problems

    def problem(self) -> str | None:
        """
        Why some calls cannot be executed.
        """
        if self._problem is not None:
            return self.text(self._problem)
        return next((problem for link in self.all if (problem := link.problem()) is not None), None)

    def text(self, problem: str) -> str:
        """
        A problem, with the cluster that has it.
        """
        return f"Redis at {self._settings.address}: {problem}"

    def _has_problem(self, problem: str | None) -> None:
        if problem is not None and (self._problem is None or not self._started):
            self._log.error(
                "REDIS_CONNECTION | {server}: {problem}",
                server=shown(self._settings.address, self._settings),
                problem=problem,
                event="REDIS_CONNECTION",
            )
        if problem is None and self._problem is not None and self._started:
            self._log.info(
                "REDIS_CONNECTION | {server}: the cluster works",
                server=shown(self._settings.address, self._settings),
                event="REDIS_CONNECTION",
            )
        self._problem = problem
