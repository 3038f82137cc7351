"""
What is to be written to a connection, written once per reactor turn.

A fan-out appends a finished frame to the outbox of each subscriber. All outboxes with something in them are flushed
together, after everything that arrived in the same reactor turn was handled: one join and one send each. Under load
the batches grow by themselves; when idle a message leaves at once.

::

    write() ---> frames of this turn ---flush()---> socket, as far as it takes them
                                          |
                                          +-------> backlog, while the socket is full ---> socket

Always true: frames leave whole and in the order they were written. The backlog is bounded: a client whose backlog
outgrows the limit is closed with a reason, and never skipped. What the transport has already taken is not counted; it
is one turn's frames or one full backlog at most. Frames of one turn are not counted either: fan-outs into it are as
large as what came in. Answers to one client can be a thousand times larger than its requests, so they go through
L{Outbox.answer}, which does not let them gather.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPullProducer, IPushProducer, IReactorTime
from twisted.internet.tcp import Server as TcpTransport
from zope.interface import implementer

from dstwist.log import Logger

#: So many bytes of answers gather in a turn before they are sent.
AT_ONCE = 65536


class Turn:
    """
    The outboxes with something in them.

    @param pause: how long to collect, in seconds; 0 is "until this reactor turn's input is handled".
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, pause: float = 0.0) -> None:
        self._clock = clock
        self._pause = pause
        self._dirty: list[Outbox] = []
        self._call: IDelayedCall | None = None

    def add(self, outbox: Outbox) -> None:
        """
        Have C{outbox} flushed at the end of the turn.
        """
        self._dirty.append(outbox)
        if self._call is None:
            self._call = self._clock.callLater(self._pause, self._end)

    def hurry(self) -> None:
        """
        End the turn as soon as this reactor turn's input is handled.
        """
        if self._call is not None and self._pause:
            self._call.reset(0)

    def _end(self) -> None:
        self._call = None
        dirty, self._dirty = self._dirty, []
        for outbox in dirty:
            try:
                outbox.flush()
            except Exception:
                # One broken transport must not keep the others waiting.
                self._log.failure("writing to a connection failed")
                try:
                    outbox.abort()
                except Exception:
                    self._log.failure("dropping a connection failed")


@implementer(IPushProducer)
class Outbox:
    """
    The outbox of a connection on any transport: TLS, UNIX sockets, memory.

    The transport tells, as a consumer, when it has too much and when it wants more.

    @param limit: how many bytes may wait for a client that does not read.
    @param overflow: called, once, when more than that would. It is to close the connection.
    """

    def __init__(self, transport: Any, turn: Turn, limit: int, overflow: Callable[[], None]) -> None:
        self._transport = transport
        self._turn = turn
        self._limit = limit
        self._overflow = overflow
        self._frames: list[bytes] = []
        self._stalled = False
        self._backlog: list[bytes] = []
        self._backlog_size = 0
        self._answered = 0
        self._open = True
        self._start()

    def _start(self) -> None:
        self._transport.registerProducer(self, True)

    @property
    def empty(self) -> bool:
        """
        Nothing was written since the last flush.
        """
        return not self._frames

    def write(self, frame: bytes) -> None:
        """
        Queue a frame.
        """
        if not self._frames:
            self._turn.add(self)
        self._frames.append(frame)

    def answer(self, frame: bytes) -> None:
        """
        Queue a frame that is for this client alone. Like L{write} it never calls back: if there is too much of them
        the rest is dropped until the end of the turn, which is the end of the connection then.
        """
        if not self._frames:
            self._turn.add(self)
        self._frames.append(frame)
        self._answered += len(frame)
        if self._answered > AT_ONCE:
            self._answered = 0
            self._relieve()

    def _relieve(self) -> None:
        if not self._stalled:
            self.flush()
        elif self._backlog_size > self._limit:
            # The one that is left has the end of the turn notice.
            del self._frames[1:]
        elif self._open:
            self._backlog.extend(self._frames)
            self._backlog_size += sum(map(len, self._frames))
            self._frames.clear()

    def flush(self) -> None:
        """
        Send what is queued, or keep it until the client has read what was sent before.
        """
        frames = self._frames
        if not frames:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        if not self._stalled:
            self._send(data)
        elif self._open:
            self._backlog.append(data)
            self._backlog_size += len(data)
            if self._backlog_size > self._limit:
                # The client will be told, behind what is on its way already. That last word is let through.
                self._take_backlog()
                self._limit = sys.maxsize
                self._overflow()

    def send(self, data: bytes) -> None:
        """
        Send C{data} behind everything that is queued, and all of it now.
        """
        self._frames.append(data)
        self.flush()

    def finish(self) -> None:
        """
        Hand everything to the transport, which is about to close, and take no more.
        """
        self.flush()
        if self._backlog:
            self._transport.write(self._take_backlog())
        self.close()

    def close(self) -> None:
        """
        Drop what is queued and take no more.
        """
        if not self._open:
            return
        self._open = False
        self._frames.clear()
        self._take_backlog()
        self._stalled = True
        self._transport.unregisterProducer()

    def abort(self) -> None:
        """
        Drop the transport as well.
        """
        self.close()
        self._transport.abortConnection()

    def _send(self, data: bytes) -> None:
        self._transport.write(data)

    def _take_backlog(self) -> bytes:
        data = b"".join(self._backlog)
        self._backlog.clear()
        self._backlog_size = 0
        return data

    # -- the transport's view

    def pauseProducing(self) -> None:
        self._stalled = True

    def resumeProducing(self) -> None:
        if self._open:
            self._stalled = False
            if self._backlog:
                self._send(self._take_backlog())

    def stopProducing(self) -> None:
        self.close()


@implementer(IPullProducer)
class TcpOutbox(Outbox):
    """
    The outbox of a connection on plain TCP: it writes to the socket itself while nothing is queued before it.

    That saves the round through the reactor, two C{epoll_ctl} calls a message. What the socket does not take goes to
    the transport, which asks for more when it has got rid of it.
    """

    _asked = False

    def _start(self) -> None:
        # Not C{transport.writeSomeData}, whose wrapping costs a tenth of a delivery.
        self._socket_send = self._transport.socket.send

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket_send(data)
        except OSError:
            # There is no room, or the connection is lost: the transport finds out which when it tries itself.
            sent = 0
        if sent < len(data):
            self._stalled = True
            self._transport.write(data[sent:])
            # Registering asks for the first piece at once: not yet, that is what there is to get rid of.
            self._asked = False
            self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        if not self._asked:
            self._asked = True
            return
        if self._open and self._backlog:
            self._transport.write(self._take_backlog())
            return
        self._transport.unregisterProducer()
        self._stalled = not self._open


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


def outbox_for(transport: Any, turn: Turn, limit: int, overflow: Callable[[], None]) -> Outbox:
    """
    The outbox that suits C{transport}.
    """
    # Exactly this class: a TLS transport would pass the attributes of the socket below it through, and what is
    # written there is not encrypted.
    kind = TcpOutbox if type(transport) is TcpTransport else Outbox
    return kind(transport, turn, limit, overflow)
