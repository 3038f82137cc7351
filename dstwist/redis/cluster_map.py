"""
Which primary of a Redis Cluster has which slots, asked of one node after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.asker import Asker
from dstwist.redis.errors import reason_of
from dstwist.redis.primary import Endpoints
from dstwist.redis.slots import SlotMap, read_slots


class ClusterMap:
    """
    Asks for the map.

    The node that has answered last is asked first. The first map counts that comes from a node in a cluster that works.
    """

    def __init__(self, settings: RedisConnectionSettings, reactor: Any, endpoints: Endpoints) -> None:
        self._settings = settings
        self._reactor = reactor
        self._endpoints = endpoints
        self._askers: dict[RedisAddress, Asker[SlotMap]] = {}
        self._know(settings.nodes)

    def _know(self, addresses: Iterable[RedisAddress]) -> None:
        settings = self._settings
        for address in addresses:
            if address not in self._askers:
                self._askers[address] = Asker(
                    address,
                    self._endpoints.server,
                    (settings.username, settings.password),
                    settings.connect_timeout,
                    self._reactor,
                    (("CLUSTER", "SLOTS"), ("CLUSTER", "INFO")),
                    _reader(address.host),
                )

    def prefer(self, address: RedisAddress) -> None:
        """
        Ask that node first.
        """
        self._know([address])
        self._askers = {address: self._askers.pop(address), **self._askers}

    async def fetch(self) -> SlotMap:
        """
        The map.

        @raise StoreError: no node has answered, or the cluster does not work. The text has the reasons.
        """
        problems = []
        for address, asker in list(self._askers.items()):
            asked: Deferred[SlotMap] = asker.ask()
            try:
                found = await asked
            except CancelledError:
                raise
            except Exception as error:
                problems.append(f"{address}: {reason_of(error)}")
            else:
                if found.works and found.ranges:
                    self._keep(address, found)
                    return found
                problems.append(f"{address}: it says that the cluster does not work (cluster_state)")
            # The others are asked first the next time.
            if self._askers.pop(address, None) is not None:
                self._askers[address] = asker
        raise StoreError("; ".join(problems))

    def _keep(self, asked: RedisAddress, found: SlotMap) -> None:
        """
        Remember the nodes that there are now, beside those of the settings.
        """
        there = {each.address for each in found.ranges}
        self._know(sorted(there))
        for address in list(self._askers):
            if address not in there and address not in self._settings.nodes and address != asked:
                self._askers.pop(address).stop()

    def stop(self) -> None:
        """
        End all questions and connections.
        """
        for asker in self._askers.values():
            asker.stop()


def _reader(host: str) -> Callable[[list[Any]], SlotMap]:
    return lambda answers: read_slots(answers[0], answers[1], host)
