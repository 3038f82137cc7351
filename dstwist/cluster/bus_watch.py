"""
For how long the bus of this node has been lost. A node that has lost its bus for long, while others have theirs, gives
its partitions away.
"""

from __future__ import annotations

from dstwist.interfaces import IBus


class BusWatch:
    """
    The bus of one node, as its membership sees it. Times are those of one clock.

    @param alone_time: after how long the bus is lost for long, in seconds.
    """

    def __init__(self, bus: IBus, alone_time: float) -> None:
        self._bus = bus
        self._alone_time = alone_time
        self._lost_since: float | None = None

    @property
    def is_lost(self) -> bool:
        """
        Whether the bus is lost now.
        """
        return self._bus.is_lost

    def look(self, now: float) -> None:
        """
        Notice whether the bus is lost. Called each interval.
        """
        if not self._bus.is_lost:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now

    def is_lost_for_long(self, now: float) -> bool:
        """
        Whether the bus is lost, and has been since a look that is long enough ago.
        """
        since = self._lost_since
        return since is not None and self._bus.is_lost and now - since >= self._alone_time
