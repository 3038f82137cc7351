"""
The leases of all nodes, as one reader sees them.

A lease I{moves} when the reader sees another text in it. The reader counts the time in which a lease does not move,
from the moment it received the first reading with that text to the moment it sent for the last one. The readings of
that time must not be further apart than L{MAX_GAP_INTERVALS}; otherwise the reader starts to count anew. So no node is
found dead because the store was away, or because the reader slept::

    owner    sends a lease, may decide |----- leaseTime - margin -----|
    store            has the lease     |
    reader              receives it      |------------ leaseTime ------------| sends for the last reading: dead
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dstwist.cluster.settings import ClusterSettings

#: Readings that are further apart, in lease intervals, do not belong to one series.
MAX_GAP_INTERVALS = 2.5

#: The last character of a lease: whether the bus of the node works.
_BUS_WORKS = b"+"
_BUS_LOST = b"-"

#: Equal to no lease.
_NOT_SEEN: tuple[object, float] = (object(), 0.0)


class Leases:
    """
    The leases, and since when each has not moved.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._interval = settings.lease_interval
        self._time = settings.lease_time
        self._leases: Mapping[str, bytes] = {}
        self._seen: dict[str, tuple[bytes | None, float]] = {}
        self._last_received: float | None = None

    def read(self, nodes: Iterable[str], leases: Mapping[str, bytes], sent: float, received: float) -> None:
        """
        All leases were read.

        @param nodes: the members, some of which may have no lease.
        """
        last = self._last_received
        if last is None or sent - last > MAX_GAP_INTERVALS * self._interval:
            self._seen.clear()
        self._last_received = received
        self._leases = leases
        found = dict.fromkeys((*leases, *nodes))
        for node in found:
            lease = leases.get(node)
            if self._seen.get(node, _NOT_SEEN)[0] != lease:
                self._seen[node] = (lease, received)
        for node in [node for node in self._seen if node not in found]:
            del self._seen[node]

    def dead(self, sent: float) -> list[str]:
        """
        The nodes whose leases have not moved for C{leaseTime}, at the moment C{sent}.
        """
        return [node for node, (_, since) in self._seen.items() if sent - since > self._time]

    def lease(self, node: str) -> bytes | None:
        """
        The last lease of a node.
        """
        return self._leases.get(node)

    def bus_works(self, node: str) -> bool:
        """
        Whether the bus of a node works, as the node says in its lease.
        """
        return self._leases.get(node, _BUS_LOST).endswith(_BUS_WORKS)


def lease_text(number: int, bus_is_lost: bool) -> bytes:
    """
    A lease. It moves if its number is another one than before.
    """
    return b"%d" % number + (_BUS_LOST if bus_is_lost else _BUS_WORKS)
