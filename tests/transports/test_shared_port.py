"""
Tests for L{dstwist.transports.shared_port}.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.http_server import HttpSettings
from dstwist.config.limits import LimitSettings
from dstwist.limits.admission import Admission
from dstwist.transports.shared_port import (
    HEAD_TIMEOUT,
    MAX_HEAD_BYTES,
    MAX_REFUSED_CLIENTS,
    REFUSAL_TIMEOUT,
    SharedPortFactory,
)
from tests.fakes import BusyClock
from tests.logs import Lines
from tests.transports.helpers import PushTransport
from tests.turns import LONGEST, turn_lengths


class Taker(Protocol):
    """
    Keeps what it gets.
    """

    received = b""
    address = ""
    lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Takers(Factory):
    """
    Keeps its protocols.
    """

    noisy = False
    running = False

    def __init__(self) -> None:
        self.built: list[Taker] = []

    def doStart(self) -> None:
        self.running = True

    def doStop(self) -> None:
        self.running = False

    def buildProtocol(self, addr: Any) -> Taker:
        self.built.append(Taker())
        return self.built[-1]


def request(
    target: bytes = b"/deepstream", upgrade: bytes = b"Upgrade: websocket\r\n", version: bytes = b" HTTP/1.1"
) -> bytes:
    """
    A request head.
    """
    return b"GET " + target + version + b"\r\nHost: localhost\r\n" + upgrade + b"\r\n"


class PortTestCase(SynchronousTestCase):
    """
    A shared port with two WebSocket paths.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.new, self.old, self.http = Takers(), Takers(), Takers()
        self.factory = SharedPortFactory({b"/deepstream": self.new, b"/deepstream-v3": self.old}, self.http, self.clock)

    def connect(self) -> tuple[Any, PushTransport]:
        switch: Any = self.factory.buildProtocol(None)
        transport = PushTransport()
        switch.makeConnection(transport)
        return switch, transport

    def who(self, *pieces: bytes) -> Takers | None:
        """
        The protocol that gets C{pieces}; C{None} if no protocol does.
        """
        for takers in (self.new, self.old, self.http):
            takers.built.clear()
        switch, _ = self.connect()
        for piece in pieces:
            switch.dataReceived(piece)
        found = [takers for takers in (self.new, self.old, self.http) if takers.built]
        if not found:
            return None
        (takers,) = found
        (taker,) = takers.built
        self.assertEqual(taker.received, b"".join(pieces))
        return takers


class ManyHeadsTests(SynchronousTestCase):
    """
    Very many clients that send their request heads in one turn.
    """

    def test_turns(self) -> None:
        """
        No turn lasts too long, and every client is served, in order, with all that it has sent.
        """
        clock = BusyClock()

        class Slow(Takers):
            def buildProtocol(self, addr: Any) -> Taker:
                clock.rightNow += 5e-4
                return super().buildProtocol(addr)

        web_sockets = Slow()
        factory = SharedPortFactory({b"/deepstream": web_sockets}, Takers(), clock)
        switches: list[Any] = [factory.buildProtocol(None) for _ in range(300)]
        transports = [PushTransport() for _ in switches]
        for switch, transport in zip(switches, transports, strict=True):
            switch.makeConnection(transport)

        def arrive() -> None:
            for number, switch in enumerate(switches):
                switch.dataReceived(request())
                switch.dataReceived(b"%d" % number)

        self.assertLess(max(turn_lengths(clock, arrive)), LONGEST)
        self.assertEqual(
            [taker.received for taker in web_sockets.built], [request() + b"%d" % number for number in range(300)]
        )
        self.assertNotIn("paused", [transport.producerState for transport in transports])

    def test_gone(self) -> None:
        """
        A client that has gone before its turn is not served.
        """
        clock = BusyClock()
        web_sockets = Takers()
        factory = SharedPortFactory({b"/deepstream": web_sockets}, Takers(), clock)
        switch: Any = factory.buildProtocol(None)
        switch.makeConnection(PushTransport())
        while not factory.turns.over():
            clock.rightNow += LONGEST
        switch.dataReceived(request())
        switch.connectionLost()
        turn_lengths(clock, list)
        self.assertEqual(web_sockets.built, [])


