"""
A whole node and its plug-ins: they are ready before the first client, see logins, and stop before the stores.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.config.plugins import PluginSettings
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError
from dstwist.interfaces import IIdentity
from dstwist.node import Node
from dstwist.plugins import Plugin, PluginContext
from dstwist.store.memory import MemoryStore
from tests.nodes.client import GENERATIONS, MemoryClient

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
        self.kick: Any = None
        _made.append(self)

    def start(self, api: Any) -> Deferred[None]:
        self.calls.append("start")
        return self.starting

    def stop(self) -> None:
        self.calls.append("stop")

    def logged_in(self, identity: IIdentity) -> None:
        self.calls.append(("in", identity.user, identity.address))
        if identity.user == "mallory":
            self.kick("mallory", "not wanted")

    def logged_out(self, identity: IIdentity) -> None:
        self.calls.append(("out", identity.user))


class NotedStore(MemoryStore):
    """
    A storage that notes its stop with the calls of the plug-in.
    """

    def stop(self) -> Deferred[None]:
        _made[0].calls.append("stop storage")
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
        self.plugin.kick = self.node.kick
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
        self.assertEqual(self.plugin.calls, ["start", "stop", "stop storage"])

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
        The plug-in is told that all clients are gone, then it stops, then the stores.
        """
        self.plugin.starting.callback(None)
        client = self.log_in("ann")
        stopped = self.node.stopService()
        client.transport.loseConnection()
        self.successResultOf(stopped)
        self.assertEqual(
            self.plugin.calls, ["start", ("in", "ann", "192.0.2.1"), ("out", "ann"), "stop", "stop storage"]
        )
