"""
Nodes as objects of another program: several in one process, on one reactor.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.assembly import requests as requests_module
from dstwist.errors import ConfigError, StartError, StoppedError, StoreError
from dstwist.log import Logger
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.clocks import steady_seconds
from tests.logs import Lines
from tests.nodes.client import MemoryClient
from tests.nodes.test_stores import SlowStore, _stores

#: The storage of a node that a test starts and stops step by step.
SLOW_STORAGE = {"storage": {"module": "tests.nodes.test_stores:take", "options": {"which": "storage"}}}

#: No client may publish events.
NO_EVENTS = {
    "type": "config",
    "options": {
        "permissions": {
            "record": {"*": {"read": True}},
            "rpc": {"*": {"request": True}},
            "presence": {"*": {"allow": True}},
            "event": {"*": {"publish": False, "subscribe": True}},
        }
    },
}


@implementer(IStreamServerEndpoint)
class Taken:
    """
    An endpoint whose port another program has.
    """

    def listen(self, factory: Any) -> Deferred[Any]:
        return fail(CannotListenError("127.0.0.1", 6020, OSError(98, "Address already in use")))


class EmbeddingTestCase(SynchronousTestCase):
    """
    A program with a reactor in memory.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.lines = Lines(self)
        self.nodes: list[Node] = []

    def tearDown(self) -> None:
        stops = [node.stop() for node in self.nodes]
        self.reactor.advance(60)
        for stopped in stops:
            self.successResultOf(stopped)

    def node(self, config: Any = None, listen: Any = "tcp:6020", **options: Any) -> Node:
        node = Node.from_config(config, reactor=self.reactor, listen=[listen], **options)
        self.nodes.append(node)
        return node

    def started(self, config: Any = None, listen: Any = "tcp:6020", **options: Any) -> Node:
        node = self.node(config, listen, **options)
        self.successResultOf(node.start())
        return node

    def client(self, node: Node, user: str = "ann") -> MemoryClient:
        client = MemoryClient(node, "v4")
        client.log_in(user)
        return client

    def slow_storage(self) -> SlowStore:
        _stores["storage"] = storage = SlowStore("storage", [])
        self.addCleanup(_stores.clear)
        return storage

    def assert_nothing_left(self) -> None:
        """
        After this turn the reactor has no timers, and no ports of its own that are read.
        """
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])


