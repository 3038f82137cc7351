"""
The outboxes of one path, flushed together once in each turn of the reactor.

Thousands of outboxes take too long for one turn (some microseconds each, a system call). They are flushed in slices of
time (L{dstwist.scheduling.turns}), one slice per reactor turn, in the order in which they were written to. An
outbox keeps its frames in order until its own flush, so each client receives everything in order.

If the bytes of a turn exceed their budget (L{dstwist.limits.outgoing_bytes}) and one slice does not send them all, the
server serves no new request until they are sent. So the queued bytes stay bounded, however many clients there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import ref

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from dstwist.interfaces import IOutbox
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.log import Logger
from dstwist.routing.shared_frames import SharedFrames
from dstwist.scheduling.turn_ends import TurnEnds
from dstwist.scheduling.turns import TIME_SLICE, TURN_LENGTH, Turns

#: Up to this many outboxes are flushed without a look at the clock; frames that are not large take about 1 ms then.
OUTBOXES_PER_CLOCK_LOOK = 128


class IFlushed(Protocol):
    """
    An outbox, as the end of the turn sees it.
    """

    @property
    def empty(self) -> bool: ...

    @property
    def queued(self) -> int: ...

    def write(self, frame: bytes, /) -> None: ...

    def share(self, shared: SharedFrames, /) -> None: ...

    def answer(self, frame: bytes, /) -> None: ...

    def flush(self) -> None: ...

    def abort(self) -> None: ...


class IRefilled(Protocol):
    """
    An outbox whose transport has room again.
    """

    def resumeProducing(self) -> None: ...

    def abort(self) -> None: ...


class OutboxGroup:
    """
    Flushes its outboxes at the end of each turn.

    @param pause: how long to collect frames, in seconds; 0 means until the input of this turn is handled.
    @param outgoing: counts the bytes of all connections.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, pause: float = 0.0, outgoing: OutgoingBytes | None = None) -> None:
        self._clock = clock
        self._pause = pause
        self._dirty: list[IFlushed] = []
        # Frames are collected until this call, or until the end of the turn.
        self._call: IDelayedCall | None = None
        self._collects = False
        self._ends = TurnEnds.of(clock)
        self._turns = Turns.of(clock)
        # No new request is served until all outboxes are flushed.
        self._holds = False
        # The end of the time that sockets with new room have in this turn, and the call that begins the next turn.
        self._refill_end = 0.0
        self._refill: IDelayedCall | None = None
        # Outboxes that have to wait for the next turn until they are refilled.
        self._refills: list[IRefilled] = []
        self.outgoing = outgoing if outgoing is not None else OutgoingBytes(clock)
        self.outgoing.add(self)

    def add(self, outbox: IFlushed) -> None:
        """
        Flush C{outbox}, which has frames, at the end of the turn.
        """
        self._dirty.append(outbox)
        if not self._collects:
            self._collects = True
            if self._pause:
                self._call = self._clock.callLater(self._pause, self._end)
            else:
                self._ends.call(self._end)
            self.outgoing.begun()

    def hurry(self) -> None:
        """
        Do not collect frames any longer than until the input of this turn is handled.
        """
        if self._call is not None:
            self._call.reset(0)

    def may_refill(self) -> bool:
        """
        Whether a socket that has room again may be written to in this turn. One socket may take megabytes, and hundreds
        may have room at the same time. The reactor asks again in the next turn, or L{refill_later} does.
        """
        now = self._turns.now()
        if self._refill is None:
            self._refill = self._clock.callLater(0, self._refilled)
            self._refill_end = now + TIME_SLICE
            return True
        return now <= self._refill_end

    def refill_later(self, outbox: IRefilled) -> None:
        """
        Resume C{outbox}, which may not refill its transport in this turn, in the next one.
        """
        self._refills.append(outbox)

    def _refilled(self) -> None:
        self._refill = None
        waiting, self._refills = self._refills, []
        for outbox in waiting:
            try:
                outbox.resumeProducing()
            except Exception:
                self._drop(outbox)

    def _end(self) -> None:
        self._call = None
        self._collects = False
        if not self._flush_slice():
            if not self._collects:
                self._collects = True
                self._clock.callLater(0, self._end)
            return
        if self._holds:
            self._holds = False
            self._turns.release()
        self.outgoing.ended()

    def flush(self) -> None:
        """
        Flush outboxes for one slice of time. No new request is served until the others are flushed as well. This closes
        no connection.
        """
        if not self._flush_slice() and not self._holds:
            self._holds = True
            self._turns.hold()
            self.hurry()

    def _flush_slice(self) -> bool:
        """
        Flush outboxes until the slice is over.

        @return: whether all are flushed.
        """
        dirty, self._dirty = self._dirty, []
        large = self.outgoing.large
        if len(dirty) <= OUTBOXES_PER_CLOCK_LOOK and not large:
            self._flush_each(dirty)
            return True
        step = 1 if large else OUTBOXES_PER_CLOCK_LOOK
        now = self._turns.now
        # Nothing else needs the time of the turn while all requests wait for this.
        end = now() + (TURN_LENGTH if self._holds else TIME_SLICE)
        for start in range(0, len(dirty), step):
            self._flush_each(dirty[start : start + step])
            if now() > end and start + step < len(dirty):
                self._dirty = dirty[start + step :] + self._dirty
                return False
        return True

    def _flush_each(self, dirty: list[IFlushed]) -> None:
        for outbox in dirty:
            try:
                outbox.flush()
            except Exception:
                # The other outboxes still have to be flushed.
                self._drop(outbox)

    def _drop(self, outbox: IFlushed | IRefilled) -> None:
        """
        Drop the connection of C{outbox}, which has raised the current exception.
        """
        self._log.failure("writing to a connection failed", contained=True)
        try:
            outbox.abort()
        except Exception:
            self._log.failure("dropping a connection failed")


@implementer(IOutbox)
class EagerOutbox:
    """
    An outbox whose group collects no longer when it has more than C{limit} bytes (C{maxBufferByteSize}). It does not
    send them itself: L{IOutbox.write} never calls back.
    """

    __slots__ = ("_group", "_limit", "_outbox", "_shared", "_size")

    def __init__(self, outbox: IFlushed, group: OutboxGroup, limit: int) -> None:
        self._outbox = outbox
        self._group = group
        self._limit = limit
        # The bytes of this turn, besides those of the frames that are shared.
        self._size = 0
        self._shared: Callable[[], SharedFrames | None] | None = None

    def write(self, frame: bytes) -> None:
        self._count(len(frame))
        self._outbox.write(frame)
        if self._size > self._limit:
            self._group.hurry()

    @property
    def queued(self) -> int:
        return self._outbox.queued

    def share(self, shared: SharedFrames) -> None:
        self._count(0)
        self._outbox.share(shared)
        # The outboxes hold it: when they have sent it, its frames are freed.
        self._shared = ref(shared)
        shared.limit(self._limit, self._group.hurry)

    def _count(self, size: int) -> None:
        """
        Count C{size} more bytes, and those that were shared until now.
        """
        if self._outbox.empty:
            self._size = 0
        elif self._shared is not None and (shared := self._shared()) is not None:
            self._size += shared.size
        self._shared = None
        self._size += size

    def answer(self, frame: bytes) -> None:
        self._count(len(frame))
        self._outbox.answer(frame)
        if self._size > self._limit:
            self._group.hurry()

    def flush(self) -> None:
        self._outbox.flush()
