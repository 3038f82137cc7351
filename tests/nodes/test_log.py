"""
A whole node whose clients try to flood its log.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.access import PermissionSettings
from dstwist.config.http import LimitSettings
from dstwist.config.settings import Settings
from dstwist.log_limit import LogLimit
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.logs import Lines
from tests.nodes.client import GENERATIONS, MemoryClient

# Each of these rules fails.
RULES: dict[str, Any] = {
    "record": {"*": {"create": True, "read": "oldData.a.b.c === 1", "write": "data.a.b.c === 1"}},
    "event": {"*": {"publish": "data.a.b.c === 1"}},
    "rpc": {"*": {}},
    "presence": {"*": {}},
}
MOST = LimitSettings().max_log_lines_per_client or 0


class Transport(StringTransportWithDisconnection):
    """
    A transport that, as those of sockets, does not mind to be rid of its producer twice.
    """

    def unregisterProducer(self) -> None:
        self.producer = None


class FloodTests(SynchronousTestCase):
    """
    Lines that a client causes with each message or each connection.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        permission = PermissionSettings(permissions=RULES, type="config", where="permission.options.permissions")
        limits = LimitSettings(max_connection_rate_per_address=100_000)
        log_limit = LogLimit(limits, self.reactor)
        self.node = Node(Settings(permission=permission, limits=limits), [], self.reactor, log_limit=log_limit)
        self.node.startService()
        self.addCleanup(log_limit.stop)
        self.reactor.advance(0)
        self.lines = Lines(self)

    def check(self, event: str, level: str = "warn", times: int = 1000) -> None:
        """
        There are the first lines, and later their number.
        """
        lines = [line for line in self.lines.of(level) if line.startswith(event)]
        self.assertEqual(len(lines), MOST)
        self.lines.clear()
        self.reactor.advance(LimitSettings().log_interval)
        (line,) = [line for line in self.lines.of(level) if line.startswith(event)]
        self.assertRegex(line, rf" \.\.\. and {times - MOST} more like this from [a-z0-9.]+ in the last 10 s$")
        self.lines.clear()

    def test_failing_rules(self) -> None:
        """
        Of a rule that fails for each event or write, the log says so some times only, and so for each client.
        """
        requests = (
            Message(Topic.EVENT, EventAction.EMIT, "news", b"1"),
            Message(Topic.RECORD, RecordAction.UPDATE, "r", b"{}", version=1),
        )
        for generation in GENERATIONS:
            for request in requests:
                client = MemoryClient(self.node, generation)
                client.log_in("mallory")
                for _ in range(1000):
                    client.say(request)
                    self.reactor.advance(0)
                self.check("MESSAGE_PERMISSION_ERROR")
                client.protocol.connectionLost(Failure(ConnectionDone()))

    def test_handshakes(self) -> None:
        """
        Refused handshakes.
        """
        for _ in range(1000):
            transport = Transport(peerAddress=IPv4Address("TCP", "192.0.2.9", 50000))
            protocol: Any = self.node.port.buildProtocol(transport.getPeer())
            transport.protocol = protocol
            protocol.makeConnection(transport)
            protocol.dataReceived(
                b"GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )
        self.check("INVALID_MESSAGE | handshake refused")

    def test_reconnects(self) -> None:
        """
        A client that comes and goes, with all lines of a connection.
        """
        for _ in range(1000):
            client = MemoryClient(self.node, "v4")
            client.log_in("ann")
            client.protocol.connectionLost(Failure(ConnectionDone()))
        for event in ("INCOMING_CONNECTION", "AUTH_SUCCESSFUL", "CLIENT_DISCONNECTED"):
            lines = [line for line in self.lines.of("info") if line.startswith(event)]
            self.assertEqual(len(lines), MOST, event)
        self.lines.clear()
        self.reactor.advance(LimitSettings().log_interval)
        self.assertEqual(
            [line for line in self.lines.of("info") if "980 more" in line],
            [
                "INCOMING_CONNECTION | from no page (192.0.2.1) ... and 980 more like this from 192.0.2.1 in the last "
                "10 s",
                "AUTH_SUCCESSFUL | ann ... and 980 more like this from ann in the last 10 s",
                "CLIENT_DISCONNECTED | ann ... and 980 more like this from ann in the last 10 s",
            ],
        )

    def test_nonsense(self) -> None:
        """
        Nonsense before the login, over and over.
        """
        for _ in range(20):
            client = MemoryClient(self.node, "v4")
            for _ in range(50):
                client.say(Message(Topic.EVENT, EventAction.EMIT, "news", b"1"))
        self.check("INVALID_MESSAGE | invalid connection message")