class TwoNodesTests(EmbeddingTestCase):
    """
    Two nodes in one process.
    """

    def deliveries(self, *nodes: Node) -> list[list[Any]]:
        """
        The events that a subscriber of each node gets when a client of each node emits one.
        """
        subscribers = [self.client(node) for node in nodes]
        for client in subscribers:
            client.subscribe("news")
        self.reactor.advance(0)
        for client in subscribers:
            client.heard()
        for number, node in enumerate(nodes):
            self.client(node).emit("news", b"%d" % number)
        self.reactor.advance(0)
        return [
            [message.data for message in client.heard() if message.action is EventAction.EMIT] for client in subscribers
        ]

    def test_apart(self) -> None:
        """
        Each node has its own clients and rules.
        """
        first, second, third = self.started(), self.started(), self.started({"permission": NO_EVENTS})
        self.assertEqual(self.deliveries(first, second, third), [[b"0"], [b"1"], []])

    def test_users(self) -> None:
        """
        Each node has its own users: a user of one node cannot log in to another one, and a kick is for one node.
        """
        users = {"type": "file", "options": {"users": {"ann": {"password": "x"}}}}
        closed = self.started({"auth": [users]})
        first, second = self.started(), self.started()
        clients = [self.client(node) for node in (first, second)]
        self.assertEqual(first.kick("ann", "out"), 1)
        # The close of a new connection is delayed.
        self.reactor.advance(5)
        for client in clients:
            client.heard()
        self.assertEqual([client.closed for client in clients], [(1008, "out"), None])
        self.assertRaises(AssertionError, self.client, closed)

    def test_stop_one(self) -> None:
        """
        When one node stops, the other one goes on, and its clients notice nothing.
        """
        first, second = self.started(), self.started()
        left, stays = self.client(first), self.client(second)
        stopped = first.stop()
        self.reactor.advance(0)
        left.transport.loseConnection()
        self.successResultOf(stopped)
        self.assertEqual(self.deliveries(second), [[b"0"]])
        stays.heard()
        self.assertIsNone(stays.closed)

    def test_failure(self) -> None:
        """
        When one node cannot start, the other one goes on, and the failed one leaves nothing behind.
        """
        good = self.started()
        timers = len(self.reactor.getDelayedCalls())
        bad = self.node(listen=Taken())
        error = self.failureResultOf(bad.start(), StartError)
        self.assertIn("6020", error.getErrorMessage())
        self.assertNotIn("--", error.getErrorMessage())
        self.assertFalse(bad.running)
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.getDelayedCalls()), timers)
        self.assertEqual(self.deliveries(good), [[b"0"]])

    def test_lines(self) -> None:
        """
        With a label, each line says which node it is about.
        """
        path = Path(self.mktemp())
        path.write_text("auth: {type: none}\n")
        for label in ("left", "right"):
            self.lines.clear()
            node = self.started(path, label=label)
            self.client(node)
            node.kick("ann", "out")
            self.assertTrue(node.reload())
            self.assertIn("RELOAD | ", self.lines.last("info"))
            self.reactor.advance(0)
            stopped = node.stop()
            self.reactor.advance(20)
            self.successResultOf(stopped)
            lines = self.lines.of("info") + self.lines.of("warn")
            self.assertIn(f"AUTH_SUCCESSFUL | ann (192.0.2.1, /deepstream, #{self.number()}) [{label}]", lines)
            self.assertEqual([line for line in lines if not line.endswith(f" [{label}]")], [])

    def test_lines_of_program(self) -> None:
        """
        So do the lines about requests of the program itself.
        """
        node = self.started({"permission": NO_EVENTS, "logger": {"options": {"logDenied": True}}}, label="left")
        node.api.as_user("ann").events.emit("news", 1).addErrback(lambda failure: None)
        self.reactor.advance(0)
        line = self.lines.last("info")
        self.assertTrue(line.startswith("MESSAGE_DENIED | ann (api): EVENT EMIT of news is denied by"), line)
        self.assertTrue(line.endswith(" [left]"), line)

    def number(self) -> str:
        (line,) = [line for line in self.lines.of("info") if line.startswith("AUTH_SUCCESSFUL")]
        return line.partition("#")[2].partition(")")[0]

    def test_line_limits(self) -> None:
        """
        The lines of each node are limited on their own: a flood at one node does not hide the lines of the other one.
        """
        limits = {"limits": {"maxLogLinesPerClient": 1}}
        nodes = [self.started(limits, label=label) for label in ("left", "right")]
        for node in (nodes[0], nodes[0], nodes[0], nodes[1]):
            self.client(node)
        lines = [line[-7:] for line in self.lines.of("info") if line.startswith("AUTH_SUCCESSFUL")]
        self.assertEqual(lines, [" [left]", "[right]"])
        self.lines.clear()
        for node in nodes:
            stopped = node.stop()
            self.reactor.advance(20)
            self.successResultOf(stopped)
        (count,) = [line for line in self.lines.of("info") if line.startswith("AUTH_SUCCESSFUL")]
        self.assertTrue(count.endswith("2 more like this from 192.0.2.1 in the last 20 s [left]"), count)


