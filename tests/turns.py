"""
Turns of a reactor whose time is charged for what is done in them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from tests.fakes import BusyClock

#: No turn may last longer, in seconds.
LONGEST = 0.02


def turn_lengths(clock: BusyClock, begin: Callable[[], object]) -> list[float]:
    """
    How long each turn lasts, from the one in which C{begin} is called to the last one in which something is due.
    """
    lengths: list[float] = []
    act = begin
    while not lengths or any(call.getTime() <= clock.rightNow for call in clock.getDelayedCalls()):
        assert len(lengths) < 10_000, "there is no end of it"
        began = clock.rightNow
        act()
        lengths.append(clock.rightNow - began)
        act = _turn(clock)
    return lengths


def _turn(clock: BusyClock) -> Callable[[], object]:
    return lambda: clock.advance(0)


def next_turn(clock: Clock) -> None:
    """
    Make the calls that are due, and not those that become due by them.
    """
    due: list[Any] = [call for call in clock.getDelayedCalls() if call.getTime() <= clock.seconds()]
    for call in due:
        function, args = call.func, call.args
        call.cancel()
        function(*args)
