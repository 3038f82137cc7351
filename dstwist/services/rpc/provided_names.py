"""
The procedures that clients of this node provide, as the other nodes are told.

A client that gets the acknowledgement of PROVIDE may tell a client of another node to call the procedure. So the
acknowledgement waits until the directory knows the name (L{dstwist.routing.held_answers}). This node watches the name
for that: the owner of the name tells all nodes that watch it at the same time. The acknowledgement does not wait for
longer than C{subscribeTimeout}, nor while the bus is lost.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.cluster.digest import State
from dstwist.cluster.kinds import PROCEDURE
from dstwist.cluster.node import ClusterNode
from dstwist.scheduling.deadlines import Deadlines


class ProvidedNames:
    """
    Has the directory hold the names that have a provider on this node.

    @param watch: has the state of a name told.
    """

    def __init__(self, cluster: ClusterNode, clock: IReactorTime, watch: Callable[[str], object]) -> None:
        self._membership = cluster.membership
        self._directory = cluster.directory
        self._bus = cluster.bus
        self._watch = watch
        # The names that the directory has not confirmed.
        self._awaited: dict[str, Deferred[None]] = {}
        self._late: Deadlines[str] = Deadlines(cluster.settings.subscribe_timeout, clock, self._confirm)
        cluster.bus.observe(self._bus_lost, lambda: None)

    def __contains__(self, name: str) -> bool:
        """
        Whether C{name} waits for the directory.
        """
        return name in self._awaited

    def want(self, name: str) -> Deferred[None] | None:
        """
        C{name} has its first provider on this node.

        @return: fires when the client may be told that it provides C{name}; C{None}: at once.
        """
        self._directory.hold(PROCEDURE, name)
        if self._bus.is_lost:
            return None
        self._watch(name)
        state = self._directory.state(PROCEDURE, name)
        if state is not None and self._membership.node in state[1]:
            # Its last provider has left just now.
            return None
        awaited = self._awaited[name] = Deferred()
        self._late.add(name)
        return awaited

    def unwant(self, name: str) -> None:
        """
        C{name} has no provider on this node any more.
        """
        self._directory.release(PROCEDURE, name)
        self._confirm(name)

    def told(self, name: str, state: State) -> None:
        """
        The directory tells the state of C{name}.
        """
        if self._membership.node in state[1]:
            self._confirm(name)

    def stop(self) -> None:
        """
        Let no client wait any more.
        """
        self._bus_lost()
        self._late.stop()

    def _confirm(self, name: str) -> None:
        awaited = self._awaited.pop(name, None)
        if awaited is not None:
            self._late.remove(name)
            awaited.callback(None)

    def _bus_lost(self) -> None:
        for name in list(self._awaited):
            self._confirm(name)
