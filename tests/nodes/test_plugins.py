"""
A whole node and its plug-ins: they are ready before the first client, see logins, and stop before the stores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.api import Api
from dstwist.config.limits import LimitSettings
from dstwist.config.plugins import PluginSettings
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError
from dstwist.interfaces import IIdentity
from dstwist.node import Node
from dstwist.plugins import Plugin, PluginContext
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.store.memory import MemoryStore
from tests.nodes.client import GENERATIONS, MemoryClient

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "audit.py"

#: The plug-in of the test that runs.
_made: list[Guard] = []


class Guard(Plugin):
    """
    Notes all calls, and kicks users that are not wanted.
    """

    def __init__(self, options: dict[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.calls: list[Any] = []
        self.starting: Deferred[None] = Deferred()
        _made.append(self)

    def start(self, api: Api) -> Deferred[None]:
        self.api = api
        self.calls.append("start")
        return self.starting

    async def stop(self) -> None:
        self.calls.append("stop")
        await self.api.records.set("guard", {"says": "good night"})
        self.calls.append("written")

    def logged_in(self, identity: IIdentity) -> None:
        self.calls.append(("in", identity.user, identity.address))
        if identity.user == "mallory":
            self.api.kick("mallory", "not wanted")

    def logged_out(self, identity: IIdentity) -> None:
        self.calls.append(("out", identity.user))


class NotedStore(MemoryStore):
    """
    A storage that notes with the calls of the plug-in that it stops, and what the plug-in has written.
    """

    def stop(self) -> Deferred[None]:
        found = self.known("guard")
        _made[0].calls.append(("stop storage", None if found is None else found.data))
        return super().stop()


def make_storage(options: Any, context: Any) -> NotedStore:
    """
    The storage of these tests.
    """
    return NotedStore()


class PluginTests(SynchronousTestCase):
    """
    A node with one plug-in.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.node = self.make(f"{__name__}:Guard")
        (self.plugin,) = _made
        self.addCleanup(_made.clear)
        self.node.privilegedStartService()
        self.started = self.node.start()

    def make(self, source: str) -> Node:
        settings = Settings(
            storage=PluginSettings("module", f"{__name__}:make_storage", {}, "storage.module"),
            plugins={"guard": PluginSettings("module", source, {}, "plugins.guard.module")},
        )
        return Node(settings, [TCP4ServerEndpoint(self.reactor, 6020)], self.reactor)

    def log_in(self, user: str, generation: str = "v4") -> MemoryClient:
        client = MemoryClient(self.node, generation)
        client.log_in(user)
        return client

    def test_mistake(self) -> None:
        """
        A plug-in that cannot be made is told before anything starts, with the path of its key.
        """
        error = self.assertRaises(ConfigError, self.make, f"{__name__}:Nothing")
        self.assertEqual(error.path, "plugins.guard.module")

    def test_not_before(self) -> None:
        """
        Clients are let in when the plug-in is ready.
        """
        self.assertEqual(self.plugin.calls, ["start"])
        self.assertIsNone(self.node.factory.buildProtocol(None))
        self.plugin.starting.callback(None)
        self.successResultOf(self.started)
        self.log_in("ann")

    def test_timeout(self) -> None:
        """
        A plug-in that takes too long to start ends the start, and is stopped.
        """
        self.assertEqual(self.node.longest_start, 4 * 2.0)
        self.reactor.advance(2)
        reason = "plug-in guard wasn't initialised in time (dependencyInitializationTimeout, 2 s)"
        self.assertEqual(self.failureResultOf(self.started).getErrorMessage(), reason)
        self.assertIsNone(self.node.factory.buildProtocol(None))
        self.successResultOf(self.node.stopService())
        self.assertEqual(self.plugin.calls, ["start", "stop", "written", ("stop storage", {"says": "good night"})])

    def test_logins(self) -> None:
        """
        The plug-in is told of each connection of a client that logs in, of either generation, with a name or without.
        It is not told of a client that leaves before its login.
        """
        self.plugin.starting.callback(None)
        for generation in GENERATIONS:
            del self.plugin.calls[:]
            MemoryClient(self.node, generation).transport.loseConnection()
            clients = [self.log_in(user, generation) for user in ("ann", "ann", "open")]
            for client in clients:
                client.transport.loseConnection()
            self.reactor.advance(0)
            users = ("ann", "ann", "open")
            self.assertEqual(
                self.plugin.calls,
                [("in", user, "192.0.2.1") for user in users] + [("out", user) for user in users],
            )

    def test_kick(self) -> None:
        """
        The plug-in may end the connection that it is told of.
        """
        self.plugin.starting.callback(None)
        client = self.log_in("mallory")
        # Clients that are closed soon after they have connected come back too often.
        self.reactor.advance(LimitSettings().close_delay)
        client.heard()
        self.assertEqual(client.closed, (1008, "not wanted"))
        self.assertEqual(self.plugin.calls[1:], [("in", "mallory", "192.0.2.1"), ("out", "mallory")])

    def test_stop(self) -> None:
        """
        The plug-in is told that all clients are gone, then it stops, then the stores. It can still write a record.
        """
        self.plugin.starting.callback(None)
        client = self.log_in("ann")
        stopped = self.node.stopService()
        client.transport.loseConnection()
        self.successResultOf(stopped)
        self.assertEqual(self.plugin.calls[-3:], ["stop", "written", ("stop storage", {"says": "good night"})])
        self.assertEqual(self.plugin.calls[:-3], ["start", ("in", "ann", "192.0.2.1"), ("out", "ann")])


