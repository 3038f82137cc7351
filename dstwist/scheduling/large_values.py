"""
Frees large JSON values in time slices, so that no turn of the reactor is long because of them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import Work
from dstwist.protocol.freeing import freeing
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.scheduling.turns import Turns


class LargeValues:
    """
    Has the last references to large values.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._turns = Turns.of(clock)
        self._slices = TimeSlices(clock)

    def free(self, values: list[Any]) -> None:
        """
        Free C{values} from the next turn on. The caller gives up the list, and its own references to the values until
        then. Values, and parts of them, that have other references by then stay.
        """
        self._slices.do(self._freeing(values))

    def _freeing(self, values: list[Any]) -> Work:
        yield self._turns.next()
        yield from freeing(values)
