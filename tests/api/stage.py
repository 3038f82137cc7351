"""
A node in memory, the API of which is used, and clients of both generations beside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.api import Api
from dstwist.config.permission import PermissionSettings
from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.permission.open import OpenPermission
from tests.nodes.client import MemoryClient

T = TypeVar("T")


def rules(permissions: dict[str, Any], **settings: Any) -> Settings:
    """
    Settings with rules; what they do not name is denied.
    """
    permissions = {"record": {"*": {}}, "event": {"*": {}}, "rpc": {"*": {}}, "presence": {"*": {}}, **permissions}
    permission = PermissionSettings(permissions=permissions, type="config", where="permission.options.permissions")
    return Settings(permission=permission, **settings)


class ApiTestCase(SynchronousTestCase):
    """
    A node on a reactor in memory, which has started.

    @ivar api: the API as the server.
    """

    settings = Settings()

    #: Whether the permission takes its time, until L{permit}.
    waits = False

    def setUp(self) -> None:
        self._decisions: list[Deferred[bool]] = []
        allows = OpenPermission.allows

        def decide(permission: OpenPermission, *request: Any) -> bool | Deferred[bool]:
            if not self.waits:
                return allows(permission, *request)
            self._decisions.append(Deferred())
            return self._decisions[-1]

        self.patch(OpenPermission, "allows", decide)
        self.node = self.make_node(self.settings)
        self.node.startService()
        self.api: Api = self.node.api

    def make_node(self, settings: Settings) -> Node:
        """
        A node that has not started.
        """
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        node = Node(settings, [endpoint], self.reactor)
        node.privilegedStartService()
        return node

    def permit(self, permitted: bool = True) -> None:
        """
        Decide on all requests that wait for the permission.
        """
        self.waits = False
        decisions, self._decisions = self._decisions, []
        for decision in decisions:
            if not decision.called:
                decision.callback(permitted)
        self.turn()

    def turn(self) -> None:
        """
        Let the reactor turn, until nothing is left to do at once.
        """
        self.reactor.advance(0)

    def client(self, generation: str = "v4", user: str = "ann") -> MemoryClient:
        client = MemoryClient(self.node, generation)
        self.turn()
        client.log_in(user)
        return client

    def done(self, deferred: Awaitable[T]) -> T:
        """
        The result of C{deferred}, which has fired, or fires in this turn.
        """
        return self.successResultOf(self.started(deferred))

    def refused(self, deferred: Awaitable[Any], kind: type[Exception]) -> Any:
        """
        The error of C{deferred}, which has failed, or fails in this turn.
        """
        failure: Failure = self.failureResultOf(self.started(deferred), kind)
        return failure.value

    def started(self, awaited: Awaitable[T]) -> Deferred[T]:
        deferred: Deferred[T] = (
            Deferred.fromCoroutine(awaited) if isinstance(awaited, Coroutine) else awaited  # type: ignore[assignment]
        )
        self.turn()
        return deferred


def collect(taken: list[Any]) -> Callable[[Any], None]:
    """
    A callback that keeps what it gets.
    """

    def take(item: Any) -> None:
        taken.append(item)

    return take


def ignore(item: Any) -> None:
    """
    A callback that does nothing.
    """
