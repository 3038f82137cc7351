"""
Tests for L{dstwist.api.requester}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.api.requester import Identity, InProcessRequester
from dstwist.config.limits import LimitSettings
from dstwist.interfaces import IConnection
from dstwist.limits.rates import RateLimits, UserRateLimits
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from tests.fakes import FakePermission, FakeService


def emit(name: str) -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name)


class RequesterTests(SynchronousTestCase):
    """
    L{InProcessRequester}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.service = FakeService()
        self.heard: list[Message] = []

    def make(self, permission: Any = None, **limits: Any) -> InProcessRequester:
        router = Router(permission or OpenPermission(), {Topic.EVENT: self.service}, None, self.clock)
        rates = RateLimits(None, None, UserRateLimits(LimitSettings(**limits), self.clock), self.clock)
        return InProcessRequester(Identity("ann"), router, self.clock, self.heard.append, rates)

    def handled(self) -> list[str | None]:
        return [message.name for message in self.service.handled]

    def test_interface(self) -> None:
        """
        It is a connection, which a fan-out reaches.
        """
        requester = self.make()
        verifyObject(IConnection, requester)
        self.assertEqual((requester.user, requester.is_server), ("ann", False))

    def test_messages(self) -> None:
        """
        It gets the very messages that are sent to it and written to it, until it is closed.
        """
        requester = self.make()
        first, second = emit("a"), emit("b")
        requester.send(first)
        requester.write(requester.wire.encode(second))
        requester.close("over")
        requester.send(first)
        requester.write(requester.wire.encode(second))
        self.assertEqual([id(message) for message in self.heard], [id(first), id(second)])

    def test_kept(self) -> None:
        """
        While the server takes no requests, they are kept in their order; one can be withdrawn.
        """
        decision: Deferred[bool] = Deferred()
        requester = self.make(FakePermission(slow=decision))
        served: list[list[str | None]] = []
        self.assertTrue(requester.request([emit("slow")]))
        requester.when_served(lambda: served.append(self.handled()))
        withdrawn = emit("withdrawn")
        self.assertTrue(requester.request([emit("second"), withdrawn, emit("third")]))
        self.assertTrue(requester.withdraw(withdrawn))
        self.assertFalse(requester.withdraw(withdrawn))
        self.assertEqual((self.handled(), served), ([], []))
        decision.callback(True)
        self.clock.advance(0)
        self.assertEqual(self.handled(), ["slow", "second", "third"])
        self.assertEqual(served, [["slow"]])
        self.assertFalse(requester.request([emit("last")]))

    def test_rate(self) -> None:
        """
        Requests above the rate of the user are kept, and served as time goes on.
        """
        requester = self.make(max_message_rate_per_user=8)
        for number in range(15):
            requester.request([emit(str(number))])
        self.assertEqual(len(self.handled()), 9)
        self.clock.pump([0.125] * 10)
        self.assertEqual(self.handled(), [str(number) for number in range(15)])

    def test_byte_rate(self) -> None:
        """
        The bytes of requests count as well.
        """
        requester = self.make(max_byte_rate_per_user=1000)
        long = emit("b" * 2000)
        self.assertEqual([requester.request([each]) for each in (emit("a"), long, emit("c"))], [False, True, True])
        self.assertEqual(self.handled(), ["a", long.name])
        self.clock.pump([0.5] * 4)
        self.assertEqual(self.handled(), ["a", long.name, "c"])

    def test_closed(self) -> None:
        """
        When it is closed, what was kept is dropped.
        """
        decision: Deferred[bool] = Deferred()
        requester = self.make(FakePermission(slow=decision))
        requester.request([emit("slow")])
        requester.request([emit("kept")])
        served: list[None] = []
        requester.when_served(lambda: served.append(None))
        requester.close("over")
        decision.callback(True)
        self.clock.advance(0)
        self.assertFalse(requester.request([emit("late")]))
        requester.when_served(lambda: served.append(None))
        self.assertEqual((self.handled(), served), ([], []))

    def test_mistake(self) -> None:
        """
        If a message cannot be taken by a mistake of ours, the sender gets no exception, and the requester ends.
        """
        requester = self.make()
        closed: list[object] = []
        requester.on_close(closed.append)
        self.patch(requester, "_receive", lambda message: 1 // 0)
        requester.write(requester.wire.encode(emit("a")))
        self.assertEqual(closed, [])
        self.clock.advance(0)
        self.assertEqual(closed, [requester])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
