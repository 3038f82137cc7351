"""
Tests for L{dstwist.http_api.batch}: the items are given to a router of the test.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.http_api.batch import Batch, BatchRequester
from dstwist.http_api.charges import Charge, Charges
from dstwist.http_api.items import parse_item
from dstwist.http_api.results import Results
from dstwist.interfaces import IRequester
from dstwist.log import Client
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.router import Router

READ = {"topic": "record", "action": "read", "recordName": "r"}
HEAD = {"topic": "record", "action": "head", "recordName": "r"}
CALL = {"topic": "rpc", "action": "make", "rpcName": "p"}
EVENT = {"topic": "event", "action": "emit", "eventName": "e"}
QUERY = {"topic": "presence", "action": "query"}
DONE = {"success": True}


class FakeService:
    """
    Keeps the requests.
    """

    authorizes_itself: frozenset[Any] = frozenset()

    def __init__(self) -> None:
        self.requests: list[tuple[Message, Any]] = []
        self.problem: Exception | None = None

    def handle(self, message: Message, sender: Any) -> None:
        if self.problem is not None:
            raise self.problem
        self.requests.append((message, sender))


class BatchTests(SynchronousTestCase):
    """
    One batch.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.service = FakeService()
        services: dict[Topic, Any] = dict.fromkeys((Topic.RECORD, Topic.RPC, Topic.PRESENCE, Topic.EVENT), self.service)
        self.router = Router(OpenPermission(), services, 1000, self.clock)
        self.charges = Charges()
        self.fired: list[Any] = []

    def make(self, *items: Any, most: int = 10**6) -> Batch:
        """
        A batch that has begun.
        """
        charge = self.charges.enter(0)
        assert isinstance(charge, Charge)
        batch = Batch(Results(), frozenset(Topic) - {Topic.MONITORING}, most, charge, self.clock)
        for index, item in enumerate(items):
            batch.add(parse_item(index, item))
        batch.start(
            lambda receive, served: BatchRequester(
                Client("ann", "192.0.2.1", "/api", 0), b'"c"', {"s": 1}, self.router, self.clock, receive, served
            )
        )
        while batch.begin_some():
            pass
        if batch.open:
            batch.wait().addBoth(self.fired.append)
        return batch

    def answer(self, place: int, topic: Topic, action: Any, data: bytes | None = None, **fields: Any) -> None:
        """
        Answer a request.
        """
        message, sender = self.service.requests[place]
        if "correlation_id" not in fields:
            fields["correlation_id"] = message.correlation_id
        sender.send(Message(topic, action, message.name, data, **fields))

    def results(self, batch: Batch) -> Any:
        return json.loads(batch.answer())["body"]

    def test_requester(self) -> None:
        """
        The requester has the identity of the request, and ends with the batch.
        """
        batch = self.make(CALL)
        ((_, sender),) = self.service.requests
        verifyObject(IRequester, sender)
        self.assertEqual(
            (sender.user, sender.client_data, sender.server_data, sender.address, sender.number, sender.is_server),
            ("ann", b'"c"', {"s": 1}, "192.0.2.1", 0, False),
        )
        self.assertFalse(sender.closed)
        batch.end()
        batch.end()
        self.assertTrue(sender.closed)

    def test_later_turn(self) -> None:
        """
        When the last result is there, the batch goes on in a turn of its own.
        """
        batch = self.make(CALL, CALL)
        self.answer(1, Topic.RPC, RpcAction.ACCEPT)
        self.answer(1, Topic.RPC, RpcAction.RESPONSE, b"1")
        self.clock.advance(0)
        self.assertEqual((batch.open, self.fired), (1, []))
        self.answer(0, Topic.RPC, RpcAction.RESPONSE, b"0")
        self.assertEqual((batch.open, self.fired), (0, []))
        self.clock.advance(0)
        self.assertEqual(self.fired, [None])
        self.assertEqual([result["data"] for result in self.results(batch)], [0, 1])

    def test_refused_before(self) -> None:
        """
        If a batch is refused before it starts, no item begins, those included that are added after that.
        """
        charge = self.charges.enter(0)
        assert isinstance(charge, Charge)
        batch = Batch(Results(), frozenset(Topic), 10**6, charge, self.clock)
        batch.add(parse_item(0, EVENT))
        batch.refuse("enough")
        batch.add(parse_item(1, CALL))
        batch.start(lambda receive, served: self.fail("no requester is needed"))
        self.assertEqual((batch.begin_some(), batch.open), (False, 0))
        self.assertEqual([result["error"] for result in self.results(batch)], ["enough"] * 2)

    def test_ids(self) -> None:
        """
        No two requests have the same id, not of other batches either: the providers of procedures see them.
        """
        self.make(CALL, CALL)
        self.make(CALL, CALL)
        self.assertEqual(len({message.correlation_id for message, _ in self.service.requests}), 4)

    def test_first_answer(self) -> None:
        """
        The first answer counts.
        """
        batch = self.make(CALL)
        self.answer(0, Topic.RPC, RpcAction.RESPONSE, b"1")
        self.answer(0, Topic.RPC, RpcAction.RESPONSE, b"2")
        self.answer(0, Topic.RPC, RpcAction.RESPONSE_TIMEOUT, is_error=True)
        self.assertEqual(self.results(batch), [{"data": 1, "success": True}])

    def test_answers_without_id(self) -> None:
        """
        An answer without an id is for the oldest item of its kind and name. Items that got an error are left out.
        """
        batch = self.make(READ, HEAD, READ, {**READ, "recordName": "other"}, READ, QUERY)
        self.answer(0, Topic.RECORD, RecordAction.RECORD_LOAD_ERROR, is_error=True)
        self.answer(3, Topic.RECORD, RecordAction.READ_RESPONSE, b'"other"', version=9, correlation_id=None)
        self.answer(2, Topic.RECORD, RecordAction.READ_RESPONSE, b'"2"', version=2, correlation_id=None)
        self.answer(1, Topic.RECORD, RecordAction.HEAD_RESPONSE, version=1, correlation_id=None)
        self.answer(5, Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=("a",), correlation_id=None)
        self.answer(4, Topic.RECORD, RecordAction.READ_RESPONSE, b'"4"', version=4, correlation_id=None)
        self.answer(4, Topic.RECORD, RecordAction.READ_RESPONSE, b'"5"', version=5, correlation_id=None)
        error, *others = self.results(batch)
        self.assertEqual(error["errorEventName"], "RECORD_LOAD_ERROR")
        self.assertEqual(
            others,
            [
                {"version": 1, **DONE},
                {"version": 2, "data": "2", **DONE},
                {"version": 9, "data": "other", **DONE},
                {"version": 4, "data": "4", **DONE},
                {"users": ["a"], **DONE},
            ],
        )

    def test_strange_messages(self) -> None:
        """
        Messages that answer nothing are ignored.
        """
        batch = self.make(CALL)
        self.answer(0, Topic.RPC, RpcAction.RESPONSE, b"1", correlation_id="other")
        self.answer(0, Topic.RPC, RpcAction.RESPONSE, b"1", correlation_id=None)
        self.answer(0, Topic.RECORD, RecordAction.READ_RESPONSE, b"1", correlation_id=None)
        self.assertEqual(batch.open, 1)

    def test_events(self) -> None:
        """
        An event has succeeded when it was served without an error; the error may come at once.
        """
        batch = self.make(EVENT, EVENT)
        self.assertEqual((batch.open, self.results(batch)), (0, [DONE, DONE]))

        def refuse(message: Message, sender: Any) -> None:
            sender.send(message.error(EventAction.MESSAGE_DENIED))

        self.service.handle = refuse  # type: ignore[method-assign]
        self.router = Router(OpenPermission(), {Topic.EVENT: self.service}, 1000, self.clock)  # type: ignore[dict-item]
        (result,) = self.results(self.make(EVENT))
        self.assertEqual(result["errorEvent"], "MESSAGE_DENIED")

    def test_known_results(self) -> None:
        """
        Items with nothing to ask for make no request.
        """
        batch = self.make({"topic": "record", "action": "notify", "recordNames": []}, {**QUERY, "names": []})
        self.assertEqual(self.results(batch), [DONE, {"users": {}, **DONE}])
        self.assertEqual((batch.open, self.service.requests), (0, []))

    def test_timeout(self) -> None:
        """
        When the time is over, all open items have a result, and the batch goes on at once. No further item begins.
        """
        batch = self.make(CALL, EVENT)
        batch.time_out()
        self.assertEqual((batch.open, self.fired), (0, [None]))
        timed_out, done = self.results(batch)
        self.assertEqual((timed_out["errorEvent"], done), ("HTTP_REQUEST_TIMEOUT", DONE))
        self.assertTrue(self.service.requests[0][1].closed)
        self.assertFalse(batch.begin_some())

    def test_mistake(self) -> None:
        """
        If serving fails by a mistake of ours, the items have an error.
        """
        self.service.problem = KeyError("x")
        batch = self.make(CALL, CALL)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(batch.open, 0)
        self.assertEqual([result["errorEvent"] for result in self.results(batch)], ["ERROR", "ERROR"])

    def test_too_large(self) -> None:
        """
        Results that have no room get an error; the memory of the others is counted.
        """
        batch = self.make(CALL, CALL, EVENT, most=800)
        before = self.charges.used
        self.answer(0, Topic.RPC, RpcAction.RESPONSE, b'"%b"' % (b"x" * 400))
        self.answer(1, Topic.RPC, RpcAction.RESPONSE, b'"%b"' % (b"x" * 400))
        first, second, third = self.results(batch)
        self.assertEqual((first["success"], third), (True, DONE))
        self.assertEqual(second["errorEvent"], "MAXIMUM_MESSAGE_SIZE_EXCEEDED")
        self.assertGreater(self.charges.used - before, 400)

    def test_no_memory(self) -> None:
        """
        So do results for which the server has no memory.
        """
        self.charges = Charges(20000)
        self.make(CALL)
        batch = self.make(CALL)
        self.answer(1, Topic.RPC, RpcAction.RESPONSE, b'"%b"' % (b"x" * 10000))
        self.assertEqual(self.results(batch)[0]["errorEvent"], "MAXIMUM_MESSAGE_SIZE_EXCEEDED")
