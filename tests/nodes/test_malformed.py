"""
A whole node: writes to records that its codecs and limits refuse.
"""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import GENERATIONS, MemoryClient

A = RecordAction

DEEP = b"[" * 300 + b"]" * 300


def write(name: str, version: int, data: bytes, action: RecordAction = A.UPDATE) -> Message:
    return Message(Topic.RECORD, action, name, data, version=version, is_write_ack=True, correlation_id="w")


class MalformedWriteTests(SynchronousTestCase):
    """
    Clients of both generations.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        self.node = Node(Settings(limits=LimitSettings(max_name_length=300)), [endpoint], self.reactor)
        self.node.privilegedStartService()
        self.node.startService()

    def client(self, generation: str) -> MemoryClient:
        client = MemoryClient(self.node, generation)
        client.log_in("ann")
        return client

    def heard(self, client: MemoryClient, seconds: float = 0.1) -> list[RecordAction]:
        for _ in range(10):
            self.reactor.advance(seconds / 10)
        return [message.action for message in client.heard()]

    def test_nested_too_deeply(self) -> None:
        """
        The callback hears of it, the client is told what the record holds, and the next write is good.
        """
        for generation in GENERATIONS:
            client = self.client(generation)
            client.say(Message(Topic.RECORD, A.SUBSCRIBECREATEANDREAD, names=(generation,)))
            self.heard(client)
            client.say(write(generation, 1, DEEP))
            acknowledgement = [A.WRITE_ACKNOWLEDGEMENT] if generation == "v3" else []
            self.assertEqual(self.heard(client), [A.INVALID_MESSAGE_DATA, *acknowledgement])
            self.assertEqual(self.heard(client, 1.0), [A.UPDATE])
            client.say(write(generation, 1, b'{"x":1}'))
            self.assertEqual(self.heard(client), [A.WRITE_ACKNOWLEDGEMENT])

    def test_long_name(self) -> None:
        """
        The callback of a write whose name is too long hears of it.
        """
        for generation in GENERATIONS:
            client = self.client(generation)
            client.say(write("x" * 301, -1, b"{}", A.CREATEANDUPDATE))
            acknowledgement = [A.WRITE_ACKNOWLEDGEMENT] if generation == "v3" else []
            self.assertEqual(self.heard(client), [A.INVALID_MESSAGE_DATA, *acknowledgement])
            self.assertEqual(self.heard(client, 60.0).count(A.UPDATE), 0)
