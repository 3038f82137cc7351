"""
Tests for L{dstwist.streams.kinds}: streams of a node in memory, and clients beside them.
"""

from __future__ import annotations

import json
from typing import Any

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.streams.stage import Reader, StreamTestCase


class EventTests(StreamTestCase):
    """
    Streams of events.
    """

    def test_events(self) -> None:
        """
        All events of the name, in order, and no others.
        """
        client = self.client()
        readers = [self.open("/api/events/news") for _ in range(2)]
        for data in (b"1", b'{"a":[2]}', None):
            self.emit(client, "news", data)
        self.emit(client, "other", b"4")
        expected = ["retry: 3000", *(f"event: emit\ndata: {data}" for data in ("1", '{"a":[2]}', "null"))]
        self.assertEqual([reader.read() for reader in readers], [expected, expected])

    def test_text_clients(self) -> None:
        """
        Events of clients of v3 have the same form.
        """
        reader = self.open("/api/events/news")
        self.node.api.events.emit("news", "two\nlines")
        self.turn()
        self.assertEqual(reader.read()[1:], ['event: emit\ndata: "two\\nlines"'])

    def test_listeners(self) -> None:
        """
        A stream is a subscriber for providers, until its client goes.
        """
        client = self.client()
        self.say(client, Message(Topic.EVENT, EventAction.LISTEN, "n.*"))
        client.heard()
        reader = self.open("/api/events/news")
        self.assertEqual([message.action for message in client.heard()], [EventAction.SUBSCRIPTION_FOR_PATTERN_FOUND])
        self.say(client, Message(Topic.EVENT, EventAction.LISTEN_ACCEPT, "n.*", subscription="news"))
        reader.go()
        self.turn()
        self.assertEqual([message.action for message in client.heard()], [EventAction.SUBSCRIPTION_FOR_PATTERN_REMOVED])

    def test_not_online(self) -> None:
        """
        A stream is not in presence.
        """
        self.open("/api/events/news")
        status, answer = self.post({"body": [{"topic": "presence", "action": "query"}]})
        self.assertEqual((status, answer["body"]), (200, [{"users": [], "success": True}]))


class SlowEventTests(StreamTestCase):
    """
    A client that reads too slowly.
    """

    options: dict[str, Any] = {"max_outgoing_buffer_size": 1000}

    def setUp(self) -> None:
        super().setUp()
        self.sender = self.client()
        self.reader = self.open("/api/events/news")
        self.reader.read()
        self.reader.transport.high = 100

    def test_in_time(self) -> None:
        """
        All events arrive if the client reads in time.
        """
        texts = [b'"%d%b"' % (number, b"x" * 200) for number in range(4)]
        for text in texts:
            self.emit(self.sender, "news", text)
        for _ in texts:
            self.reader.resume()
        self.assertEqual(self.reader.read(), [f"event: emit\ndata: {text.decode()}" for text in texts])
        self.assertFalse(self.reader.ended)

    def test_too_slow(self) -> None:
        """
        Above the limit the stream ends with an error, and what waited is dropped.
        """
        for _ in range(9):
            self.emit(self.sender, "news", b'"%b"' % (b"x" * 200))
        self.assertEqual(list(self.node.http.streams.all()), [])
        self.reader.resume()
        first, error = self.reader.read()
        self.assertTrue(first.startswith("event: emit\n"))
        self.assertTrue(error.startswith("event: error\ndata: "))
        found = json.loads(error.partition("data: ")[2])
        self.assertEqual(found["errorEvent"], "SLOW_CONSUMER")
        self.assertIn("maxOutgoingBufferSize", found["error"])
        self.assertTrue(self.reader.ended)
        self.emit(self.sender, "news", b"1")
        self.assertEqual(self.reader.read(), [])

    def test_half_sent(self) -> None:
        """
        Behind half of an event, no error can be sent: the connection is dropped.
        """
        self.emit(self.sender, "news", b'"%b"' % (b"x" * 100000))
        self.emit(self.sender, "news", b"1")
        self.assertTrue(self.reader.transport.aborted)

    def test_large_event(self) -> None:
        """
        A single event may be larger than the limit.
        """
        self.emit(self.sender, "news", b'"%b"' % (b"x" * 100000))
        for _ in range(2):
            self.reader.resume()
        (event,) = self.reader.read()
        self.assertEqual(len(event), 100000 + len('event: emit\ndata: ""'))


