"""
A whole node: rules, stores and subscribers of both generations see one value.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.permission import PermissionSettings
from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import value_of
from tests.nodes.client import KINDS, Client, connect

#: What is sent, by generation; what a rule takes it for; and the value for everyone, beyond it.
VALUES: list[tuple[str, str | bytes, str, Any]] = [
    ("v3", "NNaN", "null", None),
    ("v3", "NInfinity", "null", None),
    ("v3", "N-Infinity", "null", None),
    ("v3", "N1e400", "null", None),
    ("v3", "N" + "9" * 400, "null", None),
    ("v3", "Nx", "null", None),
    ("v3", "N1e-400", "0", 0),
    ("v3", "N9007199254740993", "9007199254740992", 9007199254740992),
    ("v3", 'O[1e-400,{"a":1,"a":2}]', "data.v", [0, {"a": 2}]),
    ("v4", b"null", "null", None),
    ("v4", b"1e-400", "0", 0),
    ("v4", b"-0", "0", 0),
    ("v4", b"9007199254740993", "9007199254740992", 9007199254740992),
    ("v4", b"18446744073709551616", "18446744073709551616", 18446744073709551616.0),
    ("v4", b'[{"a":1,"a":2}]', "data.v", [{"a": 2}]),
    ("v4", b'["\\ud800"]', "data.v", ["\ud800"]),
]

#: What no client gets to send, by generation.
REFUSED: list[tuple[str, str | bytes]] = [
    ("v3", "O[1e400]"),
    ("v3", 'O{"a":{"b":-1e400}}'),
    ("v4", b"1e400"),
    ("v4", b'{"a":[-1e400]}'),
    ("v4", b"9" * 400),
]


def in_javascript(value: Any) -> Any:
    """
    C{value} with numbers as doubles, as in rules and in clients.
    """
    return float(value) if isinstance(value, int) else value


class ValueTests(SynchronousTestCase):
    """
    Numbers that JSON cannot keep, and others that readers may take differently.
    """

    def node(self, seen: str = "data") -> None:
        """
        A node whose rules let through only what they take for C{seen}.
        """
        everything = {"create": True, "read": True, "write": f"oldData === null || data.v === {seen}", "delete": True}
        rules: dict[str, Any] = {
            "record": {"*": everything},
            "event": {"*": {"subscribe": True, "publish": f"data === {seen}".replace("data.v", "data")}},
            "rpc": {"*": {"provide": True, "request": f"data === {seen}".replace("data.v", "data")}},
            "presence": {"*": {"allow": True}},
        }
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        permission = PermissionSettings(permissions=rules, type="config", where="permission.options.permissions")
        self.under_test = Node(Settings(permission=permission), [endpoint], self.reactor)
        self.under_test.privilegedStartService()
        self.under_test.startService()

    def client(self, generation: str) -> Client:
        client = connect(self.under_test, generation)
        client.log_in("ann")
        return client

    def heard(self, client: Client) -> list[Any]:
        self.reactor.advance(0)
        return client.heard()

    def everyone(self) -> list[Client]:
        """
        A client of each generation, subscribed to an event and to a record, and the provider of a procedure.
        """
        clients = [self.client(generation) for generation in KINDS]
        for number, client in enumerate(clients):
            client.subscribe("e")
            client.say(
                Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("r",), correlation_id="1"),
                Message(Topic.RPC, RpcAction.PROVIDE, names=(f"p{number}",), correlation_id="2"),
            )
            self.heard(client)
        return clients

    def test_one_value(self) -> None:
        """
        An event, a request and a record carry to all what the rules judged, and the store keeps that.
        """
        for generation, data, seen, value in VALUES:
            self.node(seen)
            others, sender = self.everyone(), self.client(generation)
            sender.emit("e", data)
            sender.say(Message(Topic.RECORD, RecordAction.CREATEANDPATCH, "r", data, path="v", version=-1))
            for number, _ in enumerate(others):
                sender.say(Message(Topic.RPC, RpcAction.REQUEST, f"p{number}", data, correlation_id=f"c{number}"))
            self.assertEqual(self.heard(sender), [], data)
            for client in others:
                told = [in_javascript(value_of(message.data)) for message in self.heard(client)]
                self.assertEqual(told, [value] * 3, (data, client.generation))
                late = self.client(client.generation)
                late.say(Message(Topic.RECORD, RecordAction.READ, "r"))
                (answer,) = self.heard(late)
                self.assertEqual(in_javascript(value_of(answer.data)["v"]), value, data)

    def test_refused(self) -> None:
        """
        JSON with a number that a double cannot hold reaches neither a rule nor a client.
        """
        self.node()
        others = self.everyone()
        for generation, data in REFUSED:
            sender = self.client(generation)
            json = data.encode()[1:] if isinstance(data, str) else data
            requests = [
                Message(Topic.EVENT, EventAction.EMIT, "e", data),
                Message(Topic.RECORD, RecordAction.PATCH, "r", data, path="v", version=1),
                Message(Topic.RECORD, RecordAction.CREATEANDPATCH, "r", data, path="v", version=-1),
                Message(Topic.RECORD, RecordAction.UPDATE, "r", b'{"a":[%s]}' % json, version=1),
                Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, "r", b"[%s]" % json, version=-1),
                Message(Topic.RPC, RpcAction.REQUEST, "p0", data, correlation_id="1"),
                Message(Topic.RPC, RpcAction.RESPONSE, "p0", data, correlation_id="1"),
            ]
            if generation == "v4":
                changes = b'[{"path":"a","data":%s}]' % json
                requests.append(Message(Topic.RECORD, RecordAction.PATCH_MULTI, "r", changes, version=1))
                requests.append(Message(Topic.RPC, RpcAction.REQUEST_ERROR, "p0", data, correlation_id="1"))
            for request in requests:
                sender.say(request)
                (answer,) = self.heard(sender)
                self.assertEqual((answer.topic, answer.action.name), (request.topic, "INVALID_MESSAGE_DATA"), request)
                self.assertEqual([self.heard(client) for client in others], [[] for _ in others])
