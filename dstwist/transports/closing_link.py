"""
The end of a WebSocket.

::

    open --close--> delayed --end of the delay, shutdown--> closing --client's answer, CLOSE_TIMEOUT--> gone
      |                |                                       ^
      |                +---------- client leaves --------------|------------------------------------> gone
      +------------- nothing to wait for ----------------------+

A close is delayed as L{dstwist.transports.close_delay} says. Always true while it is delayed: the connection has ended,
with all subscriptions; all earlier frames have left, or are dropped; nothing is read, served or sent. Autobahn still
has to find the client's answer to the close, so it keeps its position in the stream, and the bytes of the last read.
"""

from __future__ import annotations

from typing import Any, Protocol

from autobahn.util import encode_truncate
from twisted.internet.interfaces import IDelayedCall

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.interfaces import IReceiver
from dstwist.log import Logger, about, shown
from dstwist.protocol.closing import GOING_AWAY, NORMAL
from dstwist.transports.close_delay import CloseDelay
from dstwist.transports.compact_link import CompactLink
from dstwist.transports.outbox import Outbox
from dstwist.transports.read_size import read_at_most
from dstwist.transports.watched_outbox import Watch, unwatch, watch

#: How long a client may take for its part of the close handshake, in seconds.
CLOSE_TIMEOUT = 2

_CLOSING_READ_BYTES = 2048

# Clients that are redirected wait for our close frame. When the server stops, clients cannot come back to it anyway.
_NEVER_DELAYED = (NORMAL, GOING_AWAY)


class ClosingFactory(Protocol):
    """
    The factory of a WebSocket, as far as closing needs it.
    """

    settings: WebSocketEndpoint
    node: str
    close_delay: CloseDelay
    reactor: Any


class ClosingLink(CompactLink):
    """
    A WebSocket that can close.

    @ivar opened_at: when it was opened, by the clock of its factory.
    @ivar delayed: its close is delayed: it is to be closed, and its client does not know yet.
    """

    __slots__ = ("number", "opened_at")

    # Autobahn owns C{log}.
    _log = Logger()

    factory: ClosingFactory
    transport: Any
    address = ""
    #: The number of the connection, unique in this process, streams included; 0 until the WebSocket is open.
    number: int
    opened_at: float
    delayed = False
    frame_data: Any = None
    message_data: Any = None
    #: Receives the payloads; C{None} before the WebSocket is open and after it was closed.
    connection: IReceiver | None = None
    _outbox: Outbox | None = None
    _drop_call: IDelayedCall | None = None
    # Why the connection ends if its transport does.
    _loss = "connection lost"

    @property
    def path(self) -> str:
        """
        The path of the URL that the client is connected to.
        """
        return self.factory.settings.url_path

    @property
    def node(self) -> str:
        """
        The label of the node, for logs.
        """
        return self.factory.node

    @property
    def user(self) -> str | None:
        """
        The user, once logged in.
        """
        return None if self.connection is None else self.connection.user

    @property
    def waiting_bytes(self) -> int:
        """
        How many bytes wait because the client does not read.
        """
        return 0 if self._outbox is None else self._outbox.counted

    def watch(self, callback: Watch | None) -> None:
        """
        Have C{callback} called with the frames for the client; C{None}: no longer.
        """
        if self._outbox is None:
            return
        if callback is None:
            unwatch(self._outbox)
        else:
            watch(self._outbox, callback)

    def close(self, code: int, reason: str) -> None:
        self.connection = None
        # Autobahn's sendClose() refuses most codes.
        self.sendCloseFrame(code, encode_truncate(reason, 123))

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        if self.delayed:
            return
        if self.failedByMe and self.state == self.STATE_OPEN:
            self._log.warn(
                "INVALID_MESSAGE | {reason} from {client}, closing with {code}",
                reason=_text(reasonUtf8),
                code=code,
                event="INVALID_MESSAGE",
                **about(self),
            )
        if self.state == self.STATE_OPEN and not isReply and code not in _NEVER_DELAYED:
            self._closing = (code, reasonUtf8)
            self.delayed = self.factory.close_delay.begin(self, self.opened_at, self._close_now)
            if self.delayed:
                self._fall_silent(_text(reasonUtf8))
                return
        self._send_close_frame(code, reasonUtf8, isReply)

    def end(self, code: int, reason: str) -> None:
        """
        Close in order, at once if the close is delayed already. Drop the transport if the handshake is not complete.
        """
        if self.connection is not None:
            self.connection.close(reason, code)
        elif self.delayed:
            self.factory.close_delay.cancel(self)
            self._close_now()
        elif self.state == self.STATE_CONNECTING:
            self.dropConnection(abort=True)

    def hand_over(self, connection: IReceiver) -> None:
        """
        Give all further payloads to C{connection}.
        """
        self.connection = connection

    def _close_now(self) -> None:
        self.delayed = False
        code, reason = self._closing
        self._send_close_frame(code, reason, False)
        # The client's close frame may have been read already.
        self.dataReceived(b"")

    def _fall_silent(self, reason: str) -> None:
        outbox = self._outbox
        assert outbox is not None
        self._detach(reason)
        outbox.flush()
        outbox.discard()
        outbox.shut()
        for pieces in (self.frame_data, self.message_data):
            if pieces:
                pieces.clear()
        self.transport.pauseProducing()

    def _send_close_frame(self, code: int | None, reason: bytes | None, is_reply: bool) -> None:
        was_open = self.state == self.STATE_OPEN
        super().sendCloseFrame(code, reason, is_reply)
        if was_open and not is_reply:
            self._drop_in_time()
        # Nothing may follow a close frame of either side.
        self._detach(self._closed_by_client() if is_reply else _text(reason))
        if was_open:
            assert self._outbox is not None
            self._outbox.shut()
        # A paused transport would not see the client's answer. It reads little at a time, since the time that other
        # frames take before that is not limited any more.
        read_at_most(self.transport, _CLOSING_READ_BYTES)
        self.transport.resumeProducing()

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.close_delay.cancel(self)
        if self._drop_call is not None and self._drop_call.active():
            self._drop_call.cancel()
        super().connectionLost(reason)
        # A call that was made still refers to this link, which is to be freed now.
        self._drop_call = None

    def _detach(self, reason: str) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                connection.lost(reason)
            except Exception:
                self._log.failure("closing a connection failed", **about(self))

    def _closed_by_client(self) -> str:
        """
        The reason for the log, after the client has closed the WebSocket in order.
        """
        code, reason = self.remoteCloseCode, self.remoteCloseReason
        told = "" if code is None else f" with {code}"
        return f"closed by the client{told}{f': {shown(reason)}' if reason else ''}"

    def _closeConnection(self, abort: bool = False) -> None:
        outbox = self._outbox
        assert outbox is not None
        if abort:
            outbox.close()
            self.transport.abortConnection()
        else:
            # The transport waits until the client reads, or agrees to the end of TLS.
            self._drop_in_time()
            outbox.finish()

    def _drop_in_time(self) -> None:
        if self._drop_call is None:
            self._drop_call = self.factory.reactor.callLater(CLOSE_TIMEOUT, self._drop)

    def _drop(self) -> None:
        assert self._outbox is not None
        self._outbox.abort()


def _text(reason: bytes | None) -> str:
    return (reason or b"").decode("utf-8", "replace")
