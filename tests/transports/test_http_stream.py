"""
Tests for L{dstwist.transports.http_stream}, on connections as everywhere.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from dstwist.interfaces import HttpAnswer, HttpStream, IStreamWriter, Route
from dstwist.transports.http_routes import Routes
from dstwist.transports.http_stream import PIECE_BYTES, STALL_TIMEOUT
from tests.transports.http_helpers import Answer, HttpTestCase
from tests.transports.test_http_routes import Handler

METHODS = frozenset(("GET", "HEAD"))


class StreamTests(HttpTestCase):
    """
    One stream.
    """

    def setUp(self) -> None:
        super().setUp()
        self.writers: list[Any] = []
        self.ends: list[str] = []
        handler = Handler(lambda request: HttpStream(200, "text/event-stream", self.begin, {"X-One": "1"}))
        self.routes = self.http.resource = Routes([Route(METHODS, "/a", handler)])

    def begin(self, writer: IStreamWriter) -> None:
        self.writers.append(writer)
        writer.on_gone(lambda: self.ends.append("gone"))

    def open(self, version: str = "1.1") -> Any:
        """
        Ask for the stream, and take its head.
        """
        self.connection.dataReceived(f"GET /a HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        self.head = self.transport.take()
        return self.writers[-1]

    def fill(self) -> Any:
        """
        A stream whose client has stopped reading.
        """
        writer = self.open()
        self.transport.high = 1000
        writer.write(b"x" * 1001)
        return writer

    def read(self) -> bytes:
        """
        The client reads again.
        """
        data = self.transport.take()
        self.connection._chosen.resumeProducing()
        return data + self.transport.take()

    def test_interfaces(self) -> None:
        """
        A writer provides the interfaces that it says.
        """
        writer = self.open()
        verifyObject(IStreamWriter, writer)
        verifyObject(IPushProducer, writer)

    def test_chunks(self) -> None:
        """
        The head leaves at once, without a length, and each write behind it as it comes.
        """
        writer = self.open()
        for line in (
            b"HTTP/1.1 200 OK",
            b"Transfer-Encoding: chunked",
            b"X-One: 1",
            b"Content-Type: text/event-stream",
        ):
            self.assertIn(line, self.head)
        writer.write(b"hello")
        self.assertEqual(self.transport.take(), b"5\r\nhello\r\n")
        writer.write(b"")
        self.assertEqual(self.transport.take(), b"")
        self.assertEqual(writer.waiting, 0)

    def test_close(self) -> None:
        """
        A stream that the handler closes ends the answer, and the connection can be used again. The handler is not told,
        and what it writes from then on is dropped.
        """
        writer = self.open()
        writer.close()
        self.assertEqual(self.transport.take(), b"0\r\n\r\n")
        writer.write(b"x")
        writer.close()
        writer.on_gone(lambda: self.ends.append("again"))
        self.assertEqual((self.transport.take(), self.routes.under_way, self.ends), (b"", {}, []))
        self.open()
        self.assertIn(b"200 OK", self.head)
        self.connection.connectionLost()
        self.assertEqual(self.ends, ["gone"])

    def test_close_connection(self) -> None:
        """
        The handler may close the connection with the stream, when the client has taken everything.
        """
        writer = self.fill()
        writer.write(b"last")
        writer.close(keeps_connection=False)
        self.assertFalse(self.transport.disconnecting)
        self.assertTrue(self.read().endswith(b"4\r\nlast\r\n0\r\n\r\n"))
        self.assertTrue(self.transport.disconnecting)

    def test_reading(self) -> None:
        """
        The server reads on when a slow client has taken everything, so that it notices when the client goes. It does
        not if the client has sent many requests ahead.
        """
        for ahead, state in ((b"", "producing"), (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 1000, "paused")):
            self.connect()
            self.fill()
            self.assertEqual(self.transport.producerState, "paused")
            self.connection.dataReceived(ahead)
            self.read()
            self.assertEqual(self.transport.producerState, state)

    def test_old_clients(self) -> None:
        """
        A client of HTTP/1.0 gets the data as they are, and the end of the connection as their end.
        """
        writer = self.open("1.0")
        writer.write(b"hello")
        self.assertEqual(self.transport.take(), b"hello")
        writer.close()
        self.assertTrue(self.transport.disconnecting)

    def test_head(self) -> None:
        """
        HEAD gets the head, and no stream begins.
        """
        answer = self.ask("HEAD", "/a")
        self.assertEqual((answer.status, self.writers, self.routes.under_way), (200, [], {}))

    def test_gone(self) -> None:
        """
        The handler is told once that the client has gone, and what it writes is dropped.
        """
        writer = self.open()
        self.connection.connectionLost()
        writer.write(b"x")
        writer.close()
        self.assertEqual((self.ends, self.transport.take(), self.routes.under_way), (["gone"], b"", {}))
        writer.on_gone(lambda: self.ends.append("late"))
        self.assertEqual(self.ends, ["gone", "late"])

    def test_slow_reader(self) -> None:
        """
        Data for a client that does not read wait, are counted, and leave in order when it reads.
        """
        writer = self.fill()
        writer.write(b"a" * 3)
        writer.write(b"b" * 4)
        self.assertEqual(writer.waiting, 7)
        self.assertEqual(len(self.transport.value()), 1001 + len(b"3e9\r\n\r\n"))
        self.assertTrue(self.read().endswith(b"3\r\naaa\r\n4\r\nbbbb\r\n"))
        self.assertEqual(writer.waiting, 0)
        writer.write(b"c")
        self.assertEqual(self.transport.take(), b"1\r\nc\r\n")

    def test_slow_all_along(self) -> None:
        """
        A client that reads a little gets a little more.
        """
        writer = self.fill()
        for _ in range(3):
            writer.write(b"y" * 1001)
        self.transport.take()
        self.connection._chosen.resumeProducing()
        self.assertEqual(writer.waiting, 2002)
        self.assertEqual(len(self.transport.value()), 1001 + len(b"3e9\r\n\r\n"))

    def test_close_behind_data(self) -> None:
        """
        A stream that is closed while data wait ends behind them.
        """
        writer = self.fill()
        writer.write(b"last")
        writer.close()
        writer.write(b"dropped")
        self.assertTrue(self.read().endswith(b"4\r\nlast\r\n0\r\n\r\n"))
        self.assertEqual(self.routes.under_way, {})

    def test_gone_behind_close(self) -> None:
        """
        A handler that has closed the stream is not told that the client went before it had all data.
        """
        writer = self.fill()
        writer.write(b"last")
        writer.close()
        self.connection.connectionLost()
        self.assertEqual((self.ends, self.routes.under_way), ([], {}))

    def test_stalled(self) -> None:
        """
        A client that takes nothing for a long time is dropped, and the handler is told.
        """
        self.fill()
        self.reactor.advance(STALL_TIMEOUT - 1)
        self.assertFalse(self.transport.aborted)
        self.reactor.advance(1)
        self.assertTrue(self.transport.aborted)
        self.connection.connectionLost()
        self.assertEqual(self.ends, ["gone"])

    def test_read_in_time(self) -> None:
        """
        A client that reads in time stays, and no timer is left.
        """
        self.fill()
        self.reactor.advance(STALL_TIMEOUT - 1)
        self.read()
        self.reactor.advance(STALL_TIMEOUT)
        self.assertFalse(self.transport.aborted)
        self.fill_again_and_go()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def fill_again_and_go(self) -> None:
        self.writers[-1].write(b"x" * 1001)
        self.connection.connectionLost()

    def test_no_idle_limit(self) -> None:
        """
        A stream may be silent for as long as it likes.
        """
        self.open()
        self.reactor.advance(100000)
        self.assertFalse(self.transport.disconnecting)

    def test_long_answers(self) -> None:
        """
        A long answer leaves as its client takes it, with its length, and is done when all of it has left. The handler
        is told then.
        """
        body = b"".join(b"%07d\n" % number for number in range(50000))
        answer = HttpAnswer(200, body, sent=lambda: self.ends.append("sent"))
        self.routes = self.http.resource = Routes([Route(METHODS, "/a", Handler(lambda request: answer))])
        self.transport.high = 1000
        self.connection.dataReceived(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        taken = b""
        for _ in range(6):
            self.assertLess(len(self.transport.value()), 2 * PIECE_BYTES)
            self.assertEqual((self.ends, len(self.routes.under_way)), ([], 1))
            taken += self.read()
        taken += self.read()
        found = Answer(taken)
        self.assertEqual((found.body, found.headers["content-length"]), (body, "400000"))
        self.assertEqual(Answer(found.rest).status, 404)
        self.assertEqual((self.ends, self.routes.under_way), (["sent"], {}))

    def test_long_answers_to_nobody(self) -> None:
        """
        If the client goes, or takes nothing, the handler is told as well.
        """
        answer = HttpAnswer(200, b"x" * 200000, sent=lambda: self.ends.append("sent"))
        self.http.resource = Routes([Route(METHODS, "/a", Handler(lambda request: answer))])
        for _ in range(2):
            self.connect()
            self.ends.clear()
            self.transport.high = 1000
            self.connection.dataReceived(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(self.ends, [])
            self.reactor.advance(STALL_TIMEOUT)
            self.assertTrue(self.transport.aborted)
            self.connection.connectionLost()
            self.assertEqual(self.ends, ["sent"])

    def test_short_answers(self) -> None:
        """
        For a short answer, the handler is told when it has been written; for none, when the client has gone.
        """
        waiting: Deferred[Any] = Deferred(lambda deferred: deferred.callback(answer))
        answer = HttpAnswer(200, b"x", sent=lambda: self.ends.append("sent"))
        outcomes = iter([answer, waiting])
        self.http.resource = Routes([Route(METHODS, "/a", Handler(lambda request: next(outcomes)))])
        self.assertEqual((self.ask("GET", "/a").status, self.ends), (200, ["sent"]))
        self.connection.dataReceived(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        self.connection.connectionLost()
        self.assertEqual(self.ends, ["sent", "sent"])

    def test_stop(self) -> None:
        """
        A server that stops tells the handler, which may not write any more, and ends the stream.
        """
        writer = self.open()
        writer.on_gone(lambda: writer.write(b"bye"))
        self.successResultOf(self.routes.drain())
        self.assertEqual((self.ends, self.transport.take()), (["gone"], b"3\r\nbye\r\n0\r\n\r\n"))

    def test_stop_with_slow_reader(self) -> None:
        """
        A stop waits for a client that does not read, until it is aborted.
        """
        writer = self.fill()
        writer.write(b"last")
        drained = self.routes.drain()
        self.assertNoResult(drained)
        self.routes.abort()
        self.assertTrue(self.transport.aborted)
        self.connection.connectionLost()
        self.successResultOf(drained)

    def test_taken(self) -> None:
        """
        The handler is told when the client has taken data that waited, and may write then.
        """
        writer = self.fill()
        waiting: list[int] = []
        writer.on_taken(lambda: waiting.append(writer.waiting))
        for _ in range(2):
            writer.write(b"y" * 1001)
        self.transport.take()
        self.connection._chosen.resumeProducing()
        for _ in range(2):
            self.read()
        self.assertEqual(waiting, [1001, 0])
        writer.on_taken(lambda: writer.write(b"more"))
        writer.write(b"z" * 1001)
        writer.write(b"z")
        self.assertTrue(self.read().endswith(b"1\r\nz\r\n4\r\nmore\r\n"))
        self.assertEqual(self.read(), b"")

    def test_discard(self) -> None:
        """
        Data that wait can be dropped, as long as all of them wait.
        """
        writer = self.fill()
        writer.write(b"dropped")
        self.assertFalse(writer.discard())
        self.assertEqual(writer.waiting, 0)
        writer.write(b"last")
        self.assertTrue(self.read().endswith(b"x\r\n4\r\nlast\r\n"))

    def test_long_writes(self) -> None:
        """
        What is longer than a piece leaves in pieces. If it is dropped in the middle, the handler is told, once.
        """
        writer = self.open()
        self.transport.high = 1000
        data = b"".join(b"%07d\n" % number for number in range(20000))
        writer.write(data)
        self.assertEqual(writer.waiting, len(data) - PIECE_BYTES)
        taken = b""
        for _ in range(3):
            taken += self.read()
        self.assertEqual(writer.waiting, 0)
        self.assertIn(data[:PIECE_BYTES], taken)
        self.assertEqual(taken.count(b"\n") - taken.count(b"\r\n"), 20000)
        self.assertFalse(writer.discard())
        self.connect()
        writer = self.open()
        self.transport.high = 1000
        writer.write(data)
        self.assertTrue(writer.discard())
        self.assertFalse(writer.discard())

    def test_abort(self) -> None:
        """
        The handler can drop the connection, and is told of the end as of any other.
        """
        writer = self.open()
        writer.abort()
        self.assertTrue(self.transport.aborted)
        self.assertEqual(self.ends, [])
        self.connection.connectionLost()
        self.assertEqual(self.ends, ["gone"])

    def test_half_open(self) -> None:
        """
        The system closes a connection whose client confirms nothing. A UNIX socket has no such option.
        """

        class Handle:
            def setsockopt(self, level: int, option: int, value: int) -> None:
                options.append((level, option, value))
                if len(options) > 1:
                    raise OSError("not supported")

        options: list[tuple[int, int, int]] = []
        for _ in range(2):
            self.connect()
            transport: Any = self.transport
            transport.socket = Handle()
            self.open()
            self.assertIn(b"200 OK", self.head)
        expected = (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_TIMEOUT * 1000))
        self.assertEqual(options, [expected] * 2)
