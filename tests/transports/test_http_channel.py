"""
Tests for L{dstwist.transports.http_channel}, behind the port as everywhere.
"""

from __future__ import annotations

from dstwist.config.http_server import HttpSettings
from dstwist.scheduling.turns import Turns
from dstwist.transports.http import Root
from dstwist.transports.http_channel import BODY_READ_BYTES, LINGER_SECONDS, READ_BYTES, REQUEST_TIMEOUT
from dstwist.transports.incoming import Incoming
from dstwist.transports.origins import Origins
from tests.transports.http_helpers import LIMIT, Answer, HttpTestCase

#: As the Node server says it.
TOO_LARGE = b"Failed to parse body of request: request entity too large\r\n\r\n"


class ConnectionTests(HttpTestCase):
    """
    Many requests on one connection.
    """

    REQUEST = b"GET /health-check HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def test_kept(self) -> None:
        """
        A connection is kept for further requests.
        """
        for _ in range(3):
            self.assertEqual(self.ask("GET", "/health-check").status, 200)
        self.assertFalse(self.transport.disconnecting)

    def test_close(self) -> None:
        """
        It is closed if the client wants that, or does not know about keeping it.
        """
        self.assertEqual(self.ask("GET", "/health-check", "Connection: close").headers["connection"], "close")
        self.assertTrue(self.transport.disconnecting)
        self.connect()
        self.answers(b"GET /health-check HTTP/1.0\r\n\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_closed_in_time(self) -> None:
        """
        A client that does not do its part of closing, as TLS needs it, is dropped after a while; of one that does
        nothing is left.
        """
        self.ask("GET", "/health-check", "Connection: close")
        self.reactor.advance(LINGER_SECONDS - 0.1)
        self.assertFalse(self.transport.aborted)
        self.reactor.advance(0.1)
        self.assertTrue(self.transport.aborted)
        self.connection.connectionLost()
        self.connect()
        self.ask("GET", "/health-check", "Connection: close")
        self.connection.connectionLost()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_pipelining(self) -> None:
        """
        Requests that arrive at once are answered in order; one that asks for a WebSocket meanwhile is no exception.
        """
        upgrade = b"GET /deepstream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        stream = self.REQUEST + b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + upgrade + self.REQUEST
        for size in (len(stream), 1, 50):
            self.connect()
            pieces = [stream[place : place + size] for place in range(0, len(stream), size)]
            self.assertEqual([answer.status for answer in self.answers(*pieces)], [200, 404, 404, 200])

    def test_turn_over(self) -> None:
        """
        Requests that arrive when the turn is over are served in later ones, in order; those of a client that has gone
        meanwhile are not.
        """
        turns = Turns.of(self.reactor)
        stream = self.REQUEST + b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + self.REQUEST
        self.ask("GET", "/health-check")
        turns.hold()
        self.assertEqual(self.answers(stream), [])
        turns.release()
        self.reactor.advance(0)
        self.assertEqual([answer.status for answer in self.answers()], [200, 404, 200])
        turns.hold()
        self.answers(stream)
        self.connection.connectionLost()
        turns.release()
        self.reactor.advance(0)
        self.assertEqual(self.answers(), [])

    def test_read_at_once(self) -> None:
        """
        Little is read at a time: thousands of pipelined requests would keep all others waiting.
        """
        self.ask("GET", "/health-check")
        self.assertEqual(self.transport.bufferSize, READ_BYTES)

    def test_idle(self) -> None:
        """
        A connection that is not used is closed after a minute.
        """
        self.ask("GET", "/health-check")
        self.reactor.advance(REQUEST_TIMEOUT - 1)
        self.assertFalse(self.transport.disconnecting)
        self.ask("GET", "/health-check")
        self.reactor.advance(REQUEST_TIMEOUT - 1)
        self.assertFalse(self.transport.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_slow_head(self) -> None:
        """
        A further request that arrives drop by drop has no longer than that, all in all.
        """
        self.ask("GET", "/health-check")
        self.connection.dataReceived(b"GET /health-check HTTP/1.1\r\n")
        for _ in range(6):
            self.assertFalse(self.transport.disconnecting)
            self.connection.dataReceived(b"X: y\r\n")
            self.reactor.advance(REQUEST_TIMEOUT / 6)
        self.assertTrue(self.transport.disconnecting)

    def test_slow_body(self) -> None:
        """
        Nor has a body.
        """
        self.connection.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        for _ in range(6):
            self.assertFalse(self.transport.disconnecting)
            self.connection.dataReceived(b"x")
            self.reactor.advance(REQUEST_TIMEOUT / 6)
        self.assertTrue(self.transport.disconnecting)

    def test_w57_never_reads(self) -> None:
        """
        W57: a client that asks on and on without reading is not read from any more, and dropped in the end.
        """
        self.transport.high = 1000
        for _ in range(200):
            self.connection.dataReceived(self.REQUEST)
            if self.transport.producerState == "paused":
                break
        self.assertEqual(self.transport.producerState, "paused")
        self.assertLess(len(self.transport.value()), 2000)
        self.reactor.advance(REQUEST_TIMEOUT)
        self.reactor.advance(30)
        self.assertTrue(self.transport.aborted)

    def test_reads_late(self) -> None:
        """
        One that reads late is read from again when it has.
        """
        self.transport.high = 1000
        for _ in range(10):
            self.connection.dataReceived(self.REQUEST)
        self.assertEqual(self.transport.producerState, "paused")
        self.transport.take()
        self.connection._chosen.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.ask("GET", "/health-check").status, 200)

    def test_lost(self) -> None:
        """
        A client that goes in the middle of a request leaves nothing behind.
        """
        for data in (b"GET / HTTP/1.1\r\n\r\nGET", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"):
            self.connection.dataReceived(data)
            self.connection.connectionLost()
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            self.connect()


class LimitTests(HttpTestCase):
    """
    Requests that are too large, or none.
    """

    def test_largest_body(self) -> None:
        """
        A body up to the limit is taken.
        """
        self.assertEqual(self.ask("POST", "/", body=b"x" * LIMIT).status, 404)
        self.assertEqual(self.answers(self.chunked(LIMIT))[0].status, 404)
        self.assertFalse(self.transport.disconnecting)

    def chunked(self, length: int) -> bytes:
        chunks = b"64\r\n" + b"x" * 100 + b"\r\n"
        return (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunks * (length // 100)
            + b"0\r\n\r\n"
        )

    def test_too_large(self) -> None:
        """
        A larger one is answered 400, as by the Node server: at once if the head says so, else when the limit is passed.
        """
        for pieces in [
            [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"],
            [b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n"],
            [self.chunked(LIMIT)[:-5], b"1\r\n"],
            [self.chunked(LIMIT + 100)],
        ]:
            self.connect()
            self.assertEqual([answer.status for answer in self.answers(*pieces[:-1])], [])
            statuses = [answer.status for answer in self.answers(pieces[-1], b"x")]
            self.assertEqual(statuses, [400])

    def test_too_large_lingers(self) -> None:
        """
        The client can read the answer: the server reads on for a while, and keeps nothing of that.
        """
        (answer,) = self.answers(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        self.assertEqual(answer.body, TOO_LARGE)
        self.assertEqual(answer.headers["connection"], "close")
        (request,) = self.connection._chosen.requests
        for _ in range(100):
            self.assertEqual(self.answers(b"x" * 1000), [])
        self.assertEqual(request.content.getbuffer().nbytes, 0)
        self.reactor.advance(LINGER_SECONDS)
        self.assertTrue(self.transport.aborted)

    def test_too_large_to_the_end(self) -> None:
        """
        A client that sends all of it nevertheless is closed then, and gets no second answer.
        """
        statuses = [answer.status for answer in self.answers(self.chunked(2 * LIMIT))]
        self.assertEqual(statuses, [400])
        self.assertTrue(self.transport.disconnecting)
        self.connection.connectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_too_large_for_a_page(self) -> None:
        """
        A page can see that its request was too large; one of another origin is told that it is forbidden.
        """
        origins = Origins(HttpSettings(allow_all_origins=False, origins=("https://a.example",)))
        for origin, status, allowed in (
            ("https://a.example", 400, "https://a.example"),
            ("https://b.example", 403, None),
        ):
            self.connect()
            self.http.resource = Root(origins=origins)
            head = f"POST /x?y HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nContent-Length: 1001\r\n\r\n"
            (answer,) = self.answers(head.encode())
            self.assertEqual((answer.status, answer.headers.get("access-control-allow-origin")), (status, allowed))

    def test_read_size(self) -> None:
        """
        A body is read in larger pieces than the rest.
        """
        self.answers(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(self.transport.bufferSize, BODY_READ_BYTES)
        self.answers(b"0\r\n\r\n")
        self.assertEqual(self.transport.bufferSize, READ_BYTES)

    def test_all_bodies(self) -> None:
        """
        The bodies of all clients together have a limit while they are received: the one that began first is cut off,
        and its client gets an answer.
        """
        self.http.incoming = Incoming(25000)
        self.http.max_body_size = 1 << 20
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n"
        self.answers(head, b"x" * 19999)
        self.assertEqual(self.http.incoming.held, 19999)
        first, first_transport = self.connection, self.transport
        self.connect()
        self.assertEqual(self.answers(head, b"x" * 10000), [])
        (answer,) = [Answer(first_transport.take())]
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))
        self.assertEqual(self.http.incoming.held, 10000)
        first.dataReceived(b"x")
        self.assertTrue(first_transport.disconnecting)
        self.assertEqual([answer.status for answer in self.answers(b"x" * 10000)], [404])
        self.assertEqual(self.http.incoming.held, 0)
        self.answers(head, b"x" * 10000)
        self.connection.connectionLost()
        self.assertEqual(self.http.incoming.held, 0)

    def test_huge_length(self) -> None:
        """
        A length with thousands of digits is no number.
        """
        self.assertEqual(self.ask("POST", "/", f"Content-Length: {'9' * 5000}").status, 400)
        self.assertTrue(self.transport.disconnecting)

    def test_later_head_too_long(self) -> None:
        """
        Heads of further requests have a limit as well.
        """
        self.ask("GET", "/health-check")
        (answer,) = self.answers(b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 20)
        self.assertEqual(answer.status, 400)
        self.assertTrue(self.transport.disconnecting)

    def test_endless_line(self) -> None:
        """
        So has a line that never ends.
        """
        self.ask("GET", "/health-check")
        for _ in range(100):
            if self.transport.disconnecting:
                break
            self.connection.dataReceived(b"x" * 1000)
        self.assertTrue(self.transport.disconnecting)

    def test_bad_requests(self) -> None:
        """
        Bytes that are no request are answered 400, or the connection is closed.
        """
        for data in (
            b"\r\n\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nno header\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ):
            self.connect()
            statuses = [answer.status for answer in self.answers(data)]
            self.assertEqual(statuses, [400], data)
            self.assertTrue(self.transport.disconnecting, data)
