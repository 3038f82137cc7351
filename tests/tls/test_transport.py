"""
Tests for L{dstwist.tls.transport}.
"""

from __future__ import annotations

import contextlib
import gc
from typing import Any
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.config.http_server import HttpSettings, SslSettings
from dstwist.endpoints import configured_endpoint
from dstwist.tls.certificates import ServerCertificate, tls_problem
from dstwist.tls.context import TlsConnection
from dstwist.tls.transport import TlsEndpoint, TlsFactory
from tests.e2e.certificates import Authority, pem_of
from tests.fakes import BusyClock
from tests.tls.handshakes import client_context
from tests.transports.helpers import PushTransport, SocketStub, tcp, turn
from tests.turns import LONGEST, turn_lengths

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def ssl_settings(authority: Authority) -> SslSettings:
    """
    Settings with a new certificate.
    """
    certificate, key = authority.issue()
    return SslSettings(key=pem_of(key), cert=pem_of(certificate))


def tls_factory(authority: Authority, clock: Any) -> TlsFactory:
    """
    A factory of connections that keep what they receive.
    """
    return TlsFactory(ServerCertificate(ssl_settings(authority), "ssl"), Factory.forProtocol(Greeter), clock)


class Greeter(Protocol):
    """
    Keeps what it receives.
    """

    received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class EndpointTests(SynchronousTestCase):
    """
    Listening with TLS.
    """

    def test_listen(self) -> None:
        """
        Whatever listens, its connections are TLS, in the certificate that is in force.
        """
        reactor: Any = MemoryReactorClock()
        endpoint = configured_endpoint(
            HttpSettings(host="127.0.0.1", port=6020, ssl=ssl_settings(Authority())), reactor
        )
        verifyObject(IStreamServerEndpoint, endpoint)
        assert isinstance(endpoint, TlsEndpoint)
        inner = Factory()
        self.successResultOf(endpoint.listen(inner))
        ((port, factory, _, interface),) = reactor.tcpServers
        self.assertEqual((port, interface), (6020, "127.0.0.1"))
        self.assertIsInstance(factory, TLSMemoryBIOFactory)
        self.assertIs(factory.wrappedFactory, inner)


