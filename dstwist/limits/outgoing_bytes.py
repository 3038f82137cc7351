"""
The bytes that wait for clients: the budget of one turn, and the budget of the process.

A fan-out is counted once, as frame length times subscribers, and not for each subscriber. Each answer is counted once,
too. The bytes of a turn are those that no outbox has tried to send yet; the waiting bytes are those that the sockets of
the clients did not take::

    publish, answer ---> bytes of this turn ---flush---> sockets
                          <= maxOutgoingBytesPerTurn  |
                                                      +-----> waiting bytes <= maxOutgoingBytes ---> sockets

Always true: when the bytes of a turn exceed their budget, all outboxes are flushed before the next message is served.
When the waiting bytes exceed their budget, the outboxes with the most waiting bytes drop them at once. Their
connections are closed later, when the turn is over, because closing calls back into the services.
"""

from __future__ import annotations

import heapq
import sys
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.config.limits import LimitSettings
from dstwist.log import Logger
from dstwist.memory_limits import usable_memory

#: Frames of this size and more are never copied for one subscriber; smaller ones are joined.
LARGE_FRAME_BYTES = 16384


class TurnBudget:
    """
    The bytes of one turn.

    It has public figures instead of a method because each fan-out counts: a call would cost some per cent of it.

    @ivar room: how many more bytes may be queued in this turn. Code that queues a frame subtracts its length for each
        client, and calls L{make_room} when this is negative.
    @ivar large: a frame of at least L{LARGE_FRAME_BYTES} bytes was queued for several clients. Code that queues it sets
        this.
    """

    __slots__ = ("large", "limit", "room")

    def __init__(self, limit: int = sys.maxsize) -> None:
        self.limit = limit
        self.room = limit
        self.large = False

    def make_room(self) -> None:
        """
        Send the queued bytes. Never calls back into a service.
        """
        self.room = self.limit
        self.large = False


class FlushableGroup(Protocol):
    """
    The outboxes of one port, which are flushed together (L{dstwist.transports.outbox_group}).
    """

    def flush(self) -> None:
        """
        Send the queued bytes.
        """


class CountedOutbox(Protocol):
    """
    The outbox of one connection (L{dstwist.transports.outbox}), as far as its waiting bytes are counted.

    @ivar counted: its share of L{OutgoingBytes.waiting}.
    @ivar given_up: the connection is about to be closed.
    """

    counted: int
    given_up: bool

    def give_up(self) -> None:
        """
        Drop the waiting bytes, except the rest of a frame that was sent in part; if called again, drop that as well.
        """

    def close_slow(self) -> None:
        """
        Close the connection.
        """

    def abort(self) -> None:
        """
        Close the connection without a close frame.
        """


class OutgoingBytes(TurnBudget):
    """
    The outgoing bytes of all connections.

    @param turn_limit: how many bytes may be queued in a turn before all is flushed.
    @ivar most: how many bytes may wait for all clients together.
    @ivar waiting: how many bytes wait.
    @ivar slow: how many connections were closed because their clients did not read.
    """

    _log = Logger()

    __slots__ = ("_call", "_clock", "_groups", "_outboxes", "_slow", "_turns", "most", "slow", "waiting")

    def __init__(self, clock: IReactorTime, turn_limit: int = sys.maxsize, most: int = sys.maxsize) -> None:
        super().__init__(turn_limit)
        self.most = most
        self.waiting = 0
        self.slow = 0
        self._clock = clock
        self._groups: list[FlushableGroup] = []
        # The number of groups whose turn has begun.
        self._turns = 0
        # The outboxes with waiting bytes.
        self._outboxes: dict[CountedOutbox, None] = {}
        # Outboxes that have given up, and are to be closed.
        self._slow: list[CountedOutbox] = []
        self._call: IDelayedCall | None = None

    def add(self, group: FlushableGroup) -> None:
        """
        Flush C{group} together with all others.
        """
        self._groups.append(group)

    def make_room(self) -> None:
        for group in self._groups:
            group.flush()
        super().make_room()

    def begun(self) -> None:
        """
        The turn of a group has begun: it has bytes.
        """
        self._turns += 1

    def ended(self) -> None:
        """
        The turn of a group has ended. If no other group has bytes, the next bytes have the whole budget again.
        """
        self._turns -= 1
        if not self._turns:
            self.room = self.limit
            self.large = False

    def account(self, outbox: CountedOutbox, size: int) -> None:
        """
        C{size} bytes wait in C{outbox} now.
        """
        before, outbox.counted = outbox.counted, size
        self.waiting += size - before
        if not size:
            self._outboxes.pop(outbox, None)
        elif not before:
            self._outboxes[outbox] = None
        if size > before and self.waiting > self.most:
            self._relieve()

    def close_later(self, outbox: CountedOutbox) -> None:
        """
        Close C{outbox} as soon as nothing else is in progress.
        """
        self._slow.append(outbox)
        if self._call is None:
            self._call = self._clock.callLater(0, self._close_slow)

    def _relieve(self) -> None:
        """
        Have the outboxes with the most waiting bytes give up.
        """
        # Go well below the limit, because each search looks at all outboxes; but spare outboxes with few bytes.
        enough = self.most - self.most // 8
        slowest = [(-outbox.counted, number, outbox) for number, outbox in enumerate(self._outboxes)]
        heapq.heapify(slowest)
        while slowest and self.waiting > enough:
            _, number, outbox = heapq.heappop(slowest)
            if outbox.given_up and self.waiting <= self.most:
                return
            outbox.give_up()
            if outbox.counted:
                heapq.heappush(slowest, (-outbox.counted, number, outbox))

    def _close_slow(self) -> None:
        self._call = None
        slow, self._slow = self._slow, []
        self.slow += len(slow)
        for outbox in slow:
            try:
                outbox.close_slow()
            except Exception:
                self._log.failure("closing a slow connection failed")
                try:
                    outbox.abort()
                except Exception:
                    self._log.failure("dropping a slow connection failed")


def outgoing_bytes(settings: LimitSettings, clock: IReactorTime) -> OutgoingBytes:
    """
    The budgets that the settings name. The default for all waiting bytes is an eighth of the memory.
    """
    most = settings.max_outgoing_bytes
    return OutgoingBytes(clock, settings.max_outgoing_bytes_per_turn, usable_memory() // 8 if most is None else most)
