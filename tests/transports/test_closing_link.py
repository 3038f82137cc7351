"""
The closing of WebSockets that were opened a moment ago: the client is kept from coming back at once.
"""

from __future__ import annotations

import gc
from functools import partial
from typing import Any
from weakref import ref

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.transports import websocket
from dstwist.transports.close_delay import CloseDelay
from dstwist.transports.closing_link import CLOSE_TIMEOUT
from dstwist.transports.websocket_factory import WebSocketFactory
from tests.logs import Lines
from tests.transports.helpers import (
    BINARY,
    CLOSE,
    HANDSHAKE,
    PING,
    TEXT,
    Client,
    Recorder,
    close_code,
    closing,
    frame,
    frames_of,
    tcp,
    turn,
)

DELAY = 4.0


class DelayCase(SynchronousTestCase):
    """
    A factory with delayed closes.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.open()

    def open(self, most: int = 10, **settings: Any) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reactor.advance(1000)
        self.delay = CloseDelay(DELAY, most, self.reactor)
        self.factory = WebSocketFactory(WebSocketEndpoint(**settings), Recorder, self.reactor, close_delay=self.delay)
        self.client = Client(self.factory)
        self.connection = self.client.connection

    def assertDelayed(self, code: int, client: Client | None = None) -> None:
        """
        The connection has ended, the client is not read from and hears nothing; it is closed in the end.
        """
        client = client or self.client
        self.assertTrue(client.link.delayed)
        self.assertIsNone(client.connection)
        self.assertEqual(client.transport.producerState, "paused")
        self.reactor.advance(DELAY - 0.1)
        self.assertEqual((client.taken(), client.gone), (b"", ""))
        self.reactor.advance(0.1)
        self.assertEqual(close_code(client.taken()), code)
        self.assertEqual(client.transport.producerState, "producing")


class CloseTests(DelayCase):
    """
    The closes that are delayed, and those that are not.
    """

    def test_all_closes(self) -> None:
        """
        Whatever the client is closed for: its connection by a rule, a limit or an error, or Autobahn by the protocol.
        """
        closes = {
            1008: lambda client: client.connection.close("kicked", 1008),
            1011: self.break_,
            1013: lambda client: client.link._slow_consumer(),
            1007: lambda client: client.send(frame(TEXT, b"\xff\xff")),
            1009: lambda client: client.send(frame(BINARY, b"x" * 2000)),
            1002: lambda client: client.send(frame(BINARY, b"x", reserved=1)),
        }
        for code, close in closes.items():
            self.open(max_message_size=1000)
            close(self.client)
            self.assertDelayed(code)
            self.flushLoggedErrors(ZeroDivisionError)
            self.client.send(frame(CLOSE, code.to_bytes(2, "big")))
            self.assertEqual(self.client.gone, "aborted")

    def test_freed(self) -> None:
        """
        Then its link is freed at once.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        self.client.link.close(1008, "no")
        self.reactor.advance(DELAY)
        self.reactor.advance(CLOSE_TIMEOUT)
        self.client.lose()
        # A real transport does the same.
        self.client.transport.protocol = None
        known = ref(self.client.link)
        del self.client, self.connection
        self.assertIsNone(known())

    def break_(self, client: Client) -> None:
        client.connection.problem = ZeroDivisionError()
        client.send(frame(TEXT, b"a"))

    def test_told_at_once(self) -> None:
        """
        The log says at once why, and says it once; the connection learns once that it has ended.
        """
        self.open(max_message_size=1000)
        connection = self.client.connection
        self.client.send(frame(BINARY, b"x" * 2000), frame(BINARY, b"x" * 2000))
        (line,) = self.lines.of("warn")
        self.assertRegex(line, r"exceeds payload limit of 1000 octets from client \(192.0.2.1, .*\), closing with 1009")
        self.assertEqual(connection.events, ["open", "lost"])
        self.reactor.advance(DELAY)
        self.assertEqual((len(self.lines.of("warn")), connection.events), (1, ["open", "lost"]))

    def test_open_for_long(self) -> None:
        """
        A connection that was open for a while is closed at once: its client is not in a loop.
        """
        self.reactor.advance(DELAY)
        self.client.link.close(1008, "kicked")
        self.assertEqual(self.client.taken(), closing(1008, b"kicked"))

    def test_not_again(self) -> None:
        """
        A client that was sent elsewhere or is not wanted, and one that closes itself, hear the close at once.
        """
        self.client.link.close(1000, "redirected")
        self.assertEqual(self.client.taken(), closing(1000, b"redirected"))
        self.open()
        self.client.send(frame(CLOSE, b"\x03\xe8"))
        self.assertEqual(self.client.taken(), closing(1000))
        self.assertEqual(self.client.gone, "closed")

    def test_bound(self) -> None:
        """
        Only so many closes are delayed at a time.
        """
        self.open(most=5)
        clients = [Client(self.factory) for _ in range(20)]
        for client in clients:
            client.link.close(1008, "no")
        self.assertEqual([client.link.delayed for client in clients], [True] * 5 + [False] * 15)
        self.assertEqual([close_code(client.taken()) for client in clients], [None] * 5 + [1008] * 15)
        for client in clients:
            client.lose()
        self.assertEqual((len(self.delay), self.reactor.getDelayedCalls()), (0, []))

    def test_shutdown(self) -> None:
        """
        When the server stops, nothing waits any more.
        """
        self.client.link.close(1008, "no")
        self.factory.close(1001, "server shutting down")
        self.assertEqual(self.client.taken(), closing(1008, b"no"))
        self.client.send(frame(CLOSE, b"\x03\xf0"))
        self.client.lose()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.successResultOf(self.factory.drained())

    def test_closed_twice(self) -> None:
        """
        A second close changes nothing.
        """
        self.client.link.close(1008, "first")
        self.client.link.close(1011, "second")
        self.client.link.close(1000, "third")
        self.assertDelayed(1008)

    def test_lost(self) -> None:
        """
        A client that goes meanwhile leaves nothing behind.
        """
        self.client.link.close(1008, "no")
        self.client.lose()
        self.assertEqual((len(self.delay), self.reactor.getDelayedCalls(), self.factory.links), (0, [], set()))

    def test_no_answer(self) -> None:
        """
        A client that does not answer the close is dropped C{CLOSE_TIMEOUT} after it.
        """
        self.client.link.close(1008, "no")
        self.reactor.advance(DELAY)
        self.reactor.advance(CLOSE_TIMEOUT - 0.1)
        self.assertEqual(self.client.gone, "")
        self.reactor.advance(0.1)
        self.assertEqual(self.client.gone, "aborted")


