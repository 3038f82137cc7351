"""
A whole node, in memory: clients of both generations, start and stop.
"""

from __future__ import annotations

import gc
import weakref
from itertools import permutations
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.settings import FeatureSettings, Settings
from dstwist.errors import StartError
from dstwist.node import Node
from dstwist.protocol.constants import (
    ConnectionAction,
    EventAction,
    ParserAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json, to_typed
from dstwist.transports.closing_link import CLOSE_TIMEOUT
from tests.logs import Lines
from tests.nodes.client import API, ASKING_KINDS, KINDS, Client, MemoryClient, connect

#: One value of each kind, as JSON and as a typed value.
VALUES: list[tuple[bytes | None, str]] = [
    (b'"x"', "Sx"),
    (b'""', "S"),
    ('"\u00e9\U0001f600"'.encode(), "S\u00e9\U0001f600"),
    (b"1.5", "N1.5"),
    (b"0", "N0"),
    (b'{"a":[1,null,{"b":"c"}]}', 'O{"a":[1,null,{"b":"c"}]}'),
    (b"[]", "O[]"),
    (b"true", "T"),
    (b"false", "F"),
    (b"null", "L"),
    (None, "U"),
]


class NodeTestCase(SynchronousTestCase):
    """
    A node on a reactor in memory.
    """

    def start(self, settings: Settings | None = None) -> Node:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        node = Node(settings or Settings(), [endpoint], self.reactor)
        node.privilegedStartService()
        node.startService()
        return node

    def turn(self) -> None:
        """
        Let the reactor turn once, so that what was said is written.
        """
        self.reactor.advance(0)

    def client(self, node: Node, generation: str, user: str = "ann") -> Client:
        client = connect(node, generation)
        self.turn()
        client.log_in(user)
        return client

    def subscriber(self, node: Node, generation: str) -> Client:
        client = self.client(node, generation)
        client.subscribe("news")
        self.turn()
        (ack,) = client.heard()
        self.assertTrue(ack.is_ack)
        return client


class EventTests(NodeTestCase):
    """
    Events between clients of both generations.
    """

    def test_every_value(self) -> None:
        """
        Every kind of value emitted by one generation reaches both with its data intact.
        """
        node = self.start()
        subscribers = [self.subscriber(node, generation) for generation in KINDS * 2]
        for generation in ASKING_KINDS:
            emitter = self.client(node, generation)
            for json, typed in VALUES:
                emitter.emit("news", typed if generation == "v3" else json)
                self.turn()
                for subscriber in subscribers:
                    (event,) = subscriber.heard()
                    self.assertEqual((event.action, event.name), (EventAction.EMIT, "news"))
                    if subscriber.generation == "v3":
                        self.assertEqual(to_typed(event.data), typed)
                    else:
                        self.assertEqual(to_json(event.data), json)

    def test_w48_one_message_two_encodings(self) -> None:
        """
        W48: all kinds of clients get the same event whichever of them is served first.
        """
        for order in permutations(KINDS):
            node = self.start()
            clients = [self.subscriber(node, generation) for generation in order]
            emitter = self.client(node, "v4")
            emitter.emit("news", b"0")
            emitter.emit("news", b'"s"')
            self.turn()
            by_generation = {client.generation: [e.data for e in client.heard()] for client in clients}
            self.assertEqual(by_generation, dict.fromkeys(KINDS, [b"0", b'"s"']) | {"v3": ["N0", "Ss"]})

    def test_w54_all_endpoints_on_one_port(self) -> None:
        """
        W54: the one HTTP port serves text, binary and JSON clients, each in frames of its kind, and plain HTTP between
        them.
        """
        node = self.start()
        clients = [self.subscriber(node, generation) for generation in ("v3", "v4", "json")]
        check: Any = node.factory.buildProtocol(None)
        check.makeConnection(transport := StringTransportWithDisconnection())
        check.dataReceived(b"GET /health-check HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 "))
        self.client(node, "v4").emit("news", b"1")
        self.turn()
        for client, opcode in zip(clients, (0x81, 0x82, 0x81), strict=True):
            self.assertEqual(client.transport.value()[0], opcode)
            (event,) = client.heard()
            self.assertEqual(to_json(event.data), b"1")
            self.assertIsNone(client.closed)

    def test_no_echo(self) -> None:
        """
        The emitter does not hear itself, though it is subscribed.
        """
        node = self.start()
        for generation in ("v4", API):
            ann = self.subscriber(node, generation)
            ann.emit("news", b"1")
            self.turn()
            self.assertEqual(ann.heard(), [])

    def test_nonsense_stays_with_its_sender(self) -> None:
        """
        Data that is no JSON, or no typed value, is refused, and reaches no client: it would kill official clients.
        """
        node = self.start()
        subscribers = [self.subscriber(node, generation) for generation in KINDS]
        old, young = MemoryClient(node, "v3"), self.client(node, "v4")
        self.turn()
        old.log_in("ann")
        old.send(b"E\x1fEVT\x1fnews\x1fQ1\x1e")
        young.emit("news", b"{bad")
        self.turn()
        self.assertEqual([subscriber.heard() for subscriber in subscribers], [[] for _ in KINDS])
        for emitter in (old, young):
            self.assertEqual([m.action for m in emitter.heard()], [EventAction.INVALID_MESSAGE_DATA])

    def test_listening_across_generations(self) -> None:
        """
        A provider of one generation is asked for the subscriptions of the other.
        """
        for listening, subscribing in permutations(KINDS, 2):
            node = self.start()
            provider = self.client(node, listening)
            provider.say(Message(Topic.EVENT, EventAction.LISTEN, "^n"))
            subscriber = self.subscriber(node, subscribing)
            self.turn()
            ack, found = provider.heard()
            self.assertEqual((ack.is_ack, found.name, found.subscription), (True, "^n", "news"))
            provider.say(Message(Topic.EVENT, EventAction.LISTEN_ACCEPT, "^n", subscription="news"))
            subscriber.say(Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=("news",), correlation_id="1"))
            self.turn()
            self.assertEqual([m.action for m in provider.heard()], [EventAction.SUBSCRIPTION_FOR_PATTERN_REMOVED])

    def test_switched_off(self) -> None:
        """
        A topic that is switched off is answered UNKNOWN_TOPIC.
        """
        node = self.start(Settings(features=FeatureSettings(event=False, record=False, rpc=False, presence=False)))
        for generation in KINDS:
            client = self.client(node, generation)
            client.subscribe("news")
            client.say(
                Message(Topic.RECORD, RecordAction.READ, "r"),
                Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="0"),
                Message(Topic.PRESENCE, PresenceAction.QUERY_ALL),
            )
            self.turn()
            self.assertEqual([m.action for m in client.heard()], [ParserAction.UNKNOWN_TOPIC] * 4)


