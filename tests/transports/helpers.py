"""
Sockets, transports and clients for the tests of the shells: all in memory, all under the test's control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.interfaces import HandshakeData, IReceiver
from dstwist.transports.websocket import WebSocketLink
from dstwist.transports.websocket_factory import WebSocketFactory

HANDSHAKE = (
    b"GET /deepstream?x=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class SocketStub:
    """
    A socket whose other end has C{room} for so many bytes; C{None} is without limit.

    @ivar pieces: of each call of C{sendmsg}.
    """

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.sent: list[bytes] = []
        self.pieces: list[list[Any]] = []
        self.options: dict[tuple[int, int], Any] = {}
        self.broken = False

    def send(self, data: Any) -> int:
        if self.broken:
            raise ConnectionResetError(104, "Connection reset by peer")
        if self.room == 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        taken = bytes(data[: self.room])
        if self.room is not None:
            self.room -= len(taken)
        self.sent.append(taken)
        return len(taken)

    def sendmsg(self, pieces: list[Any]) -> int:
        self.pieces.append(pieces)
        return self.send(b"".join(pieces))

    def take(self) -> bytes:
        """
        The bytes that were sent since the last call.
        """
        sent, self.sent = b"".join(self.sent), []
        return sent

    def fileno(self) -> int:
        return 99

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self.options[level, option] = value

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        pass


class Listener:
    """
    As much of a listening port as its connections know.
    """

    _realPortNumber = 6020


def tcp(reactor: Any, protocol: Any, room: int | None = None) -> Any:
    """
    Twisted's own TCP transport, on a L{SocketStub} that is its attribute C{socket}.
    """
    socket: Any = SocketStub(room)
    listener: Any = Listener()
    transport = Server(socket, protocol, ("192.0.2.1", 50000), listener, 1, reactor)
    transport.startReading()
    return transport


def turn(reactor: Any, *transports: Any) -> None:
    """
    One reactor turn: timed calls first, then the sockets that can be written to.
    """
    reactor.advance(0)
    for transport in transports:
        if transport in reactor.writers:
            problem = transport.doWrite()
            if problem is not None:
                transport.connectionLost(Failure(problem))


class PushTransport(StringTransport):
    """
    A transport that pauses its producer above C{high} bytes, like those of TLS and UNIX sockets.

    @ivar instead: called in place of L{write}, by whatever name that was kept.
    """

    high = 1 << 30
    bufferSize = 65536
    instead: Callable[[bytes], object] | None = None

    def write(self, data: bytes) -> None:
        if self.instead is not None:
            self.instead(data)
            return
        super().write(data)
        if self.producer is not None and len(self.value()) > self.high:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def take(self) -> bytes:
        """
        The bytes that were written since the last call; there is room again.
        """
        data: bytes = self.value()
        self.clear()
        return data

    def unregisterProducer(self) -> None:
        # As often as one likes, like the real ones.
        self.producer = None

    def resumeProducing(self) -> None:
        self.producerState = "producing"

    def abortConnection(self) -> None:
        self.aborted = True

    aborted = False


@implementer(IReceiver)
class Recorder:
    """
    Stands in for the connection behind a WebSocket.
    """

    def __init__(self, link: WebSocketLink, handshake: HandshakeData) -> None:
        self.user: str | None = None
        self.link = link
        self.handshake = handshake
        self.heard = False
        self.payloads: list[bytes | str] = []
        self.counted = 0
        self.events: list[str] = []
        self.problem: Exception | None = None

    def open(self) -> None:
        self.events.append("open")
        if self.problem is not None:
            raise self.problem

    def receive(self, payload: bytes | str) -> bool | None:
        if self.problem is not None:
            raise self.problem
        self.payloads.append(payload)
        return None

    def count_bytes(self, count: int) -> None:
        self.counted += count

    def close(self, reason: str, code: int) -> None:
        self.events.append("close")
        self.link.close(code, reason)

    def lost(self, reason: str) -> None:
        self.events.append("lost")
        if self.problem is not None:
            raise self.problem


class Client:
    """
    A WebSocket client made of bytes, and the link that serves it.
    """

    def __init__(self, factory: WebSocketFactory, transport: Any = None, handshake: bytes | None = HANDSHAKE) -> None:
        self.reactor = factory.reactor
        self.transport = transport or PushTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 50000))
        self.link: WebSocketLink = factory.buildProtocol(None)
        self.link.makeConnection(self.transport)
        self.transport.protocol = self.link
        self.greeting = b""
        if handshake is not None:
            self.link.dataReceived(handshake)
            self.greeting = self.taken()

    @property
    def connection(self) -> Any:
        return self.link.connection

    def send(self, *frames: bytes) -> None:
        self.link.dataReceived(b"".join(frames))

    @property
    def gone(self) -> str:
        """
        How the server has ended the connection: C{"aborted"}, C{"closed"}, or not at all, C{""}.
        """
        return "aborted" if self.transport.aborted else "closed" if self.transport.disconnecting else ""

    def taken(self) -> bytes:
        """
        All bytes that came since the last call.
        """
        self.reactor.advance(0)
        data: bytes = self.transport.take()
        return data

    def lose(self) -> None:
        """
        The connection is lost.
        """
        self.link.connectionLost(Failure(ConnectionDone()))


def web_sockets(connect: Any = Recorder, reactor: Any = None, **settings: Any) -> WebSocketFactory:
    """
    A factory for WebSockets, with a clock of its own as C{reactor}.
    """
    return WebSocketFactory(WebSocketEndpoint(**settings), connect, reactor or MemoryReactorClock())


def frame(
    opcode: int,
    payload: bytes = b"",
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x01\x82\xff\x00",
    form: int | None = None,
) -> bytes:
    """
    A client's frame.

    @param form: how the length is written: 7, 16 or 64 bits; the shortest that will do if C{None}.
    """
    length = len(payload)
    if form is None:
        form = 7 if length < 126 else 16 if length < 65536 else 64
    masked = 0 if mask is None else 128
    head = bytes([final << 7 | reserved << 4 | opcode])
    if form == 7:
        head += bytes([masked | length])
    elif form == 16:
        head += bytes([masked | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([masked | 127]) + length.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))


def closing(code: int, reason: bytes = b"") -> bytes:
    """
    A close frame of the server.
    """
    return bytes([0x88, 2 + len(reason)]) + code.to_bytes(2, "big") + reason


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """
    Opcode and payload of all frames in C{data}, which is what a server sent: whole frames, not masked.
    """
    frames = []
    position = 0
    while position < len(data):
        opcode, length, start = data[position], data[position + 1], position + 2
        if length == 126:
            length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif length == 127:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        position = start + length
        assert opcode & 0x80 and position <= len(data), data
        frames.append((opcode & 0x7F, data[start:position]))
    return frames


def close_code(data: bytes) -> int | None:
    """
    The code of the close frame in C{data}; nothing may follow it.
    """
    codes = [int.from_bytes(payload[:2], "big") for opcode, payload in frames_of(data) if opcode == CLOSE]
    assert not codes or (len(codes) == 1 and frames_of(data)[-1][0] == CLOSE), data
    return codes[0] if codes else None


class Idle(Protocol):
    """
    A protocol that does nothing.
    """


class Overflow:
    """
    Counts how often an outbox overflowed.
    """

    count = 0

    def __call__(self) -> None:
        self.count += 1


def close_payload(code: int, reason: bytes = b"") -> bytes:
    """
    The payload of a client's close frame.
    """
    return code.to_bytes(2, "big") + reason