class RecordTests(StreamTestCase):
    """
    Streams of records.
    """

    def setUp(self) -> None:
        super().setUp()
        self.writer = self.client()
        self.write(self.writer, "lamp", b'{"on":true}')

    def state(self, version: int, data: str) -> str:
        return f"id: {version}\nevent: record\ndata: {data}"

    def test_states(self) -> None:
        """
        The state at the begin, and each later one as a whole.
        """
        reader = self.open("/api/records/lamp")
        self.assertEqual(reader.read(), ["retry: 3000", self.state(1, '{"on":true}')])
        patch = Message(Topic.RECORD, RecordAction.PATCH, "lamp", b'"red"', path="colour", version=2)
        self.say(self.writer, patch)
        self.assertEqual(reader.read(), [self.state(2, '{"on":true,"colour":"red"}')])
        self.write(self.writer, "lamp", b"[1]")
        self.assertEqual(reader.read(), [self.state(3, "[1]")])

    def test_resumed(self) -> None:
        """
        A client that has the version gets the next ones only; with any other version it gets the state.
        """
        for last, expected in (
            ("1", []),
            ("0", [self.state(1, '{"on":true}')]),
            ("2", [self.state(1, '{"on":true}')]),
            ("-1", [self.state(1, '{"on":true}')]),
            ("x", [self.state(1, '{"on":true}')]),
            ("9" * 5000, [self.state(1, '{"on":true}')]),
        ):
            reader = self.open("/api/records/lamp", f"Last-Event-ID: {last}")
            self.assertEqual(reader.read(), ["retry: 3000", *expected], last)
        readers = [self.open("/api/records/lamp", "Last-Event-ID: 1")]
        readers[0].read()
        self.write(self.writer, "lamp", b"{}")
        self.assertEqual(readers[0].read(), [self.state(2, "{}")])

    def test_deleted(self) -> None:
        """
        A deletion is told once, and the record is there again when it is created again.
        """
        reader = self.open("/api/records/lamp")
        reader.read()
        self.delete(self.writer, "lamp")
        self.assertEqual(reader.read(), ["id: -1\nevent: deleted\ndata: null"])
        self.turn()
        self.assertEqual(reader.read(), [])
        self.write(self.writer, "lamp", b'{"on":false}')
        (state,) = reader.read()
        self.assertTrue(state.endswith('event: record\ndata: {"on":false}'))
        self.assertFalse(reader.ended)

    def test_deleted_meanwhile(self) -> None:
        """
        A client that comes back after a deletion is told; one that knows of it waits for the record.
        """
        self.delete(self.writer, "lamp")
        reader = self.open("/api/records/lamp", "Last-Event-ID: 1")
        self.assertEqual(reader.read()[1:], ["id: -1\nevent: deleted\ndata: null"])
        knowing = self.open("/api/records/lamp", "Last-Event-ID: -1")
        self.assertEqual(knowing.read()[1:], [])
        self.write(self.writer, "lamp", b"{}")
        self.assertEqual(len(reader.read()), 1)
        self.assertEqual(len(knowing.read()), 1)

    def slow(self) -> Reader:
        """
        A client that does not read any more.
        """
        reader = self.open("/api/records/lamp")
        reader.read()
        reader.transport.high = 10
        return reader

    def test_slow_reader(self) -> None:
        """
        A slow client misses states, but never the newest one.
        """
        reader = self.slow()
        for number in range(100):
            self.write(self.writer, "lamp", b'{"n":%d}' % number)
        stream: Any = next(iter(self.node.http.streams.all()))
        self.assertLess(stream.counted, 200)
        for _ in range(3):
            reader.resume()
        states = reader.read()
        self.assertLess(len(states), 5)
        self.assertEqual(states[-1], self.state(101, '{"n":99}'))
        self.assertEqual(stream.counted, 0)

    def test_slow_reader_of_deletions(self) -> None:
        """
        A deletion is a state as well.
        """
        reader = self.slow()
        for _ in range(3):
            self.write(self.writer, "lamp", b"{}")
        self.delete(self.writer, "lamp")
        for _ in range(3):
            reader.resume()
        self.assertEqual(reader.read()[-1], "id: -1\nevent: deleted\ndata: null")

    def test_large_records(self) -> None:
        """
        Many read the same large record.
        """
        large = b'{"x":"%b"}' % (b"y" * 50000)
        self.write(self.writer, "large", large)
        for _ in range(2):
            self.assertEqual(self.open("/api/records/large").read()[1:], [self.state(1, large.decode())])

    def test_listeners(self) -> None:
        """
        A stream is a subscriber for providers, until its client goes.
        """
        self.say(self.writer, Message(Topic.RECORD, RecordAction.LISTEN, "l.*"))
        self.writer.heard()
        reader = self.open("/api/records/lamp")
        self.assertEqual(
            [message.action for message in self.writer.heard()], [RecordAction.SUBSCRIPTION_FOR_PATTERN_FOUND]
        )
        self.say(self.writer, Message(Topic.RECORD, RecordAction.LISTEN_ACCEPT, "l.*", subscription="lamp"))
        self.assertEqual(len(reader.read()), 2)
        reader.go()
        self.turn()
        self.assertEqual(
            [message.action for message in self.writer.heard()], [RecordAction.SUBSCRIPTION_FOR_PATTERN_REMOVED]
        )
