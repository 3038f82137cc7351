"""
Many streams of server-sent events, streams that are not read, and streams that are left at once.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.raw import RawClient
from tests.e2e.scenario import GENERATIONS, certificates, scratch_directory
from tests.e2e.server import PATIENCE, Server
from tests.e2e.stream_readers import Reader, StreamScenario, target_of

MIB = 1 << 20

CONFIG = """
limits: {maxStreamsPerAddress: 50, maxOutgoingBytes: 16777216}
connectionEndpoints:
  - {type: ws-binary}
  - {type: ws-text}
  - {type: http, options: {maxOutgoingBufferSize: 2097152}}
monitoring: {type: prometheus, options: {allowOpenPermissions: true}}
"""

#: A program may take nothing for longer than a minute: a flood takes a busy machine that long.
PATIENT_STREAMS = "from dstwist.transports import http_stream; http_stream.STALL_TIMEOUT = 600.0"

#: The events and states of a flood: 80 MB.
COUNT, SIZE = 800, 100_000

#: How much memory a server may take for it, besides C{maxOutgoingBytes}.
ROOM = 32 * MIB


class Flooded(StreamScenario):
    """
    A server with small limits.
    """

    tls = False

    def setUp(self) -> None:
        super().setUp()
        config = scratch_directory() / "config.yml"
        config.write_text(CONFIG)
        self.context = ssl.create_default_context(cafile=str(certificates().authority)) if self.tls else None
        self.at = Server(certificates() if self.tls else None, config, before=PATIENT_STREAMS)
        self._own_servers.append(self.at)
        self.servers.append(self.at)
        self.at.start()

    def figures(self) -> dict[str, float]:
        """
        The metrics without labels.
        """
        reader = Reader(self.at.port, "/metrics", context=self.context)
        lines = (line.rsplit(" ", 1) for line in reader.answer.read().decode().splitlines())
        reader.close()
        return {name: float(value) for name, value in lines if "{" not in name and not name.startswith("#")}

    def until(self, **expected: float) -> None:
        """
        Come back when the metrics have these values.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.figures()
            found = {name: found[f"dstwist_{name}"] for name in expected}
            if found == expected:
                return
            if time.monotonic() > deadline:
                self.assertEqual(found, expected)
            time.sleep(0.05)

    def leave_at_once(self) -> None:
        """
        Open 400 streams, and go at any moment: in order or not, before the answer or behind it. Then nothing is left.
        """
        client = self.logged_in("v7", self.at)
        client.emit("news", "1")
        sockets = self.figures()["dstwist_sockets"]
        targets = [("GET", "events", "news"), ("GET", "records", "none"), ("HEAD", "events", "news")]
        requests = [f"{method} {target_of(kind, name)} HTTP/1.1\r\nHost: x\r\n\r\n" for method, kind, name in targets]
        for number in range(400):
            connection = socket.create_connection(("127.0.0.1", self.at.port), PATIENCE)
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_hostname="localhost")
            request = requests[number % 3].encode()
            connection.sendall(request[: number % 7 * 10 + 1] if number % 5 == 4 else request)
            if number % 4 == 1 and number % 5 != 4:
                connection.recv(16)
            if number % 4 == 2:
                client.emit("news", str(number))
            if number % 2:
                # Closed so, it is reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.until(streams=0, subscription_bytes=0, outgoing_bytes=0, sockets=sockets)
        reader = self.open(self.at, "events", "news", context=self.context)
        client.emit("news", '"last"')
        self.assertEqual(reader.block(), 'event: emit\ndata: "last"')

    def memory(self, field: str) -> int:
        """
        The bytes of the process of the server: C{VmRSS}, or its peak C{VmHWM}.
        """
        text = Path(f"/proc/{self.at.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(field)) * 1024

    def writer(self) -> RawClient:
        """
        A client that sends as fast as it can.
        """
        writer = RawClient(self.at.port, "v4", "writer", self.context)
        self.addCleanup(writer.close)
        return writer

    def read_all(self, connection: socket.socket) -> bytes:
        """
        What a program gets until the end of its stream, or of its connection; the last bytes only, if these are many.
        """
        data = b""
        with contextlib.suppress(OSError):
            while not data.endswith(b"\r\n0\r\n\r\n") and (received := connection.recv(MIB)):
                data = data[-SIZE:] + received
        return data

    def flood_slow_readers(self) -> None:
        """
        Emit many events for programs that do not read, a program that does, and clients beside.
        """
        slow = [self.silent(self.at, "events", "news", self.context) for _ in range(30)]
        reader = self.open(self.at, "events", "news", context=self.context)
        others, writer = [self.logged_in(generation, self.at) for generation in GENERATIONS], self.writer()
        numbers: list[int] = []
        # The program reads ten events behind the writer at most, so it is not slow.
        room = threading.Semaphore(10)

        def read() -> None:
            for _ in range(COUNT):
                numbers.append(int(reader.block().removeprefix('event: emit\ndata: "').split(" ")[0]))
                room.release()

        reading = threading.Thread(target=read)
        reading.start()
        before = self.memory("VmRSS")
        text = b"x" * SIZE
        for number in range(COUNT):
            self.assertTrue(room.acquire(timeout=PATIENCE), "an event is missing")
            writer.say(Message(Topic.EVENT, EventAction.EMIT, "news", b'"%d %b"' % (number, text)))
            if number % 100 == 99:
                self.fence(*others)
        reading.join(PATIENCE)
        self.assertEqual(numbers, list(range(COUNT)))
        self.until(streams=1, outgoing_bytes=0, slow_consumers_total=len(slow))
        self.assertLess(self.memory("VmHWM") - before, 16 * MIB + ROOM)
        ends = [self.read_all(connection) for connection in slow]
        # Behind a part of an event there is no error: it would be another part of it.
        for end in ends:
            told = b'\nevent: error\ndata: {"errorTopic":"connection","errorEvent":"SLOW_CONSUMER"' in end
            self.assertEqual(end.endswith(b"\r\n0\r\n\r\n"), told)
        reader.close()
        self.until(streams=0, subscription_bytes=0, outgoing_bytes=0)


class FloodTests(Flooded):
    """
    Many programs, slow ones, and hasty ones.
    """

    def test_many(self) -> None:
        """
        An address has its limit of streams. WebSockets and requests of that address are served, and when its streams
        have ended, there may be others.
        """
        readers = [self.open(self.at, "events", f"news/{number % 7}") for number in range(50)]
        for _ in range(20):
            refused = Reader(self.at.port, target_of("events", "news"))
            self.addCleanup(refused.close)
            self.assertEqual((refused.status, refused.answer.headers["Retry-After"]), (429, "1"))
            error = json.load(refused.answer)
            self.assertEqual(error["error"], "There are more than 50 streams of one address.")
        client = self.logged_in("v7", self.at)
        for number in range(7):
            client.emit(f"news/{number}", str(number))
        for number, reader in enumerate(readers):
            self.assertEqual(reader.block(), f"event: emit\ndata: {number % 7}")
        for reader in readers:
            reader.close()
        self.until(streams=0, subscription_bytes=0)
        self.open(self.at, "events", "news")

    def test_slow_readers_of_events(self) -> None:
        """
        Programs that do not read while many events come lose their streams. Another program gets all events, other
        clients are served meanwhile, and the server takes little more memory than its limit.
        """
        self.flood_slow_readers()

    def test_slow_readers_of_records(self) -> None:
        """
        Programs that do not read while a record changes often cost little memory, and get its newest state at last.
        """
        writer = self.writer()
        action = RecordAction.CREATEANDUPDATE
        head = Message(Topic.RECORD, RecordAction.HEAD, "large")
        writer.say(Message(Topic.RECORD, action, "large", b"{}", version=-1))
        writer.answer(head, RecordAction.HEAD_RESPONSE)
        slow = [self.silent(self.at, "records", "large") for _ in range(30)]
        others = [self.logged_in(generation, self.at) for generation in GENERATIONS]
        before = self.memory("VmRSS")
        text = b"x" * SIZE
        for number in range(COUNT):
            data = b'{"n":%d,"text":"%b"}' % (number, text)
            writer.say(Message(Topic.RECORD, action, "large", data, version=-1))
            if number % 100 == 99:
                writer.answer(head, RecordAction.HEAD_RESPONSE)
                self.fence(*others)
        self.assertLess(self.memory("VmHWM") - before, 16 * MIB + ROOM)
        last = b'data: {"n":%d,' % (COUNT - 1)
        for connection in slow:
            data = b""
            while last not in data:
                received = connection.recv(MIB)
                self.assertNotEqual(received, b"", "the stream has ended")
                data = data[-SIZE:] + received
            connection.close()
        self.until(streams=0, subscription_bytes=0, outgoing_bytes=0)

    def test_left_at_once(self) -> None:
        """
        Programs that go at any moment leave nothing behind.
        """
        self.leave_at_once()


class TlsFloodTests(Flooded):
    """
    The same over TLS.
    """

    tls = True

    def test_slow_readers_of_events(self) -> None:
        """
        Programs that do not read cost no more over TLS.
        """
        self.flood_slow_readers()

    def test_left_at_once(self) -> None:
        """
        Programs that go at any moment, in the midst of TLS as well, leave nothing behind.
        """
        self.leave_at_once()
