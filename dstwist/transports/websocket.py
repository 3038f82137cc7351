"""
WebSockets: Autobahn's protocol between a transport and a connection.

Autobahn does control frames, fragments, limits and the closing, and all handshakes but plain ones
(L{dstwist.transports.compact_link}). Only one thing is done here instead: once a connection is open, small whole data
frames are cut out of the received bytes in one loop. Clients send hardly anything else. All other bytes go through
Autobahn unchanged, so the server conforms to the standard as Autobahn does. With L{FAST_PATH} off, all frames go
through Autobahn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import txaio
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from zope.interface import implementer

from dstwist.connections.requester import NUMBERS
from dstwist.interfaces import HandshakeData, ILink, IOutbox, IReceiver
from dstwist.limits.admission import ConnectionSlot
from dstwist.log import MAX_SHOWN_CHARACTERS, Logger, about, shown
from dstwist.protocol.closing import INTERNAL_ERROR, TRY_AGAIN_LATER
from dstwist.scheduling.turns import TIME_SLICE, Turns
from dstwist.tls.certificates import peer_certificate
from dstwist.transports.forwarded import address_of
from dstwist.transports.incoming import UNCOUNTED_PART_BYTES, CountedLink, CountingFactory
from dstwist.transports.outbox_group import EagerOutbox, OutboxGroup
from dstwist.transports.read_size import read_at_most
from dstwist.transports.tcp_outbox import outbox_for
from dstwist.transports.wire import BINARY_HEAD, TEXT_HEAD

#: Whether small frames are cut out of the received bytes here.
FAST_PATH = True

_MAX_CONTROL_BYTES = 125  # the longest payload of a control frame
_READ_BYTES = 65536  # bytes from one client before other clients have their turn
_MAX_PIECES = 1000  # of a message; pieces of a byte or two take fifty times their size

# A mask of 4 bytes, repeated n times, is its integer times the n-th of these (little-endian).
_REPEATED = [int.from_bytes(b"\x01\x00\x00\x00" * words, "little") for words in range(257)]

#: Makes the receiver of a link's payloads.
ConnectionFactory = Callable[["WebSocketLink", HandshakeData], IReceiver]


class LinkFactory(CountingFactory, Protocol):
    """
    The factory of a WebSocket, as far as the WebSocket needs it.
    """

    outboxes: OutboxGroup
    turns: Turns
    connect: ConnectionFactory

    def forget(self, link: WebSocketLink, /) -> None: ...


@implementer(ILink)
class WebSocketLink(CountedLink):
    """
    One WebSocket. Its factory makes the connection behind it.
    """

    # A dict of more than ten attributes takes 200 bytes more.
    __slots__ = ("_turns", "outbox")

    _log = Logger()

    factory: LinkFactory
    outbox: IOutbox
    #: Autobahn's, set from the options of the factory.
    maxMessagePayloadSize: int
    maxFramePayloadSize: int
    current_frame: Any
    #: The client's share of the limits on connections. The shared port sets it, and C{address}.
    slot: ConnectionSlot | None = None
    http_headers: dict[str, str]
    #: Data that was read waits for a later turn; nothing is read until it is served.
    _postponed = False
    _in_line = False
    _paused = False
    _gone = False
    _turns: Turns
    #: The end of this client's time in this turn.
    _end = 0.0

    # Autobahn logs several lines about each mistake of a client; C{failHandshake} and C{sendCloseFrame} log one
    # instead. Its errors are logged.
    log = txaio.make_logger(level="error")  # type: ignore[attr-defined]

    def connectionMade(self) -> None:
        settings = self.factory.settings
        self.number, self.opened_at = 0, 0.0
        self._turns = self.factory.turns
        read_at_most(self.transport, _READ_BYTES)
        if ITCPTransport.providedBy(self.transport):
            # Autobahn tries this before it has read the option, and fails silently. Without it, the second of two short
            # answers would wait until the client's system acknowledges the first, which it does after 40 ms.
            self.transport.setTcpNoDelay(True)
        self.address = self.address or address_of(self.transport)
        group = self.factory.outboxes
        outbox = outbox_for(self.transport, group, settings.max_outgoing_buffer_size, self._slow_consumer)
        self._outbox = outbox
        eager = settings.outgoing_buffer_timeout
        self.outbox = EagerOutbox(outbox, group, settings.max_buffer_byte_size) if eager else outbox
        super().connectionMade()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        # Autobahn's own data, from the handshake to control frames. It goes through the outbox, so that it does not get
        # in between two halves of a frame, and no frame overtakes it.
        assert self._outbox is not None
        self._outbox.send(data)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        self._log.warn(
            "INVALID_MESSAGE | handshake refused: {reason} ({client.place})",
            reason=shown(reason),
            event="INVALID_MESSAGE",
            **about(self),
        )
        # The whole reason would repeat all that the client sent.
        super().failHandshake(_printable(reason), code, responseHeaders)

    def onFrameData(self, payload: bytes) -> bool | None:
        # Autobahn would collect empty fragments, and control frames that are too long, without end.
        frame = self.current_frame
        if not payload or (frame.opcode > 7 and frame.length > _MAX_CONTROL_BYTES):
            return None
        result: bool | None = super().onFrameData(payload)
        for pieces in (self.frame_data, self.message_data):
            if pieces and len(pieces) > _MAX_PIECES:
                pieces[:] = [b"".join(pieces)]
        return result

    def onOpen(self) -> None:
        # Autobahn would swallow exceptions.
        try:
            self._open()
        except Exception:
            self.fail("opening a connection failed")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.connection is None:
            return
        connection = self.connection
        try:
            if connection.receive(payload if isBinary else payload.decode("utf-8")):
                self._postponed = True
        except Exception:
            self.fail("handling a message failed")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._detach(self._loss)

    def connectionLost(self, reason: Any = None) -> None:
        assert self._outbox is not None
        self._outbox.close()
        self._gone = True
        if reason is not None and reason.check(ConnectionDone):
            self._loss = "the client hung up"
        if self._turns.over():
            # Thousands of clients may leave in one turn, and clients that wait for an answer come first. This one
            # counts as connected until then.
            self._turns.later(partial(self._lost, reason))
        else:
            self._lost(reason)

    def _lost(self, reason: Any) -> None:
        super().connectionLost(reason)
        self.factory.forget(self)
        self._release()

    def _release(self) -> None:
        """
        Drop all references that lead back to this link, so that it is freed now. The garbage collector would find it
        much later. Until then it would keep the bytes of an unfinished message, and a pass over thousands of dead links
        would stop the server.
        """
        self.data = b""
        self.message_data = self.frame_data = None
        self.forget_part()
        self.forget_results()

    def dataReceived(self, data: bytes) -> None:
        try:
            connection = self.connection
            if connection is not None:
                connection.heard = True
                if self._postponed:
                    self.data += data  # a transport may still deliver data that it read before it was paused
                    return
                turns = self._turns
                end = turns.now() + TIME_SLICE
                if end > turns.deadline:
                    end = turns.slice_end()
                    if not end:
                        self.data += data
                        self._wait_for_turn(fresh=True)
                        return
                # Autobahn is between two messages: the data that it holds is the start of a frame.
                if FAST_PATH and self.current_frame is None and not self.inside_message:
                    if self.data:
                        data = self.data + data
                        self.data = b""
                    data = self._take_frames(connection, data, end)
                    if not data:
                        if self.part or len(self.data) > UNCOUNTED_PART_BYTES:
                            self.count_part()
                        return
                self._end = end
            elif self.delayed:
                self.data += data  # a transport may still deliver data that it read before it was paused
                return
            elif self.state == self.STATE_CLOSED:
                return  # TLS delivers data until the client agrees to the end; Autobahn would keep all of it
            self._dataReceived(data)
            self.count_part()
        except MemoryError:
            self.fail("a message failed for lack of memory")

    def processData(self) -> bool:
        # Autobahn would go on until all data is handled, and take a tenth of a second for 64 KiB of pings.
        if self.connection is not None:
            if self.current_frame is None and not self._postponed and self._turns.now() > self._end:
                self._wait_for_turn()
            if self._postponed:
                return False
        elif self.delayed:
            return False
        return bool(super().processData())

    def _take_frames(self, connection: IReceiver, data: bytes, slice_end: float) -> bytes:
        """
        Hand the payloads of all simple frames at the start of C{data} to C{connection}, as far as the time allows.

        @return: the data for Autobahn. The start of a simple frame is kept in C{self.data} until the rest of it has
            come.
        """
        receive = connection.receive
        from_bytes = int.from_bytes
        now = self._turns.now
        limit = self.maxMessagePayloadSize
        end = len(data)
        position = 0
        try:
            while position < end:
                opcode = data[position]
                if opcode != BINARY_HEAD and opcode != TEXT_HEAD:
                    return data[position:]
                start = position + 6
                if start > end:
                    if end - position > 1 and data[position + 1] < 128:
                        return data[position:]
                    break
                length = data[position + 1] - 128
                if length > 125 or length < 0:
                    if length != 126:  # not masked, or of 64 KiB and more
                        return data[position:]
                    start = position + 8
                    if start > end:
                        break
                    length = data[position + 2] << 8 | data[position + 3]
                    if length < 126:  # not the shortest form
                        return data[position:]
                if length > limit:
                    return data[position:]
                stop = start + length
                if stop > end:
                    break
                words = length + 3 >> 2
                mask = from_bytes(data[start - 4 : start], "little")
                pattern = mask * (_REPEATED[words] if words <= 256 else _repeated(words))
                padded = words << 2
                payload: bytes | str = (from_bytes(data[start : start + padded], "little") ^ pattern).to_bytes(
                    padded, "little"
                )[:length]
                if opcode == TEXT_HEAD:
                    try:
                        payload = payload.decode("utf-8")  # type: ignore[union-attr]
                    except UnicodeDecodeError:
                        return data[position:]  # for Autobahn, which closes with 1007
                position = stop
                over = receive(payload)
                if self.connection is not connection:  # closed, or the detection is over
                    if not over or self.connection is None:
                        return data[position:]
                if over:
                    self._postponed = True
                    break
                if now() > slice_end and position < end:
                    self._wait_for_turn()
                    break
        except Exception:
            self.fail("handling a message failed")
            return data[position:]  # there may be a close frame in it
        self.data = data[position:]
        return b""

    # -- ILink

    def logged_in(self) -> None:
        self._take_messages_up_to(self.factory.settings.max_message_size)
        self.forget_headers()
        if self.slot is not None:
            self.slot.logged_in()

    def _take_messages_up_to(self, size: int) -> None:
        self.maxMessagePayloadSize = self.maxFramePayloadSize = size

    def pause(self) -> None:
        self._paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        self._paused = False
        if self.delayed:
            return
        if not self._postponed:
            self.transport.resumeProducing()
        elif not self._in_line:
            # Not now: the caller may be in the middle of its work.
            self._in_line = True
            self._turns.later(self._go_on)

    def _wait_for_turn(self, fresh: bool = False) -> None:
        """
        Serve in a later turn the data that has been read.

        @param fresh: no data of this client was served in this turn.
        """
        self._postponed = True
        self.transport.pauseProducing()
        if not self._in_line:
            self._in_line = True
            self._turns.later(self._go_on, fresh)

    def _go_on(self) -> None:
        self._in_line = False
        if self._paused or self._gone or self.delayed:
            return
        self._postponed = False
        self.dataReceived(b"")
        # Not earlier: if a client sent faster than it is served, more and more data would be kept.
        if not self._postponed and not self._paused:
            self.transport.resumeProducing()

    def _open(self) -> None:
        factory = self.factory
        settings = factory.settings
        self.opened_at = factory.reactor.seconds()
        # Before its login a client may send little: reading a megabyte of JSON takes longer than a login.
        self._take_messages_up_to(min(settings.max_message_size, settings.max_message_size_before_login))
        self.number = next(NUMBERS)
        handshake = HandshakeData(
            self.address,
            self.http_headers,
            None,
            peer_certificate(self.transport),
            self.path,
            self.number,
            factory.node,
        )
        self.forget_handshake()
        self.connection = factory.connect(self, handshake)
        self.connection.open()

    def _slow_consumer(self) -> None:
        assert self._outbox is not None
        if self.delayed:
            return
        self._log.warn(
            "SLOW_CONSUMER | {client} does not read: {excess}, closing",
            excess=self._outbox.excess,
            event="SLOW_CONSUMER",
            **about(self),
        )
        self._detach("slow consumer")
        self.close(TRY_AGAIN_LATER, "slow consumer")

    def fail(self, what: str) -> None:
        """
        A mistake of ours: log it, and close this connection.
        """
        self._log.failure(what, contained=True, **about(self))
        self._detach("internal error")
        self.close(INTERNAL_ERROR, "internal error")


def _printable(text: str) -> str:
    """
    The start of C{text}, fit for the status line of a response.
    """
    return "".join(char if " " <= char <= "~" else "?" for char in text[:MAX_SHOWN_CHARACTERS])


def _repeated(words: int) -> int:
    return int.from_bytes(b"\x01\x00\x00\x00" * words, "little")
