"""
The outboxes of one port, flushed together once per reactor turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.log import Logger
from dstwist.outgoing import Outgoing

if TYPE_CHECKING:
    from dstwist.transports.outbox import Outbox


class Turn:
    """
    The outboxes with something in them.

    @param pause: how long to collect, in seconds; 0 is "until this reactor turn's input is handled".
    @param outgoing: counts the bytes of all connections.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, pause: float = 0.0, outgoing: Outgoing | None = None) -> None:
        self._clock = clock
        self._pause = pause
        self._dirty: list[Outbox] = []
        self._call: IDelayedCall | None = None
        self.outgoing = outgoing if outgoing is not None else Outgoing(clock)
        self.outgoing.add(self)

    def add(self, outbox: Outbox) -> None:
        """
        Have C{outbox} flushed at the end of the turn.
        """
        self._dirty.append(outbox)
        if self._call is None:
            self._call = self._clock.callLater(self._pause, self._end)
            self.outgoing.begun()

    def hurry(self) -> None:
        """
        End the turn as soon as this reactor turn's input is handled.
        """
        if self._call is not None and self._pause:
            self._call.reset(0)

    def _end(self) -> None:
        self._call = None
        self.flush()
        self.outgoing.ended()

    def flush(self) -> None:
        """
        Flush all outboxes. Closes none of them.
        """
        dirty, self._dirty = self._dirty, []
        for outbox in dirty:
            try:
                outbox.flush()
            except Exception:
                # One broken transport must not keep the others waiting.
                self._log.failure("writing to a connection failed", contained=True)
                try:
                    outbox.abort()
                except Exception:
                    self._log.failure("dropping a connection failed")


def counted(outbox: Outbox, turn: Turn, limit: int) -> Callable[[bytes], None]:
    """
    The C{write} of C{outbox}, ending the turn early when more than C{limit} bytes (C{maxBufferByteSize}) were
    collected. It does not send them itself: C{write} never calls back.
    """
    size = 0

    def write(frame: bytes) -> None:
        nonlocal size
        size = len(frame) if outbox.empty else size + len(frame)
        outbox.write(frame)
        if size > limit:
            turn.hurry()

    return write