class ConnectedCase(SynchronousTestCase):
    """
    An open connection, on Twisted's own TCP transport.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        authority = Authority()
        self.client = SSL.Connection(client_context(authority.certificate, None), None)
        self.client.set_connect_state()
        self.server: Any = tls_factory(authority, self.reactor).buildProtocol(None)
        self.transport = tcp(self.reactor, self.server)
        self.socket: SocketStub = self.transport.socket
        self.server.makeConnection(self.transport)
        for _ in range(2):
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
            self.server.dataReceived(self.client.bio_read(100000))
            self.client.bio_write(self.socket.take())

    def received(self) -> bytes:
        """
        What the client reads of all that was sent.
        """
        data = self.socket.take()
        if data:
            self.client.bio_write(data)
        pieces = []
        with contextlib.suppress(SSL.WantReadError, SSL.ZeroReturnError):
            while True:
                pieces.append(self.client.recv(100000))
        return b"".join(pieces)


class ReceivingTests(ConnectedCase):
    """
    What the client sends.
    """

    def records(self, *sizes: int) -> tuple[bytes, bytes]:
        """
        Data of these sizes, and their records.
        """
        data = [bytes((number,)) * size for number, size in enumerate(sizes)]
        records = []
        for piece in data:
            self.client.send(piece)
            records.append(self.client.bio_read(1 << 20))
        return b"".join(data), b"".join(records)

    @QUICK
    @given(st.lists(st.integers(1, 16384), min_size=1, max_size=6), st.lists(st.integers(1, 9000), max_size=12))
    def test_pieces(self, sizes: list[int], lengths: list[int]) -> None:
        """
        All data arrive, wherever the network cuts the records.
        """
        self.setUp()
        data, rest = self.records(*sizes)
        for length in (*lengths, len(rest)):
            if rest:
                self.server.dataReceived(rest[:length])
                rest = rest[length:]
        self.assertEqual(self.server.wrappedProtocol.received, data)
        # Where the records begin is known again, or never: the next ones arrive as well.
        for number in range(3):
            more, record = self.records(10 + number)
            data += more
            self.server.dataReceived(record)
        self.assertEqual(self.server.wrappedProtocol.received, data)

    def test_one_by_one(self) -> None:
        """
        OpenSSL is asked once for the data of a record that comes alone.
        """
        asked = []
        original = self.server._tlsConnection.recv

        def recv(size: int) -> bytes:
            asked.append(size)
            received: bytes = original(size)
            return received

        self.patch(self.server._tlsConnection, "recv", recv)
        data, rest = b"", b""
        for size in (1, 300, 16384):
            more, record = self.records(size)
            data, rest = data + more, rest + record
            self.server.dataReceived(record)
        self.assertEqual((self.server.wrappedProtocol.received, len(asked)), (data, 3))

    def test_end(self) -> None:
        """
        The client ends TLS: the connection is closed, and nobody is told of an error.
        """
        self.client.shutdown()
        self.server.dataReceived(self.client.bio_read(1000))
        turn(self.reactor, self.transport)
        self.assertTrue(self.transport.disconnecting or not self.transport.connected)

    def test_changed(self) -> None:
        """
        A record that somebody has changed ends the connection, with the reason.
        """
        application = self.server.wrappedProtocol
        reasons: list[Failure] = []
        application.connectionLost = reasons.append
        _, record = self.records(100)
        self.server.dataReceived(record[:-1] + bytes((record[-1] ^ 1,)))
        turn(self.reactor, self.transport)
        self.assertIn("bad record mac", str(tls_problem(reasons[0])))
        self.assertEqual(application.received, b"")


class SendingTests(ConnectedCase):
    """
    What the application writes.
    """

    def test_direct(self) -> None:
        """
        Data leave at once, in one call, and the reactor has nothing to do.
        """
        for data in (b"hello", b"x" * 16384, bytes(range(256)) * 400):
            self.server.write(data)
            self.assertEqual((len(self.socket.sent), self.received()), (1, data))
        self.assertNotIn(self.transport, self.reactor.writers)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_partly(self) -> None:
        """
        Data that the socket does not take follow, before all that is written meanwhile.
        """
        self.socket.room = 7
        expected = received = b""
        for number in range(60):
            data = b"<%d>" % number * (1 + number % 3 * 9000)
            self.server.write(data)
            expected += data
            received += self.received()
            self.socket.room = number * 50
            turn(self.reactor, self.transport)
        self.socket.room = None
        while self.transport in self.reactor.writers:
            turn(self.reactor, self.transport)
        self.assertEqual(received + self.received(), expected)
        self.assertNotIn(self.transport, self.reactor.writers)
        self.server.write(b"direct again")
        self.assertEqual(self.received(), b"direct again")

    def test_small_records(self) -> None:
        """
        All data arrive once if OpenSSL takes only a part of a record at a time, as for clients that ask for small ones.
        """
        original = self.server._tlsConnection.send
        self.patch(self.server._tlsConnection, "send", lambda data: original(data[:512]))
        self.server._sender.open(self.server._tlsConnection)
        for data in (bytes(range(256)) * 5, bytes(range(250)) * 100):
            self.server.write(data)
            self.assertEqual(self.received(), data)

    def test_fast_reader(self) -> None:
        """
        A producer is paused in each turn, however much the socket takes.
        """
        server = self.server
        data = bytes(range(256)) * 40

        @implementer(IPushProducer)
        class Producer:
            paused = False
            count = 0

            def pauseProducing(self) -> None:
                self.paused = True

            def resumeProducing(self) -> None:
                self.paused = False
                while not self.paused and self.count < 100:
                    self.count += 1
                    server.write(data)

            def stopProducing(self) -> None:
                raise AssertionError("the connection is lost")

        producer = Producer()
        server.registerProducer(producer, True)
        producer.resumeProducing()
        counts = [producer.count]
        received = self.received()
        while producer.paused:
            turn(self.reactor, self.transport)
            counts.append(producer.count - sum(counts))
            received += self.received()
        self.assertLess(max(counts), 20)
        self.assertEqual(received, data * 100)

    def test_before_the_handshake(self) -> None:
        """
        Data that are written before the handshake leave after it.
        """
        authority = Authority()
        client = SSL.Connection(client_context(authority.certificate, None), None)
        client.set_connect_state()
        server: Any = tls_factory(authority, self.reactor).buildProtocol(None)
        transport = tcp(self.reactor, server)
        server.makeConnection(transport)
        server.write(b"x" * 40000)
        for _ in range(2):
            with contextlib.suppress(SSL.WantReadError):
                client.do_handshake()
            server.dataReceived(client.bio_read(100000))
            client.bio_write(transport.socket.take())
        self.client, self.socket = client, transport.socket
        self.assertEqual(self.received(), b"x" * 40000)

    def test_close(self) -> None:
        """
        The end of the connection comes behind all data, also behind those that wait for the socket.
        """
        self.socket.room = 100
        self.server.write(b"y" * 1000)
        self.server.loseConnection()
        self.server.write(b"too late")
        self.socket.room = None
        received = self.received()
        for _ in range(3):
            turn(self.reactor, self.transport)
            received += self.received()
        self.assertEqual(received, b"y" * 1000)
        self.assertTrue(self.client.get_shutdown() & SSL.RECEIVED_SHUTDOWN)

    def test_lost(self) -> None:
        """
        A broken socket ends the connection in the next turn; nothing is raised.
        """
        self.socket.broken = True
        kept = self.server.write
        kept(b"hello")
        self.assertTrue(self.server.connected)
        turn(self.reactor, self.transport)
        self.assertFalse(self.server.connected)
        self.server.write(b"too late")
        kept(b"too late")
        # A server that stops drops all clients, also those whose end it has not handled yet.
        self.server.abortConnection()

    def test_nothing(self) -> None:
        """
        To write nothing sends nothing.
        """
        self.server.write(b"")
        self.assertEqual(self.socket.take(), b"")
        self.server.write(b"hello")
        self.assertEqual(self.received(), b"hello")

    def test_abort(self) -> None:
        """
        An aborted connection ends at once, although data wait.
        """
        self.socket.room = 0
        self.server.write(b"hello")
        self.server.abortConnection()
        self.server.abortConnection()
        turn(self.reactor, self.transport)
        self.assertFalse(self.server.connected)
        self.assertEqual(self.socket.take(), b"")

    def test_freed(self) -> None:
        """
        A connection that is lost is freed at once, with what OpenSSL keeps for it, whether the client hangs up or ends
        TLS before.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        for says_so in (False, True):
            self.setUp()
            self.server.write(b"hello")
            if says_so:
                self.client.shutdown()
                self.server.dataReceived(self.client.bio_read(1000))
            known, encrypted = ref(self.server), ref(self.server._tlsConnection)
            self.transport.connectionLost(Failure(ConnectionDone()))
            self.assertIsNone(encrypted())
            del self.server
            self.assertIsNone(known())


