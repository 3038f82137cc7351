"""
The frames for one connection, sent once in each turn of the reactor.

A fan-out appends a finished frame to the outbox of each subscriber. All outboxes that have frames are flushed together,
after everything that arrived in the same turn was handled: one join and one send each. Under load the batches grow by
themselves; when the server is idle, a message leaves at once.

::

    write() ---> frames of this turn ---flush()---> socket, as far as it takes them
                                          |
                                          +-------> backlog, while the socket is full ---> socket

Always true: frames leave whole, and in the order in which they were written. The backlog is bounded: a client whose
backlog exceeds the limit is closed with a reason, and never skipped. A frame or batch of which a part has left does not
count for the limit. The outbox keeps the backlog itself, and hands the transport only as much as it can send. Large
frames are not copied: the backlogs of all subscribers hold the same object. L{dstwist.limits.outgoing_bytes} bounds
the bytes of all connections together.

Answers to one client can be a thousand times larger than its requests. So they go through L{Outbox.answer}, which sends
them before many of them gather.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from dstwist.interfaces import IOutbox
from dstwist.transports.backlog import Backlog
from dstwist.transports.outbox_group import OutboxGroup
from dstwist.transports.turn_frames import TurnFrames

#: Answers of more bytes than this are sent before the end of the turn.
MAX_WAITING_ANSWER_BYTES = 65536

#: A transport that copies its data gets this many bytes at a time.
PIECE_BYTES = 131072


def _nothing() -> None:
    pass


@implementer(IOutbox, IPushProducer)
class Outbox(TurnFrames):
    """
    The outbox of a connection on any transport: TLS, UNIX sockets, memory.

    The transport, as a consumer, says when it has too much data and when it wants more.

    @param limit: how many bytes may wait for a client that does not read.
    @param overflow: called once, between two turns, to close the connection. Either more bytes than C{limit} would wait
        for this client; or too many bytes wait for all clients together, and most of them for this one.
    @ivar counted: how many bytes of this outbox L{OutgoingBytes} has counted.
    @ivar given_up: the connection is about to be closed, or is closing.
    """

    __slots__ = (
        "_answered",
        "_backlog",
        "_broken",
        "_close_soon",
        "_excess",
        "_finishing",
        "_handed",
        "_limit",
        "_mute",
        "_open",
        "_outgoing",
        "_overflow",
        "_room_meanwhile",
        "_shut",
        "_stalled",
        "_told",
        "_transport",
        "_write",
        "counted",
        "given_up",
    )

    def __init__(self, transport: Any, group: OutboxGroup, limit: int, overflow: Callable[[], None]) -> None:
        super().__init__(group)
        self._transport = transport
        self._outgoing = group.outgoing
        self._limit = limit
        self._overflow = overflow
        self._stalled = False
        self._backlog = Backlog()
        self._answered = 0
        # Bytes that a stalled transport is known to hold.
        self._handed = 0
        self._open = True
        self._finishing = False
        # No more frames are kept: the client is too slow, and its connection has not been told yet.
        self._mute = False
        # A frame of which a part had left was dropped.
        self._broken = False
        # The transport wanted more data while nothing could be sent.
        self._room_meanwhile = False
        # The client was told that the connection ends: frames that are queued from now on do not leave.
        self._shut = False
        self._close_soon = False
        self._told = False
        self._excess = ""
        self.counted = 0
        self.given_up = False
        self._start()

    def _start(self) -> None:
        # A TLS transport takes long to look it up.
        self._write = self._transport.write
        self._transport.registerProducer(self, True)

    @property
    def excess(self) -> str:
        """
        The limit that the client exceeded, for the log.
        """
        return self._excess

    def answer(self, frame: bytes) -> None:
        """
        Queue a frame that is for this client alone. Like L{write} it never calls back: if too many answers wait,
        further ones are dropped until the connection is closed, between two turns.
        """
        if not self._frames:
            self._begin()
        self._frames.append(frame)
        size = len(frame)
        self._answered += size
        if self._answered > MAX_WAITING_ANSWER_BYTES:
            self._answered = 0
            self._relieve()
        else:
            outgoing = self._outgoing
            outgoing.room -= size
            if outgoing.room < 0:
                outgoing.make_room()

    def _relieve(self) -> None:
        frames, self._frames = self._frames, []
        if self._shut:
            return
        if self._stalled:
            self._keep(frames)
        else:
            self._send_frames(frames)

    def flush(self) -> None:
        """
        Send all queued frames, or keep them until the client has read the earlier ones.
        """
        if not self._frames and self._shared is None:
            return
        if self._stalled or self._shut or self._outgoing.large:
            self._share_no_more()
            self._relieve()
        else:
            self._send(self._take())

    def send(self, data: bytes) -> None:
        """
        Send all queued frames now, and C{data} behind them. This works after L{shut}, too.
        """
        self._share_no_more()
        if self._shut:
            self._frames.clear()
            self._shut = False
            self.send(data)
            self._shut = True
            return
        self._frames.append(data)
        self.flush()

    def shut(self) -> None:
        """
        Send all queued frames, and drop all later ones. A fan-out may still call L{write}.
        """
        self.flush()
        self._shut = True

    def finish(self) -> None:
        """
        Send everything, then close the transport. Drop all later frames.
        """
        self.flush()
        self._told = self.given_up = True
        if self._backlog.size > MAX_WAITING_ANSWER_BYTES:
            self._finishing = True
            return
        if self._backlog:
            self._transport.write(self._backlog.take(MAX_WAITING_ANSWER_BYTES))
        self._finished()

    def _finished(self) -> None:
        # In this order: TLS accepts data after this while it has a producer.
        self._transport.loseConnection()
        self.close()

    def discard(self) -> None:
        """
        Drop the backlog, but not the rest of a frame of which a part has left. Later frames are still sent.
        """
        self._backlog.clear_behind()
        self._account()

    def close(self) -> None:
        """
        Drop all frames, and all later ones.
        """
        if not self._open:
            return
        self._open = False
        self._share_no_more()
        self._frames.clear()
        self._backlog.clear()
        self._handed = 0
        self._outgoing.account(self, 0)
        self._stalled = True
        self._transport.unregisterProducer()
        # It belongs to the link, which has this outbox. Without the circle of references both are freed at once, and
        # not by the garbage collector.
        self._overflow = _nothing

    def abort(self) -> None:
        """
        Drop the transport as well.
        """
        self.close()
        self._transport.abortConnection()

    # -- sending

    def _send(self, data: bytes) -> None:
        """
        Send one batch. The transport is not stalled.
        """
        if len(data) <= PIECE_BYTES:
            self._handed = len(data)
            self._write(data)
        else:
            self._send_frames([data])

    def _send_frames(self, frames: Iterable[bytes]) -> None:
        """
        Send frames of any size. The transport is not stalled.
        """
        self._backlog.extend(frames, self._stalled)
        self._send_backlog()
        self._check()

    def _send_backlog(self) -> None:
        """
        Send the backlog, as far as the transport takes it.
        """
        while self._backlog and not self._stalled:
            piece = self._backlog.take(PIECE_BYTES)
            self._handed = len(piece)
            self._write(piece)
        self._backlog.begun = self._backlog.partly_sent

    # -- the backlog

    def _keep(self, frames: list[bytes]) -> None:
        """
        Keep frames in the backlog until the client reads.
        """
        if self._open and not self._mute and not self._finishing:
            self._backlog.extend(frames, self._stalled)
            self._check()

    def _check(self) -> None:
        """
        Compare the backlog with both limits.
        """
        if self._backlog.behind > self._limit:
            self._excess = f"more than {self._limit} bytes wait (maxOutgoingBufferSize)"
            self.give_up()
        else:
            self._account()

    def _account(self) -> None:
        self._outgoing.account(self, self._backlog.size + (self._handed if self._stalled else 0))

    # -- too slow

    def give_up(self) -> None:
        """
        Drop the backlog now, and have the connection closed later. The rest of a frame of which a part has left stays,
        so that the reason can be sent behind it. The second call drops that too, and the connection.
        """
        if not self._open:
            return
        if self.given_up:
            self._backlog.clear()
            self._broken = True
            self._handed = 0
        else:
            self._backlog.clear_behind()
        self._mute = self.given_up = True
        self._excess = self._excess or f"more than {self._outgoing.most} bytes wait for all clients (maxOutgoingBytes)"
        self._account()
        if not self._close_soon:
            self._close_soon = True
            self._outgoing.close_later(self)

    def close_slow(self) -> None:
        self._close_soon = False
        if not self._open:
            return
        if not self._told:
            # The reason is sent behind the frame that is on its way. Frames that were queued meanwhile would come after
            # those that were dropped.
            self._share_no_more()
            self._frames.clear()
            self._told = True
            self._mute = self._broken
            self._limit = sys.maxsize
            self._overflow()
        if self._broken:
            self.abort()
        elif self._room_meanwhile and self._open:
            self._room_meanwhile = False
            self.resumeProducing()

    # -- the transport's view

    def pauseProducing(self) -> None:
        self._stalled = True
        if self._open:
            # Its buffers are full.
            self._handed = max(self._handed, MAX_WAITING_ANSWER_BYTES)
            self._account()

    def resumeProducing(self) -> None:
        if not self._open:
            return
        if self._backlog and not self._group.may_refill():
            # The transport does not ask again.
            self._group.refill_later(self)
            return
        self._stalled = False
        self._send_backlog()
        if self._mute and not self._stalled:
            self._stalled = self._room_meanwhile = True
        self._account()
        if self._finishing and not self._backlog:
            self._finished()

    def stopProducing(self) -> None:
        self.close()
