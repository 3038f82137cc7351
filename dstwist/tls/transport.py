"""
TLS on the connections of a port.

Twisted's own transport for TLS gathers what is written in a turn, and has the reactor send it. Here both steps are left
out, because an outbox (L{dstwist.transports.outbox}) writes once in a turn already::

    outbox --write()--> OpenSSL --encrypted--> socket, as far as it takes it
                                                  |
                                                  +--the rest--> transport, while the socket is full

Always true: encrypted bytes leave in the order in which OpenSSL made them. While the transport keeps some, later ones
wait behind them. A socket may take megabytes, as fast as its client reads. So a producer that writes until it is paused
is paused after some 64 KB, and the other clients have their turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Server as TcpTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.scheduling.turns import Turns
from dstwist.tls.certificates import ServerCertificate

#: The most bytes that OpenSSL takes for one record, and more than a record is longer when it is encrypted.
_RECORD_BYTES = 16384
_RECORD_EXCESS = 512

#: After so many bytes the reactor sends the next ones.
_DIRECT_BYTES = 65536

#: How many bytes the head of a record has. The last two are the length of the rest.
_HEAD_BYTES = 5

#: How many encrypted bytes are read at once where nobody knows how many there are.
_READ_BYTES = 8192


class _Sender:
    """
    Encrypts and sends what one connection writes.

    It is an object of its own because to read an attribute of a L{TlsTransport} takes ten times as long: Twisted's
    wrapper passes on the attributes of the transport below. One message would need a dozen.
    """

    __slots__ = ("_direct", "_encrypt", "_read", "_socket_send", "_tls", "_transport")

    def __init__(self, tls: TlsTransport, transport: Any) -> None:
        self._tls = tls
        self._transport = transport
        # Writes to the socket; None if there is no plain TCP below.
        self._socket_send: Callable[[bytes], int] | None = None
        if type(transport) is TcpTransport:
            self._socket_send = transport.socket.send
        # How many bytes were written to the socket since the transport has sent any.
        self._direct = 0
        # Those of OpenSSL; None before the handshake is done.
        self._encrypt: Callable[[bytes], int] | None = None
        self._read: Callable[[int], bytes] | None = None

    def open(self, connection: Any) -> None:
        """
        The handshake is done.
        """
        self._encrypt = connection.send
        self._read = connection.bio_read

    def close(self) -> None:
        """
        The connection is lost: all data that are written from now on are dropped.
        """
        self._encrypt = self._read = None

    def write(self, data: bytes) -> None:
        """
        Encrypt C{data}, and send it. Data that fit into one record, like most messages, take the short way.
        """
        tls, encrypt, read = self._tls, self._encrypt, self._read
        size = len(data)
        if (
            encrypt is None
            or read is None
            or not 0 < size <= _RECORD_BYTES
            or tls.disconnecting
            or tls._lostTLSConnection
        ):
            TLSMemoryBIOProtocol.write(tls, data)
            return
        try:
            taken = encrypt(data)
        except Error:
            # OpenSSL has not taken any of it, and says so once more.
            taken = 0
        if taken == size:
            most = size + _RECORD_EXCESS
            encrypted = read(most)
            self.send(encrypted)
            if len(encrypted) == most:
                # OpenSSL had made something before, too.
                tls._flushSendBIO()
        else:
            TLSMemoryBIOProtocol.write(tls, data[taken:])

    def send(self, encrypted: bytes) -> None:
        """
        Send what OpenSSL has made.
        """
        transport, socket_send = self._transport, self._socket_send
        if (
            socket_send is not None
            and self._direct < _DIRECT_BYTES
            and not transport.dataBuffer
            and not transport._tempDataBuffer
            and not transport.disconnecting
        ):
            try:
                sent = socket_send(encrypted)
            except OSError:
                # There is no room, or the connection is lost: the transport finds out which one when it writes itself.
                sent = 0
            if sent == len(encrypted):
                self._direct += sent
                return
            encrypted = encrypted[sent:]
        self._direct = 0
        transport.write(encrypted)


class TlsTransport(TLSMemoryBIOProtocol):
    """
    The server's side of one connection.

    Handshakes wait for a later turn if there is no time left in this one. OpenSSL needs half a millisecond for each,
    and hundreds of clients may connect at once.
    """

    factory: TlsFactory
    transport: Any
    # How many bytes of a record that has begun have not come; -1 if that is not known.
    _missing = 0
    # The bytes of a handshake that waits.
    _early = b""
    _in_line = False
    # In place of the method of Twisted.
    write: Callable[[bytes], None]

    def makeConnection(self, transport: Any) -> None:
        self._sender = _Sender(self, transport)
        self.write = self._sender.write
        super().makeConnection(transport)

    def abortConnection(self) -> None:
        # Twisted's raises an exception after the end of the connection, unlike the transport below.
        if self.connected:
            super().abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._handshakeDone:
            if self._is_one_record(data) and not self._appSendBuffer and not self._lostTLSConnection:
                self._receive(data)
            else:
                super().dataReceived(data)
            return
        self._is_one_record(data)
        self._early += data
        if self._in_line:
            return
        turns = self.factory.turns
        if turns.over():
            self._in_line = True
            self.transport.pauseProducing()
            turns.later(self._go_on, fresh=True)
        else:
            self._shake_hands()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        # Without these circles of references it is freed now, with all that OpenSSL keeps for it. The garbage collector
        # would find it much later.
        self._sender.close()
        del self._sender, self.write

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        if reason is not None:
            # Its traceback leads to this connection, and to itself.
            reason.cleanFailure()
        super()._tlsShutdownFinished(reason)

    def _go_on(self) -> None:
        self._in_line = False
        if self.connected:
            self.transport.resumeProducing()
            self._shake_hands()

    def _shake_hands(self) -> None:
        data, self._early = self._early, b""
        super().dataReceived(data)
        if self._handshakeDone and self.connected:
            self._sender.open(self._tlsConnection)

    # -- receiving

    def _is_one_record(self, data: bytes) -> bool:
        """
        Whether C{data}, the next bytes of the client, are one whole record.
        """
        position, size = self._missing, len(data)
        if position == 0 and size > 4 and size == (data[3] << 8) + data[4] + _HEAD_BYTES:
            return True
        if position >= 0:
            while position + _HEAD_BYTES <= size:
                position += (data[position + 3] << 8) + data[position + 4] + _HEAD_BYTES
            # A part of a head: the place of the next one stays unknown.
            self._missing = position - size if position >= size else -1
        return False

    def _receive(self, record: bytes) -> None:
        """
        Hand the bytes in C{record} to the application. Twisted asks OpenSSL twice more whether it has read or made more
        bytes, and each answer "no" is an exception. One record holds no more than one read gives.
        """
        connection = self._tlsConnection
        connection.bio_write(record)
        try:
            data = connection.recv(_RECORD_BYTES)
        except (WantReadError, ZeroReturnError):
            # It was no record of the application.
            self._flushReceiveBIO()
        except Error:
            self._tlsShutdownFinished(Failure())
        else:
            if not self._aborted:
                self.wrappedProtocol.dataReceived(data)

    # -- sending; the names are those of Twisted

    def _write(self, data: bytes) -> None:
        """
        Encrypt C{data}, and send all of it in one call.
        """
        if self._lostTLSConnection:
            return
        encrypt = self._tlsConnection.send
        size = len(data)
        sent = 0
        try:
            while sent < size:
                # It takes less than a record if the client asked for small ones (max_fragment_length).
                sent += encrypt(data[sent : sent + _RECORD_BYTES])
        except WantReadError:
            # OpenSSL has to hear from the client before it encrypts more.
            self._flush(sent)
            self._bufferedWrite(data[sent:])
        except Error:
            self._tlsShutdownFinished(Failure())
        else:
            self._flush(size)

    def _flushSendBIO(self) -> None:
        self._flush(0)

    def _flush(self, size: int) -> None:
        """
        Send what OpenSSL has made, of C{size} bytes and perhaps of others.
        """
        most = max(size + (size // _RECORD_BYTES + 1) * _RECORD_EXCESS, _READ_BYTES)
        read = self._tlsConnection.bio_read
        try:
            while True:
                encrypted = read(most)
                self._sender.send(encrypted)
                if len(encrypted) < most:
                    return
        except WantReadError:
            # There is nothing.
            pass


class TlsFactory(TLSMemoryBIOFactory):
    """
    Puts TLS below the connections of another factory.
    """

    protocol = TlsTransport

    def __init__(self, certificate: ServerCertificate, factory: Any, clock: IReactorTime) -> None:
        super().__init__(certificate, False, factory, clock=clock)
        self.turns = Turns.of(clock)


@implementer(IStreamServerEndpoint)
class TlsEndpoint:
    """
    TLS on the ports of another endpoint.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, certificate: ServerCertificate, clock: IReactorTime) -> None:
        self._endpoint = endpoint
        self.certificate = certificate
        self._clock = clock

    def listen(self, protocolFactory: Any) -> Any:
        factory: Any = TlsFactory(self.certificate, protocolFactory, self._clock)
        return self._endpoint.listen(factory)
