"""
Tests of the RPC topic on several nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dstwist.config.settings import RpcSettings
from dstwist.limits.budgets import Budget
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.rpc.service import RpcService
from tests.cluster.stage import Stage
from tests.requesters import AnyConnection, RequesterTestCase
from tests.services.rpc.cases import PROVIDE, UNPROVIDE, rpc

# The actions by their names, and the errors that end a call.
REQUEST, ACCEPT, REJECT = RpcAction.REQUEST, RpcAction.ACCEPT, RpcAction.REJECT
RESPONSE, REQUEST_ERROR = RpcAction.RESPONSE, RpcAction.REQUEST_ERROR
NO_RPC_PROVIDER = RpcAction.NO_RPC_PROVIDER
ACCEPT_TIMEOUT, RESPONSE_TIMEOUT_ERROR = RpcAction.ACCEPT_TIMEOUT, RpcAction.RESPONSE_TIMEOUT


class NodesTestCase(RequesterTestCase):
    """
    The services of some nodes. The choice among several providers is the first one.
    """

    #: How many nodes there are.
    count = 2

    #: The bytes of the names that a node may tell others; C{None} for any number.
    max_name_bytes: int | None = None

    def setUp(self) -> None:
        self.build()

    def build(self, first: Mapping[str, Any] = MappingProxyType({}), **settings: Any) -> None:
        """
        Make and start the nodes.

        @param first: settings of the first node only.
        """
        self.stage = Stage(self, self.count, max_name_bytes=self.max_name_bytes)
        self.rooms: list[Budget] = []
        self.services: list[RpcService] = []
        self.chosen_from: list[int] = []
        for _ in self.stage.nodes:
            self.serve(len(self.services), **settings, **({} if self.services else first))
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

    def provider(self, number: int) -> AnyConnection:
        """
        A new client of a node that provides C{add}. The other nodes may know that when this returns.
        """
        connection = self.connect("bob")
        self.services[number].handle(PROVIDE, connection)
        self.stage.turn()
        self.assertEqual(connection.take(), [PROVIDE.ack()])
        return connection

    def unprovide(self, number: int, connection: AnyConnection) -> None:
        self.services[number].handle(UNPROVIDE, connection)
        self.stage.turn()
        self.assertEqual(connection.take(), [UNPROVIDE.ack()])

    def request(
        self, number: int, call_id: str = "x", data: Any = b"1", requestor: AnyConnection | None = None
    ) -> AnyConnection:
        """
        A client of a node, by default a new one, calls C{add}.
        """
        requestor = requestor or self.connect("ann")
        self.services[number].handle(rpc(REQUEST, call_id, data), requestor)
        self.stage.turn()
        return requestor

    def say(
        self, number: int, connection: AnyConnection, *actions: RpcAction, call_id: str = "x", data: Any = None
    ) -> None:
        """
        A client of a node answers.
        """
        for action in actions:
            self.services[number].handle(rpc(action, call_id, data), connection)
        self.stage.turn()

    def asked(self, provider: AnyConnection) -> Message:
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
