"""
Tests of the RPC topic on one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock

from dstwist.config.settings import RpcSettings
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.dialect import PROTOBUF, Dialect
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.rpc.service import RpcService
from tests.fakes import FakeConnection
from tests.requesters import RequesterTestCase

PROVIDE = Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="0")
UNPROVIDE = Message(Topic.RPC, RpcAction.UNPROVIDE, names=("add",), correlation_id="1")

#: What ends a call for its requestor.
ENDS = (
    RpcAction.RESPONSE,
    RpcAction.NO_RPC_PROVIDER,
    RpcAction.ACCEPT_TIMEOUT,
    RpcAction.RESPONSE_TIMEOUT,
)

ACK_TIMEOUT = 1.0
RESPONSE_TIMEOUT = 10.0


def rpc(action: RpcAction, call_id: str = "x", data: Any = None, **fields: Any) -> Message:
    return Message(Topic.RPC, action, "add", data, correlation_id=call_id, **fields)


def failed(action: RpcAction, call_id: str = "x") -> Message:
    """
    What a requestor is told of a call that came to nothing.
    """
    return rpc(action, call_id, is_error=True)


def unknown(action: RpcAction, call_id: str = "x") -> Message:
    """
    What whoever answers a call that is not his, or over, is told.
    """
    return rpc(action, call_id).error("INVALID_RPC_CORRELATION_ID")


class RpcTestCase(RequesterTestCase):
    """
    A service whose choice among providers is the first one.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.build()

    def build(self, **settings: Any) -> None:
        self.providers = SubscriptionRegistry(Topic.RPC, "MULTIPLE_PROVIDERS")
        self.service = RpcService(self.providers, RpcSettings(**settings), self.clock, self.choose)
        self.chosen_from: list[int] = []
        self.requestor = self.connect("ann")

    def choose(self, providers: Sequence[Any]) -> Any:
        self.chosen_from.append(len(providers))
        return providers[0]

    def provider(self, user: str = "bob", dialect: Dialect = PROTOBUF) -> FakeConnection:
        connection = self.connect(user, dialect=dialect)
        self.service.handle(PROVIDE, connection)
        self.assertEqual(connection.take(), [PROVIDE.ack()])
        return connection

    def request(self, call_id: str = "x", data: Any = b"1", requestor: FakeConnection | None = None) -> Message:
        request = rpc(RpcAction.REQUEST, call_id, data)
        self.service.handle(request, requestor or self.requestor)
        return request

    def asked(self, provider: FakeConnection) -> str:
        """
        The id of the one request that C{provider} has just got.
        """
        (request,) = provider.take()
        self.assertEqual(request.action, RpcAction.REQUEST)
        assert request.correlation_id is not None
        return request.correlation_id

    def say(self, provider: FakeConnection, *actions: RpcAction, call_id: str = "x", data: Any = None) -> None:
        for action in actions:
            self.service.handle(rpc(action, call_id, data), provider)

    def nothing_left(self) -> None:
        """
        No call is remembered, and no timer waits for one.
        """
        self.clock.advance(RESPONSE_TIMEOUT + 1)
        self.assertEqual(self.requestor.take(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
