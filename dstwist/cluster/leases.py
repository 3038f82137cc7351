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

from twisted.internet.interfaces import IReactorTime

from dstwist.config.cluster import ClusterSettings

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
        # The nodes whose leases have moved in this series of readings.
        self._moved: set[str] = set()
        self._last_received: float | None = None

    def read(self, nodes: Iterable[str], leases: Mapping[str, bytes], sent: float, received: float) -> None:
        """
        All leases were read.

        @param nodes: the members, some of which may have no lease.
        """
        last = self._last_received
        if last is None or sent - last > MAX_GAP_INTERVALS * self._interval:
            self._seen.clear()
            self._moved.clear()
        self._last_received = received
        self._leases = leases
        found = dict.fromkeys((*leases, *nodes))
        for node in found:
            lease = leases.get(node)
            if self._seen.get(node, _NOT_SEEN)[0] != lease:
                if node in self._seen:
                    self._moved.add(node)
                self._seen[node] = (lease, received)
        for node in [node for node in self._seen if node not in found]:
            del self._seen[node]
            self._moved.discard(node)

    def dead(self, sent: float) -> list[str]:
        """
        The nodes whose leases have not moved for C{leaseTime}, at the moment C{sent}.
        """
        return [node for node, (_, since) in self._seen.items() if sent - since > self._time]

    def has_moved(self, node: str) -> bool:
        """
        Whether the lease of a node has moved since the reader began to count.
        """
        return node in self._moved

    def stands_for(self, node: str, sent: float) -> float:
        """
        For how many seconds the lease of a node had not moved, at the moment C{sent}.
        """
        return sent - self._seen[node][1] if node in self._seen else 0.0

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


class OwnLease:
    """
    The lease of this node. It is good from the moment at which the renewal that the store has accepted was sent, until
    C{leaseTime} less a margin is over.

    @param clock: its C{seconds} are those of a clock that is never set.
    """

    def __init__(self, clock: IReactorTime, settings: ClusterSettings) -> None:
        self._clock = clock
        self._time = settings.lease_time - settings.lease_margin
        self._count = 0
        self._sent: float | None = None

    @property
    def is_valid(self) -> bool:
        """
        Whether no reader finds this node dead yet.
        """
        return self._sent is not None and self._clock.seconds() < self._sent + self._time

    @property
    def age(self) -> float | None:
        """
        How many seconds ago the last accepted renewal was sent; C{None}: there is no lease.
        """
        return None if self._sent is None else self._clock.seconds() - self._sent

    def next_text(self, bus_is_lost: bool) -> bytes:
        """
        The lease to write next.
        """
        self._count += 1
        return lease_text(self._count, bus_is_lost)

    def accepted(self, sent: float) -> None:
        """
        The store has the lease that was sent at this moment.
        """
        self._sent = sent

    def end(self) -> None:
        """
        There is no lease any more.
        """
        self._sent = None


def lease_text(number: int, bus_is_lost: bool) -> bytes:
    """
    A lease. It moves if its number is another one than before.
    """
    return b"%d" % number + (_BUS_LOST if bus_is_lost else _BUS_WORKS)
