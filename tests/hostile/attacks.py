"""
What hostile clients do below the protocols of deepstream: to sockets, to HTTP and to WebSockets.

Each attack takes a L{dstwist} on its stage and returns what came of it, in a few words.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from dstwist.protocol.constants import ConnectionAction, EventAction, Topic
from dstwist.protocol.message import Message
from tests.hostile.intruder import Intruder, close_all, frame, head_of
from tests.hostile.stage import MIB, Stage

CHALLENGE = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost")


def told(outcomes: Iterable[str]) -> str:
    """
    The outcomes of many, in a few words.
    """
    counts = Counter(outcomes).most_common()
    shown = [f"{count} x {outcome}" if count > 1 else outcome for outcome, count in counts[:3]]
    return " | ".join([*shown, f"... ({len(counts)} kinds)"] if len(counts) > 3 else shown)


def connects_and_drops(stage: Stage) -> str:
    """
    Connections that are dropped at once, with a reset, or in the midst of their handshake.
    """
    # As fast as they are taken: more than wait in the system's queue would only wait for themselves.
    count = 1000 * stage.scale
    for number in range(count):
        with socket.create_connection(("127.0.0.1", stage.port)) as client:
            if number % 3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            if number % 2:
                client.sendall(head_of("/deepstream")[: number % 200])
    return f"{count} connections taken"


def opens_and_drops(stage: Stage) -> str:
    """
    WebSockets that are open, or logged in, and dropped without a word.
    """
    count = 100 * stage.scale
    for number in range(count):
        with Intruder(stage.port, ("v4", "v3")[number % 2]) as intruder:
            if number % 3:
                intruder.log_in(f"dropper{number}")
            else:
                intruder.open()
    return f"{count} WebSockets taken"


def half_handshakes(stage: Stage) -> str:
    """
    Many connections that never finish their request.
    """
    intruders = [Intruder(stage.port) for _ in range(200 * stage.scale)]
    for number, intruder in enumerate(intruders):
        intruder.send(head_of("/deepstream")[: number % 180])
    outcomes = [intruder.outcome() if intruder.ended(15) else "still there" for intruder in intruders]
    close_all(intruders)
    return told(outcomes)


def slow_heads(stage: Stage) -> str:
    """
    Requests that come byte by byte.
    """
    intruders = [Intruder(stage.port) for _ in range(20 * stage.scale)]
    began = time.monotonic()
    while any(not intruder.fate for intruder in intruders) and time.monotonic() < began + 15:
        for intruder in intruders:
            intruder.send(b"G")
        time.sleep(0.5)
    close_all(intruders)
    return told(intruder.outcome() for intruder in intruders)


def slow_bodies(stage: Stage) -> str:
    """
    Bodies that come byte by byte. Their time is a minute, so small runs only look whether they are a burden.
    """
    intruders = [Intruder(stage.port) for _ in range(20 * stage.scale)]
    for intruder in intruders:
        intruder.send(b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    began, patience = time.monotonic(), 65 if stage.scale > 1 else 2
    while any(not intruder.fate for intruder in intruders) and time.monotonic() < began + patience:
        for intruder in intruders:
            intruder.send(b"x")
        time.sleep(0.5)
    close_all(intruders)
    return told(intruder.outcome() for intruder in intruders)


def slow_frames(stage: Stage) -> str:
    """
    The start of a frame of a megabyte before login, and then a byte at a time.
    """
    intruders = [Intruder(stage.port, generation).open() for generation in ("v4", "v3") * (5 * stage.scale)]
    began = time.monotonic()
    for intruder in intruders:
        intruder.send(frame(bytes(MIB - 10), intruder.opcode)[: MIB // 2])
    while any(not intruder.fate for intruder in intruders) and time.monotonic() < began + 8:
        for intruder in intruders:
            intruder.send(b"x")
        time.sleep(0.2)
    close_all(intruders)
    return told(intruder.fate or "still there" for intruder in intruders)


def slow_of_all_kinds(stage: Stage) -> str:
    """
    All that are slow, at a time.
    """
    kinds = (half_handshakes, slow_heads, slow_bodies, slow_frames)
    with ThreadPoolExecutor(len(kinds)) as threads:
        outcomes = list(threads.map(lambda kind: kind(stage), kinds))
    return " | ".join(f"{kind.__name__}: {outcome}" for kind, outcome in zip(kinds, outcomes, strict=True))


def oversized_frames(stage: Stage) -> str:
    """
    Frames that are, or claim to be, larger than a message may be.
    """
    attempts = {
        "2^63": b"\x82\xff" + b"\xff" * 8 + b"abcd",
        "2^62": b"\x82\xff\x40" + bytes(7) + b"abcd",
        "1 MiB and one": frame(bytes(MIB + 1)),
        "in fragments": frame(bytes(MIB // 2), 2, 0) + frame(bytes(MIB // 2), 0, 0) * 10,
        "empty fragments": frame(b"", 2, 0) + frame(b"", 0, 0) * 100_000,
        "long ping": frame(bytes(MIB), 9),
        "long form": b"\x82\xff" + bytes(7) + b"\x05abcdhello",
        "not masked": b"\x82\x05hello",
        "reserved bit": frame(b"hello", 2, 0xC0),
        "opcode 11": frame(b"hello", 11),
    }
    outcomes = []
    for what, data in attempts.items():
        with Intruder(stage.port).log_in("oversized") as intruder:
            intruder.send(data)
            outcomes.append(f"{what}: {intruder.outcome()}")
    return " | ".join(outcomes)


def oversized_heads(stage: Stage) -> str:
    """
    Request heads without end.
    """
    attempts = {
        "one long header": b"GET / HTTP/1.1\r\nX: " + b"x" * MIB,
        "100,000 headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
        "long line": b"GET /" + b"x" * MIB,
        "nothing but line ends": b"\r\n" * 100_000,
        "after the first": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX: " + b"x" * MIB,
        "headers after the first": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
        "length of 10^6 digits": b"POST /api HTTP/1.1\r\nContent-Length: " + b"9" * 15_000 + b"\r\n\r\n",
        "not HTTP": os.urandom(MIB),
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
    }
    outcomes = []
    for what, data in attempts.items():
        with Intruder(stage.port) as intruder:
            intruder.send(data)
            intruder.ended(0.3)
            outcomes.append(f"{what}: {intruder.outcome()}")
    return " | ".join(outcomes)


def big_bodies(stage: Stage) -> str:
    """
    Bodies that are too large, have no end, are gzip bombs, or follow each other in one write.
    """
    bomb = gzip.compress(bytes(200 * MIB), 9)
    attempts = {
        "claims 10 GB": b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n" + bytes(4 * MIB),
        "chunks without end": b"POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"10000\r\n%s\r\n" % bytes(65536) * 64,
        "chunk of 2^64": b"POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"
        + bytes(4 * MIB),
        "chunk extension": b"POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * MIB,
        "trailers": b"POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 100_000,
        "gzip bomb": b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        % len(bomb)
        + bomb,
        "20,000 requests": b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000,
        "both lengths": b"POST /api HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    }
    outcomes = []
    for what, data in attempts.items():
        with Intruder(stage.port) as intruder:
            intruder.send(data)
            intruder.ended(0.3)
            outcomes.append(f"{what}: {intruder.outcome()}")
    return " | ".join(outcomes)


def api_requests(stage: Stage) -> str:
    """
    Requests to the HTTP API that are deep, long, many, or mean much work.
    """
    item = b'{"topic":"record","action":"%b","recordName":"api"%b}'
    write = item % (b"write", b',"data":{"a":"%b"}' % (b"x" * 900_000))
    names = b",".join(b'"n%d"' % number for number in range(100_000))
    bodies = {
        "write": b'{"body":[%b]}' % write,
        "long answers": b'{"body":[%b]}' % b",".join([item % (b"read", b"")] * 10_000),
        "deep": b'{"body":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        "deep data": b'{"body":[%b]}' % (item % (b"write", b',"data":' + b"[" * 300 + b"]" * 300)),
        "small values": b'{"body":[[' + b"{},[]," * 150_000 + b"1]]}",
        "many bad items": b'{"body":[' + b"1," * 9_999 + b"1]}",
        "too many items": b'{"body":[' + b"1," * 400_000 + b"1]}",
        "many calls": b'{"body":[%b]}' % b",".join([b'{"topic":"rpc","action":"make","rpcName":"x"}'] * 10_000),
        "many names": b'{"body":[{"topic":"record","action":"notify","recordNames":[%b]}]}' % names,
        "many users": b'{"body":[{"topic":"presence","action":"query","names":[%b]}]}' % names,
        "long credentials": b'{"authData":{"username":"%b"},"body":[1]}' % (b"x" * 900_000),
        "equal keys": b'{"body":[1],' + b'"a":1,' * 150_000 + b'"a":1}',
        "long path": b'{"body":[%b]}' % (item % (b"write", b',"data":1,"path":"%b"' % (b"a." * 400_000 + b"a"))),
        "large index": b'{"body":[%b]}' % (item % (b"write", b',"data":1,"path":"a[999999999]"')),
    }
    outcomes = []
    for what, body in bodies.items():
        for unread in (False, True):
            with Intruder(stage.port, buffer=4096 if unread else None) as intruder:
                intruder.send(_post(body) * (5 if unread else 1))
                if not unread:
                    intruder.ended(0.3)
                    outcomes.append(f"{what}: {intruder.outcome()}")
    bomb = gzip.compress(b'{"body":[' + bytes(200 * MIB), 9)
    with Intruder(stage.port) as intruder:
        intruder.send(_post(bomb, b"Content-Encoding: gzip\r\n"))
        intruder.ended(0.3)
        outcomes.append(f"gzip bomb: {intruder.outcome()}")
    logins = [b'{"authData":{"username":"u%d","password":"%d"},"body":[1]}' % (number, number) for number in range(500)]
    with Intruder(stage.port) as intruder:
        intruder.send(b"".join(map(_post, logins)))
        intruder.ended(0.3)
        outcomes.append(f"many logins: {intruder.outcome()}")
    return " | ".join(outcomes)


def _post(body: bytes, headers: bytes = b"") -> bytes:
    return b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        headers,
        len(body),
        body,
    )


def unread_answers(stage: Stage) -> str:
    """
    Requests without end, from clients that never read the answers.
    """
    intruders = [Intruder(stage.port, buffer=4096) for _ in range(5)]
    for intruder in intruders:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                intruder.socket.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
    time.sleep(0.5)
    outcomes = [f"{'open' if not intruder.fate else intruder.fate}" for intruder in intruders]
    close_all(intruders)
    return told(outcomes)


def compression(stage: Stage) -> str:
    """
    Compression offered, and used although it was declined.
    """
    outcomes = []
    for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8"):
        with Intruder(stage.port) as intruder:
            intruder.open(f"Sec-WebSocket-Extensions: {offer}")
            intruder.send(frame(gzip.compress(bytes(100 * MIB)), 2, 0xC0))
            outcomes.append(intruder.outcome())
    return told(outcomes)


def bad_handshakes(stage: Stage) -> str:
    """
    Requests for a WebSocket that are none.
    """
    attempts = [
        head_of("/deepstream").replace(b": 13", b": 7"),
        head_of("/deepstream").replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"x" * 5000),
        head_of("/deepstream").replace(b"Host: localhost", b"Host: \xff\xfe"),
        head_of("/deepstream").replace(b"GET", b"POST"),
        head_of("/deepstream").replace(b"HTTP/1.1", b"HTTP/0.9"),
        head_of("/deepstream").replace(b"/deepstream ", b"/deepstream?" + b"%ff&" * 2000 + b" "),
        head_of("/deepstream", "Sec-WebSocket-Protocol: " + "a," * 5000),
        head_of("/deepstream", "Origin: " + "x" * 8000),
        head_of("/deepstream", "Sec-WebSocket-Key: again"),
        head_of("//deepstream"),
        head_of("/deepstream/../deepstream"),
        head_of("http://[::1/deepstream"),
        head_of("/deepstream").replace(b"\r\n", b"\n"),
    ]
    outcomes = []
    for data in attempts:
        with Intruder(stage.port) as intruder:
            intruder.send(data)
            intruder.ended(0.1)
            outcomes.append(intruder.outcome())
    return told(outcomes)


def garbage(stage: Stage) -> str:
    """
    Random bytes after the handshake, and after the login.
    """
    outcomes = []
    for number in range(30 * stage.scale):
        with Intruder(stage.port, ("v4", "v3")[number % 2]) as intruder:
            intruder.log_in("garbage") if number % 3 else intruder.open()
            intruder.send(os.urandom(20_000))
            outcomes.append(intruder.outcome(5).rpartition("; ")[2])
    return told(outcomes)


def never_read(stage: Stage) -> str:
    """
    Subscribers who read nothing, or a byte a second, of much that is emitted.
    """
    readers = [Intruder(stage.port, generation, buffer=4096) for generation in ("v4", "v3") * 4]
    for number, reader in enumerate(readers):
        reader.log_in(f"reader{number}")
        reader.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("flood",), correlation_id="1"))
        reader.until("SUBSCRIBE")
    with Intruder(stage.port).log_in("flooder") as emitter:
        event = Message(Topic.EVENT, EventAction.EMIT, "flood", b'"%s"' % (b"x" * 500_000))
        for number in range(60):
            emitter.say(event)
            readers[number % 2].nibble()
        outcome = emitter.outcome()
    outcomes = [reader.outcome().rpartition("; ")[2] for reader in readers]
    close_all(readers)
    return f"emitter: {outcome} | {told(outcomes)}"


ATTACKS = [
    connects_and_drops,
    opens_and_drops,
    slow_of_all_kinds,
    oversized_frames,
    oversized_heads,
    big_bodies,
    api_requests,
    unread_answers,
    compression,
    bad_handshakes,
    garbage,
    never_read,
]
