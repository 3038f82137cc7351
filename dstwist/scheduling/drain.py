"""
What is under way, so that whoever changes something can wait for the end of what began before.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

T = TypeVar("T")


class DrainGroup:
    """
    What began between two changes: each is a context, or lasts until a Deferred fires.
    """

    def __init__(self) -> None:
        self._count = 0
        # As long as nobody wants to know there is none.
        self._none_left: Deferred[None] | None = None

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *problem: object) -> None:
        self._end()

    def add(self, deferred: Deferred[T]) -> None:
        """
        One more, which ends when C{deferred} fires, and before any callback that is added to it from now on.
        """
        self._count += 1
        deferred.addBoth(self._fired)

    def drained(self) -> Deferred[None]:
        """
        Fires when none is left; asked once, when nothing more begins.
        """
        if not self._count:
            return succeed(None)
        self._none_left = Deferred()
        return self._none_left

    def _fired(self, result: T) -> T:
        self._end()
        return result

    def _end(self) -> None:
        self._count -= 1
        if not self._count and self._none_left is not None:
            self._none_left.callback(None)


class InFlight:
    """
    @ivar group: what begins now is part of it.
    """

    def __init__(self) -> None:
        self.group = DrainGroup()

    def drain(self) -> Deferred[None]:
        """
        What begins from now on is another group; fires when the one so far is over.
        """
        before, self.group = self.group, DrainGroup()
        return before.drained()
