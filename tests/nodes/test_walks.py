"""
The walks of docs/architecture.rst: a whole node calls the functions that the page names, in the order of the page.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.permission import PermissionSettings
from dstwist.config.plugins import PluginSettings
from dstwist.config.settings import Settings
from dstwist.config.users import FileSettings, User
from dstwist.node import Node
from dstwist.protocol.constants import AuthAction, ConnectionAction, EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import Record
from dstwist.store.memory import MemoryStore
from dstwist.tap import Options, build_node
from tests.nodes.client import MemoryClient

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "architecture.rst"

ALL = {"create": True, "read": True, "write": True, "delete": True, "listen": True, "notify": True}
RULES: dict[str, Any] = {
    "record": {"*": ALL},
    "event": {"*": {"publish": True, "subscribe": True}},
    "rpc": {"*": {}},
    "presence": {"*": {}},
}


class SlowStore(MemoryStore):
    """
    A storage whose writes end when the test says so.
    """

    made: SlowStore

    def __init__(self, options: Any, context: Any) -> None:
        super().__init__()
        self.waiting: list[Deferred[None]] = []
        SlowStore.made = self

    def write(self, name: str, record: Record) -> Deferred[None]:
        super().write(name, record)
        self.waiting.append(Deferred())
        return self.waiting[-1]


def walk(title: str) -> list[str]:
    """
    The functions that the walk names, in its order, each once.
    """
    text = PAGE.read_text(encoding="utf-8")
    start = text.index(f"\n{title}\n{'-' * len(title)}\n")
    steps = re.split(r"\n[A-Z]", text[text.index("\n1. ", start) :])[0]
    names = re.findall(r"``(dstwist(?:\.[A-Za-z_]\w*)+)``", steps)
    return [name for name in dict.fromkeys(names) if inspect.isfunction(pkgutil.resolve_name(name))]


def first_calls(names: list[str], act: Callable[[], object]) -> list[str]:
    """
    Those of the functions that C{act} calls, in the order of their first calls.
    """
    wanted = {pkgutil.resolve_name(name).__code__: name for name in names}
    called: dict[str, None] = {}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        code: CodeType = frame.f_code
        if event == "call" and code in wanted:
            called.setdefault(wanted[code])

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(before)
    return list(called)


class WalkTests(SynchronousTestCase):
    """
    Each walk, with one request.
    """

    def node(self, **settings: Any) -> Node:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        permission = PermissionSettings(permissions=RULES, type="config", where="permission.options.permissions")
        node = Node(Settings(permission=permission, **settings), [endpoint], self.reactor)
        node.privilegedStartService()
        node.startService()
        return node

    def stop(self, node: Node, reactor: MemoryReactorClock) -> None:
        """
        Stop a node with limits of the log, which are those of the whole process.
        """
        stopped = node.stopService()
        reactor.pump([1] * 60)
        self.successResultOf(stopped)

    def client(self, node: Node, user: str) -> MemoryClient:
        client = MemoryClient(node, "v4")
        client.log_in(user)
        return client

    def check(self, title: str, act: Callable[[], object], besides: set[str]) -> None:
        """
        @param besides: the functions of the walk that this request does not need, without their modules.
        """
        names = walk(title)
        left_out = {name for name in names if any(name.endswith(f".{other}") for other in besides)}
        self.assertEqual(len(left_out), len(besides))
        self.assertEqual(first_calls(names, act), [name for name in names if name not in left_out])

    def test_event(self) -> None:
        """
        An event of a v4+ client for another one.
        """
        node = self.node()
        ann, bob = self.client(node, "ann"), self.client(node, "bob")
        bob.subscribe("news")
        self.reactor.advance(0)
        bob.heard()
        payload = ann.codec.encode(Message(Topic.EVENT, EventAction.EMIT, "news", b"1"))

        def act() -> None:
            ann.send(payload)
            self.reactor.advance(0)

        self.check(
            "An event, from bytes to bytes",
            act,
            {
                "WebSocketLink.onMessage",
                "TextCodec.decode",
                "Connection._handle",
                "WorkQueue.serve",
                "Connection.do",
                "TextCodec.encode",
                "TcpOutbox._send",
                "Outbox._check",
            },
        )
        self.assertEqual([(message.action, message.name) for message in bob.heard()], [(EventAction.EMIT, "news")])

    def test_write(self) -> None:
        """
        An acknowledged PATCH of a record that only the storage has.
        """
        storage = PluginSettings("module", f"{__name__}:SlowStore", {}, "storage")
        node = self.node(storage=storage)
        SlowStore.made.set("lamp", 1, {"color": "red"})
        ann = self.client(node, "ann")

        def act() -> None:
            ann.say(
                Message(
                    Topic.RECORD,
                    RecordAction.PATCH,
                    "lamp",
                    b'"green"',
                    path="color",
                    version=2,
                    is_write_ack=True,
                    correlation_id="1",
                )
            )
            SlowStore.made.waiting.pop().callback(None)
            self.reactor.advance(0)

        self.check(
            "A record write with an acknowledgement",
            act,
            {
                "RecordQueue.submit",
                "WritePermission.check_effect",
                "SqliteStore.submit",
                "SqliteFile.write",
                "SqliteStore._done",
            },
        )
        self.assertEqual([message.action for message in ann.heard()], [RecordAction.WRITE_ACKNOWLEDGEMENT])

    def test_login(self) -> None:
        """
        A user of users.yml, whose password is in clear.
        """
        auth = FileSettings(users={"ann": User("secret")})
        node = self.node(auth=(auth,))

        def act() -> None:
            ann = MemoryClient(node, "v4")
            ann.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost"))
            ann.say(Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"ann","password":"secret"}'))
            self.assertEqual(ann.heard()[-1].action, AuthAction.AUTH_SUCCESSFUL)

        self.check("A login", act, {"HashPool.run", "ClientHandshake._refuse"})

    def test_listening(self) -> None:
        """
        A listener that accepts, until the subscriber leaves.
        """
        node = self.node()
        ann, bob = self.client(node, "ann"), self.client(node, "bob")

        def act() -> None:
            ann.say(Message(Topic.RECORD, RecordAction.LISTEN, "^price/"))
            bob.say(
                Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("price/oil",), correlation_id="1")
            )
            ann.say(Message(Topic.RECORD, RecordAction.LISTEN_ACCEPT, "^price/", subscription="price/oil"))
            bob.say(Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, names=("price/oil",), correlation_id="2"))
            self.reactor.advance(0)

        self.check("A match for a listener", act, {"Rematch.failed"})
        self.assertIn(RecordAction.SUBSCRIPTION_FOR_PATTERN_REMOVED, [message.action for message in ann.heard()])

    def test_option(self) -> None:
        """
        A client that is silent for two intervals, which a file sets.
        """
        path = self.mktemp()
        Path(path).write_text(
            "connectionEndpoints: [{type: ws-binary, options: {urlPath: /deepstream, heartbeatInterval: 10000}}]"
        )
        options = Options()
        options.parseOptions(["--config", path, "--listen", "tcp:6020:interface=127.0.0.1"])
        reactor = MemoryReactorClock()

        def act() -> None:
            node = build_node(options, reactor, {})
            self.addCleanup(self.stop, node, reactor)
            node.privilegedStartService()
            node.startService()
            client = MemoryClient(node, "v4")
            for _ in range(31):
                reactor.advance(1)
            client.heard()
            self.assertEqual(client.closed, (1008, "heartbeat missing"))

        self.check("An option, from the file to its use", act, {"tap.makeService", "fields.milliseconds"})
