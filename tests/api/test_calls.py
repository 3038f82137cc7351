"""
Tests for L{dstwist.api.calls}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.api import calls
from dstwist.api.calls import REQUEST_TIMEOUT, Calls
from dstwist.api.deliveries import Deliveries
from dstwist.api.errors import ApiError, CallError, HandleClosed, ResponseTimeout, TooManyRequests, VersionExists
from dstwist.api.requester import Identity, InProcessRequester
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import ACTIONS, EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from tests.fakes import FakePermission, FakeService


def read(name: str = "a") -> Message:
    return Message(Topic.RECORD, RecordAction.READ, name)


def response(version: int, name: str = "a") -> Message:
    return Message(Topic.RECORD, RecordAction.READ_RESPONSE, name, b"{}", version=version)


class CallsTests(SynchronousTestCase):
    """
    L{Calls}, before a service that answers when the test says so.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.service = FakeService()
        self.make(OpenPermission())

    def make(self, permission: Any) -> None:
        router = Router(permission, dict.fromkeys(ACTIONS, self.service), None, self.clock)
        self.requester = InProcessRequester(
            Identity("ann"), router, self.clock, lambda message: self.calls.received(message)
        )
        self.deliveries = Deliveries(self.clock)
        self.calls = Calls(self.requester, self.deliveries, self.clock)

    def answer(self, *messages: Message) -> None:
        for message in messages:
            self.requester.send(message)
        self.clock.advance(0)

    def error(self, asked: Deferred[Any], kind: type[ApiError] = ApiError) -> Any:
        return self.failureResultOf(asked, kind).value

    def test_by_id(self) -> None:
        """
        An answer with an id belongs to its request, in whatever order they come, and only the first one counts.
        """
        requests = [Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(name,)) for name in "ab"]
        first, second = (self.calls.ask(request) for request in requests)
        self.answer(requests[1].ack(), requests[1].error("MESSAGE_DENIED"))
        self.assertNoResult(first)
        self.assertIs(self.successResultOf(second).topic, Topic.EVENT)
        self.answer(requests[0].error("MESSAGE_DENIED", "a"))
        self.assertEqual((self.error(first).event, len(self.calls)), ("MESSAGE_DENIED", 0))

    def test_by_name(self) -> None:
        """
        Answers without an id come in the order of the requests of their name; an error takes its request out.
        """
        messages = [read(), read(), read("b"), read()]
        asked = [self.calls.ask(message) for message in messages]
        self.answer(response(7, "b"), messages[1].error("RECORD_LOAD_ERROR"), response(1), response(2), response(3))
        self.assertEqual(self.error(asked[1]).event, "RECORD_LOAD_ERROR")
        found = [self.successResultOf(asked[number]).version for number in (0, 2, 3)]
        self.assertEqual((found, len(self.calls)), ([1, 7, 2], 0))

    def test_other_kinds_by_name(self) -> None:
        """
        An acknowledgement does not end a request that is answered by data.
        """
        request = Message(Topic.RECORD, RecordAction.SUBSCRIBEANDREAD, names=("a",))
        asked, users = self.calls.ask(request), self.calls.ask(Message(Topic.PRESENCE, PresenceAction.QUERY_ALL))
        self.answer(request.ack())
        self.assertNoResult(asked)
        self.answer(
            response(1), Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=("bob",)), response(2)
        )
        self.assertEqual(self.successResultOf(asked).version, 1)
        self.assertEqual(self.successResultOf(users).names, ("bob",))

    def test_topic_that_is_off(self) -> None:
        """
        Requests of a topic that the server does not serve fail at once, and do not count any more.
        """
        router = Router(OpenPermission(), {Topic.RECORD: self.service}, None, self.clock)
        requester = InProcessRequester(Identity(), router, self.clock, lambda message: served.received(message))
        served = Calls(requester, self.deliveries, self.clock)
        waiting = served.ask(read())
        for asked in (
            served.ask(Message(Topic.RPC, RpcAction.REQUEST, "a")),
            served.ask(Message(Topic.PRESENCE, PresenceAction.QUERY_ALL)),
            served.tell(Message(Topic.EVENT, EventAction.EMIT, "a")),
        ):
            self.assertEqual(self.error(asked).event, "UNKNOWN_TOPIC")
        self.assertNoResult(waiting)
        self.assertEqual(len(served), 1)

    def test_errors(self) -> None:
        """
        Some answers are errors without being marked so.
        """
        call = Message(Topic.RPC, RpcAction.REQUEST, "add")
        write = Message(Topic.RECORD, RecordAction.UPDATE, "a", b"{}", version=2, is_write_ack=True)
        called, written = self.calls.ask(call), self.calls.ask(write)
        self.answer(Message(Topic.RPC, RpcAction.ACCEPT, "add", correlation_id=call.correlation_id))
        self.assertNoResult(called)
        self.answer(
            Message(Topic.RPC, RpcAction.REQUEST_ERROR, "add", b'{"a":1}', correlation_id=call.correlation_id),
            Message(
                Topic.RECORD, RecordAction.VERSION_EXISTS, "a", b"[1]", version=5, correlation_id=write.correlation_id
            ),
            write.error("RECORD_UPDATE_ERROR"),
        )
        self.assertEqual(self.error(called, CallError).data, {"a": 1})
        error = self.error(written, VersionExists)
        self.assertEqual((error.version, error.data), (5, [1]))

    def test_ids_of_others(self) -> None:
        """
        An error about the call of another requester, whose id is the same by chance, is not taken for an answer.
        """
        provide = Message(Topic.RPC, RpcAction.PROVIDE, names=("add",))
        asked = self.calls.ask(provide)
        other = Message(Topic.RPC, RpcAction.RESPONSE, "add", correlation_id=provide.correlation_id)
        self.answer(other.error("INVALID_RPC_CORRELATION_ID"))
        self.assertNoResult(asked)
        self.answer(provide.ack())
        self.successResultOf(asked)

    def test_later_turn(self) -> None:
        """
        The caller is told in a later turn, in the order of the answers.
        """
        told: list[Any] = []
        for number in range(3):
            self.calls.ask(read(str(number))).addCallback(lambda answer: told.append(answer.name))
        for number in (2, 0, 1):
            self.requester.send(response(1, str(number)))
        self.assertEqual(told, [])
        self.clock.advance(0)
        self.assertEqual(told, ["2", "0", "1"])

    def test_timeout(self) -> None:
        """
        A request without an answer fails after a while. A late answer is not taken for that of a later request.
        """
        first = self.calls.ask(read())
        self.clock.advance(REQUEST_TIMEOUT - 1)
        second = self.calls.ask(read())
        self.clock.advance(1)
        self.clock.advance(0)
        self.assertEqual(self.error(first, ResponseTimeout).event, "RESPONSE_TIMEOUT")
        self.answer(response(1))
        self.assertNoResult(second)
        self.answer(response(2))
        self.assertEqual(self.successResultOf(second).version, 2)
        self.assertEqual(len(self.calls), 0)

    def test_cancel(self) -> None:
        """
        The same for a request whose caller has given up.
        """
        first, second = self.calls.ask(read()), self.calls.ask(read())
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.answer(response(1), response(2))
        self.assertEqual(self.successResultOf(second).version, 2)

    def test_cancel_answered(self) -> None:
        """
        A caller that gives up after the answer has come, and before it was told, gets no answer.
        """
        asked = self.calls.ask(read())
        self.requester.send(response(1))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.clock.advance(0)

    def test_cancel_unsent(self) -> None:
        """
        A request that was not sent yet is not sent after that.
        """
        decision: Deferred[bool] = Deferred()
        self.make(FakePermission(slow=decision))
        self.calls.tell(Message(Topic.EVENT, EventAction.EMIT, "slow"))
        second, third = (self.calls.tell(Message(Topic.EVENT, EventAction.EMIT, name)) for name in "ab")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        decision.callback(True)
        self.clock.advance(0)
        self.successResultOf(third)
        self.assertEqual([message.name for message in self.service.handled], ["slow", "b"])
        self.assertEqual(len(self.calls), 0)

    def test_always(self) -> None:
        """
        A request that ends something is made although its caller has given up, or its time was over while it waited.
        """
        decision: Deferred[bool] = Deferred()
        self.make(FakePermission(slow=decision))
        self.calls.tell(Message(Topic.EVENT, EventAction.EMIT, "slow")).addErrback(lambda failure: None)
        ends = [Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, names=(name,)) for name in ("b", "c")]
        cancelled, late = (self.calls.ask(each, always=True) for each in ends)
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.clock.advance(REQUEST_TIMEOUT)
        self.clock.advance(0)
        self.error(late, ResponseTimeout)
        decision.callback(True)
        self.assertEqual([message.names for message in self.service.handled[1:]], [("b",), ("c",)])

    def test_tell(self) -> None:
        """
        A request without an answer has succeeded when it was served, unless an error came.
        """
        decisions: list[Deferred[bool]] = [Deferred(), Deferred()]
        self.make(FakePermission(a=decisions[0], b=decisions[1]))
        first, second = (self.calls.tell(Message(Topic.EVENT, EventAction.EMIT, name)) for name in "ab")
        decisions[0].callback(True)
        self.clock.advance(0)
        self.successResultOf(first)
        self.assertNoResult(second)
        decisions[1].callback(False)
        self.clock.advance(0)
        self.assertEqual(self.error(second).event, "MESSAGE_DENIED")

    def test_limits(self) -> None:
        """
        The requests that wait are limited in number and in bytes; those that end something are not.
        """
        self.patch(calls, "MAX_WAITING_REQUESTS", 3)
        asked = [self.calls.ask(read(str(number))) for number in range(4)]
        self.assertEqual(self.error(asked[3], TooManyRequests).event, "TOO_MANY_REQUESTS")
        self.calls.ask(Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=("a",)), always=True)
        self.assertEqual(len(self.service.handled), 4)
        asked[0].cancel()
        self.failureResultOf(asked[0], CancelledError)
        # It counts until its answer has come.
        self.error(self.calls.ask(read()), TooManyRequests)
        self.make(OpenPermission())
        self.patch(calls, "MAX_WAITING_REQUEST_BYTES", 1000)
        long = Message(Topic.RECORD, RecordAction.UPDATE, "a", b'"' + b"x" * 1000 + b'"', version=-1)
        self.assertNoResult(self.calls.ask(long))
        self.error(self.calls.ask(read()), TooManyRequests)

    def test_many(self) -> None:
        """
        10,000 requests that wait each get their own answer.
        """
        asked = [self.calls.ask(read(str(number % 100))) for number in range(10_000)]
        for number in range(10_000):
            self.requester.send(response(number, str(number % 100)))
        self.clock.pump([0] * 10)
        self.assertEqual([self.successResultOf(each).version for each in asked], list(range(10_000)))
        self.assertEqual((len(self.calls), len(self.deliveries)), (0, 0))

    def test_close(self) -> None:
        """
        When the handle closes, all fail, also those to come.
        """
        asked = self.calls.ask(read())
        self.calls.close(HandleClosed("over"))
        self.assertNoResult(asked)
        self.clock.advance(0)
        self.error(asked, HandleClosed)
        self.error(self.calls.ask(read()), HandleClosed)
        self.error(self.calls.tell(read()), HandleClosed)
        self.calls.post(read())
        self.assertEqual((len(self.service.handled), self.clock.getDelayedCalls()), (1, []))

    def test_not_started(self) -> None:
        """
        Before the start, all fail.
        """
        self.calls = Calls(self.requester, self.deliveries, self.clock, HandleClosed("not yet"))
        self.error(self.calls.ask(read()), HandleClosed)
        self.calls.start()
        self.assertNoResult(self.calls.ask(read()))
