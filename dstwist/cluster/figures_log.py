"""
The figures of the cluster in the log.

======================================================  ===============================================================
a line is logged                                        so that an operator sees
======================================================  ===============================================================
when the node has joined                                the cluster as the node found it
in the L{LOOK_SECONDS} after the number of nodes has    whether the partitions were spread, and what was lost or
changed, or something was lost or had to be repaired    repaired meanwhile
each L{USUAL_SECONDS} without such a reason             that nothing had to be repaired
======================================================  ===============================================================
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster.figures import ClusterFigures
from dstwist.log import Logger

#: How often the figures are looked at, so that there is one line for all that happens together.
LOOK_SECONDS = 60.0

#: The longest time between two lines.
USUAL_SECONDS = 3600.0


class FiguresLog:
    """
    Logs the figures of one node.
    """

    _log = Logger()

    def __init__(self, count: Callable[[], ClusterFigures], clock: IReactorTime) -> None:
        self._count = count
        self._clock = clock
        self._logged: tuple[int, ...] = ()
        self._time = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """
        Log the figures now, and whenever there is a reason.
        """
        self._look()

    def stop(self) -> None:
        """
        Log them no more.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._clock.callLater(LOOK_SECONDS, self._look)
        figures = self._count()
        state = (figures.members, *figures.incidents)
        now = self._clock.seconds()
        if state != self._logged or now - self._time >= USUAL_SECONDS:
            self._logged, self._time = state, now
            self._log.info("CLUSTER | {figures}", figures=str(figures), event="CLUSTER")
