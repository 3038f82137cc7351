"""
The orderly stop of a member: it hands its partitions over, while it still serves clients, and then leaves the table.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from dstwist.cluster.table import Table


class Departure:
    """
    The two steps of one node, and the callers that wait for their ends.

    @ivar leaves: the node is to be taken out of the table.
    """

    def __init__(self) -> None:
        self.leaves = False
        self._handing_over: Deferred[None] | None = None
        self._leaving: Deferred[None] | None = None

    def hand_over(self) -> Deferred[None]:
        """
        @return: fires when the node has no partitions any more, or no other node can take them.
        """
        self._handing_over = Deferred()
        return self._handing_over

    def leave(self) -> Deferred[None]:
        """
        @return: fires when the node is out of the table.
        """
        self.leaves = True
        self._leaving = Deferred()
        return self._leaving

    def check(self, read: Table, newest: Table, node: str, bus_works: Callable[[str], bool]) -> None:
        """
        The node has read or written C{read}; the newest table that it knows is C{newest}.
        """
        waiting = self._handing_over
        if waiting is None:
            return
        takers = [
            other
            for other, member in newest.members.items()
            if other != node and not member.leaving and bus_works(other)
        ]
        if not takers or all(assignment.owner != node for assignment in read.assignments):
            self._handing_over = None
            waiting.callback(None)

    def left(self) -> None:
        """
        The node is out of the table.
        """
        waiting, self._leaving = self._leaving, None
        if waiting is not None:
            waiting.callback(None)
