"""
Streams of server-sent events at one node of a cluster, and clients at the other.
"""

from __future__ import annotations

from typing import Any

from tests.e2e.balancer import Balancer, is_ready
from tests.e2e.nodes import Nodes
from tests.e2e.on_nodes import OnNodes
from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS
from tests.e2e.stream_readers import StreamScenario

MORE = "connectionEndpoints: [{type: ws-binary}, {type: ws-text}, {type: http, options: {reconnectTime: 2000}}]\n"


class NodeTests(OnNodes, StreamScenario):
    """
    Two nodes. Programs read at the first one, clients are at the second.
    """

    count = 2

    def setUp(self) -> None:
        super().setUp()
        self.first, self.second = self.server().servers

    def test_events(self) -> None:
        """
        An event that is emitted at one node reaches the streams of both.
        """
        name = self.name("news")
        readers = [self.open(server, "events", name) for server in (self.first, self.second)]
        for generation in GENERATIONS:
            client = self.logged_in(generation, self.second)
            client.emit(name, f'{{"from":"{generation}"}}')
            for reader in readers:
                self.assertEqual(reader.block(), f'event: emit\ndata: {{"from":"{generation}"}}')

    def test_records(self) -> None:
        """
        A stream has the states and the deletion of a record that clients write at another node.
        """
        for generation in GENERATIONS:
            name = self.name(f"lamp/{generation}")
            record = Record(self.logged_in(generation, self.second), name)
            self.assertIsNone(record.set_with_ack('{"n":1}'))
            reader = self.open(self.first, "records", name)
            self.assertEqual(reader.block(), self.state(1, {"n": 1}))
            record.set("2", "n")
            self.assertEqual(reader.block(), self.state(2, {"n": 2}))
            record.set('"x"', "a.b")
            self.assertEqual(reader.block(), self.state(3, {"n": 2, "a": {"b": "x"}}))
            record.delete()
            self.assertEqual(reader.block(), "id: -1\nevent: deleted\ndata: null")
            again = Record(self.logged_in(generation, self.second), name)
            self.assertIsNone(again.set_with_ack('{"new":true}'))
            block = reader.block()
            if '"new"' not in block:
                # The client creates the record before it writes.
                block = reader.block()
            self.assertIn('event: record\ndata: {"new":true}', block)

    def test_provider(self) -> None:
        """
        A listener at another node provides the event of a stream, until the program goes.
        """
        for generation in GENERATIONS:
            provider = self.logged_in(generation, self.second)
            pattern, name = self.name(f"{generation}/.*"), self.name(f"{generation}/x")
            provider.listen(pattern)
            reader = self.open(self.first, "events", name)
            provider.wait_for_report(1, "offer", name=name)
            provider.emit(name, '"provided"')
            self.assertEqual(reader.block(), 'event: emit\ndata: "provided"')
            reader.close()
            provider.wait_for_report(1, "stop", name=name)


class StopTests(StreamScenario):
    """
    Two nodes, of which the first one stops.
    """

    def setUp(self) -> None:
        super().setUp()
        self.nodes = Nodes(2, more=MORE)
        self.nodes.start()
        self.first, self.second = self.nodes.servers

    def tearDown(self) -> None:
        try:
            super().tearDown()
            self.assertEqual(self.nodes.take_trouble(), [])
        finally:
            self.nodes.kill()

    def test_stop(self) -> None:
        """
        A node that stops ends its streams in order. A program goes on at the other node: with a version that is not the
        newest it gets the record, with the newest one only later states, and none of the events between.
        """
        writer = self.logged_in("v7", self.second)
        record = Record(writer, "lamp")
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        events, states = self.open(self.first, "events", "news"), self.open(self.first, "records", "lamp")
        self.assertEqual(states.block(), self.state(1, {"n": 1}))
        self.first.stop()
        self.assertEqual([events.block(), states.block()], ["", ""])
        writer.emit("news", '"missed"')
        self.assertIsNone(record.set_with_ack('{"n":2}'))
        behind = self.open(self.second, "records", "lamp", {"Last-Event-ID": "1"})
        current = self.open(self.second, "records", "lamp", {"Last-Event-ID": "2"})
        events = self.open(self.second, "events", "news")
        self.assertEqual(behind.block(), self.state(2, {"n": 2}))
        record.set('{"n":3}')
        writer.emit("news", '"heard"')
        for reader in (behind, current):
            self.assertEqual(reader.block(), self.state(3, {"n": 3}))
        self.assertEqual(events.block(), 'event: emit\ndata: "heard"')

    def test_page(self) -> None:
        """
        A page behind a load balancer reconnects by itself to the other node when its node stops. It misses no state of
        its record for good, and gets none twice. (The C{EventSource} of Node.js gives up after a second connection
        error, so the time until it reconnects is long enough for the node to stop.)
        """
        balancer: Any = Balancer(self.nodes.servers)
        self.addCleanup(balancer.stop)
        record = Record(self.logged_in("v7", self.second), "lamp")
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        # On a busy machine a node may not be ready for a moment, and a page gives up when it is refused.
        record.client.driver.wait(lambda: all(map(is_ready, self.nodes.servers)), "both nodes to be ready")
        states, events = self.page(balancer, "records", "lamp"), self.page(balancer, "events", "news")
        states.wait_for_event(type="record", id="1", data={"n": 1})
        events.wait_for_event(type="open")
        self.first.stop()
        for page in (states, events):
            page.wait_for_event(2, type="open")
        record.set('{"n":2}')
        states.wait_for_event(type="record", id="2", data={"n": 2})
        record.client.emit("news", "1")
        events.wait_for_event(type="emit", id="", data=1)
        self.assertEqual([event["id"] for event in states.events if event["type"] == "record"], ["1", "2"])