class SilenceTests(DelayCase):
    """
    While a close waits, the client is neither heard nor spoken to.
    """

    def test_nothing_served(self) -> None:
        """
        Data of the same read, or data that was read before the transport was paused, is not looked at: no messages, no
        pings, no close, no mistakes.
        """
        rest = (
            frame(TEXT, b"late"),
            frame(PING, b"late"),
            frame(BINARY, b"x", reserved=1),
            frame(TEXT, b"\xff"),
            frame(TEXT, b"x" * 100)[:20],
        )
        for before in ((), (frame(TEXT, b"x" * 30)[:20],)):
            self.open()
            self.client.send(*before)
            self.client.link.close(1008, "no")
            for each in rest:
                self.client.send(each)
            self.assertEqual((self.connection.payloads, self.lines.of("warn")), ([], []))
            self.assertDelayed(1008)

    def test_rest_of_a_read(self) -> None:
        """
        The same for messages behind the one that a client is closed for, in one read.
        """
        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            self.open()
            payloads: list[str] = []
            self.connection.receive = partial(self.close_on, payloads)
            self.client.send(*[frame(TEXT, b"a")] * 5, frame(PING, b"p"))
            self.assertEqual(payloads, ["a"])
            self.assertDelayed(1008)

    def close_on(self, payloads: list[str], payload: str) -> None:
        payloads.append(payload)
        self.connection.close("no", 1008)

    def test_answer_already_read(self) -> None:
        """
        A client that closes meanwhile is answered, and gone, at the end of the delay.
        """
        self.client.link.close(1008, "no")
        self.client.send(frame(TEXT, b"x"), frame(CLOSE, b"\x03\xe8"))
        self.reactor.advance(DELAY)
        self.assertEqual(close_code(self.client.taken()), 1008)
        self.assertEqual(self.client.gone, "aborted")

    def test_answer_behind_a_long_message(self) -> None:
        """
        The client's answer is found behind the rest of the message that was too long.
        """
        self.open(max_message_size=1000)
        message = frame(BINARY, b"x" * 5000)
        self.client.send(message[:100])
        self.assertDelayed(1009)
        self.client.send(message[100:], frame(CLOSE, b"\x03\xf1"))
        self.assertEqual(self.client.gone, "aborted")

    def test_paused(self) -> None:
        """
        Nothing that happens to the connection later has the client read from.
        """
        self.client.link.pause()
        self.client.link.close(1008, "no")
        self.client.link.resume()
        self.assertDelayed(1008)

    def test_said_before(self) -> None:
        """
        Earlier frames leave at once, and later ones never.
        """
        self.client.link.outbox.write(b"\x81\x01a")
        self.client.link.close(1008, "no")
        self.assertEqual(frames_of(self.client.taken()), [(TEXT, b"a")])

    def test_memory(self) -> None:
        """
        The backlog of a client that does not read is dropped at once, and so are the parts of its unfinished message.
        """
        transport = tcp(self.reactor, None)
        client = Client(self.factory, transport, handshake=None)
        client.send(HANDSHAKE)
        transport.socket.take()
        transport.socket.room = 500
        for _ in range(10):
            client.link.outbox.write(b"\x82\x7e\x03\xe8" + b"x" * 1000)
            turn(self.reactor)
        client.send(frame(TEXT, b"y" * 1000, final=False))
        client.link.close(1008, "no")
        outbox = client.link._outbox
        assert outbox is not None
        # No frame is torn: the rest of the first is kept, and the close frame comes behind it.
        self.assertEqual((len(outbox._backlog.pieces), outbox._backlog.size, client.link.message_data), (1, 504, []))
        self.reactor.advance(DELAY)
        transport.socket.room = None
        for _ in range(5):
            turn(self.reactor, transport)
        self.assertEqual(frames_of(transport.socket.take()), [(BINARY, b"x" * 1000), (CLOSE, b"\x03\xf0no")])