class SharedPathTests(NodeTestCase):
    """
    Both generations on one path, told apart by who speaks first.
    """

    def setUp(self) -> None:
        endpoints = (WebSocketEndpoint("ws-binary", "/deepstream"), WebSocketEndpoint("ws-text", "/deepstream"))
        self.node = self.start(Settings(endpoints=endpoints))

    def test_binary(self) -> None:
        """
        A client that speaks first, in binary, is one of v4 or later.
        """
        client = MemoryClient(self.node, "v4")
        client.log_in("ann")
        self.reactor.advance(1)
        self.assertEqual(client.heard(), [])

    def test_text(self) -> None:
        """
        A client that waits is greeted in text after 300 ms.
        """
        client = MemoryClient(self.node, "v3", "/deepstream")
        self.reactor.advance(0.29)
        self.assertEqual(client.heard(), [])
        self.reactor.advance(0.02)
        self.turn()
        self.assertEqual([m.action for m in client.heard()], [ConnectionAction.CHALLENGE_REQUEST])
        client.log_in("ann")

    def test_slow_binary(self) -> None:
        """
        A v4+ client on a slow line, greeted in text before its first word arrived, is served in binary after all.
        """
        client = MemoryClient(self.node, "v4")
        self.reactor.advance(0.31)
        self.turn()
        client.heard()
        client.log_in("ann")
        client.subscribe("news")
        self.turn()
        self.assertTrue(client.heard()[0].is_ack)


