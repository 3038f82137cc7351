"""
A whole node in memory, a second client that behaves well, and the mistakes in the log.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.config.settings import Settings
from dstwist.log import Logger
from dstwist.node import Node
from dstwist.protocol.constants import ConnectionAction, EventAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import MemoryClient
from tests.transports.helpers import PushTransport


@implementer(ILogObserver)
class World:
    """
    One node, and the mistakes in its log.
    """

    def __init__(self) -> None:
        Logger.set_level("WARN")
        self._mistakes: list[str] = []
        globalLogPublisher.addObserver(self)
        self._renew()

    def _renew(self) -> None:
        self.reactor = MemoryReactorClock()
        self.node = Node(Settings(), [], self.reactor)
        self.node.startService()
        self.reactor.advance(0)
        self._bystander = MemoryClient(self.node, "v4")
        self._bystander.log_in("bystander")
        self._bystander.subscribe("bystander")
        self.reactor.advance(0)
        self._bystander.heard()
        self._other = MemoryClient(self.node, "v3")
        self._other.log_in("other")
        self._uses = 0

    def __call__(self, event: Any) -> None:
        """
        Look at a line of the log.
        """
        level = event.get("log_level")
        if event.get("isError") or "log_failure" in event or level in (LogLevel.error, LogLevel.critical):
            failure = event.get("log_failure")
            self._mistakes.append(failure.getTraceback() if failure is not None else str(event.get("log_format")))

    def connect(self) -> Client:
        """
        A raw connection.
        """
        return Client(self.node)

    def check(self) -> None:
        """
        Raise if something was logged that is a mistake of ours, or the client beside is not served any more.
        """
        for _ in range(5):
            self.reactor.advance(0)
        self._other.emit("bystander", "Sok")
        self.reactor.advance(0)
        # Time passes in here.
        self._bystander.say(Message(Topic.CONNECTION, ConnectionAction.PING))
        heard = [message.data for message in self._bystander.heard() if message.action is EventAction.EMIT]
        mistakes, self._mistakes = self._mistakes, []
        if mistakes:
            self._renew()
            raise AssertionError(mistakes[0])
        if heard != [b'"ok"']:
            self._renew()
            raise AssertionError(f"the client beside heard {heard}")
        self._uses += 1
        if self._uses == 2000:
            # Records, which clients may leave behind, would only slow it down.
            self._renew()


class Client:
    """
    A client that sends bytes while the server reads.
    """

    def __init__(self, node: Node) -> None:
        self.transport = PushTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 50000))
        self._protocol: Any = node.factory.buildProtocol(self.transport.getPeer())
        self._protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """
        Have the server receive C{data}, if there is any.
        """
        if data and not (self.transport.disconnecting or self.transport.aborted):
            self._protocol.dataReceived(data)

    def drop(self) -> None:
        """
        Go.
        """
        self._protocol.connectionLost(Failure(ConnectionDone()))


_world: World | None = None


def world() -> World:
    """
    The one of this process.
    """
    global _world
    if _world is None:
        _world = World()
    return _world
