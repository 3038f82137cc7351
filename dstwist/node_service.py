"""
The life of a node, as the program around it sees it: an object that starts and stops, and a service of
C{twisted.application}.

==============================  ======================================================================================
the program calls               then
==============================  ======================================================================================
C{start()}, C{stop()}           each caller has a Deferred of its own for the outcome (L{dstwist.lifecycle})
C{async with node}              the node runs as long as the block
C{setServiceParent(services)}   the node starts and stops with the other services. A node that cannot start does not
                                prevent their start
==============================  ======================================================================================
"""

from __future__ import annotations

from typing import Self

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dstwist.errors import StartError
from dstwist.lifecycle import Lifecycle


class NodeService(Service):
    """
    The base class of a node, which sets C{_lifecycle}.
    """

    _lifecycle: Lifecycle

    @property
    def longest_start(self) -> float:
        """
        How long the stores, the authentication and the plug-ins may take to start, in seconds.
        """
        return self._lifecycle.longest_start

    @property
    def longest_stop(self) -> float:
        """
        How long the clients, the plug-ins, the stores and the authentication may take to stop, in seconds.
        """
        return self._lifecycle.longest_stop

    def bind(self) -> None:
        """
        Bind the ports now, and not in L{start}: a process may be about to give up its privileges.

        @raise StartError: a port cannot be bound; then no port is bound.
        """
        self._lifecycle.bind()

    def start(self) -> Deferred[None]:
        """
        Start all parts, and then accept connections: see L{Lifecycle.start}.
        """
        self.running = 1
        return self._lifecycle.start().addErrback(self._not_started)

    def stop(self) -> Deferred[None]:
        """
        Stop all parts: see L{Lifecycle.stop}.
        """
        self.running = 0
        return self._lifecycle.stop()

    def _not_started(self, failure: Failure) -> Failure:
        self.running = 0
        return failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.stop()

    # -- as a service of twisted.application

    def privilegedStartService(self) -> None:
        try:
            self.bind()
        except StartError as error:
            # The other services of the program are to start. L{start} fails.
            self._lifecycle.refuse(error)

    def startService(self) -> None:
        # The log has the reason if the node cannot start.
        self.start().addErrback(lambda failure: None)

    def stopService(self) -> Deferred[None]:
        return self.stop()
