"""
A whole node: how clients are told of a change at one path.
"""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import MemoryClient

A = RecordAction


class PatchTests(SynchronousTestCase):
    """
    Clients that name themselves in the CHALLENGE, and others.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        self.node = Node(Settings(), [endpoint], self.reactor)
        self.node.privilegedStartService()
        self.node.startService()

    def client(self, generation: str, sdk_type: str | None) -> MemoryClient:
        client = MemoryClient(self.node, generation)
        client.log_in("ann", sdk_type)
        client.say(Message(Topic.RECORD, A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1"))
        self.heard(client)
        return client

    def heard(self, client: MemoryClient) -> list[Message]:
        self.reactor.advance(0.1)
        return client.heard()

    def write(self, client: MemoryClient, version: int, path: str | None, data: bytes | None) -> None:
        action = A.UPDATE if path is None else A.PATCH if data is not None else A.ERASE
        client.say(Message(Topic.RECORD, action, "a", data, version=version, path=path))

    def test_clients_4_1_and_5_0(self) -> None:
        """
        These clients do not name themselves, and are deaf to a record after a PATCH that is not the next version for
        them. So they get the whole record, in order; all others get the PATCH.
        """
        writer = self.client("v4", "javascript")
        unnamed, named, old = self.client("v4", None), self.client("v4", "javascript"), self.client("v3", None)
        other = self.client("v4", "other")
        self.write(writer, 1, None, b'{"x":{"y":1}}')
        self.write(writer, 2, "x.z", b"2")
        self.write(writer, 3, "x.y", None)
        news = [(each.action, each.version, each.data) for each in self.heard(unnamed)]
        self.assertEqual(
            news,
            [
                (A.UPDATE, 1, b'{"x":{"y":1}}'),
                (A.UPDATE, 2, b'{"x":{"y":1,"z":2}}'),
                (A.UPDATE, 3, b'{"x":{"z":2}}'),
            ],
        )
        for client in (named, old, other):
            self.assertEqual([each.action for each in self.heard(client)], [A.UPDATE, A.PATCH, A.PATCH])

    def test_its_own_write(self) -> None:
        """
        A client is not told of its own write by path.
        """
        unnamed, other = self.client("v4", None), self.client("v4", None)
        self.write(unnamed, 1, "x", b"1")
        self.assertEqual([each.action for each in self.heard(other)], [A.UPDATE])
        self.assertEqual(self.heard(unnamed), [])
