"""
Tests for L{dstwist.streams.stream}: how streams end, and what they keep alive.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from zope.interface.verify import verifyObject

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.connections.login import LoginDecision, Outcome
from dstwist.interfaces import HandshakeData, IConnection, Login
from dstwist.node import Node
from dstwist.scheduling.clocks import wall_time
from tests.http_api.stage import TickingReactor, rules
from tests.logs import Lines
from tests.streams.stage import Reader, StreamTestCase

ENDPOINTS = (WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint())


class EndTests(StreamTestCase):
    """
    The ends of streams.
    """

    def accept(self, user: str, expires_at: float | None = None) -> None:
        """
        Have every login succeed, as C{user}.
        """

        def login(client: HandshakeData, credentials: bytes) -> Deferred[LoginDecision]:
            return succeed(LoginDecision(Outcome.ACCEPTED, Login(True, user, expires_at=expires_at), user))

        self.patch(self.node.request_logins, "login", login)

    def both(self) -> list[Reader]:
        """
        A stream of each kind.
        """
        self.write(self.client(), "lamp", b"{}")
        readers = [self.open("/api/events/news"), self.open("/api/records/lamp")]
        for reader in readers:
            reader.read()
        return readers

    def error(self, reader: Reader) -> dict[str, Any]:
        """
        The error with which a stream has ended.
        """
        (block,) = reader.read()
        self.assertTrue(reader.ended)
        kind, _, data = block.partition("\ndata: ")
        self.assertEqual(kind, "event: error")
        found: dict[str, Any] = json.loads(data)
        return found

    def assert_nothing_left(self) -> None:
        """
        No stream is left, and no subscription.
        """
        self.assertEqual((len(self.node.http.streams), list(self.node.http.streams.all())), (0, []))
        figures = self.node.api.figures()
        self.assertEqual((figures.events, figures.records), (0, 0))

    def test_interface(self) -> None:
        """
        A stream is a party that fan-outs reach.
        """
        self.both()
        for stream in self.node.http.streams.all():
            verifyObject(IConnection, stream)

    def test_gone(self) -> None:
        """
        A client that goes releases everything.
        """
        for reader in self.both():
            reader.go()
        self.assert_nothing_left()

    def test_kick(self) -> None:
        """
        A user who is kicked loses all streams, with the reason.
        """
        self.accept("ann")
        readers = self.both()
        lines = Lines(self)
        self.assertEqual(self.node.kick("bob", "no"), 1)  # the writer
        self.assertEqual(self.node.kick("ann", "enough"), 2)
        for reader in readers:
            self.assertEqual(
                self.error(reader),
                {"errorTopic": "connection", "errorEvent": "CLOSED", "success": False, "error": "enough"},
            )
        self.assertRegex(lines.last("info"), r"KICKED \| ann \(192\.0\.2\.9, /api/records/lamp, #\d+\): enough")
        self.assert_nothing_left()

    def test_expiry(self) -> None:
        """
        The end of the login is the end of the stream.
        """
        self.accept("ann", wall_time(self.reactor)() + 30)
        readers = self.both()
        self.turn(14)
        self.assertEqual([reader.read() for reader in readers], [[], []])
        self.turn(16)
        for reader in readers:
            blocks = reader.read()
            self.assertIn('"error":"login expired"', blocks[-1])
            self.assertTrue(reader.ended)
        self.assert_nothing_left()

    def test_stop(self) -> None:
        """
        A server that stops ends all streams in order, without an error, and no new ones begin.
        """
        readers = self.both()
        self.node.stopService()
        self.turn()
        for reader in readers:
            self.assertEqual((reader.read(), reader.ended), ([], True))
        self.assertEqual(len(self.node.http.streams), 0)

    def test_drain(self) -> None:
        """
        A drain sends the clients of streams away, too, and no new ones begin. The connections are closed: behind a load
        balancer, the clients come to another server on new ones.
        """
        readers = self.both()
        self.node.drain.begin(1)
        self.assertEqual(self.refused("/api/events/x"), (503, "UNAVAILABLE", "The server is draining."))
        for _ in range(11):
            self.turn(0.1)
        for reader in readers:
            self.assertEqual((reader.read(), reader.ended, reader.transport.disconnecting), ([], True, True))
        self.assert_nothing_left()

    def test_heartbeats(self) -> None:
        """
        A comment every 15 seconds, also while events come; none for a client that has data to take.
        """
        readers = self.both()
        for _ in range(3):
            self.turn(14.9)
            self.assertEqual([reader.read() for reader in readers], [[], []])
            self.turn(0.2)
            self.assertEqual([reader.read() for reader in readers], [[":"], [":"]])
        events = readers[0]
        events.transport.high = 10
        client = self.client()
        for number in (b"1", b"2"):
            self.emit(client, "news", number)
        self.turn(15.1)
        events.resume()
        self.assertEqual(events.read(), ["event: emit\ndata: 1", "event: emit\ndata: 2"])
        for reader in readers:
            reader.go()

    def test_no_timers(self) -> None:
        """
        A server that has stopped has no timer left.
        """
        readers = self.both()
        self.node.stopService()
        self.turn()
        for reader in readers:
            reader.go()
        self.reactor.pump([1.0] * 60)
        self.assertEqual([str(call) for call in self.reactor.getDelayedCalls()], [])

    def test_requests_behind(self) -> None:
        """
        A connection can be used again when its stream has ended.
        """
        reader = self.open("/api/events/news")
        reader.read()
        for stream in list(self.node.http.streams.all()):
            stream.close("enough")
        reader.read()
        reader.send("/api/events/news", method="GET")
        self.turn()
        self.assertEqual(reader.head().status, 200)
        self.assertEqual(reader.read(), ["retry: 3000"])


class RuleTests(StreamTestCase):
    """
    Rules that change while streams are open.
    """

    def setUp(self) -> None:
        self.rules: dict[str, Any] = {}
        super().setUp()

    def make_settings(self) -> Settings:
        return Settings(endpoints=ENDPOINTS, permission=rules(self.rules))

    def start(self, settings: Settings | None = None) -> Node:
        self.reactor = TickingReactor()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        node = Node(self.make_settings(), [endpoint], self.reactor, reread=self.make_settings)
        node.privilegedStartService()
        node.startService()
        self.addCleanup(self.stop, node)
        return node

    def test_reload(self) -> None:
        """
        A stream that new rules forbid ends with the error; others stay.
        """
        self.write(self.client(), "lamp", b"{}")
        readers = [self.open(path) for path in ("/api/events/news", "/api/records/lamp", "/api/events/other")]
        for reader in readers:
            reader.read()
        self.rules = {"event": {"news": {"subscribe": False}}, "record": {"lamp": {"read": False}}}
        self.assertTrue(self.node.reload())
        self.turn()
        for reader, topic in zip(readers, ("event", "record"), strict=False):
            (block,) = reader.read()
            self.assertIn('"errorEvent":"MESSAGE_DENIED"' if topic == "event" else "MESSAGE_DENIED", block)
            self.assertIn(f'"errorTopic":"{topic}"', block)
            self.assertTrue(reader.ended)
        self.assertEqual((readers[2].read(), readers[2].ended), ([], False))
        self.assertEqual(len(self.node.http.streams), 1)

    def test_deleted(self) -> None:
        """
        A stream whose record is deleted asks the rules again.
        """
        self.rules = {"record": {"lamp": {"read": "oldData !== null", "create": True, "write": True, "delete": True}}}
        self.node.reload()
        self.turn()
        self.write(self.client(), "lamp", b"{}")
        reader = self.open("/api/records/lamp")
        reader.read()
        self.delete(self.client("eve"), "lamp")
        self.turn()
        deleted, error = reader.read()
        self.assertEqual(deleted, "id: -1\nevent: deleted\ndata: null")
        self.assertIn("MESSAGE_DENIED", error)
        self.assertTrue(reader.ended)


class BudgetTests(StreamTestCase):
    """
    A server that keeps few bytes for all clients.
    """

    def make_settings(self) -> Settings:
        return Settings(endpoints=ENDPOINTS, limits=LimitSettings(max_outgoing_bytes=100000))

    def test_budget(self) -> None:
        """
        When too many bytes wait for all clients, the slowest streams end.
        """
        lines = Lines(self)
        client = self.client()
        slow, other = self.open("/api/events/news"), self.open("/api/events/news")
        for reader in (slow, other):
            reader.read()
        slow.transport.high = 10
        for _ in range(6):
            self.emit(client, "news", b'"%b"' % (b"x" * 30000))
        self.assertEqual(len(other.read()), 6)
        self.assertRegex(
            lines.last("warn"), r"SLOW_CONSUMER \| open \(192\.0\.2\.9, /api/events/news, #\d+\) does not read"
        )
        self.assertIn("maxOutgoingBytes", lines.last("warn"))
        slow.resume()
        self.assertIn("SLOW_CONSUMER", slow.read()[-1])
        self.assertTrue(slow.ended)
        self.assertEqual(len(self.node.http.streams), 1)
