"""
Streams of server-sent events of a real server, beside official clients of both generations.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
from urllib.parse import quote

from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS, HERE, QUICK, Scenario
from tests.e2e.server import PATIENCE, Server


class Reader:
    """
    A program that reads one stream, like curl.
    """

    def __init__(self, server: Server, target: str, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self._connection.request("GET", target, headers=headers or {})
        self.answer = self._connection.getresponse()
        self.status = self.answer.status

    def block(self) -> str:
        """
        The next block of lines; empty at the end. After a heartbeat nothing else is expected any more.
        """
        lines: list[str] = []
        while (line := self.answer.readline().decode()) not in ("", "\n"):
            lines.append(line)
        return "".join(lines).rstrip("\n")

    def close(self) -> None:
        """
        Go away.
        """
        self._connection.close()


class StreamTests(Scenario):
    """
    Programs see what clients do.
    """

    options = QUICK

    def open(self, server: Server, kind: str, name: str, headers: dict[str, str] | None = None) -> Reader:
        """
        A program whose stream has begun.
        """
        reader = Reader(server, f"/api/{kind}/{quote(name, safe='')}", headers)
        self.addCleanup(reader.close)
        self.assertEqual(reader.status, 200)
        self.assertEqual(reader.block(), "retry: 3000")
        return reader

    def state(self, version: int, data: object) -> str:
        return f"id: {version}\nevent: record\ndata: {json.dumps(data, separators=(',', ':'))}"

    def test_events(self) -> None:
        """
        Events of clients of both generations reach a program.
        """
        server = self.server()
        name = self.name("news ä/?")
        reader = self.open(server, "events", name)
        for generation in GENERATIONS:
            client = self.logged_in(generation, server)
            client.emit(name, '{"a": [1, "ü\\n"]}')
            client.emit(name)
            self.assertEqual(reader.block(), 'event: emit\ndata: {"a":[1,"ü\\n"]}')
            self.assertEqual(reader.block(), "event: emit\ndata: null")

    def test_records(self) -> None:
        """
        The writes of clients of both generations reach a program, and one that comes back gets the newest state.
        """
        server = self.server()
        for generation in GENERATIONS:
            name = self.name(f"lamp/{generation}")
            client = self.logged_in(generation, server)
            record = Record(client, name)
            reader = self.open(server, "records", name)
            self.assertEqual(reader.block(), self.state(0, {}))
            record.set('{"on": true}')
            self.assertEqual(reader.block(), self.state(1, {"on": True}))
            record.set('"red"', "colour")
            self.assertEqual(reader.block(), self.state(2, {"on": True, "colour": "red"}))
            again = self.open(server, "records", name, {"Last-Event-ID": "2"})
            other = self.open(server, "records", name, {"Last-Event-ID": "1"})
            self.assertEqual(other.block(), self.state(2, {"on": True, "colour": "red"}))
            record.set('"blue"', "colour")
            for each in (reader, again, other):
                self.assertEqual(each.block(), self.state(3, {"on": True, "colour": "blue"}))
            record.delete()
            for each in (reader, again, other):
                self.assertEqual(each.block(), "id: -1\nevent: deleted\ndata: null")

    def test_fetch(self) -> None:
        """
        Node's fetch reads a stream while a client writes.
        """
        server = self.server()
        name = self.name("lamp")
        record = Record(self.logged_in("v7", server), name)
        node = shutil.which("node")
        assert node is not None
        url = f"http://127.0.0.1:{server.port}/api/records/{quote(name)}"
        process = subprocess.Popen([node, str(HERE / "read_stream.js"), url, "4"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        blocks = [json.loads(process.stdout.readline()) for _ in range(2)]
        for number in range(2):
            record.set(json.dumps({"n": number}))
        blocks += [json.loads(line) for line in process.stdout]
        states = [self.state(version, {"n": version - 1}) for version in (1, 2)]
        self.assertEqual(blocks, ["retry: 3000", self.state(0, {}), *states])
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_slow_reader(self) -> None:
        """
        A program that reads late misses states of a record, but not the newest one.
        """
        server = self.server()
        name = self.name("large")
        record = Record(self.logged_in("v7", server), name)
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(f"GET /api/records/{quote(name)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = b""
        while b"id: 0\n" not in data:
            data += connection.recv(100)
        text, count = "x" * 100_000, 200
        for number in range(count):
            record.set(f'{{"n": {number}, "text": "{text}"}}')
        # The last write has reached the server, and its streams.
        record.client.settle()
        while f"id: {count}\n".encode() not in data:
            data += connection.recv(1 << 20)
        self.assertLess(data.count(b"event: record\n"), count)

    def test_stop(self) -> None:
        """
        A server that stops ends its streams in order, and a program comes back to the next one.
        """
        server = self.own_server()
        reader = self.open(server, "events", "news")
        server.stop()
        self.assertEqual(reader.block(), "")
        server.start()
        again = self.open(server, "events", "news")
        self.logged_in("v7", server).emit("news", "1")
        self.assertEqual(again.block(), "event: emit\ndata: 1")
