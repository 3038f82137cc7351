"""
Streams of server-sent events of a real server, beside official clients of both generations.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess

from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS, HERE, certificates
from tests.e2e.server import PATIENCE, Server
from tests.e2e.stream_readers import StreamScenario, target_of


class StreamTests(StreamScenario):
    """
    Programs see what clients do.
    """

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
        url = f"http://127.0.0.1:{server.port}{target_of('records', name)}"
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
        connection = self.silent(server, "records", name)
        data = b""
        text, count = "x" * 100_000, 200
        for number in range(count):
            record.set(f'{{"n": {number}, "text": "{text}"}}')
        # The last write has reached the server, and its streams.
        self.fence(record.client, record.client)
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


class PageTests(StreamScenario):
    """
    A page, with the C{EventSource} of Node.js.
    """

    def test_page(self) -> None:
        """
        A page gets events, the states of a record and its deletion, with the versions as ids.
        """
        server = self.server()
        name = self.name("lamp ä")
        client = self.logged_in("v7", server)
        record = Record(client, name)
        events, states = self.page(server, "events", name), self.page(server, "records", name)
        events.wait_for_event(type="open")
        states.wait_for_event(type="record", id="0", data={})
        client.emit(name, '{"a":[1,"ü\\n"]}')
        events.wait_for_event(type="emit", id="", data={"a": [1, "ü\n"]})
        record.set('{"on":true}')
        states.wait_for_event(type="record", id="1", data={"on": True})
        record.delete()
        states.wait_for_event(type="deleted", id="-1", data=None)
        self.assertEqual([event["type"] for event in states.events], ["open", "record", "record", "deleted"])
        self.assertEqual([event["type"] for event in events.events], ["open", "emit"])


class TlsTests(StreamScenario):
    """
    Streams over TLS.
    """

    def setUp(self) -> None:
        super().setUp()
        self.context = ssl.create_default_context(cafile=str(certificates().authority))

    def test_both(self) -> None:
        """
        Programs and pages read both kinds of streams.
        """
        server = self.server(tls=True)
        name = self.name("lamp")
        client = self.logged_in("v7", server)
        record = Record(client, name)
        events = self.open(server, "events", name, context=self.context)
        states = self.open(server, "records", name, context=self.context)
        page = self.page(server, "records", name)
        page.wait_for_event(type="record", id="0", data={})
        for number in range(3):
            client.emit(name, str(number))
            self.assertEqual(events.block(), f"event: emit\ndata: {number}")
        long = "x" * 300_000
        record.set(json.dumps({"text": long}))
        self.assertEqual([states.block(), states.block()], [self.state(0, {}), self.state(1, {"text": long})])
        page.wait_for_event(type="record", id="1", data={"text": long})

    def test_stop(self) -> None:
        """
        A server that stops ends its streams in order, and closes the connection.
        """
        server = Server(certificates())
        self._own_servers.append(server)
        server.start()
        reader = self.open(server, "events", "news", context=self.context)
        server.stop()
        self.assertEqual(reader.block(), "")
        self.assertTrue(reader.answer.isclosed())
