"""
Answers without an end, and long ones.

::

    handler --write--> StreamWriter --> transport --> client
                          |  waiting <-- the client does not take it

Always true: the handler hears of the end at most once, and not if it closed the stream itself.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.web.server import Request
from zope.interface import implementer

from dstwist.interfaces import IStreamWriter

#: How long a client may take nothing while data wait for it, in seconds.
STALL_TIMEOUT = 60.0
#: The option of a socket for this; C{None} if the system has none.
_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
#: A longer answer leaves in pieces of this length, in bytes, as its client takes them.
PIECE_BYTES = 65536


@implementer(IStreamWriter, IPushProducer)
class StreamWriter:
    """
    Sends one stream.

    @param ended: called when the stream has ended, for whatever reason.
    """

    def __init__(self, request: Request, ended: Callable[[], object]) -> None:
        self._request = request
        self._channel: Any = request.channel
        self._ended = ended
        self._queue: deque[bytes | memoryview] = deque()
        # The first item of the queue is the rest of data of which a part has left.
        self._cut = False
        self._paused = False
        self._closing = False
        self._over = False
        self._stalled: IDelayedCall | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._taken: Callable[[], object] | None = None
        self.is_gone = False
        self.waiting = 0

    def start(self) -> None:
        """
        Send the head of the answer.
        """
        _drop_when_silent(self._channel.transport)
        self._request.registerProducer(self, True)
        self._request.write(b"")

    def write(self, data: bytes) -> None:
        if self._over or self._closing or not data:
            return
        if self._paused or len(data) > PIECE_BYTES:
            self._queue.append(data)
            self.waiting += len(data)
            self._send_queue()
        else:
            self._request.write(data)

    def write_all(self, body: bytes) -> None:
        """
        Send C{body}, whose length is in the head, and end the answer. The pieces that wait are not copied.
        """
        self._queue.append(body)
        self.waiting = len(body)
        self._closing = True
        self._send_queue()

    def discard(self) -> bool:
        cut, self._cut = self._cut, False
        self._queue.clear()
        self.waiting = 0
        return cut

    def on_taken(self, callback: Callable[[], object]) -> None:
        self._taken = callback

    def abort(self) -> None:
        self._channel.transport.abortConnection()

    def close(self, keeps_connection: bool = True) -> None:
        self._callbacks.clear()
        if self._over:
            return
        if not keeps_connection:
            # twisted.web closes the connection behind the answer, as if the client had asked for that.
            self._channel.persistent = False
        self._closing = True
        if not self._queue:
            self._finish()

    def on_gone(self, callback: Callable[[], object]) -> None:
        if self.is_gone:
            callback()
        elif not self._closing:
            self._callbacks.append(callback)

    def stop(self) -> None:
        """
        The server stops: tell the handler, and end the answer.
        """
        if not self._over and not self._closing:
            self._tell()
            self.close(keeps_connection=False)

    def lost(self) -> None:
        """
        The client has gone.
        """
        if not self._over:
            self._end()
            self._tell()

    # -- the transport calls these

    def pauseProducing(self) -> None:
        if not self._paused and not self._over:
            self._paused = True
            self._stalled = self._channel.callLater(STALL_TIMEOUT, self._drop)

    def resumeProducing(self) -> None:
        if self._over:
            return
        self._paused = False
        self._stop_timer()
        waiting = self.waiting
        self._send_queue()
        if waiting and self._taken is not None:
            self._taken()

    def stopProducing(self) -> None:
        # The loss of the connection is told otherwise.
        pass

    def _send_queue(self) -> None:
        while self._queue and not self._paused:
            data = self._queue.popleft()
            self._cut = len(data) > PIECE_BYTES
            if self._cut:
                view = memoryview(data)
                self._queue.appendleft(view[PIECE_BYTES:])
                data = view[:PIECE_BYTES]
            self.waiting -= len(data)
            self._request.write(bytes(data))
        if self._closing and not self._queue:
            self._finish()

    # -- the end

    def _drop(self) -> None:
        self._stalled = None
        self.abort()

    def _finish(self) -> None:
        self._end()
        self._request.unregisterProducer()
        self._request.finish()

    def _end(self) -> None:
        self._over = True
        self._taken = None
        self._queue.clear()
        self.waiting = 0
        self._stop_timer()
        self._ended()

    def _stop_timer(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _tell(self) -> None:
        self.is_gone = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


def _drop_when_silent(transport: Any) -> None:
    """
    Have the system close the connection if the client confirms nothing for so long. If the client's machine or the way
    to it is lost, short writes fill no buffer, and the system would try for a quarter of an hour.
    """
    handle = getattr(transport, "socket", None)
    if handle is not None and _USER_TIMEOUT is not None:
        # A UNIX socket has no such option, and needs none.
        with suppress(OSError):
            handle.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(STALL_TIMEOUT * 1000))
