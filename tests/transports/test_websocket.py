"""
Tests for L{dstwist.transports.websocket}: handshakes, and links as their connections see them. The other tests are in
L{tests.transports.test_websocket_frames} and L{tests.transports.test_websocket_turns}.

Section numbers are those of RFC 6455.
"""

from __future__ import annotations

from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any
from unittest import mock

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.interfaces import HandshakeData, ILink
from dstwist.transports.closing_link import CLOSE_TIMEOUT
from dstwist.transports.websocket import WebSocketLink
from dstwist.transports.websocket_factory import WebSocketFactory
from tests.transports.helpers import (
    BINARY,
    CLOSE,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    Client,
    PushTransport,
    Recorder,
    close_payload,
    closing,
    frame,
    frames_of,
    tcp,
    turn,
    web_sockets,
)


class HandshakeTests(SynchronousTestCase):
    """
    The beginning of a WebSocket.
    """

    REQUEST = HANDSHAKE.replace(b"\r\n\r\n", b"\r\nCookie: a=1\r\nX-Name: Ann\r\nReferer: http://here/\r\n\r\n")

    def test_accepted(self) -> None:
        """
        A client is answered as RFC 6455 wants it, and its connection is opened.
        """
        client = Client(web_sockets())
        head, *lines = client.greeting.split(b"\r\n")
        self.assertEqual(head, b"HTTP/1.1 101 Switching Protocols")
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", lines)
        self.assertEqual(client.connection.events, ["open"])

    def test_nothing_kept(self) -> None:
        """
        The unfinished message of a client is not kept when the client has gone.
        """
        for start in (frame(TEXT, b"x" * 5000)[:4000], frame(BINARY, b"x" * 4000, final=False)):
            client = Client(web_sockets())
            client.send(start)
            link = client.link
            link.connectionLost(Failure(ConnectionDone()))
            self.assertEqual([name for name, value in vars(link).items() if len(repr(value)) > 3000], [])

    def test_no_delay(self) -> None:
        """
        Data leaves at once, even if the client's system has not acknowledged the data before it.
        """
        factory = web_sockets()
        link: Any = factory.buildProtocol(None)
        transport = tcp(factory.reactor, link)
        link.makeConnection(transport)
        self.assertTrue(transport.socket.options[IPPROTO_TCP, TCP_NODELAY])

    def test_in_pieces(self) -> None:
        """
        The handshake may arrive in pieces.
        """
        client = Client(web_sockets(), handshake=None)
        for place in range(len(HANDSHAKE)):
            self.assertIsNone(client.connection)
            client.send(HANDSHAKE[place : place + 1])
        self.assertEqual(client.connection.events, ["open"])

    def test_address_and_headers(self) -> None:
        """
        The connection learns where its client is and what headers it sent, in lower case.
        """
        connection = Client(web_sockets(), handshake=self.REQUEST).connection
        self.assertEqual(connection.handshake.address, "192.0.2.1")
        self.assertEqual(connection.handshake.referer, "http://here/")
        self.assertEqual(connection.handshake.headers["x-name"], "Ann")

    def test_configured_headers(self) -> None:
        """
        If the configuration names headers, the others are there all the same: a cookie may be what lets the client in.
        """
        connection = Client(web_sockets(headers=("X-Name", "X-Other")), handshake=self.REQUEST).connection
        self.assertEqual(connection.handshake.headers["cookie"], "a=1")

    def test_no_address(self) -> None:
        """
        Not every client has an address.
        """
        client = Client(web_sockets(), PushTransport(peerAddress=UNIXAddress(None)))
        self.assertEqual((client.connection.handshake.address, client.link.address), ("local", "local"))

    def test_refused(self) -> None:
        """
        A handshake that is none is answered by an HTTP error, logged, and the connection is closed.
        """
        for old, new in [
            (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 7"),
            (b"Sec-WebSocket-Version: 13\r\n", b""),
            (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
            (b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
            (b"Host: localhost\r\n", b""),
            (b"GET ", b"POST "),
            (b" HTTP/1.1", b" HTTP/1.0"),
            (b"Host: localhost", b"Host: \xff:x"),
        ]:
            with capturedLogs() as logged:
                client = Client(web_sockets(), handshake=HANDSHAKE.replace(old, new))
            self.assertIsNone(client.connection, new)
            self.assertRegex(client.greeting, rb"^HTTP/1.1 [45]\d\d [ -~]*\r\n", new)
            self.assertEqual(client.gone, "closed")
            self.assertEqual([e["event"] for e in logged if e["log_level"] >= LogLevel.warn], ["INVALID_MESSAGE"])

    def test_refused_in_few_words(self) -> None:
        """
        The error does not give a client all that it sent back, nor the log; and no line of its own choice.
        """
        version = b"\xe9\x1b[2J" + b"x" * 5000
        with capturedLogs() as logged:
            client = Client(web_sockets(), handshake=HANDSHAKE.replace(b"Version: 13", b"Version: " + version))
        self.assertLess(len(client.greeting), 400)
        (event,) = [event for event in logged if event["log_level"] is LogLevel.warn]
        self.assertLess(len(event["reason"]), 400)
        self.assertTrue(event["reason"].isprintable(), event["reason"])

    def test_no_memory(self) -> None:
        """
        A shortage of memory while a message is put together costs this one connection.
        """
        client = Client(web_sockets())
        with mock.patch("autobahn.websocket.protocol.WebSocketProtocol._dataReceived", side_effect=MemoryError):
            client.send(frame(TEXT, b"a", final=False))
        self.assertTrue(client.taken().endswith(closing(1011, b"internal error")))
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)
        self.assertIsNone(client.connection)

    def test_opening_fails(self) -> None:
        """
        A connection that cannot be opened is closed with 1011, not left behind.
        """

        class Failing(Recorder):
            def open(self) -> None:
                raise ZeroDivisionError

        client = Client(web_sockets(Failing))
        self.assertTrue(client.greeting.endswith(closing(1011, b"internal error")))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNone(client.connection)

    def test_connection_cannot_be_made(self) -> None:
        """
        Nor is one that cannot even be made.
        """

        def fail(link: WebSocketLink, handshake: HandshakeData) -> Any:
            raise ZeroDivisionError

        client = Client(web_sockets(fail))
        self.assertTrue(client.greeting.endswith(closing(1011, b"internal error")))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LinkTests(SynchronousTestCase):
    """
    L{WebSocketLink} as its connection sees it.
    """

    def setUp(self) -> None:
        self.client = Client(web_sockets(max_outgoing_buffer_size=100))
        self.link = self.client.link
        self.connection = self.client.connection
        self.transport = self.client.transport
        self.reactor: Any = self.client.reactor

    def test_interface(self) -> None:
        """
        It is a link.
        """
        verifyObject(ILink, self.link)

    def test_write(self) -> None:
        """
        Frames leave together at the end of the turn, or when they are flushed.
        """
        self.link.outbox.write(b"\x81\x01a")
        self.link.outbox.write(b"\x81\x01b")
        self.assertEqual(self.transport.take(), b"")
        self.assertEqual(self.client.taken(), b"\x81\x01a\x81\x01b")
        self.link.outbox.write(b"\x81\x01c")
        self.link.outbox.flush()
        self.assertEqual(self.transport.take(), b"\x81\x01c")

    def test_own_turn(self) -> None:
        """
        C{outgoingBufferTimeout} holds frames back; C{maxBufferByteSize} limits how many.
        """
        client = Client(web_sockets(outgoing_buffer_timeout=0.05, max_buffer_byte_size=10))
        client.link.outbox.write(b"\x81\x04abcd")
        self.assertEqual(client.taken(), b"")
        client.reactor.advance(0.05)
        self.assertEqual(client.taken(), b"\x81\x04abcd")
        client.link.outbox.write(b"\x81\x09abcdefghi")
        self.assertEqual(client.taken(), b"\x81\x09abcdefghi")

    def test_control_frames_keep_their_place(self) -> None:
        """
        The answer to a ping follows what was written before it.
        """
        self.link.outbox.write(b"\x81\x01a")
        self.client.send(frame(PING, b"p"))
        self.link.outbox.write(b"\x81\x01b")
        self.assertEqual(frames_of(self.client.taken()), [(TEXT, b"a"), (PONG, b"p"), (TEXT, b"b")])

    def test_pause(self) -> None:
        """
        A paused link does not read; payloads that were read already arrive.
        """
        self.link.pause()
        self.assertEqual(self.transport.producerState, "paused")
        self.client.send(frame(TEXT, b"a"))
        self.assertEqual(self.connection.payloads, ["a"])
        self.link.resume()
        self.assertEqual(self.transport.producerState, "producing")

    def test_close(self) -> None:
        """
        Earlier frames leave, then the close frame with code and reason, and nothing after it.
        """
        self.link.outbox.write(b"\x81\x01a")
        self.link.close(4000, "because")
        self.link.outbox.write(b"\x81\x01b")
        self.client.send(frame(TEXT, b"late"))
        sent = self.transport.take()
        self.assertEqual(sent, b"\x81\x01a" + closing(4000, b"because"))
        self.assertEqual((self.connection.payloads, self.connection.events), ([], ["open"]))
        self.client.send(frame(CLOSE, close_payload(4000)))
        self.assertEqual(self.client.gone, "aborted")

    def test_long_reason(self) -> None:
        """
        A reason that is too long for a close frame is cut, between two characters.
        """
        self.link.close(1008, "\u20ac" * 100)
        self.assertEqual(self.client.taken(), closing(1008, "\u20ac".encode() * 41))

    def test_close_while_paused(self) -> None:
        """
        A paused link reads on when it closes, or it would not see the answer.
        """
        self.link.pause()
        self.link.close(1008, "no")
        self.assertEqual(self.transport.producerState, "producing")

    def test_close_twice(self) -> None:
        """
        Only the first reason counts.
        """
        self.link.close(1008, "first")
        self.link.close(1011, "second")
        self.assertEqual(self.client.taken(), closing(1008, b"first"))

    def test_no_answer(self) -> None:
        """
        A client that does not answer a close frame is dropped after a while, whatever else it sends.
        """
        self.link.close(1008, "no")
        for _ in range(8):
            self.assertEqual(self.client.gone, "")
            self.client.send(frame(TEXT, b"what?"))
            self.reactor.advance(CLOSE_TIMEOUT / 8)
        self.assertEqual(self.client.gone, "aborted")
        self.client.lose()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_never_reads(self) -> None:
        """
        A client that closed but does not read the answer is dropped after a while.
        """
        self.client.send(frame(CLOSE))
        self.assertEqual(self.client.gone, "closed")
        self.reactor.advance(CLOSE_TIMEOUT)
        self.assertEqual(self.client.gone, "aborted")

    def test_lost(self) -> None:
        """
        A connection learns, once, that its client is gone; no timer is left.
        """
        self.link.outbox.write(b"\x81\x01a")
        self.client.lose()
        self.assertEqual(self.connection.events, ["open", "lost"])
        self.link.outbox.write(b"\x81\x01b")
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lost_while_closing(self) -> None:
        """
        The client may go while it is being closed, from either side.
        """
        for close in (lambda client: client.link.close(1008, "no"), lambda client: client.send(frame(CLOSE))):
            client = Client(web_sockets())
            close(client)
            client.lose()
            client.taken()
            self.assertEqual(client.reactor.getDelayedCalls(), [])

    def test_close_when_gone(self) -> None:
        """
        Closing what is gone already does nothing, and starts no timer.
        """
        self.client.lose()
        self.link.close(1008, "no")
        self.assertEqual((self.client.taken(), self.reactor.getDelayedCalls()), (b"", []))

    def test_failing_end(self) -> None:
        """
        A connection that cannot end properly does not keep its client.
        """
        self.connection.problem = ZeroDivisionError()
        self.client.send(frame(CLOSE))
        self.assertEqual(self.client.taken(), closing(1000))
        self.assertEqual(self.client.gone, "closed")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_half_open(self) -> None:
        """
        A connection that goes during its handshake leaves nothing behind.
        """
        factory = web_sockets()
        client = Client(factory, handshake=HANDSHAKE[:30])
        client.lose()
        self.assertEqual((client.reactor.getDelayedCalls(), factory.links), ([], set()))


class SlowConsumerTests(SynchronousTestCase):
    """
    Clients that do not read what they are sent.
    """

    def test_w57_slow_consumer(self) -> None:
        """
        W57: a client that does not read is closed with a reason when its limit is reached. Until then no frame is
        left out, and none is torn.
        """
        reactor: Any = MemoryReactorClock()
        factory = WebSocketFactory(WebSocketEndpoint(max_outgoing_buffer_size=1000), Recorder, reactor)
        transport = tcp(reactor, None)
        client = Client(factory, transport, handshake=None)
        client.send(HANDSHAKE)
        connection = client.connection
        socket = transport.socket
        socket.take()
        socket.room = 50
        sent: list[bytes] = []
        with capturedLogs() as logged:
            while client.connection is not None and len(sent) < 1000:
                sent.append(b"%08d" % len(sent))
                client.link.outbox.write(b"\x82\x08" + sent[-1])
                turn(reactor, transport)
        self.assertEqual(connection.events, ["open", "lost"])
        self.assertEqual([event["event"] for event in logged], ["SLOW_CONSUMER"])
        # The limit, and what socket and transport hold.
        self.assertLess(len(sent) * 10, 1000 + 2 * 50)
        socket.room = None
        for _ in range(5):
            turn(reactor, transport)
        *data, (opcode, payload) = frames_of(socket.take())
        self.assertEqual((opcode, payload), (CLOSE, close_payload(1013, b"slow consumer")))
        self.assertEqual([payload for _, payload in data], sent[: len(data)])
        client.send(frame(CLOSE, close_payload(1013)))
        turn(reactor, transport)
        self.assertFalse(transport.connected)

    def test_w57_others_are_served(self) -> None:
        """
        W57: who reads gets everything, though another does not.
        """
        factory = web_sockets(max_outgoing_buffer_size=100)
        slow, quick = Client(factory), Client(factory)
        slow.transport.high = 10
        received = b""
        for number in range(100):
            for client in (slow, quick):
                client.link.outbox.write(b"\x82\x03%03d" % number)
            received += quick.taken()
        self.assertEqual([int(payload) for _, payload in frames_of(received)], list(range(100)))
        self.assertIsNone(slow.connection)

    def test_never_reads(self) -> None:
        """
        Such a client is dropped when it does not even read that it was closed.
        """
        client = Client(web_sockets(max_outgoing_buffer_size=100))
        client.transport.high = 10
        for _ in range(3):
            client.link.outbox.write(b"\x82\x40" + b"x" * 64)
            client.reactor.advance(0)
        self.assertIsNone(client.connection)
        self.assertEqual(client.gone, "")
        client.reactor.advance(CLOSE_TIMEOUT)
        self.assertEqual(client.gone, "aborted")