class LifeTests(EmbeddingTestCase):
    """
    Start and stop by Deferreds.
    """

    def test_again(self) -> None:
        """
        After a stop nothing is left, and another node of the same configuration can start. The stopped one cannot.
        """
        for _ in range(2):
            node = self.started()
            client = self.client(node)
            stopped = node.stop()
            self.reactor.advance(0)
            client.transport.loseConnection()
            self.successResultOf(stopped)
            self.successResultOf(node.stop())
            self.assert_nothing_left()
            self.failureResultOf(node.start(), StoppedError)

    def test_stop_before_start(self) -> None:
        """
        A node that never started can be stopped, also if its ports are bound. It cannot start after that.
        """
        for bind in (False, True):
            node = self.node()
            if bind:
                node.bind()
            self.successResultOf(node.stop())
            self.failureResultOf(node.start(), StoppedError)
            self.assertEqual(node.hosts, [])
            self.assert_nothing_left()

    def test_stop_while_starting(self) -> None:
        """
        A stop during the start ends the start with an error of ours.
        """
        self.slow_storage()
        node = self.node(SLOW_STORAGE)
        started = node.start()
        self.assertNoResult(started)
        self.successResultOf(node.stop())
        self.failureResultOf(started, StoppedError)
        self.assert_nothing_left()

    def test_cancel(self) -> None:
        """
        To cancel the start stops the node.
        """
        storage = self.slow_storage()
        storage.stopping = Deferred()
        node = self.node(SLOW_STORAGE)
        started = node.start()
        started.cancel()
        self.assertNoResult(started)
        storage.stopping.callback(None)
        self.failureResultOf(started, CancelledError)
        self.assertFalse(node.running)
        self.assert_nothing_left()

    def test_store(self) -> None:
        """
        If a store cannot be opened, the start fails with its reason, and the port is closed.
        """
        storage = self.slow_storage()
        node = self.node(SLOW_STORAGE)
        started = node.start()
        self.assertEqual(len(node.hosts), 1)
        storage.starting.errback(StoreError("r.sqlite is damaged"))
        failure = self.failureResultOf(started, StartError)
        self.assertEqual(failure.getErrorMessage(), "storage: r.sqlite is damaged")
        self.assertEqual(node.hosts, [])
        self.assert_nothing_left()

    def test_block(self) -> None:
        """
        A node can be the context of an asynchronous block: it runs as long as the block.
        """
        leave: Deferred[None] = Deferred()
        nodes: list[Node] = []

        async def program() -> None:
            async with self.node() as node:
                nodes.append(node)
                await leave

        ended = Deferred.fromCoroutine(program())
        self.client(nodes[0]).transport.loseConnection()
        leave.callback(None)
        self.successResultOf(ended)
        self.assert_nothing_left()


class ClockTests(EmbeddingTestCase):
    """
    The reactor of a program goes by the time of day, as Twisted makes it.
    """

    def test_steady(self) -> None:
        """
        The part of a node in a cluster gets a clock that is not set with the time of day.
        """
        clocks: list[Any] = []
        self.patch(requests_module, "build_cluster", lambda settings, arbiter, reactor, clock: clocks.append(clock))
        self.node()
        self.assertIs(clocks[0], self.reactor)
        self.reactor.seconds = time.time  # type: ignore[method-assign]
        self.node()
        self.assertIs(clocks[1].seconds, steady_seconds)


class ServiceTests(EmbeddingTestCase):
    """
    A node as a service among the services of a program.
    """

    def program(self, *nodes: Node) -> tuple[MultiService, Service]:
        program, other = MultiService(), Service()
        for service in (*nodes, other):
            service.setServiceParent(program)
        return program, other

    def test_started(self) -> None:
        """
        A node starts and stops with the services around it.
        """
        node = self.node()
        program, _ = self.program(node)
        program.privilegedStartService()
        program.startService()
        self.client(node).transport.loseConnection()
        self.successResultOf(node.start())
        self.successResultOf(program.stopService())
        self.assert_nothing_left()

    def test_failed(self) -> None:
        """
        A node whose port is taken does not prevent the start of the other services, which may ask it for the reason.
        """
        bad, good = self.node(listen=Taken()), self.node()
        program, other = self.program(bad, good)
        program.privilegedStartService()
        program.startService()
        self.assertEqual((bad.running, other.running), (0, 1))
        self.client(good).transport.loseConnection()
        self.failureResultOf(bad.start(), StartError)
        self.assertIn("6020", self.lines.last("critical"))
        self.successResultOf(program.stopService())
        self.assert_nothing_left()

    def test_added_later(self) -> None:
        """
        A node that is added to a program that runs starts at once, and stops when it is taken out.
        """
        program, _ = self.program()
        program.startService()
        node = self.node()
        node.setServiceParent(program)
        self.client(node).transport.loseConnection()
        self.successResultOf(node.disownServiceParent())
        self.assert_nothing_left()


