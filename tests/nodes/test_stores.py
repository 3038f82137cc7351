"""
A whole node and its stores: clients are served when the stores are ready, and the stores stop last.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist import node as node_module
from dstwist.config.plugins import PluginSettings
from dstwist.config.settings import Settings
from dstwist.errors import StartError, StoreError
from dstwist.interfaces import IStoreStatus
from dstwist.node import Node
from dstwist.store.from_settings import Stores
from dstwist.store.memory import MemoryStore
from tests.logs import Lines
from tests.nodes.client import MemoryClient
from tests.store.test_loss import Elsewhere

#: The stores that the configuration names, by C{type}.
_stores: dict[str, Any] = {}


def take(options: Any, context: Any) -> Any:
    """
    The plug-in of these tests.
    """
    return _stores[options["which"]]


@implementer(IStoreStatus)
class SlowStore(MemoryStore):
    """
    A store that starts and stops when the test says so.
    """

    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__()
        self._name = name
        self._log = log
        self.starting: Deferred[None] = Deferred()
        self.stopping: Deferred[None] = succeed(None)
        self.trouble: str | None = None

    def contents(self) -> str:
        return "12 records"

    def problem(self) -> str | None:
        return self.trouble

    def start(self) -> Deferred[None]:
        self._log.append(f"start {self._name}")
        return self.starting

    def stop(self) -> Deferred[None]:
        self._log.append(f"stop {self._name}")
        return self.stopping


class BoundPort(Port):
    """
    A port like those of a real reactor, without its socket.
    """

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 6020)


class StoresTestCase(SynchronousTestCase):
    """
    A node with stores that obey.
    """

    def setUp(self) -> None:
        self.log: list[str] = []
        self.cache = SlowStore("cache", self.log)
        self.storage = SlowStore("storage", self.log)
        _stores.update(cache=self.cache, storage=self.storage)
        self.addCleanup(_stores.clear)
        self.reactor = MemoryReactorClock()
        self.settings = Settings(
            cache=PluginSettings("module", f"{__name__}:take", {"which": "cache"}, "cache.module"),
            storage=PluginSettings("module", f"{__name__}:take", {"which": "storage"}, "storage.module"),
        )
        self.node = Node(self.settings, [TCP4ServerEndpoint(self.reactor, 6020)], self.reactor)
        self.failures: list[str] = []

    def start(self) -> None:
        self.node.privilegedStartService()
        self.started = self.node.start()
        self.started.addErrback(lambda failure: self.failures.append(failure.getErrorMessage()))


class StartTests(StoresTestCase):
    """
    Starting.
    """

    def test_not_before(self) -> None:
        """
        Clients are let in when storage and cache are ready, one after the other, and not before.
        """
        self.start()
        self.assertEqual(self.log, ["start storage"])
        self.assertIsNone(self.node.factory.buildProtocol(None))
        self.storage.starting.callback(None)
        self.assertEqual(self.log, ["start storage", "start cache"])
        self.assertIsNone(self.node.factory.buildProtocol(None))
        self.cache.starting.callback(None)
        MemoryClient(self.node, "v4").log_in("ann")

    def test_real_port(self) -> None:
        """
        A port that is bound early, while the process may, is not read before the stores are ready: connections wait.
        """

        class Endpoint:
            def listen(self, factory: Any) -> Any:
                port.startReading()
                return succeed(port)

        port = BoundPort(0, Factory(), reactor=self.reactor)
        settings = Settings(storage=self.settings.storage)
        node = Node(settings, [Endpoint()], self.reactor)  # type: ignore[list-item]
        node.privilegedStartService()
        node.startService()
        self.assertNotIn(port, self.reactor.getReaders())
        self.storage.starting.callback(None)
        self.assertIn(port, self.reactor.getReaders())

    def test_failure_at_once(self) -> None:
        """
        A store that cannot start at all ends the start with its reason.
        """
        self.storage.starting.errback(StoreError("/srv/r.sqlite is damaged"))
        self.start()
        self.assertEqual(self.failures, ["storage: /srv/r.sqlite is damaged"])
        self.assertIsNone(self.node.factory.buildProtocol(None))

    def test_failure_later(self) -> None:
        """
        A store that fails while it starts stops the server, which knows that it failed; what was started is stopped.
        """
        self.start()
        self.storage.starting.callback(None)
        self.cache.starting.errback(StoreError("redis://x does not answer"))
        self.assertEqual(self.failures, ["cache: redis://x does not answer"])
        self.assertIsNone(self.node.factory.buildProtocol(None))
        self.successResultOf(self.node.stopService())
        self.assertEqual(self.log, ["start storage", "start cache", "stop storage"])

    def test_timeout(self) -> None:
        """
        A store that does not get ready within C{dependencyInitializationTimeout} stops the server too.
        """
        self.start()
        self.reactor.advance(1.99)
        self.assertEqual(self.failures, [])
        self.reactor.advance(0.02)
        reason = "storage wasn't initialised in time (dependencyInitializationTimeout, 2 s)"
        self.assertEqual(self.failures, [reason])
        self.successResultOf(self.node.stopService())
        self.assertEqual(self.log, ["start storage", "stop storage"])
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_contents(self) -> None:
        """
        The log says what a storage has found, if it knows.
        """
        lines = Lines(self)
        self.start()
        self.storage.starting.callback(None)
        (line,) = [line for line in lines.of("info") if "storage ready" in line]
        self.assertTrue(line.endswith(f"take: {self.storage.contents()}"), line)

    def test_ready(self) -> None:
        """
        While a store says that it cannot write, the server is not ready.
        """
        self.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        self.assertIsNone(self.node.not_ready())
        self.storage.trouble = "/srv/r.sqlite cannot grow: the disk is full"
        self.assertEqual(self.node.not_ready(), "the storage cannot write")
        self.storage.trouble = None
        self.cache.trouble = "away"
        self.assertEqual(self.node.not_ready(), "the cache cannot write")
        self.cache.trouble = None
        self.assertIsNone(self.node.not_ready())

    def test_lost(self) -> None:
        """
        With C{exitOnFatalError}, the program is told when a store in a server of its own is lost. Without it, the node
        waits.
        """
        for wanted, expected in ((True, ["the storage cannot be used for 2 s: away"]), (False, [])):
            storage = Elsewhere()
            stores = Stores(MemoryStore(), storage, "memory", "elsewhere")
            self.patch(node_module, "build_stores", lambda *arguments, stores=stores: stores)
            reactor = MemoryReactorClock()
            lines = Lines(self)
            node = Node(Settings(exit_on_fatal_error=wanted), [TCP4ServerEndpoint(reactor, 6020)], reactor)
            reasons: list[str] = []
            node.on_fatal_error(reasons.append)
            self.successResultOf(node.start())
            storage.trouble = "away"
            reactor.pump([0.5] * 10)
            self.assertEqual(reasons, expected)
            self.assertEqual(any("cannot be used" in line for line in lines.of("critical")), wanted)
            self.assertEqual(node.not_ready(), "the storage cannot write")
            self.successResultOf(node.stop())

    def test_mistake(self) -> None:
        """
        A store that breaks is logged with its traceback, and the server does not start.
        """
        self.start()
        self.storage.starting.errback(ZeroDivisionError("oops"))
        self.assertEqual(self.failures, ["storage: oops"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_port_taken(self) -> None:
        """
        If the port cannot be had, no store is started.
        """

        class Taken:
            def listen(self, factory: Any) -> Any:
                return fail(CannotListenError("127.0.0.1", 6020, OSError(98, "Address already in use")))

        node = Node(self.settings, [Taken()], self.reactor)  # type: ignore[list-item]
        self.assertRaises(StartError, node.bind)
        self.assertEqual(self.log, [])


class StopTests(StoresTestCase):
    """
    Stopping.
    """

    def ready(self) -> None:
        self.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)

    def test_last(self) -> None:
        """
        Stores stop when the last client has gone, the storage last of all; the server waits for that.
        """
        self.ready()
        client = MemoryClient(self.node, "v4")
        client.log_in("ann")
        self.storage.stopping = Deferred()
        stopped = self.node.stopService()
        self.reactor.advance(0)
        self.assertEqual(self.log[2:], [])
        client.transport.loseConnection()
        self.assertEqual(self.log[2:], ["stop cache", "stop storage"])
        self.assertNoResult(stopped)
        self.storage.stopping.callback(None)
        self.successResultOf(stopped)

    def test_failure(self) -> None:
        """
        A store that does not stop in order is logged, and keeps nothing else from stopping.
        """
        self.ready()
        self.cache.stopping = fail(StoreError("cannot let go"))
        self.successResultOf(self.node.stopService())
        self.assertEqual(self.log[2:], ["stop cache", "stop storage"])
        (logged,) = self.flushLoggedErrors(StoreError)
        self.assertIn("cannot let go", str(logged.value))

    def test_timeout(self) -> None:
        """
        A store that does not stop is given up after C{shutdownTimeout}.
        """
        self.ready()
        self.storage.stopping = Deferred()
        stopped = self.node.stopService()
        self.assertNoResult(stopped)
        self.reactor.advance(Settings().shutdown_timeout + 1)
        self.successResultOf(stopped)

    def test_while_starting(self) -> None:
        """
        A stop during the start waits for nothing, and no client is accepted.
        """
        self.start()
        self.storage.starting.callback(None)
        self.successResultOf(self.node.stopService())
        self.assertIsNone(self.node.factory.buildProtocol(None))
        self.assertEqual(self.log, ["start storage", "start cache", "stop cache", "stop storage"])
        self.reactor.advance(0)
        self.assertFalse(self.reactor.getDelayedCalls())


class DataDirectoryTests(SynchronousTestCase):
    """
    A node with a data directory.
    """

    def test_nothing_opened(self) -> None:
        """
        Building a node opens nothing: twistd forks afterwards.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        Node(Settings(), [], MemoryReactorClock(), directory)
        self.assertEqual(os.listdir(directory), [])