class DefaultPathTests(NodeTestCase):
    """
    Where clients connect that were not told a path.
    """

    def greeted_after(self, node: Node, path: str) -> int | None:
        """
        After how many milliseconds a silent client is greeted, once; C{None}: not within two seconds.
        """
        client = MemoryClient(node, "v3", path)
        self.turn()
        for milliseconds in range(2000):
            if heard := client.heard():
                self.assertEqual([m.action for m in heard], [ConnectionAction.CHALLENGE_REQUEST])
                self.reactor.advance(2)
                self.assertEqual(client.heard(), [])
                client.log_in("ann")
                return milliseconds
            self.reactor.advance(0.001)
        return None

    def assert_greeted(self, found: int | None, expected: int) -> None:
        # Sums of thousandths are not exact.
        self.assertIn(found, (expected, expected + 1))

    def test_silent(self) -> None:
        """
        Without C{connectionEndpoints} a v2/v3 client is greeted on its default path, after C{detectionTimeout}. On the
        path that is for text alone, it is greeted after C{greetingDelay}, and so not in the same read as the response
        to its handshake.
        """
        node = self.start()
        self.assert_greeted(self.greeted_after(node, "/deepstream"), 300)
        self.assert_greeted(self.greeted_after(node, "/deepstream-v3"), 10)

    def test_short_detection(self) -> None:
        """
        C{greetingDelay} holds on a shared path too, from the handshake on.
        """
        for delay, expected in ((0.05, 50), (0.001, 5)):
            text = WebSocketEndpoint("ws-text", "/x", detection_timeout=0.005, greeting_delay=delay)
            node = self.start(Settings(endpoints=(WebSocketEndpoint("ws-binary", "/x"), text)))
            self.assert_greeted(self.greeted_after(node, "/x"), expected)

    def test_binary(self) -> None:
        """
        A v4+ client on the default path is answered at once.
        """
        client = MemoryClient(self.start(), "v4", "/deepstream")
        client.log_in("ann")
        self.assertEqual(self.reactor.seconds(), 0)

    def test_binary_alone(self) -> None:
        """
        Where only C{ws-binary} is configured, nothing is said in text.
        """
        node = self.start(Settings(endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"),)))
        self.assertIsNone(self.greeted_after(node, "/deepstream"))
        self.assertEqual(list(node.web_sockets), ["/deepstream"])

    def test_exchanged(self) -> None:
        """
        Where each generation has a path of its own, C{/deepstream} is what the file says.
        """
        endpoints = (WebSocketEndpoint("ws-text", "/deepstream"), WebSocketEndpoint("ws-binary", "/deepstream-v4"))
        node = self.start(Settings(endpoints=endpoints))
        self.assert_greeted(self.greeted_after(node, "/deepstream"), 10)
        MemoryClient(node, "v4", "/deepstream-v4").log_in("ann")

    def test_log(self) -> None:
        """
        The log says which path serves both generations.
        """
        lines = Lines(self)
        self.start()
        said = "INFO | Listening for websocket connections on path {} ({})"
        self.assertEqual(
            [line for line in lines.of("info") if "on path /deepstream" in line],
            [
                said.format("/deepstream", "protobuf and text, told apart by who speaks first"),
                said.format("/deepstream-v3", "text, for clients of v2 and v3"),
                said.format("/deepstream-json", "JSON, for clients of v4 and later in JSON mode, and others"),
            ],
        )


class LifeTests(NodeTestCase):
    """
    Start and stop.
    """

    def test_stop(self) -> None:
        """
        Clients are sent a close frame that says why, and the stop is through when they are gone.
        """
        node = self.start()
        clients = [self.client(node, generation) for generation in ("v3", "v4")]
        stopped = node.stopService()
        self.turn()
        for client in clients:
            client.heard()
            self.assertEqual(client.closed, (1001, "server shutting down"))
        self.assertNoResult(stopped)
        for client in clients:
            client.transport.loseConnection()
        self.successResultOf(stopped)
        self.turn()
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_stop_other_connections(self) -> None:
        """
        A stop also closes connections that speak HTTP, or have sent only part of a request.
        """
        node = self.start()
        transports = []
        for said in (b"GET /health-check HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET"):
            connection: Any = node.factory.buildProtocol(None)
            transport = StringTransportWithDisconnection()
            transport.protocol = connection
            connection.makeConnection(transport)
            connection.dataReceived(said)
            transports.append(transport)
        self.successResultOf(node.stopService())
        self.assertEqual([transport.connected for transport in transports], [False, False])
        self.turn()
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_stop_ends_last(self) -> None:
        """
        While a server stops its port stays open: it says that it is not ready and refuses WebSockets with status 503,
        until the last client has gone.
        """
        node = self.start()
        client = self.client(node, "v4")
        self.assertIsNone(node.not_ready())
        stopped = node.stopService()
        self.assertEqual(node.not_ready(), "the server is stopping")
        (port,) = node._ports.listening
        for request, expected in (
            (b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n", b"503"),
            (b"GET /health-check HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200"),
            (b"GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n", b"503"),
        ):
            connection: Any = node.factory.buildProtocol(None)
            transport = StringTransportWithDisconnection()
            transport.protocol = connection
            connection.makeConnection(transport)
            connection.dataReceived(request)
            self.assertEqual(transport.value()[9:12], expected)
        client.transport.loseConnection()
        self.successResultOf(stopped)
        self.assertEqual(node._ports.listening, [])
        self.assertIsNone(node.factory.buildProtocol(None))
        self.turn()
        self.assertFalse(self.reactor.getDelayedCalls())

    def ask(self, node: Node, request: bytes) -> bytes:
        """
        What the port answers.
        """
        connection: Any = node.factory.buildProtocol(None)
        transport = StringTransportWithDisconnection()
        transport.protocol = connection
        connection.makeConnection(transport)
        connection.dataReceived(request)
        return bytes(transport.value())

    def test_drain(self) -> None:
        """
        A node that drains is not ready, refuses new WebSockets, and sends its clients away one after the other. Its
        port stays open, and it serves the clients that are left.
        """
        node = self.start()
        clients = [self.client(node, generation) for generation in ("v3", "v4")]
        self.assertTrue(node.drain.begin(60))
        self.assertEqual(node.not_ready(), "the server sends its clients away, within 60 s")
        self.assertIn(b"503", self.ask(node, b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n").split(b"\r\n")[0])
        upgrade = b"GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n"
        self.assertIn(b"The server is draining.", self.ask(node, upgrade))
        self.reactor.pump([0.1] * 300)
        (left,) = [client for client in clients if client.heard() is not None and client.closed is None]
        left.subscribe("news")
        self.turn()
        self.assertEqual(len(left.heard()), 1)
        self.reactor.pump([0.1] * 300)
        for client in clients:
            client.heard()
            self.assertEqual(client.closed, (1001, "server shutting down"))
        self.assertEqual(node.not_ready(), "the server has sent its clients away")
        stopped = node.stopService()
        self.assertEqual(node.not_ready(), "the server is stopping")
        self.reactor.advance(CLOSE_TIMEOUT)
        self.successResultOf(stopped)
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_drain_time(self) -> None:
        """
        With C{drainTime}, a stop drains the node first.
        """
        node = self.start(Settings(drain_time=10))
        client = self.client(node, "v4")
        stopped = node.stopService()
        self.reactor.pump([0.1] * 99)
        client.heard()
        self.assertIsNone(client.closed)
        self.reactor.pump([0.1] * 2)
        client.heard()
        self.assertEqual(client.closed, (1001, "server shutting down"))
        client.transport.loseConnection()
        self.successResultOf(stopped)

    def test_drain_tells_caller(self) -> None:
        """
        A client of v3 that is sent away is told that its call will have no answer.
        """
        node = self.start()
        # The provider is not sent away.
        node.api.rpc.provide("add", lambda request: Deferred())
        caller = self.client(node, "v3")
        caller.say(Message(Topic.RPC, RpcAction.REQUEST, "add", b"1", correlation_id="c1"))
        self.turn()
        caller.heard()
        node.drain.begin(0)
        self.turn()
        self.assertEqual([message.action for message in caller.heard()], [RpcAction.RESPONSE_TIMEOUT])
        self.assertEqual(caller.closed, (1001, "server shutting down"))
        node.stopService()

    def test_w58_flush_before_close(self) -> None:
        """
        W58: what was said to a client before the stop still reaches it, before the close frame.
        """
        node = self.start()
        subscriber, emitter = self.subscriber(node, "v4"), self.client(node, "v3")
        emitter.emit("news", "N1")
        node.stopService()
        self.assertEqual([event.data for event in subscriber.heard()], [b"1"])
        self.assertEqual(subscriber.closed, (1001, "server shutting down"))

    def test_w58_deadline(self) -> None:
        """
        W58: a client that does not answer delays the stop by C{shutdownTimeout} at most.
        """
        node = self.start(Settings(shutdown_timeout=0.5))
        self.client(node, "v4")
        half: Any = node.factory.buildProtocol(None)
        transport = StringTransportWithDisconnection()
        transport.protocol = half
        half.makeConnection(transport)
        stopped = node.stopService()
        self.reactor.advance(0.4)
        self.assertNoResult(stopped)
        self.reactor.advance(0.1)
        self.successResultOf(stopped)
        self.assertFalse(transport.connected)

    def test_w58_client_that_does_not_answer(self) -> None:
        """
        W58: with the time there is by default it is dropped two seconds after its close frame.
        """
        node = self.start()
        client = self.client(node, "v4")
        stopped = node.stopService()
        self.reactor.advance(CLOSE_TIMEOUT)
        self.assertFalse(client.transport.connected)
        self.successResultOf(stopped)

    def test_w56_nothing_is_kept(self) -> None:
        """
        W56: clients that leave everything unanswered, also their login, leave nothing behind: no timer, no memory. They
        are freed at once: nothing waits for the garbage collector, whose pass over thousands of them takes long.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        node = self.start()
        left = []
        for generation in ("v3", "v4"):
            listener, half = self.client(node, generation), MemoryClient(node, generation)
            listener.say(Message(Topic.EVENT, EventAction.LISTEN, "n"))
            half.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost"))
            clients = [listener, half, *(self.subscriber(node, generation) for _ in range(3))]
            self.reactor.advance(1)  # the listener is silent, and is given up
            for client in clients:
                assert isinstance(client, MemoryClient)
                left.append(weakref.ref(client.protocol._chosen))
                client.transport.loseConnection()
            del listener, half, clients, client
        self.turn()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual([link() for link in left], [None] * 10)

    def test_notes(self) -> None:
        """
        A note about an option without effect is a warning, so C{logLevel: WARN} shows it. A note about a loaded file is
        not.
        """
        notes = ("CONFIG | x has no effect", "CONFIG_TRANSFORM | Loaded content from a")
        lines = Lines(self)
        self.start(Settings(notes=notes))
        self.assertEqual([line for line in lines.of("warn") if "CONFIG" in line], [notes[0]])
        self.assertIn(notes[1], lines.of("info"))

    def test_stop_without_clients(self) -> None:
        """
        A server without clients stops at once.
        """
        self.successResultOf(self.start().stopService())

    def test_port_taken(self) -> None:
        """
        A port that cannot be had ends the start with one line that says so.
        """

        class Taken:
            def listen(self, factory: Any) -> Any:
                return fail(CannotListenError("127.0.0.1", 6020, OSError(98, "Address already in use")))

        node = Node(Settings(), [Taken()], MemoryReactorClock())  # type: ignore[list-item]
        refused = self.assertRaises(StartError, node.bind)
        self.assertIn("6020", str(refused))