class ConfigTests(EmbeddingTestCase):
    """
    L{Node.from_config}.
    """

    def test_mapping(self) -> None:
        """
        A configuration can be a mapping, with variables as in a file.
        """
        config = {"serverName": "${NAME}", "httpServer": {"options": {"port": 7000, "host": "127.0.0.1"}}}
        node = Node.from_config(config, reactor=self.reactor, environ={"NAME": "chat"})
        node.bind()
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface, node.settings.server_name), (7000, "127.0.0.1", "chat"))

    def test_file(self) -> None:
        """
        A configuration can be a file, which a reload reads again.
        """
        path = Path(self.mktemp())
        path.write_text("serverName: one\nlimits: {maxNameLength: 10}\n")
        node = self.started(path)
        self.assertEqual(node.settings.server_name, "one")
        path.write_text("limits: {maxNameLength: 20}\n")
        self.assertTrue(node.reload())
        self.assertIn("takes a restart: limits", self.lines.last("warn"))

    def test_listen(self) -> None:
        """
        Endpoints are descriptions or objects. An invalid description is refused, with its name as an argument.
        """
        for listen, ports in (("tcp:7000", [7000]), (["tcp:7001", "tcp:7002:interface=127.0.0.1"], [7001, 7002])):
            self.reactor.tcpServers.clear()
            node = Node.from_config(reactor=self.reactor, listen=listen)
            node.bind()
            self.assertEqual([server[0] for server in self.reactor.tcpServers], ports)
        error = self.assertRaises(ConfigError, self.node, listen="nonsense:1")
        self.assertTrue(str(error).startswith("listen nonsense:1: "), str(error))

    def test_errors(self) -> None:
        """
        An error has the path of the key. Nothing of it is about a command line.
        """
        for config, path in (
            ({"httpServer": {"options": {"port": "many"}}}, "httpServer.options.port"),
            ({"storage": {"type": "sqlite"}}, "storage.options.path"),
            (
                {"permission": {"type": "config", "options": {"permissions": {"event": {"*": {"publish": "1 +"}}}}}},
                'permission.options.permissions.event["*"].publish',
            ),
            ({"auth": [{"type": "jwt"}]}, "auth[0].options"),
        ):
            error = self.assertRaises(ConfigError, self.node, config)
            self.assertIn(path, str(error))
            self.assertNotIn("--", str(error))
        both = self.assertRaises(ConfigError, self.node, {"rcp": {}, "lisen": {}})
        self.assertTrue(str(both).startswith("2 problems in the configuration:\n"), str(both))

    def test_data_dir(self) -> None:
        """
        The directory for data is created. If it cannot be created, the error says so.
        """
        directory = Path(self.mktemp()) / "data"
        node = self.node(data_dir=directory)
        self.assertTrue(directory.is_dir())
        self.assertIn("sqlite", node._stores.storage_description)
        error = self.assertRaises(ConfigError, self.node, data_dir="/dev/null/data")
        self.assertEqual(str(error), "data_dir: cannot create /dev/null/data: Not a directory")

    def test_process(self) -> None:
        """
        A node changes nothing of the process: no level of the log, no path, no signal. The log says which options have
        no effect.
        """
        config = {"logLevel": "ERROR", "logger": {"type": "json", "options": {"maxFiles": 3}}}
        before = (Logger.writes(LogLevel.info), sys.path[:], signal.getsignal(signal.SIGTERM))
        self.started(config)
        self.assertEqual(before, (Logger.writes(LogLevel.info), sys.path, signal.getsignal(signal.SIGTERM)))
        self.assertTrue(before[0])
        reason = "has no effect: the program that the node is part of decides about the log"
        self.assertEqual(
            [line for line in self.lines.of("warn") if reason in line],
            [f"CONFIG | logLevel {reason}", f"CONFIG | logger.options {reason}", f"CONFIG | logger.type json {reason}"],
        )

    def test_no_configuration(self) -> None:
        """
        Without a configuration the node has the defaults, and serves all clients.
        """
        node = self.started()
        client = self.client(node)
        client.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1"))
        self.reactor.advance(0)
        self.assertTrue(client.heard()[0].is_ack)
