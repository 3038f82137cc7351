"""
The bytes of the requests that wait for their records, and the pauses of the requesters that have too many of them.

======================  ==============================================================================================
limit                   above it
======================  ==============================================================================================
record.maxPendingBytes  of one requester: it is paused until half of these bytes are served
limits.maxPendingBytes  of all requesters: each that sends another request is paused until one of its own requests is
                        served
======================  ==============================================================================================

Always true: a requester is paused at most once, and is resumed when its last request is served.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from dstwist.interfaces import IRequester
from dstwist.limits.budgets import Budget
from dstwist.protocol.message import Message

#: The bytes that a request counts as besides its data.
REQUEST_BYTES = 200


class PendingBytes:
    """
    Counts them.

    @param limit: of one requester, in bytes.
    @param budget: limits the bytes of all requesters.
    """

    def __init__(self, limit: int, budget: Budget | None = None) -> None:
        self._limit = limit
        self._budget = Budget() if budget is None else budget
        self._pending: dict[IRequester, int] = {}
        # The requesters that are paused, and what fires when they are resumed.
        self._paused: dict[IRequester, Deferred[None]] = {}

    def charge(self, message: Message, sender: IRequester | None) -> None:
        """
        A request waits, or is being served.

        @param sender: C{None}: the request is the server's own, and does not count.
        """
        if sender is None:
            return
        data = message.data
        weight = REQUEST_BYTES if data is None else REQUEST_BYTES + len(data)
        pending = self._pending[sender] = self._pending.get(sender, 0) + weight
        # Above the limit of all requesters, each one that sends more waits for its own requests.
        excess = self._budget.charge(weight) or pending > self._limit
        if excess and sender not in self._paused:
            self._paused[sender] = Deferred()
            sender.pause()

    def discharge(self, message: Message, sender: IRequester | None) -> None:
        """
        Undo L{charge}: the request is served.
        """
        if sender is None:
            return
        data = message.data
        weight = REQUEST_BYTES if data is None else REQUEST_BYTES + len(data)
        self._budget.give(weight)
        pending = self._pending[sender] - weight
        if pending:
            self._pending[sender] = pending
        else:
            del self._pending[sender]
        if self._paused and sender in self._paused and pending <= self._limit // 2:
            room = self._paused.pop(sender)
            sender.resume()
            room.callback(None)

    def resumed(self, sender: IRequester) -> Deferred[None] | None:
        """
        Fires when C{sender} is resumed, which its work waits for before it submits more; C{None} if it is not paused.
        """
        return self._paused.get(sender)