class ManyHandshakesTests(SynchronousTestCase):
    """
    Very many clients that begin TLS in one turn.
    """

    def setUp(self) -> None:
        self.clock = BusyClock()
        authority = Authority()
        self.factory = tls_factory(authority, self.clock)
        context = client_context(authority.certificate, None)
        self.clients = [self.client(context) for _ in range(40)]

        def do_handshake(connection: TlsConnection) -> None:
            self.clock.rightNow += 0.001
            original(connection)

        original = TlsConnection.do_handshake
        self.patch(TlsConnection, "do_handshake", do_handshake)

    def client(self, context: SSL.Context) -> tuple[SSL.Connection, Any, PushTransport]:
        """
        A client that has made the start of its handshake, and the server's side.
        """
        client = SSL.Connection(context, None)
        client.set_connect_state()
        with contextlib.suppress(SSL.WantReadError):
            client.do_handshake()
        server: Any = self.factory.buildProtocol(None)
        transport = PushTransport()
        server.makeConnection(transport)
        return client, server, transport

    def test_turns(self) -> None:
        """
        No turn lasts too long, and every handshake is completed; what clients send with it arrives.
        """

        def arrive() -> None:
            for client, server, _ in self.clients:
                hello = client.bio_read(10000)
                server.dataReceived(hello[:50])
                server.dataReceived(hello[50:])

        def go_on() -> None:
            for client, server, transport in self.clients:
                client.bio_write(transport.take())
                client.do_handshake()
                client.send(b"hello")
                server.dataReceived(client.bio_read(10000))

        for step in (arrive, go_on):
            self.assertLess(max(turn_lengths(self.clock, step)), LONGEST)
        for _, server, transport in self.clients:
            self.assertEqual(server.wrappedProtocol.received, b"hello")
            self.assertEqual(transport.producerState, "producing")

    def test_gone(self) -> None:
        """
        Nothing is done for a client that has gone before its turn.
        """
        while not self.factory.turns.over():
            self.clock.rightNow += LONGEST
        client, server, transport = self.clients[0]
        server.dataReceived(client.bio_read(10000))
        self.assertEqual(transport.producerState, "paused")
        server.connectionLost(Failure(ConnectionDone()))
        transport.take()
        turn_lengths(self.clock, list)
        self.assertEqual((transport.take(), transport.producerState), (b"", "paused"))
