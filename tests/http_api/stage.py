"""
A node in memory, programs that ask its HTTP API, and a client with a WebSocket beside them.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.permission import PermissionSettings
from dstwist.config.settings import Settings
from dstwist.config.users import FileSettings, User
from dstwist.node import Node
from tests.nodes.client import Client, connect
from tests.transports.helpers import PushTransport
from tests.transports.http_helpers import Answer

END = b"\r\n\r\n"

#: Two items; some test has a provider of the procedure.
EVENT = {"topic": "event", "action": "emit", "eventName": "e"}
CALL = {"topic": "rpc", "action": "make", "rpcName": "slow"}


def body(*items: Any, **more: Any) -> bytes:
    """
    The body of a request with C{items}, and with more properties.
    """
    return json.dumps({**more, "body": items}).encode()


class Program:
    """
    One HTTP connection to a node.
    """

    def __init__(self, factory: Any, address: str = "192.0.2.9") -> None:
        self.transport = PushTransport(peerAddress=IPv4Address("TCP", address, 50000))
        self.connection = factory.buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def send(
        self, target: str = "/api", body: bytes | None = None, method: str = "POST", headers: tuple[str, ...] = ()
    ) -> None:
        """
        Send a request.

        @param headers: in the place of the type of JSON.
        """
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *(headers or ("Content-Type: application/json",))]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.connection.dataReceived("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def answers(self) -> list[Answer]:
        """
        The answers that have come.
        """
        found = []
        data = self.transport.take()
        while data:
            found.append(Answer(data))
            data = found[-1].rest
        return found

    def go(self) -> None:
        """
        Close the connection.
        """
        self.connection.connectionLost()


class TickingReactor(MemoryReactorClock):
    """
    A reactor whose time passes whenever it is looked at.

    @ivar tick: by how many seconds.
    """

    tick = 0.0

    def seconds(self) -> float:
        self.rightNow += self.tick
        return super().seconds()


class HttpApiTestCase(SynchronousTestCase):
    """
    A node with the HTTP API, which has started.
    """

    #: The options of the endpoint.
    options: dict[str, Any] = {}

    def setUp(self) -> None:
        self.node = self.start()
        self.program = Program(self.node.factory)

    def make_settings(self) -> Settings:
        """
        The settings of the node.
        """
        return Settings(endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint(**self.options)))

    def start(self, settings: Settings | None = None) -> Node:
        """
        Start a node.
        """
        self.reactor: Any = TickingReactor()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        node = Node(settings or self.make_settings(), [endpoint], self.reactor)
        node.privilegedStartService()
        node.startService()
        self.addCleanup(self.stop, node)
        return node

    def stop(self, node: Node) -> None:
        """
        Stop C{node} for good.
        """
        node.stopService()
        self.reactor.pump([1.0] * 60)

    def turn(self, seconds: float = 0) -> None:
        """
        Let the reactor turn.
        """
        self.reactor.advance(seconds)
        for _ in range(3):
            self.reactor.advance(0)

    def ask(
        self,
        target: str = "/api",
        body: bytes | None = None,
        method: str = "POST",
        headers: tuple[str, ...] = (),
        program: Program | None = None,
    ) -> Answer:
        """
        The answer to a request.
        """
        program = program or self.program
        program.send(target, body, method, headers)
        self.turn()
        (answer,) = program.answers()
        return answer

    def post(self, value: Any, target: str = "/api") -> tuple[int, Any]:
        """
        Status and JSON value, or text, of the answer to a POST.
        """
        answer = self.ask(target, json.dumps(value).encode())
        assert answer.body.endswith(END), answer.body
        text = answer.body.removesuffix(END)
        is_json = answer.headers["content-type"].startswith("application/json")
        return answer.status, json.loads(text) if is_json else text.decode()

    def items(self, *items: dict[str, Any]) -> list[Any]:
        """
        The results of C{items}.
        """
        status, answer = self.post({"body": items})
        self.assertEqual(status, 200, answer)
        results: list[Any] = answer["body"]
        return results

    def client(self, user: str = "bob") -> Client:
        """
        A client with a WebSocket, which has logged in.
        """
        client = connect(self.node, "v4")
        self.turn()
        client.log_in(user)
        self.turn()
        client.heard()
        return client


def rules(permissions: dict[str, Any]) -> PermissionSettings:
    """
    Valve rules; requests that they do not name are permitted.
    """
    everything = {
        "record": {"*": {"create": True, "write": True, "read": True, "delete": True, "listen": True, "notify": True}},
        "event": {"*": {"publish": True, "subscribe": True, "listen": True}},
        "rpc": {"*": {"provide": True, "request": True}},
        "presence": {"*": {"allow": True}},
    }
    for topic, given in permissions.items():
        everything[topic].update(given)
    return PermissionSettings(permissions=everything, type="config", where="permission.options.permissions")


def users() -> FileSettings:
    """
    The user C{userA}, and her password C{password}.
    """
    return FileSettings(users={"userA": User("password", {"favouriteColor": "red"}, {"role": "admin"})}, hash=None)
