"""
A whole node whose clients try to flood its log.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.config.permission import PermissionSettings
from dstwist.config.settings import LoggerOptions, Settings
from dstwist.config.users import FileSettings, User
from dstwist.limits.log_lines import LogLimit
from dstwist.node import Node
from dstwist.protocol.constants import AuthAction, ConnectionAction, EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.logs import Lines
from tests.nodes.client import GENERATIONS, MemoryClient, client_frame

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
        If a rule fails for each event or write, the log has a limited number of lines for each client.
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
            protocol: Any = self.node.factory.buildProtocol(transport.getPeer())
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
        more = "... and 980 more like this from 192.0.2.1 in the last 10 s"
        self.assertEqual(
            [re.sub(r"#\d+", "#", line) for line in self.lines.of("info") if "980 more" in line],
            [
                f"INCOMING_CONNECTION | from no page (192.0.2.1, /deepstream, #) {more}",
                f"AUTH_SUCCESSFUL | ann (192.0.2.1, /deepstream, #) {more}",
                f"CLIENT_DISCONNECTED | ann (192.0.2.1, /deepstream, #) after 0.0 s: the client hung up {more}",
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


class ClientLineTests(SynchronousTestCase):
    """
    The log lines about clients of a node.
    """

    def start(self, **settings: Any) -> Node:
        reactor: Any = MemoryReactorClock()
        self.reactor = reactor
        node = Node(Settings(**settings), [], reactor)
        node.startService()
        reactor.advance(0)
        self.lines = Lines(self)
        return node

    def said(self, level: str = "info") -> list[str]:
        """
        The lines, with the same number for all connections.
        """
        return [re.sub(r"#\d+", "#", line) for line in self.lines.of(level)]

    def test_life(self) -> None:
        """
        The lines of one connection have its number, its path, how long it lasted and why it ended.
        """
        node = self.start()
        for generation, path in (("v4", "/deepstream"), ("v3", "/deepstream-v3")):
            client = MemoryClient(node, generation)
            client.log_in("ann")
            self.reactor.advance(12.5)
            node.kick("ann", "enough")
            place = f"(192.0.2.1, {path}, #)"
            self.assertEqual(
                self.said(),
                [
                    f"INCOMING_CONNECTION | from no page {place}",
                    f"AUTH_SUCCESSFUL | ann {place}",
                    f"KICKED | ann {place}: enough",
                    f"CLIENT_DISCONNECTED | ann {place} after 12.5 s: enough",
                ],
            )
            self.assertEqual(len({line[line.index("#") :].split(")")[0] for line in self.lines.of("info")}), 1)
            self.lines.clear()

    def test_ends(self) -> None:
        """
        The log tells the ways in which a connection may end from each other.
        """
        node = self.start()
        for end, reason in (
            (lambda client: client.protocol.connectionLost(Failure(ConnectionDone())), "the client hung up"),
            (lambda client: client.protocol.connectionLost(Failure(ConnectionLost())), "connection lost"),
            (
                lambda client: client.protocol.dataReceived(client_frame(b"\x03\xe8bye\nroot", 8)),
                "closed by the client with 1000: bye?root",
            ),
            (lambda client: client.protocol.dataReceived(client_frame(b"\xff", 1)), "encountered invalid UTF-8"),
        ):
            client = MemoryClient(node, "v4")
            # The memory transport of Twisted minds to be rid of its producer twice; sockets do not.
            self.patch(client.transport, "unregisterProducer", lambda: None)
            client.log_in("ann")
            end(client)
            (line,) = [line for line in self.said() if line.startswith("CLIENT_DISCONNECTED")]
            self.assertIn(f"CLIENT_DISCONNECTED | ann (192.0.2.1, /deepstream, #) after 0.0 s: {reason}", line)
            self.lines.clear()

    def test_stranger(self) -> None:
        """
        A client that never logs in has an end, too.
        """
        node = self.start()
        client = MemoryClient(node, "v3")
        client.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(
            self.said()[-1],
            "CLIENT_DISCONNECTED | client (192.0.2.1, /deepstream-v3, #) after 0.0 s: the client hung up",
        )

    def test_failed_login(self) -> None:
        """
        A failed login has the user name as it was given, and never the password.
        """
        users = {"ann": User("secret-of-ann")}
        node = self.start(auth=(FileSettings(users=users),))
        for generation in GENERATIONS:
            client = MemoryClient(node, generation)
            client.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost"))
            for name in ("ann", "nobody\\nAUTH_SUCCESSFUL | ann"):
                data = b'{"username":"%s","password":"mistyped"}' % name.encode()
                client.say(Message(Topic.AUTH, AuthAction.REQUEST, data=data))
            lines = [line for line in self.said() if line.startswith("AUTH_UNSUCCESSFUL")]
            place = f"(192.0.2.1, {GENERATIONS[generation][0]}, #)"
            self.assertEqual(
                lines,
                [
                    f"AUTH_UNSUCCESSFUL | invalid authentication data from ann {place}",
                    f"AUTH_UNSUCCESSFUL | invalid authentication data from nobody?AUTH_SUCCESSFUL | ann {place}",
                ],
            )
            self.assertNotIn("mistyped", " ".join(self.said()))
            self.lines.clear()

    def test_denied(self) -> None:
        """
        With C{logDenied} a denied request of either generation is a line with the rule that decided, limited in number.
        """
        rules = {
            "record": {"*": {"create": True, "read": True, "write": "user.id === 'bob'", "delete": False}},
            "event": {"*": {"publish": "name !== 'news'"}},
            "rpc": {"*": {}},
            "presence": {"*": {}},
        }
        permission = PermissionSettings(permissions=rules, type="config", where="permission.options.permissions")
        node = self.start(permission=permission, logger=LoggerOptions(log_denied=True))
        for generation in GENERATIONS:
            client = MemoryClient(node, generation)
            client.log_in("ann")
            self.lines.clear()
            client.say(
                Message(Topic.EVENT, EventAction.EMIT, "news", b"1"),
                Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("a", "b"), correlation_id="1"),
                Message(Topic.RECORD, RecordAction.UPDATE, "r", b"{}", version=1),
                Message(Topic.RECORD, RecordAction.DELETE, "r"),
                Message(Topic.RPC, RpcAction.REQUEST, "add", b"1", correlation_id="3"),
            )
            self.reactor.pump([0] * 5)
            ann = f"ann (192.0.2.1, {GENERATIONS[generation][0]}, #)"
            self.assertEqual(
                [line.removeprefix(f"MESSAGE_DENIED | {ann}: ") for line in self.said()],
                [
                    "EVENT EMIT of news is denied by event[\"*\"].publish: name !== 'news'",
                    "EVENT SUBSCRIBE of a is denied by default: no subscribe rule of event matches",
                    "EVENT SUBSCRIBE of b is denied by default: no subscribe rule of event matches",
                    "RECORD UPDATE of r is denied by record[\"*\"].write: user.id === 'bob'",
                    'RECORD DELETE of r is denied by record["*"].delete: false',
                    "RPC REQUEST of add is denied by default: no request rule of rpc matches",
                ],
            )