class SwitchTests(PortTestCase):
    """
    The first request head decides who gets the connection.
    """

    def test_paths(self) -> None:
        """
        WebSockets are told apart by their path; whatever follows a question mark does not count.
        """
        for target, takers in [
            (b"/deepstream", self.new),
            (b"/deepstream-v3", self.old),
            (b"/deepstream?user=ann", self.new),
            (b"/deepstream-v3?", self.old),
            (b"/deepstream/", self.http),
            (b"/Deepstream", self.http),
            (b"/", self.http),
            (b"", self.http),
            (b"/\xff", self.http),
        ]:
            self.assertIs(self.who(request(target)), takers, target)

    def test_no_web_socket(self) -> None:
        """
        A request that does not ask for a WebSocket is HTTP, whatever the path.
        """
        for upgrade in (b"", b"Upgrade: h2c\r\n", b"X-Upgrade: websocket\r\n", b"Connection: Upgrade\r\n"):
            self.assertIs(self.who(request(upgrade=upgrade)), self.http, upgrade)

    def test_spelling(self) -> None:
        """
        Names and values of headers may be in upper or lower case.
        """
        for upgrade in (b"UPGRADE: WebSocket\r\n", b"upgrade:websocket\r\n", b"Upgrade: foo, websocket\r\n"):
            self.assertIs(self.who(request(upgrade=upgrade)), self.new, upgrade)

    def test_no_request(self) -> None:
        """
        Bytes that are no request go to HTTP, which refuses them.
        """
        for head in (request(version=b""), b"\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"Upgrade: websocket\r\n\r\n"):
            self.assertIs(self.who(head), self.http, head)

    def test_in_pieces(self) -> None:
        """
        The head may arrive in pieces; all of it, and what follows, reaches its protocol.
        """
        data = request() + b"\x82\x80mask"
        for place in range(1, len(data)):
            self.assertIs(self.who(data[:place], data[place:]), self.new)
        self.assertIs(self.who(*(data[place : place + 1] for place in range(len(data)))), self.new)

    def test_undecided(self) -> None:
        """
        Nothing is decided before the head is there.
        """
        self.assertIsNone(self.who(request()[:-1]))
        self.assertEqual(len(self.factory.waiting), 1)

    def test_out_of_the_way(self) -> None:
        """
        After that the switch has no part in the connection but to tell of its end.
        """
        switch, _ = self.connect()
        switch.dataReceived(request())
        (taker,) = self.new.built
        self.assertEqual(switch.dataReceived, taker.dataReceived)
        self.assertEqual((self.factory.waiting, len(self.factory.heads)), (set(), 0))
        reason = Failure(ConnectionDone())
        switch.connectionLost(reason)
        self.assertIs(taker.lost, reason)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timer_of_last(self) -> None:
        """
        The timer for request heads stays as long as there are connections, and serves all of them.
        """
        (first, _), (second, transport) = self.connect(), self.connect()
        first.dataReceived(request())
        (timer,) = self.clock.getDelayedCalls()
        first.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [timer])
        self.clock.advance(HEAD_TIMEOUT)
        self.assertTrue(transport.aborted)
        third, _ = self.connect()
        second.connectionLost()
        self.assertEqual((self.factory.connected, len(self.clock.getDelayedCalls())), (1, 1))
        third.connectionLost()
        self.assertEqual((self.factory.connected, self.clock.getDelayedCalls()), (0, []))

    def test_start_and_stop(self) -> None:
        """
        The factories behind the shared one start and stop with it.
        """
        self.factory.doStart()
        self.assertTrue(self.new.running and self.old.running and self.http.running)
        self.factory.doStop()
        self.assertFalse(self.new.running or self.old.running or self.http.running)


