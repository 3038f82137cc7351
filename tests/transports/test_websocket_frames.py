"""
Tests for L{dstwist.transports.websocket}: frames, cut by the link itself and by Autobahn.

Section numbers are those of RFC 6455.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports import websocket
from tests.transports.helpers import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Client,
    Recorder,
    close_code,
    close_payload,
    frame,
    frames_of,
    web_sockets,
)

#: The largest message in these tests.
LIMIT = 300

EURO = "\u20ac".encode()


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

    def test_large(self) -> None:
        """
        Messages around the sizes where frames change their form arrive intact.
        """
        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            client = Client(web_sockets(max_message_size=100_000))
            client.link.logged_in()
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
                client.link.logged_in()
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

    @settings(max_examples=150, deadline=None, derandomize=True)
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
