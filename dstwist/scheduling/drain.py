"""
Operations in flight: a caller that makes a change can wait until all operations that began before it have ended.

For example, new permission rules are acknowledged only when all requests that the old rules decided about are served.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

T = TypeVar("T")


class DrainGroup:
    """
    The operations that begin between two changes. An operation is a C{with} block, or lasts until a Deferred fires.
    """

    def __init__(self) -> None:
        self._count = 0
        # Made when a caller waits for the end.
        self._none_left: Deferred[None] | None = None

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *problem: object) -> None:
        self._end()

    def add(self, deferred: Deferred[T]) -> None:
        """
        Add an operation that ends when C{deferred} fires. It ends before the callbacks that are added to C{deferred}
        later are called.
        """
        self._count += 1
        deferred.addBoth(self._fired)

    def drained(self) -> Deferred[None]:
        """
        Fires when all operations have ended. Called once, when no more operations begin.
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
    The operations of one kind that are in flight.

    @ivar group: operations that begin now belong to it.
    """

    def __init__(self) -> None:
        self.group = DrainGroup()

    def drain(self) -> Deferred[None]:
        """
        Fires when all operations that have begun so far have ended. Operations that begin from now on belong to another
        group.
        """
        before, self.group = self.group, DrainGroup()
        return before.drained()