class LimitTests(PortTestCase):
    """
    The limits of a client before its request head is complete.
    """

    def test_longest_head(self) -> None:
        """
        A head of 16 KiB is taken.
        """
        head = request()
        head = head[:-4] + b"x" * (MAX_HEAD_BYTES - len(head)) + b"\r\n\r\n"
        self.assertIs(self.who(head), self.new)
        self.assertIs(self.who(head[:-1], head[-1:]), self.new)

    def test_too_long(self) -> None:
        """
        A longer one is answered 431, once, however it arrives.
        """
        for size in (1, 1000, MAX_HEAD_BYTES * 2):
            switch, transport = self.connect()
            data = request()[:-2] + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"
            for place in range(0, len(data), size):
                switch.dataReceived(data[place : place + size])
            answer = transport.take()
            self.assertTrue(answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"))
            head, _, body = answer.partition(b"\r\n\r\n")
            self.assertIn(b"\r\nContent-Length: %d\r\n" % len(body), head + b"\r\n")
            self.assertNotIn(b"HTTP/", body)

    def test_too_long_lingers(self) -> None:
        """
        The client can read the answer: the connection stays until its time is over, and drops all data.
        """
        switch, transport = self.connect()
        for _ in range(1000):
            switch.dataReceived(b"x" * 1000)
        self.assertEqual(switch._head, b"")
        self.assertFalse(transport.aborted or transport.disconnecting)
        transport.take()
        switch.dataReceived(b"\r\n\r\n" + request())
        self.assertEqual((transport.take(), self.new.built, self.http.built), (b"", [], []))
        self.clock.advance(HEAD_TIMEOUT)
        self.assertTrue(transport.aborted)

    def test_too_slow(self) -> None:
        """
        A head that is not there in time is not waited for, though it arrives bit by bit.
        """
        switch, transport = self.connect()
        for _ in range(8):
            self.assertFalse(transport.aborted)
            switch.dataReceived(b"GET ")
            self.clock.advance(HEAD_TIMEOUT / 8)
        self.assertTrue(transport.aborted)
        switch.connectionLost()
        self.assertEqual((self.factory.waiting, self.clock.getDelayedCalls()), (set(), []))

    def test_lost(self) -> None:
        """
        A client that goes before it said what it wants leaves nothing behind.
        """
        switch, _ = self.connect()
        switch.dataReceived(b"GET ")
        switch.connectionLost()
        self.assertEqual((self.factory.waiting, self.clock.getDelayedCalls()), (set(), []))

    def test_abort(self) -> None:
        """
        A server that stops can drop those that have not said what they want.
        """
        _, transport = self.connect()
        (waiting,) = self.factory.waiting
        waiting.abort()
        self.assertTrue(transport.aborted)


class AdmissionTests(PortTestCase):
    """
    The clients that are refused, and the answers and log lines about it.
    """

    def open_port(self, trusted: tuple[str, ...] = (), origins: tuple[str, ...] = (), **limits: Any) -> None:
        settings = HttpSettings(
            trusted_proxies=tuple(text if text == "unix" else ip_network(text) for text in trusted),
            allow_all_origins=not origins,
            origins=origins,
        )
        self.lines = Lines(self)
        self.factory = SharedPortFactory(
            {b"/deepstream": self.new},
            self.http,
            self.clock,
            settings,
            Admission(LimitSettings(**limits), self.clock),
        )

    def come(self, address: str = "192.0.2.1", head: bytes | None = None, **headers: str) -> PushTransport:
        """
        A connection that has asked for a WebSocket.
        """
        self.switch: Any = self.factory.buildProtocol(None)
        transport = PushTransport(peerAddress=IPv4Address("TCP", address, 50000))
        self.switch.makeConnection(transport)
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.switch.dataReceived(request(upgrade=b"Upgrade: websocket\r\n" + fields.encode()) if head is None else head)
        return transport

    def assertRefused(self, transport: PushTransport, status: int, text: str) -> None:
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertEqual(head.split(b" ")[1], b"%d" % status)
        self.assertEqual(body, text.encode() + b"\r\n\r\n")
        self.assertIn(b"\r\nContent-Length: %d\r\n" % len(body), head + b"\r\n")
        self.assertTrue(transport.disconnecting)

    def go(self, switch: Any) -> None:
        switch.connectionLost(Failure(ConnectionDone()))

    def test_total(self) -> None:
        """
        With maxConnections there, one more gets 503, a reason and a line in the log; when one goes, the next comes in.
        """
        self.open_port(max_connections=2)
        self.come()
        first = self.switch
        self.come("192.0.2.2")
        self.assertRefused(self.come("192.0.2.3"), 503, "There are 2 connections already.")
        self.assertEqual(
            self.lines.of("warn"),
            ["LIMIT_EXCEEDED | maxConnections: 192.0.2.3 refused: There are 2 connections already."],
        )
        self.go(self.switch)
        self.go(first)
        self.come("192.0.2.3")
        self.assertEqual(len(self.new.built), 3)

    def test_per_address(self) -> None:
        """
        One address with too many gets 429; the others come in.
        """
        self.open_port(max_connections_per_address=2)
        for _ in range(2):
            self.come()
        self.assertRefused(self.come(), 429, "There are 2 connections from this address already.")
        self.come("192.0.2.2")
        self.assertEqual(len(self.new.built), 3)

    def test_silent(self) -> None:
        """
        Clients that send nothing count too.
        """
        self.open_port(max_unauthenticated_per_address=2)
        for _ in range(2):
            self.come(head=b"GET")
        self.assertRefused(self.come(), 429, "There are 2 connections from this address that have not logged in.")

    def test_rate(self) -> None:
        """
        One address that connects too fast gets 429.
        """
        self.open_port(max_connection_rate_per_address=1)
        self.come()
        self.go(self.switch)
        self.assertRefused(self.come(), 429, "More than 1 connections a second from this address.")
        self.clock.advance(1.01)
        self.come()
        self.assertEqual(len(self.new.built), 2)

    def test_refused_and_silent(self) -> None:
        """
        A refused client that sends no request is dropped soon, and at once if there are many.
        """
        self.open_port(max_connections=1)
        self.come()
        for number in range(MAX_REFUSED_CLIENTS):
            transport = self.come(head=b"")
            self.assertFalse(transport.aborted, number)
        last = self.come(head=b"")
        self.assertTrue(last.aborted)
        self.assertFalse(transport.aborted)
        self.clock.advance(REFUSAL_TIMEOUT)
        self.assertTrue(transport.aborted)

    def test_refused_and_stubborn(self) -> None:
        """
        A refused client that does not close its side is dropped.
        """
        self.open_port(max_connections=1)
        self.come()
        transport = self.come()
        self.switch.dataReceived(b"x" * 100000)
        self.assertFalse(transport.aborted)
        self.clock.advance(REFUSAL_TIMEOUT)
        self.assertTrue(transport.aborted)

    def test_counts(self) -> None:
        """
        The end of a connection frees its place, however it came to it.
        """
        self.open_port(max_connections=2, max_connections_per_address=1)
        switches = []
        for head in (None, b"GET", b"", b"x" * MAX_HEAD_BYTES):
            for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
                self.come(address, head)
                switches.append(self.switch)
        for switch in switches:
            self.go(switch)
        self.assertEqual((self.factory.admission._total, self.factory.waiting, self.factory.refused), (0, set(), set()))
        self.factory.admission.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_proxy(self) -> None:
        """
        Behind a trusted proxy each client counts by itself, and is known by its own address.
        """
        self.open_port(trusted=("10.0.0.1",), max_connections_per_address=1)
        for number in range(3):
            self.come("10.0.0.1", X_Forwarded_For=f"6.6.6.6, 192.0.2.{number}")
        self.assertEqual([taker.address for taker in self.new.built], ["192.0.2.0", "192.0.2.1", "192.0.2.2"])
        refused = self.come("10.0.0.1", X_Forwarded_For="192.0.2.1")
        self.assertRefused(refused, 429, "There are 1 connections from this address already.")

    def test_w13_not_trusted(self) -> None:
        """
        W13: a client that is no proxy of ours is known by its address, whatever it says.
        """
        self.open_port(max_connections_per_address=1)
        self.come("192.0.2.1", X_Forwarded_For="203.0.113.1")
        self.assertEqual(self.new.built[0].address, "192.0.2.1")
        refused = self.come("192.0.2.1", X_Forwarded_For="203.0.113.2")
        self.assertRefused(refused, 429, "There are 1 connections from this address already.")

    def test_hostile_origin(self) -> None:
        """
        An origin that is refused cannot forge lines of the log.
        """
        self.open_port(origins=("https://a.example",))
        self.come(Origin="https://evil.example\x1b[2J\nAUTH_SUCCESSFUL | admin")
        line = self.lines.last("warn")
        self.assertIn("evil.example?[2J?AUTH_SUCCESSFUL | admin", line)
        self.assertTrue(line.isprintable(), line)

    def test_w13_origin(self) -> None:
        """
        W13: with a list of origins, a WebSocket of another page is refused with the reason; those of the list, and
        clients that are no browsers, come in.
        """
        self.open_port(origins=("https://a.example",))
        transport = self.come(Origin="https://evil.example")
        self.assertRefused(transport, 403, 'Origin "https://evil.example" is forbidden.')
        self.assertNotIn(b"Access-Control", transport.value())
        self.assertIn(
            'WebSocket refused: Origin "https://evil.example" is forbidden. (192.0.2.1, /deepstream)',
            self.lines.last("warn"),
        )
        self.come(Origin="https://a.example")
        self.come()
        self.assertEqual(len(self.new.built), 2)
