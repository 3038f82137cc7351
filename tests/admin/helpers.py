"""
A node in memory, and an operator at its administration.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.connections.login import LoginDecision, Outcome
from dstwist.interfaces import HandshakeData, Login
from dstwist.node import Node
from tests.http_api.stage import Program
from tests.logs import Lines
from tests.nodes.client import MemoryClient
from tests.transports.helpers import PushTransport
from tests.transports.http_helpers import Answer

#: No file is made there: the reactor is in memory.
SOCKET = "/run/dstwist-test/admin.sock"


class Reply(NamedTuple):
    """
    An answer, read.
    """

    status: int
    value: Any


class Operator:
    """
    A program at one of the ports of an administration.
    """

    def __init__(self, factory: Any) -> None:
        self.transport = PushTransport()
        self.connection = factory.buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def send(self, method: str, target: str, body: bytes = b"", *headers: str) -> None:
        """
        Send a request.
        """
        head = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}", "", ""]
        self.connection.dataReceived("\r\n".join(head).encode() + body)

    def reply(self) -> Reply | None:
        """
        The answer that has come; C{None} if there is none yet.
        """
        data = self.transport.take()
        if not data:
            return None
        answer = Answer(data)
        text = answer.body.decode()
        is_json = answer.headers["content-type"].startswith("application/json")
        return Reply(answer.status, json.loads(text) if is_json else text)

    def leave(self) -> None:
        """
        Go.
        """
        self.connection.connectionLost(Failure(ConnectionDone()))


class Listener(Operator):
    """
    A program that reads an answer without an end.
    """

    def __init__(self, factory: Any, target: str) -> None:
        super().__init__(factory)
        self._data = b""
        self.status = 0
        self.send("GET", target)

    def rows(self) -> list[Any]:
        """
        The rows that have come since the last call.
        """
        self._data += self.transport.take()
        if not self.status:
            head, _, self._data = self._data.partition(b"\r\n\r\n")
            self.status = int(head.split(b" ")[1])
        text = b""
        while b"\r\n" in self._data:
            size, _, rest = self._data.partition(b"\r\n")
            length = int(size, 16)
            text, self._data = text + rest[:length], rest[length + 2 :]
        return [json.loads(line) for line in text.splitlines()]


class AdminTestCase(SynchronousTestCase):
    """
    A node with an administration.
    """

    def setUp(self) -> None:
        self.reactor: Any = self.make_reactor()
        self.lines = Lines(self)
        self.nodes: list[Node] = []

    def make_reactor(self) -> Any:
        return MemoryReactorClock()

    def tearDown(self) -> None:
        stops = [node.stop() for node in self.nodes]
        self.reactor.advance(0)
        self.reactor.advance(60)
        for stopped in stops:
            self.successResultOf(stopped)

    def started(self, **config: Any) -> Node:
        """
        A node that runs.
        """
        config.setdefault("admin", {"socket": SOCKET})
        node = Node.from_config(config, reactor=self.reactor, listen=["tcp:6020"])
        self.nodes.append(node)
        self.successResultOf(node.start())
        return node

    def client(self, node: Node, user: str = "ann", generation: str = "v4") -> MemoryClient:
        client = MemoryClient(node, generation)
        client.log_in(user)
        return client

    def stream(self, node: Node, name: str = "news", user: str = "ann") -> Program:
        """
        A program that reads the stream of an event.
        """

        def login(client: HandshakeData, credentials: bytes) -> Deferred[LoginDecision]:
            return succeed(LoginDecision(Outcome.ACCEPTED, Login(True, user), user))

        patch = self.patch(node.request_logins, "login", login)
        program = Program(node.factory, "192.0.2.1")
        program.send(f"/api/events/{name}", method="GET")
        self.reactor.pump([0] * 3)
        patch.restore()
        return program

    def begin(self, target: str, method: str = "GET", body: bytes = b"") -> Operator:
        """
        Send a request to the node that was started last.
        """
        operator = Operator(self.reactor.unixServers[-1][1])
        operator.send(method, target, body)
        return operator

    def get(self, command: str, **values: Any) -> Reply:
        """
        The answer to a command that changes nothing.
        """
        query = f"?{urlencode(values)}" if values else ""
        return self._done(self.begin(f"/{command}{query}"))

    def post(self, command: str, **values: Any) -> Reply:
        """
        The answer to a command that changes the server.
        """
        return self._done(self.begin(f"/{command}", "POST", json.dumps(values).encode()))

    def _done(self, operator: Operator) -> Reply:
        reply = operator.reply()
        if reply is None:
            # Work in time slices may need a turn more.
            self.reactor.advance(0)
            reply = operator.reply()
        assert reply is not None, "no answer"
        return reply