class ExampleTests(SynchronousTestCase):
    """
    The example of the manual. L{tests.e2e.test_plugins} runs it in a real server.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.file = Path(self.mktemp())

    def make(self, **options: Any) -> Node:
        settings = Settings(
            plugins={"audit": PluginSettings("path", f"{EXAMPLE}:Audit", options, "plugins.audit.path")}
        )
        return Node(settings, [TCP4ServerEndpoint(self.reactor, 6020)], self.reactor)

    def test_audit(self) -> None:
        """
        Logins and logouts are in the file, the procedure tells who is online, and the port has the figures.
        """
        node = self.make(file=str(self.file))
        started = node.start()
        self.reactor.advance(0)
        self.successResultOf(started)
        ann, bob = MemoryClient(node, "v3"), MemoryClient(node, "v4")
        ann.log_in("ann")
        bob.log_in("bob")
        self.reactor.advance(0)
        ann.say(Message(Topic.RPC, RpcAction.REQUEST, "audit/online", b"{}", correlation_id="1"))
        self.reactor.advance(0)
        self.assertEqual(ann.heard()[-1].data, 'O{"ann":1,"bob":1}')
        bob.transport.loseConnection()
        self.reactor.advance(0)
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        self.assertEqual(
            [(line["event"], line["user"]) for line in lines], [("login", "ann"), ("login", "bob"), ("logout", "bob")]
        )
        self.assertEqual(self.page(), b"dstwist_logins_total 2\ndstwist_connections 1\n")
        stopped = node.stop()
        ann.transport.loseConnection()
        self.successResultOf(stopped)
        self.assertEqual(len(self.file.read_text().splitlines()), 4)

    def page(self) -> bytes:
        """
        The page that Prometheus gets.
        """
        ports = {port: factory for port, factory, *_ in self.reactor.tcpServers}
        transport = StringTransport()
        protocol: Any = ports[9420].buildProtocol(IPv4Address("TCP", "127.0.0.1", 50000))
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /metrics HTTP/1.0\r\n\r\n")
        page: bytes = transport.value().partition(b"\r\n\r\n")[2]
        return page

    def test_option_missing(self) -> None:
        """
        Without its option, the server does not start.
        """
        self.assertIn("plugins.audit.path: cannot load", str(self.assertRaises(ConfigError, self.make)))
