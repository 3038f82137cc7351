"""
Tests for L{dstwist.transports.websocket}.

Section numbers are those of RFC 6455.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, NamedTuple
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.interfaces import HandshakeData, ILink
from dstwist.scheduling.turns import TIME_SLICE
from dstwist.transports import websocket
from dstwist.transports.closing_link import CLOSE_TIMEOUT
from dstwist.transports.websocket import WebSocketLink
from dstwist.transports.websocket_factory import WebSocketFactory
from tests.fakes import BusyReactor
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
    close_code,
    closing,
    frame,
    frames_of,
    tcp,
    turn,
    web_sockets,
)
from tests.turns import LONGEST, turn_lengths

#: The largest message in these tests.
LIMIT = 300

EURO = "\u20ac".encode()


def close_payload(code: int, reason: bytes = b"") -> bytes:
    """
    The payload of a client's close frame.
    """
    return code.to_bytes(2, "big") + reason


class Outcome(NamedTuple):
    """
    The outcome of a stream of bytes.

    @ivar payloads: what the connection was given.
    @ivar events: what else happened to it.
    @ivar sent: the frames that the client was sent.
    @ivar gone: how the connection ended, see L{Client.gone}.
    """

    payloads: list[bytes | str]
    events: list[str]
    sent: list[tuple[int, bytes]]
    gone: str


def outcome(pieces: Iterable[bytes], fast: bool, connect: Any = Recorder) -> Outcome:
    """
    The outcome of C{pieces} that arrive one by one.
    """
    before, websocket.FAST_PATH = websocket.FAST_PATH, fast
    try:
        client = Client(web_sockets(connect, max_message_size=LIMIT))
        connection = client.connection
        for piece in pieces:
            if client.gone:
                break  # a transport that is closing delivers no more
            client.send(piece)
        return Outcome(connection.payloads, connection.events, frames_of(client.taken()), client.gone)
    finally:
        websocket.FAST_PATH = before


def cuts(stream: bytes) -> Iterable[tuple[bytes, ...]]:
    """
    C{stream} whole, cut in two at every place (in long streams, at some 60 of them), and byte by byte.
    """
    yield (stream,)
    places = range(1, len(stream)) if len(stream) < 60 else [*range(1, 20), *range(20, len(stream), len(stream) // 40)]
    for place in places:
        yield stream[:place], stream[place:]
    yield tuple(stream[place : place + 1] for place in range(len(stream)))


#: Well formed streams, and the payloads in them.
GOOD: list[tuple[bytes, list[bytes | str]]] = [
    (frame(TEXT, b"abc"), ["abc"]),
    (frame(BINARY, b"abc"), [b"abc"]),
    (frame(TEXT), [""]),
    (frame(BINARY), [b""]),
    (frame(TEXT, b"\x00\xc3\xa9" + EURO + "\U0001f600".encode()), ["\x00\xe9\u20ac\U0001f600"]),
    (frame(BINARY, b"x" * 125), [b"x" * 125]),
    (frame(BINARY, b"x" * 126), [b"x" * 126]),
    (frame(BINARY, bytes(range(256))), [bytes(range(256))]),
    (frame(TEXT, b"x" * LIMIT), ["x" * LIMIT]),
    (frame(BINARY, b"\x00\xff", mask=b"\x00\x00\x00\x00"), [b"\x00\xff"]),
    (frame(BINARY, b"\x00\xff\x00\xff\x00", mask=b"\xff\xff\xff\xff"), [b"\x00\xff\x00\xff\x00"]),
    (frame(TEXT, b"a") + frame(BINARY, b"b") + frame(TEXT, b"c"), ["a", b"b", "c"]),
    # 5.4: fragments, of which some may be empty, and cut within a character.
    (frame(TEXT, EURO[:1], final=False) + frame(0, EURO[1:]) + frame(TEXT, b"a"), ["\u20ac", "a"]),
    (frame(BINARY, final=False) + frame(0, b"b", final=False) + frame(0), [b"b"]),
    (frame(BINARY, b"x" * 200, final=False) + frame(0, b"y" * 100), [b"x" * 200 + b"y" * 100]),
    # 5.5: control frames, also between fragments.
    (frame(PING, b"1") + frame(TEXT, b"a") + frame(PONG, b"2"), ["a"]),
    (frame(TEXT, b"a", final=False) + frame(PING, b"p" * 125) + frame(0, b"b") + frame(TEXT, b"c"), ["ab", "c"]),
]

#: 7.4: close codes that neither side may send.
BAD_CODES = (0, 999, 1004, 1005, 1006, 1016, 2999, 5000, 65535)

#: What no client may send, and the close code it gets for it.
BAD: list[tuple[str, bytes, int]] = [
    ("too long", frame(BINARY, b"x" * (LIMIT + 1)), 1009),
    ("text too long", frame(TEXT, b"x" * (LIMIT + 1)), 1009),
    ("fragments too long", frame(BINARY, b"x" * 200, final=False) + frame(0, b"y" * 101), 1009),
    ("64 bits of length, not shortest", frame(BINARY, b"x" * 200, form=64), 1002),
    ("16 bits of length, not shortest", frame(BINARY, b"x" * 125, form=16), 1002),
    ("16 bits of length for nothing", frame(TEXT, b"", form=16), 1002),
    *((f"reserved opcode {opcode}", frame(opcode, b"x"), 1002) for opcode in (3, 7, 11, 15)),
    *((f"reserved bit {bit}", frame(TEXT, b"x", reserved=bit), 1002) for bit in (1, 2, 4)),
    ("reserved bit of binary", frame(BINARY, b"x", reserved=4), 1002),
    ("reserved bit of a ping", frame(PING, b"x", reserved=4), 1002),
    ("not masked", frame(TEXT, b"x", mask=None), 1002),
    ("nothing, not masked", frame(BINARY, b"", mask=None), 1002),
    ("long, not masked", frame(BINARY, b"x" * 200, mask=None), 1002),
    ("continuation of nothing", frame(0, b"x"), 1002),
    ("start of a continuation of nothing", frame(0, b"x", final=False), 1002),
    ("message in a message", frame(TEXT, b"x", final=False) + frame(TEXT, b"y"), 1002),
    ("fragmented ping", frame(PING, b"x", final=False), 1002),
    ("long ping", frame(PING, b"x" * 126), 1002),
    ("long close", frame(CLOSE, close_payload(1000, b"x" * 124)), 1002),
    ("no UTF-8", frame(TEXT, b"ab\xff"), 1007),
    ("half a character", frame(TEXT, EURO[:2]), 1007),
    ("surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007),
    ("overlong", frame(TEXT, b"\xc0\x80"), 1007),
    ("beyond Unicode", frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    ("no UTF-8 in fragments", frame(TEXT, EURO[:1], final=False) + frame(0, b"x"), 1007),
    ("half a character in fragments", frame(TEXT, b"x", final=False) + frame(0, EURO[:2]), 1007),
    ("close with half a code", frame(CLOSE, b"\x03"), 1002),
    *((f"close with {code}", frame(CLOSE, close_payload(code)), 1002) for code in BAD_CODES),
    ("close with no UTF-8", frame(CLOSE, close_payload(1000, b"\xff")), 1007),
]


class FrameTests(SynchronousTestCase):
    """
    Frames: what we cut out of the stream ourselves is what Autobahn would have found, however the bytes arrive.
    """

    def check(self, stream: bytes, expected: Outcome, connect: Any = Recorder) -> None:
        for fast in (True, False):
            for pieces in cuts(stream):
                self.assertEqual(outcome(pieces, fast, connect), expected, f"fast={fast} {pieces!r}")

    def test_good(self) -> None:
        """
        Well formed frames, of all lengths and in fragments, arrive; pings are answered.
        """
        for stream, payloads in GOOD:
            pongs = [(PONG, payload) for payload in (b"1", b"p" * 125) if frame(PING, payload) in stream]
            self.check(stream, Outcome(payloads, ["open"], pongs, ""))

    def test_joined(self) -> None:
        """
        Many frames that arrive at once are as many payloads, in order.
        """
        stream = b"".join(frames for frames, _ in GOOD) * 3
        payloads = [payload for _, found in GOOD for payload in found] * 3
        for fast in (True, False):
            for size in (1, 7, 100, len(stream)):
                pieces = [stream[place : place + size] for place in range(0, len(stream), size)]
                self.assertEqual(outcome(pieces, fast).payloads, payloads)

    def test_bad(self) -> None:
        """
        Each frame that no client may send ends in a close frame with the code for it. Messages before it are handled,
        messages after it are not, and the client's answer ends the connection.
        """
        for problem, bad, code in BAD:
            stream = frame(TEXT, b"before") + bad + frame(TEXT, b"after") + frame(CLOSE, close_payload(code))
            for fast in (True, False):
                for pieces in cuts(stream):
                    with capturedLogs() as logged:
                        found = outcome(pieces, fast)
                    told = [int.from_bytes(payload[:2], "big") for opcode, payload in found.sent if opcode == CLOSE]
                    where = f"{problem}, fast={fast} {pieces!r}"
                    self.assertEqual((found.payloads, found.events), (["before"], ["open", "lost"]), where)
                    self.assertEqual((told, found.sent[-1][0]), ([code], CLOSE), where)
                    self.assertTrue(found.gone, where)
                    warnings = [event["event"] for event in logged if event["log_level"] >= LogLevel.warn]
                    self.assertEqual(warnings, ["INVALID_MESSAGE"], where)

    def test_too_long_at_once(self) -> None:
        """
        A frame that will be too long is refused when its head has come: the rest is neither awaited nor kept.
        """
        for head in (
            b"\x82\xfe\x01\x2d",
            b"\x81\xff\x00\x00\x00\x00\x40\x00\x00\x00",
            b"\x82\xff" + b"\x7f" + b"\xff" * 7,
        ):
            for fast in (True, False):
                found = outcome([head + b"mask"], fast)
                self.assertEqual([payload[:2] for _, payload in found.sent], [close_payload(1009)], head)

    def test_close(self) -> None:
        """
        7.1: a client's close frame is answered, and then the connection is closed; what was said before it arrives.
        """
        for payload in (
            b"",
            close_payload(1000),
            close_payload(1001, b"page closed"),
            close_payload(3000),
            close_payload(4999),
        ):
            stream = frame(TEXT, b"a") + frame(CLOSE, payload) + frame(TEXT, b"b")
            self.check(stream, Outcome(["a"], ["open", "lost"], [(CLOSE, close_payload(1000))], "closed"))

    def test_failing_connection(self) -> None:
        """
        An exception while a payload is handled costs this one connection, with 1011; the payloads behind it are not
        handled, and the client's answer is still understood.
        """

        class Fragile(Recorder):
            def receive(self, payload: bytes | str) -> None:
                super().receive(payload)
                if payload == "bad":
                    raise ZeroDivisionError

        stream = frame(TEXT, b"a") + frame(TEXT, b"bad") + frame(TEXT, b"c") + frame(CLOSE, close_payload(1011))
        expected = [(CLOSE, close_payload(1011, b"internal error"))]
        self.check(stream, Outcome(["a", "bad"], ["open", "lost"], expected, "aborted"), Fragile)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2 * len(list(cuts(stream))))

    def test_closed_meanwhile(self) -> None:
        """
        A connection that is closed because of a payload gets no other, though it was read already.
        """

        class Strict(Recorder):
            def receive(self, payload: bytes | str) -> None:
                super().receive(payload)
                self.close("no", 1008)

        stream = frame(TEXT, b"a") + frame(TEXT, b"b") + frame(CLOSE, close_payload(1008))
        expected = [(CLOSE, close_payload(1008, b"no"))]
        self.check(stream, Outcome(["a"], ["open", "close"], expected, "aborted"), Strict)

    def test_turn_over(self) -> None:
        """
        If a payload takes the time that its client has in a turn, what was read behind it, be it a close frame, waits
        until the link is resumed and then comes in order.
        """

        class Weary(Recorder):
            def receive(self, payload: bytes | str) -> bool:
                super().receive(payload)
                self.link.pause()
                return payload == "b"

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            factory = web_sockets(Weary)
            client = Client(factory)
            connection = client.connection
            client.send(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c") + frame(CLOSE, close_payload(1000)))
            self.assertEqual(connection.payloads, ["a", "b"])
            client.send(frame(TEXT, b"after the end"))
            connection.link.resume()
            self.assertEqual(connection.payloads, ["a", "b"])
            factory.reactor.advance(0)
            self.assertEqual((connection.payloads, connection.events), (["a", "b", "c"], ["open", "lost"]))

    def test_many_frames(self) -> None:
        """
        If much comes at once, only as much is served in a turn as its time allows, whether the link or Autobahn cuts
        the frames; meanwhile nothing is read.
        """

        class Slow(Recorder):
            def receive(self, payload: bytes | str) -> None:
                super().receive(payload)
                self.link.factory.reactor.rightNow += TIME_SLICE / 499.5

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            factory = web_sockets(Slow, BusyReactor())
            client = Client(factory)
            connection = client.connection
            client.send(frame(TEXT, b"message") * 2000)
            for served in (500, 1000, 1500):
                self.assertEqual(
                    (len(connection.payloads), client.transport.producerState), (served, "paused"), f"fast: {fast}"
                )
                factory.reactor.advance(0)
            self.assertEqual((len(connection.payloads), client.transport.producerState), (2000, "producing"))

    def test_few_slow(self) -> None:
        """
        It depends on the time that payloads take, not on their number or size, whether those behind them wait.
        """

        class Slow(Recorder):
            def receive(self, payload: bytes | str) -> None:
                super().receive(payload)
                self.link.factory.reactor.rightNow += 2 * TIME_SLICE

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            factory = web_sockets(Slow, BusyReactor())
            client = Client(factory)
            client.send(frame(TEXT, b"a") * 3)
            for served in (1, 2, 3):
                self.assertEqual(len(client.connection.payloads), served)
                factory.reactor.advance(0)

    def test_many_clients(self) -> None:
        """
        All clients share the time of a turn: one slow payload of each of twenty is served in no turn that lasts longer.
        They are served in order, and the first of them before a client that has had a slice already.
        """
        served: list[bytes | str] = []

        class Slow(Recorder):
            def receive(self, payload: bytes | str) -> None:
                served.append(payload)
                self.link.factory.reactor.rightNow += TIME_SLICE * 1.1

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            served.clear()
            factory = web_sockets(Slow, BusyReactor())
            greedy = Client(factory)
            clients = [Client(factory) for _ in range(20)]
            turns: list[int] = []
            greedy.send(frame(TEXT, b"greedy") * 4)
            for number, client in enumerate(clients):
                client.send(frame(TEXT, b"%d" % number))
            while len(served) < 24:
                turns.append(len(served) - sum(turns))
                self.assertLess(len(turns), 30)
                factory.reactor.advance(0)
            self.assertLess(max(turns), 4)
            self.assertEqual([each for each in served if each != "greedy"], [str(number) for number in range(20)])
            self.assertEqual(served[:2].count("greedy"), 1)

    def test_many_leave(self) -> None:
        """
        If very many clients leave in one turn, the ends of some are dealt with in later turns. Nothing is written to
        them meanwhile, nor served.
        """

        class Slow(Recorder):
            def lost(self, reason: str) -> None:
                super().lost(reason)
                self.link.factory.reactor.rightNow += TIME_SLICE / 10

        reactor = BusyReactor()
        factory = web_sockets(Slow, reactor)
        clients = [Client(factory) for _ in range(200)]
        connections = [client.connection for client in clients]

        def leave() -> None:
            for client in clients:
                client.lose()
                client.link.outbox.write(b"too late")

        self.assertLess(max(turn_lengths(reactor, leave)), LONGEST)
        self.assertEqual([connection.events for connection in connections], [["open", "lost"]] * 200)
        self.assertEqual((factory.links, b"".join(client.taken() for client in clients)), (set(), b""))

    def test_much_for_autobahn(self) -> None:
        """
        The same holds for frames that Autobahn handles alone: pings and fragments without end.
        """
        for frames in (
            [frame(PING, b"p")] * 500,
            [frame(TEXT, b"a", final=False), *[frame(0, b"", final=False)] * 499],
        ):
            reactor = BusyReactor()
            factory = web_sockets(Recorder, reactor=reactor)
            client = Client(factory)
            kept = []
            reactor.tick = TIME_SLICE / 100
            client.send(*frames)
            while client.link.data:
                kept.append(len(client.link.data))
                reactor.advance(0)
            self.assertTrue(4 <= len(kept) <= 6, kept)
            self.assertEqual(kept, sorted(kept, reverse=True))

    def test_nothing_read_while_postponed(self) -> None:
        """
        A client that sends faster than it is served is not read from until all is served that has been read: there is
        no more to keep than that.
        """
        client, link, connection, reactor = self.weary()
        client.send(*[frame(TEXT, b"%d" % number) for number in range(4)])
        for number in range(4):
            self.assertEqual(connection.payloads, [str(each) for each in range(number + 1)])
            link.resume()
            self.assertEqual(client.transport.producerState, "paused")
            reactor.advance(0)
        self.assertEqual(client.transport.producerState, "producing")

    def test_resumed_twice(self) -> None:
        """
        However often a link is paused and resumed within a turn, what waits is served once in the next, and not at all
        if the link is paused by then.
        """
        client, link, connection, reactor = self.weary()
        client.send(*[frame(TEXT, b"%d" % number) for number in range(4)])
        link.resume()
        link.resume()
        link.pause()
        link.resume()
        reactor.advance(0)
        self.assertEqual(connection.payloads, ["0", "1"])
        link.resume()
        link.pause()
        reactor.advance(0)
        self.assertEqual(connection.payloads, ["0", "1"])
        link.resume()
        reactor.advance(0)
        self.assertEqual(connection.payloads, ["0", "1", "2"])
        self.assertEqual(client.transport.producerState, "paused")

    def test_lost_while_postponed(self) -> None:
        """
        If a client goes while some of its payloads wait, these are not served any more.
        """
        client, link, connection, reactor = self.weary()
        client.send(frame(TEXT, b"0"), frame(TEXT, b"1"))
        link.resume()
        client.lose()
        reactor.advance(0)
        self.assertEqual(reactor.getDelayedCalls(), [])
        self.assertEqual((connection.payloads, connection.events), (["0"], ["open", "lost"]))

    def weary(self) -> tuple[Client, Any, Any, Any]:
        """
        A client each of whose payloads takes all the time of a turn: with its link, its connection and its reactor.
        """

        class Weary(Recorder):
            def receive(self, payload: bytes | str) -> bool:
                super().receive(payload)
                self.link.pause()
                return True

        factory = web_sockets(Weary)
        client = Client(factory)
        return client, client.link, client.connection, factory.reactor

    def test_closed_when_turn_over(self) -> None:
        """
        A connection that the server closes while something of its client's waits still ends in good order.
        """

        class Weary(Recorder):
            def receive(self, payload: bytes | str) -> bool:
                super().receive(payload)
                return True

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            client = Client(web_sockets(Weary))
            connection = client.connection
            client.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
            connection.close("enough", 1008)
            client.send(frame(CLOSE, close_payload(1008)))
            self.assertEqual((connection.payloads, client.gone), (["a"], "aborted"))

    def test_first_payload_with_handshake(self) -> None:
        """
        A client may speak before it has seen the answer to its handshake.
        """
        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            client = Client(web_sockets(), handshake=HANDSHAKE + frame(BINARY, b"a") + frame(BINARY, b"b")[:3])
            client.send(frame(BINARY, b"b")[3:])
            self.assertEqual(client.connection.payloads, [b"a", b"b"])

    def test_large(self) -> None:
        """
        Messages around the sizes where frames change their form arrive intact.
        """
        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            client = Client(web_sockets(max_message_size=100_000))
            client.link.logged_in("ann")
            for length in (1023, 1024, 1025, 1028, 65535, 65536, 100_000):
                payload = (bytes(range(251)) * 400)[:length]
                data = frame(BINARY, payload)
                for size in (len(data), 4096):
                    for place in range(0, len(data), size):
                        client.send(data[place : place + size])
                    self.assertEqual(client.connection.payloads.pop(), payload)

    def test_large_before_login(self) -> None:
        """
        Before its login a client may send less: what is larger closes it before it is read. Neither limit can be got
        around by the other.
        """
        for fast, before, after, limit in itertools.product((True, False), (100, 1000), (100, 1000), (0, 1)):
            self.patch(websocket, "FAST_PATH", fast)
            client = Client(web_sockets(max_message_size=after, max_message_size_before_login=before))
            if limit:
                client.link.logged_in("ann")
            most = after if limit else min(before, after)
            client.send(frame(BINARY, b"x" * most))
            connection = client.connection
            self.assertEqual(connection.payloads, [b"x" * most])
            client.send(frame(BINARY, b"x" * (most + 1)))
            self.assertEqual((connection.payloads, connection.events[-1]), ([b"x" * most], "lost"))

    def test_heard(self) -> None:
        """
        Whatever arrives is a sign of life for the heartbeat: also a ping, and half a frame.
        """
        client = Client(web_sockets())
        for data in (frame(PING), frame(TEXT, b"a")[:3], frame(TEXT, b"a")[3:], frame(PONG)):
            client.connection.heard = False
            client.send(data)
            self.assertTrue(client.connection.heard)

    def test_w57_endless_fragments(self) -> None:
        """
        W57: empty fragments and overlong control frames without end fill no memory.
        """
        client = Client(web_sockets())
        client.send(frame(TEXT, b"a", final=False))
        for _ in range(100):
            client.send(frame(0, final=False))
        link: Any = client.link
        self.assertLess(len(link.message_data), 10)
        self.assertEqual(link.data, b"")
        client.send(b"\x89\xff\x00\x00\x00\x40\x00\x00\x00\x00mask")
        for _ in range(100):
            client.send(b"x" * 1000)
        self.assertLess(len(link.control_frame_data), 10)
        self.assertEqual(close_code(client.taken()), 1002)

    def test_w57_tiny_fragments(self) -> None:
        """
        W57: a message in fragments of a byte takes no more room than one in a few large ones, and arrives whole; so
        does a frame that comes byte by byte.
        """
        client = Client(web_sockets())
        link: Any = client.link
        client.send(frame(TEXT, b"a", final=False))
        for _ in range(30):
            client.send(frame(0, b"b", final=False) * 100)
            self.assertLess(len(link.message_data), 1100)
        client.send(frame(0, b"c"))
        for byte in frame(BINARY, b"d" * 3000, form=16)[:-1]:
            client.send(bytes([byte]))
        client.send(frame(BINARY, b"d" * 3000)[-1:])
        self.assertEqual(client.connection.payloads, ["a" + "b" * 3000 + "c", b"d" * 3000])
        # Without the way that keeps the start of a frame in one piece.
        self.patch(websocket, "FAST_PATH", False)
        data = frame(BINARY, b"d" * 3000)
        for byte in data[:-1]:
            client.send(bytes([byte]))
            self.assertLess(len(link.frame_data or ()), 1100)
        client.send(data[-1:])
        self.assertEqual(client.connection.payloads[2:], [b"d" * 3000])

    def test_closing_reads_little(self) -> None:
        """
        Little is read at a time from a client that is being closed, since the time for that is not limited.
        """
        client = Client(web_sockets())
        self.assertEqual(client.transport.bufferSize, 65536)
        client.connection.close("enough", 1008)
        self.assertLess(client.transport.bufferSize, 5000)

    def test_nothing_kept_after_failure(self) -> None:
        """
        A client that goes on sending a message that was refused fills no memory.
        """
        client = Client(web_sockets(max_message_size=LIMIT))
        connection = client.connection
        client.send(b"\x82\xff\x00\x00\x00\x40\x00\x00\x00\x00mask")
        for _ in range(100):
            client.send(b"x" * 1000)
        link: Any = client.link
        self.assertEqual((link.data, link.frame_data, link.message_data, connection.payloads), (b"", [], [], []))

    def test_nothing_kept_after_close(self) -> None:
        """
        Nor does one that was sent away, or went: over TLS its bytes arrive until it agrees to the end.
        """
        for leave in (frame(PONG), frame(CLOSE), frame(TEXT, b"\xff") * 2):
            client = Client(web_sockets(max_message_size=LIMIT))
            connection = client.connection
            connection.close("no", 1008)
            client.send(leave)
            for _ in range(100):
                client.send(frame(BINARY, b"x" * LIMIT, final=False), frame(0, b"y" * LIMIT, final=False))
            link: Any = client.link
            self.assertLess(sum(map(len, getattr(link, "message_data", None) or ())) + len(link.data), 1000)
            self.assertEqual(connection.payloads, [])


def messages() -> st.SearchStrategy[bytes]:
    """
    Frames of all kinds, most of them well formed.
    """
    payload = st.binary(max_size=20) | st.integers(120, 140).map(lambda length: b"x" * length) | st.just(EURO)
    mask = st.binary(min_size=4, max_size=4)
    data = st.builds(frame, st.sampled_from((TEXT, BINARY)), payload, mask=mask)
    text = st.builds(lambda text, mask: frame(TEXT, text.encode(), mask=mask), st.text(max_size=20), mask)
    anything = st.builds(
        frame,
        st.sampled_from((0, TEXT, BINARY, CLOSE, PING, PONG, 3, 11)),
        payload,
        final=st.booleans(),
        reserved=st.sampled_from((0, 0, 0, 1)),
        mask=mask | st.none(),
    )
    fragments = st.builds(
        lambda first, control, last: frame(BINARY, first, final=False) + control + frame(0, last),
        payload,
        st.just(b"") | st.builds(frame, st.sampled_from((PING, PONG)), st.binary(max_size=9)),
        payload,
    )
    return text | data | fragments | anything


class FuzzTests(SynchronousTestCase):
    """
    Whatever arrives, both ways of reading it agree.
    """

    @settings(max_examples=150, deadline=None)
    @given(st.lists(messages(), max_size=8), st.lists(st.integers(0, 2000), max_size=6), st.binary(max_size=4))
    def test_same(self, frames: list[bytes], places: list[int], rest: bytes) -> None:
        """
        The same frames, cut anywhere, give the same payloads, answers and end with our cutting and without.
        """
        stream = b"".join(frames) + rest
        ends = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
        pieces = [stream[start:end] for start, end in zip(ends, ends[1:], strict=False)]
        fast = outcome(pieces, True)
        self.assertEqual(fast, outcome(pieces, False))
        # How soon a client that goes on after its first mistake is dropped does depend on how its bytes arrive.
        self.assertEqual(fast[:3], outcome([stream], True)[:3])


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
        self.assertEqual(self.client.taken(), closing(1008, EURO * 41))

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
