"""
Tests for L{dstwist.connections.requester}. What all requesters have in common with connections is tested with those, in
C{tests.connections.test_connection}; the services are tested for both.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.limits import LimitSettings
from dstwist.connections.requester import Requester
from dstwist.interfaces import IRequester
from dstwist.limits.rates import RateLimits, UserRateLimits
from dstwist.log import Client
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.dialect import PROTOBUF
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.routing.router import Router
from tests.fakes import FakePermission, FakeService


class Answered(Requester):
    """
    A requester that keeps its answers.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.answers: list[Message] = []

    def send(self, message: Message) -> None:
        self.answers.append(message)


class Source:
    """
    Notes whether it is stopped.
    """

    stopped = False

    def pause(self) -> None:
        self.stopped = True

    def resume(self) -> None:
        self.stopped = False


def emit(name: str) -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name)


class RequesterTests(SynchronousTestCase):
    """
    L{Requester}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.service = FakeService()
        self.source = Source()

    def make(self, permission: Any = None, max_name_length: int | None = None, **limits: Any) -> Answered:
        router = Router(permission or OpenPermission(), {Topic.EVENT: self.service}, max_name_length, self.clock)
        users = UserRateLimits(LimitSettings(), self.clock)
        rates = RateLimits(limits.get("max_bytes"), limits.get("max_messages"), users, self.clock)
        return Answered(Client("ann", "192.0.2.1", "/api", 0), PROTOBUF, router, self.clock, self.source, rates)

    def test_interface(self) -> None:
        """
        It is a requester, and it is not the server itself.
        """
        requester = self.make()
        verifyObject(IRequester, requester)
        self.assertEqual((requester.user, requester.is_server), ("ann", False))

    def test_order(self) -> None:
        """
        Requests are served in their order, even if the permission of the first takes long.
        """
        decision: Deferred[bool] = Deferred()
        requester = self.make(FakePermission(slow=decision))
        self.assertTrue(requester.request([emit("slow"), emit("fast")]))
        requester.request([emit("last")])
        self.assertEqual(self.service.handled, [])
        decision.callback(True)
        self.clock.advance(0)
        self.assertEqual([message.name for message in self.service.handled], ["slow", "fast", "last"])

    def test_source(self) -> None:
        """
        Nothing more is taken from the source while requests wait.
        """
        decision: Deferred[bool] = Deferred()
        requester = self.make(FakePermission(slow=decision))
        requester.request([emit("slow")])
        self.assertTrue(self.source.stopped)
        decision.callback(True)
        self.clock.advance(0)
        self.assertFalse(self.source.stopped)

    def test_names(self) -> None:
        """
        A name that is too long is refused, as for every client.
        """
        requester = self.make(max_name_length=5)
        requester.request([emit("longer"), emit("short")])
        self.assertEqual([message.name for message in self.service.handled], ["short"])
        self.assertEqual([answer.action for answer in requester.answers], [EventAction.INVALID_MESSAGE_DATA])

    def test_rate(self) -> None:
        """
        A requester that asks too often is slowed down, as every client is.
        """
        requester = self.make(max_messages=10)
        requester.request([emit("news")] * 10)
        self.assertFalse(self.source.stopped)
        requester.request([emit("news")] * 5)
        self.assertTrue(self.source.stopped)
        self.clock.advance(0.6)
        self.assertFalse(self.source.stopped)
        self.assertEqual(len(self.service.handled), 15)

    def test_malformed(self) -> None:
        """
        A part of a request that is no message is answered.
        """
        requester = self.make()
        answer = emit("x").error("INVALID_MESSAGE_DATA")
        requester.request([Malformed(Fault.INVALID_DATA, answer=answer), emit("fine")])
        self.assertEqual(requester.answers, [answer])
        self.assertEqual(len(self.service.handled), 1)

    def test_malformed_after_the_end(self) -> None:
        """
        A connection serves the messages of one payload without the queue. If it ends by one of them, no service hears
        of those behind it that are malformed.
        """
        requester = self.make()
        told: list[Message] = []
        self.patch(requester, "_router", self)
        self.patch(self, "malformed", lambda request, sender: told.append(request))
        malformed = Malformed(Fault.INVALID_DATA, answer=emit("x").error("INVALID_MESSAGE_DATA"), request=emit("x"))
        requester.refuse(malformed)
        requester.close("over")
        requester.refuse(malformed)
        self.assertEqual(told, [malformed.request])

    def malformed(self, request: Message, sender: IRequester) -> None:
        """
        Stands in for the router.
        """

    def test_mistake(self) -> None:
        """
        If serving a request fails by a mistake of ours, the requester is closed, its caller gets no exception, and the
        mistake is logged.
        """
        requester = self.make()
        closed: list[IRequester] = []
        requester.on_close(closed.append)
        self.patch(requester, "_fitting", lambda messages, told_once: 1 // 0)
        self.assertFalse(requester.request([emit("x")]))
        self.assertEqual(closed, [requester])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_closed(self) -> None:
        """
        When it is closed, its callbacks are called once, in order, even if one fails; nothing is served any more, and
        the rate limit lets go of it.
        """
        requester = self.make(max_messages=1)
        called: list[int] = []
        requester.on_close(lambda each: called.append(1))
        requester.on_close(lambda each: 1 // 0)  # type: ignore[arg-type]
        requester.on_close(lambda each: called.append(2))
        requester.request([emit("a"), emit("b"), emit("c")])
        requester.close("over")
        requester.close("over")
        self.assertEqual((called, requester.closed), ([1, 2], True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertFalse(requester.request([emit("late")]))
        self.assertEqual([message.name for message in self.service.handled], ["a", "b", "c"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
