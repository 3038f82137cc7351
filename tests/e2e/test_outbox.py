"""
L{dstwist.transports.outbox} on real sockets.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from dstwist.transports.outbox import Outbox
from dstwist.transports.outbox_group import OutboxGroup
from dstwist.transports.tcp_outbox import TcpOutbox, outbox_for

#: Its type is that of no reactor in particular.
reactor: Any = global_reactor


class Reader(Protocol):
    """
    A client that does not read until it is told to, and then until the other side closes.
    """

    transport: Any

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.done: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.done.callback(b"".join(self.received))


class Writer(Protocol):
    """
    A server that writes through an outbox as soon as it may, a bit in each turn, and closes.
    """

    transport: Any
    frames = [b"%08d" % number * 4000 for number in range(200)]  # 6.4 MB, more than sockets buffer

    def connectionMade(self) -> None:
        self.outbox = outbox_for(self.transport, OutboxGroup(reactor), 1 << 30, self.fail)
        self.left = list(self.frames)

    def fail(self) -> None:
        raise AssertionError("there is room for everything")

    def start(self) -> Deferred[None]:
        """
        Fires when everything is written, though not sent.
        """
        self.written: Deferred[None] = Deferred()
        self._write()
        return self.written

    def _write(self) -> None:
        for frame in self.left[:10]:
            self.outbox.write(frame)
        del self.left[:10]
        if self.left:
            reactor.callLater(0, self._write)
        else:
            self.outbox.flush()
            self.written.callback(None)


class SocketTests(TestCase):
    """
    Outboxes on real sockets.
    """

    async def deliver(self, wrap: Any) -> tuple[Writer, bytes]:
        factory = Factory.forProtocol(Writer)
        built: Deferred[Writer] = Deferred()

        class Server(Writer):
            def connectionMade(self) -> None:
                super().connectionMade()
                built.callback(self)

        factory.protocol = Server
        listening = reactor.listenTCP(0, wrap(factory, False), interface="127.0.0.1")
        client = Reader()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", listening.getHost().port)
        clients: Any = wrap(Factory.forProtocol(lambda: client), True)
        await endpoint.connect(clients)
        server = await built
        await server.start()
        # Only now.
        client.transport.resumeProducing()
        server.outbox.finish()
        server.transport.loseConnection()
        received = await client.done
        await listening.stopListening()
        return server, received

    async def test_tcp(self) -> None:
        """
        A client that reads late gets every byte in order.
        """
        server, received = await self.deliver(lambda factory, client: factory)
        self.assertIsInstance(server.outbox, TcpOutbox)
        self.assertEqual(received, b"".join(Writer.frames))

    async def test_tls(self) -> None:
        """
        Over TLS as well.
        """
        key = ssl.KeyPair.generate(size=2048)
        certificate = key.selfSignedCert(1, CN="localhost")

        def wrap(factory: Any, client: bool) -> Any:
            options = ssl.CertificateOptions() if client else certificate.options()
            return TLSMemoryBIOFactory(options, client, factory)

        server, received = await self.deliver(wrap)
        self.assertIs(type(server.outbox), Outbox)
        self.assertEqual(received, b"".join(Writer.frames))
