"""
All handles of one node.

::

    the node starts: open() --> handles can be opened --> the node stops: close() --> all handles are closed

Always true: no request of a handle reaches the server before L{Hub.start} and after L{Hub.stop}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.interfaces import IReactorTime

from dstwist.api.errors import HandleClosed
from dstwist.api.handle import Handle
from dstwist.api.requester import Identity
from dstwist.limits.rates import RateLimits, UserRateLimits
from dstwist.routing.router import Router


class Hub:
    """
    Makes the handles, and closes them when the node stops.

    @ivar server: the handle of the server itself, which makes no requests before L{start}.
    @param rates: the limits that all requesters of a user share.
    @param node: the label of the node, for logs.
    """

    def __init__(self, router: Router, rates: UserRateLimits, clock: IReactorTime, node: str = "") -> None:
        self._router = router
        self._node = node
        self._rates = RateLimits(None, None, rates, clock)
        self._clock = clock
        self._handles: dict[Handle, None] = {}
        self._refusal: str | None = "the node has not started"
        self.server = Handle(Identity(is_server=True, node=node), router, clock, None, HandleClosed(self._refusal))
        self._add(self.server)

    def open(self, identity: Identity) -> Handle:
        """
        A new handle.

        @raise HandleClosed: the node does not run.
        """
        if self._refusal is not None:
            raise HandleClosed(self._refusal)
        handle = Handle(replace(identity, node=self._node), self._router, self._clock, self._rates)
        self._add(handle)
        return handle

    def _add(self, handle: Handle) -> None:
        self._handles[handle] = None
        handle.on_close.append(lambda error: self._handles.pop(handle, None))

    def start(self) -> None:
        """
        The stores answer from now on.
        """
        self._refusal = None
        self.server.start()

    def stop(self) -> None:
        """
        Close all handles.
        """
        self._refusal = "the node has stopped"
        for handle in list(self._handles):
            handle.close("the node has stopped")
