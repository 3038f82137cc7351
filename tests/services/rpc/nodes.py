"""
Tests of the RPC topic on several nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RpcSettings
from dstwist.limits.budgets import Budget
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.dialect import PROTOBUF, Dialect
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.rpc.service import RpcService
from tests.cluster.stage import Stage
from tests.fakes import FakeConnection

ACK_TIMEOUT = 1.0
RESPONSE_TIMEOUT = 10.0

REQUEST, ACCEPT, REJECT = RpcAction.REQUEST, RpcAction.ACCEPT, RpcAction.REJECT
RESPONSE, REQUEST_ERROR = RpcAction.RESPONSE, RpcAction.REQUEST_ERROR
NO_RPC_PROVIDER = RpcAction.NO_RPC_PROVIDER
ACCEPT_TIMEOUT, RESPONSE_TIMEOUT_ERROR = RpcAction.ACCEPT_TIMEOUT, RpcAction.RESPONSE_TIMEOUT


def rpc(action: RpcAction, call_id: str = "x", data: Any = None, **fields: Any) -> Message:
    return Message(Topic.RPC, action, "add", data, correlation_id=call_id, **fields)


def failed(action: RpcAction, call_id: str = "x") -> Message:
    """
    The message that ends a call without an answer.
    """
    return rpc(action, call_id, is_error=True)


class NodesTestCase(SynchronousTestCase):
    """
    The services of some nodes. The choice among several providers is the first one.
    """

    #: How many nodes there are.
    count = 2

    def setUp(self) -> None:
        self.build()

    def build(self, **settings: Any) -> None:
        """
        Make and start the nodes.
        """
        self.stage = Stage(self, self.count)
        self.rooms: list[Budget] = []
        self.services: list[RpcService] = []
        self.chosen_from: list[int] = []
        for _ in self.stage.nodes:
            self.serve(len(self.services), **settings)
        self.stage.start()

    def serve(self, number: int, **settings: Any) -> None:
        """
        Make the service of one node, which has not started yet.
        """
        self.rooms.append(Budget())
        providers = SubscriptionRegistry(Topic.RPC, "MULTIPLE_PROVIDERS")
        cluster, clock = self.stage.nodes[number], self.stage.clock
        service = RpcService(providers, RpcSettings(**settings), clock, self.choose, self.rooms[-1], cluster)
        self.services.append(service)
        self.addCleanup(service.stop)

    def choose(self, providers: Sequence[Any]) -> Any:
        self.chosen_from.append(len(providers))
        return providers[0]

    def provider(self, number: int, *names: str, dialect: Dialect = PROTOBUF) -> FakeConnection:
        """
        A new client of a node that provides C{names}; by default C{add}. The other nodes may know that at once.
        """
        connection = FakeConnection("bob", dialect=dialect)
        provide = Message(Topic.RPC, RpcAction.PROVIDE, names=names or ("add",), correlation_id="0")
        self.services[number].handle(provide, connection)
        self.stage.turn()
        self.assertEqual(connection.take(), [provide.ack()])
        return connection

    def unprovide(self, number: int, connection: FakeConnection) -> None:
        unprovide = Message(Topic.RPC, RpcAction.UNPROVIDE, names=("add",), correlation_id="1")
        self.services[number].handle(unprovide, connection)
        self.stage.turn()
        self.assertEqual(connection.take(), [unprovide.ack()])

    def request(
        self, number: int, call_id: str = "x", data: Any = b"1", requestor: FakeConnection | None = None
    ) -> FakeConnection:
        """
        A client of a node, by default a new one, calls C{add}.
        """
        requestor = requestor or FakeConnection("ann")
        self.services[number].handle(rpc(REQUEST, call_id, data), requestor)
        self.stage.turn()
        return requestor

    def say(
        self, number: int, connection: FakeConnection, *actions: RpcAction, call_id: str = "x", data: Any = None
    ) -> None:
        """
        A client of a node answers.
        """
        for action in actions:
            self.services[number].handle(rpc(action, call_id, data), connection)
        self.stage.turn()

    def asked(self, provider: FakeConnection) -> Message:
        """
        The one request that C{provider} has just got.
        """
        (request,) = provider.take()
        self.assertIs(request.action, REQUEST)
        return request

    def nothing_left(self) -> None:
        """
        No node remembers a call.
        """
        self.assertEqual([room.used for room in self.rooms], [0] * len(self.rooms))
