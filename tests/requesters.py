"""
Tests that run for each kind of requester: a client of a WebSocket, and the application that embeds the node.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, TypeVar, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.api.requester import Identity, InProcessRequester
from dstwist.interfaces import IConnection
from dstwist.permission.open import OpenPermission
from dstwist.protocol.dialect import PROTOBUF, Dialect
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from tests.fakes import FakeConnection, FakeRequester

#: A stand-in for a connection of any kind.
AnyConnection = FakeConnection


class InProcessConnection(InProcessRequester):
    """
    A real requester in the process of the node that keeps what it was sent, as L{FakeConnection} does. Its requests are
    given to a service by the test, so it does long work as the stand-in does.

    @param wire: makes the frames of a fan-out, in the place of its own wire.
    """

    def __init__(self, user: str = "ann", wire: Any = None) -> None:
        self.turns = False
        self.paused = False
        self.reason = ""
        self._taken: list[Message] = []
        self._works: list[Any] = []
        clock = Clock()
        router = Router(OpenPermission(), {}, 1000, clock)
        super().__init__(Identity(user, address="192.0.2.1"), router, clock, self._taken.append)
        if wire is not None:
            self.wire = wire

    do = FakeRequester.do
    turn = FakeRequester.turn
    pause = FakeRequester.pause
    resume = FakeRequester.resume
    _go_on = FakeRequester._go_on

    @property
    def callbacks(self) -> list[Any]:
        return self._callbacks

    def close(self, reason: str = "gone") -> None:
        if not self.closed:
            self.reason = reason
            self._works.clear()
        super().close(reason)

    def take(self) -> list[Message]:
        """
        What was sent since this was last asked.
        """
        taken, self._taken[:] = self._taken[:], []
        return taken


class RequesterTestCase(SynchronousTestCase):
    """
    Tests that make their requesters by L{connect}.
    """

    #: Whether requesters are in the process of the node, except clients of a certain dialect.
    in_process = False

    def connect(self, user: str = "ann", wire: Any = None, dialect: Dialect = PROTOBUF) -> AnyConnection:
        """
        A requester.
        """
        if self.in_process and dialect is PROTOBUF:
            return cast(AnyConnection, InProcessConnection(user, wire))
        return FakeConnection(user, wire, dialect)

    def shown_client(self, user: str) -> str:
        """
        A requester of C{user} as log lines show it.
        """
        return f"{user} (192.0.2.1, {'api' if self.in_process else '/deepstream, #7'})"

    def charge(self, cost: float, clock: Any, *requesters: AnyConnection) -> None:
        """
        Have all that C{requesters} are sent take time; without any, all that any requester is sent.
        """
        # A stand-in sends by C{write}; a requester in the process takes frames by C{send}.
        name = "send" if self.in_process else "write"
        take: Any = getattr(InProcessConnection if self.in_process else FakeConnection, name)

        def charged(requester: AnyConnection, sent: Any) -> None:
            clock.rightNow += cost
            take(requester, sent)

        if not requesters:
            self.patch(InProcessConnection if self.in_process else FakeConnection, name, charged)
        for requester in requesters:
            setattr(requester, name, partial(charged, requester))


_Tests = TypeVar("_Tests", bound=type[RequesterTestCase])


def for_each_requester(tests: _Tests) -> _Tests:
    """
    Run C{tests} a second time, for requesters in the process of the node.
    """
    name = f"InProcess{tests.__name__}"
    module = sys.modules[tests.__module__]
    places = {"__doc__": tests.__doc__, "__module__": tests.__module__, "__qualname__": name, "in_process": True}
    setattr(module, name, type(name, (tests,), places))
    return tests


class InProcessConnectionTests(SynchronousTestCase):
    """
    The requester of these tests has the shape of a connection.
    """

    def test_interface(self) -> None:
        """
        It provides L{IConnection}.
        """
        verifyObject(IConnection, InProcessConnection())
