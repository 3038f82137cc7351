"""
Tests for L{dstwist.routing.held_answers}.
"""

from __future__ import annotations

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Message
from dstwist.routing import held_answers
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from tests.fakes import FakeConnection, FakeSubjects
from tests.requesters import RequesterTestCase, for_each_requester


def subscribe(*names: str) -> Message:
    return Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="7")


def unsubscribe(*names: str) -> Message:
    return Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=names, correlation_id="8")


class _Bus(RequesterTestCase):
    """
    A registry whose names have subjects on a bus.
    """

    def setUp(self) -> None:
        self.subjects = FakeSubjects()
        self.registry = SubscriptionRegistry(Topic.EVENT, limit=2 * NAMES_PER_STEP)
        self.registry.use_subjects(self.subjects)
        self.ann, self.bob = self.connect("ann"), self.connect("bob")

    def subscribe(self, connection: FakeConnection, *names: str) -> Message:
        request = subscribe(*names)
        self.registry.subscribe(request, connection)
        return request

    def unsubscribe(self, connection: FakeConnection, *names: str) -> Message:
        request = unsubscribe(*names)
        self.registry.unsubscribe(request, connection)
        return request


@for_each_requester
class SubjectTests(_Bus):
    """
    The names that are wanted from the bus.
    """

    def test_first_and_last(self) -> None:
        """
        A name is wanted while it has a subscriber.
        """
        self.subscribe(self.ann, "a")
        self.subscribe(self.bob, "a")
        self.unsubscribe(self.ann, "a")
        self.assertEqual(self.subjects.calls, [("want", "a")])
        self.bob.close()
        self.assertEqual(self.subjects.calls, [("want", "a"), ("unwant", "a")])

    def test_without_requests(self) -> None:
        """
        So it is if a service subscribes and ends subscriptions by itself.
        """
        self.registry.add("a", self.ann)
        self.registry.end("a")
        self.assertEqual(self.subjects.calls, [("want", "a"), ("unwant", "a")])


@for_each_requester
class ReadyTests(_Bus):
    """
    L{SubscriptionRegistry.ready}.
    """

    def test_single(self) -> None:
        """
        Without other nodes, nothing has to be waited for.
        """
        registry = SubscriptionRegistry(Topic.EVENT)
        registry.add("a", self.ann)
        self.assertIsNone(registry.ready("a"))

    def test_ready(self) -> None:
        """
        Each caller gets a Deferred of its own, which fires when the subject is in force. After that there is nothing to
        wait for.
        """
        self.registry.add("a", self.ann)
        first = self.registry.ready("a")
        self.registry.add("a", self.bob)
        second = self.registry.ready("a")
        assert first is not None and second is not None
        self.assertNoResult(first)
        first.addCallback(lambda _: "a result of its own")
        self.subjects.confirm("a")
        self.assertEqual(self.successResultOf(first), "a result of its own")
        self.assertIsNone(self.successResultOf(second))
        self.assertIsNone(self.registry.ready("a"))

    def test_lost(self) -> None:
        """
        If the bus is away, there is nothing to wait for.
        """
        self.subjects.is_lost = True
        self.registry.add("a", self.ann)
        self.assertIsNone(self.registry.ready("a"))

    def test_wanted_again(self) -> None:
        """
        If a name is given up and wanted again meanwhile, callers wait for the bus to say so again.
        """
        self.registry.add("a", self.ann)
        (first,) = self.subjects.waiting("a")
        self.registry.discard("a", self.ann)
        self.assertIsNone(self.registry.ready("a"))
        self.registry.add("a", self.bob)
        ready = self.registry.ready("a")
        assert ready is not None
        first.callback(None)
        self.assertNoResult(ready)
        self.subjects.waiting("a")[1].callback(None)
        self.assertIsNone(self.successResultOf(ready))


@for_each_requester
class AnswerTests(_Bus):
    """
    The answers that wait for the bus.
    """

    def test_ack(self) -> None:
        """
        A subscription is acknowledged when its subject is in force. It exists before that.
        """
        request = self.subscribe(self.ann, "a")
        event = Message(Topic.EVENT, EventAction.EMIT, "a", b"1")
        self.registry.publish(event)
        self.assertEqual(self.ann.take(), [event])
        self.subjects.confirm("a")
        self.assertEqual(self.ann.take(), [request.ack()])

    def test_at_once(self) -> None:
        """
        If the subject is in force, or the bus is away, the answer does not wait.
        """
        self.subscribe(self.ann, "a")
        self.subjects.confirm("a")
        request = self.subscribe(self.bob, "a")
        self.assertEqual(self.bob.take(), [request.ack()])
        self.subjects.is_lost = True
        request = self.subscribe(self.bob, "b")
        self.assertEqual(self.bob.take(), [request.ack()])

    def test_second_client(self) -> None:
        """
        A second client waits for a name as well as the first.
        """
        self.subscribe(self.ann, "a")
        request = self.subscribe(self.bob, "a")
        self.assertEqual(self.bob.take(), [])
        self.subjects.confirm("a")
        self.assertEqual(self.bob.take(), [request.ack()])

    def test_bulk(self) -> None:
        """
        A bulk request is acknowledged once, when all its names are in force.
        """
        request = self.subscribe(self.ann, "a", "b", "c")
        self.subjects.confirm("b", "a")
        self.assertEqual(self.ann.take(), [])
        self.subjects.confirm("c")
        self.assertEqual(self.ann.take(), [request.ack()])

    def test_long_bulk(self) -> None:
        """
        Names of a long request may be in force before the last one is wanted.
        """
        self.ann.turns = True
        names = [f"n{number}" for number in range(NAMES_PER_STEP + 2)]
        request = self.subscribe(self.ann, *names)
        self.subjects.confirm(*names[1:NAMES_PER_STEP])
        self.ann.turn()
        self.subjects.confirm(*names[NAMES_PER_STEP:])
        self.assertEqual(self.ann.take(), [])
        self.subjects.confirm(names[0])
        self.assertEqual(self.ann.take(), [request.ack()])

    def test_order(self) -> None:
        """
        The answers of a client leave in the order of its requests, whichever name is in force first.
        """
        self.subscribe(self.bob, "c")
        self.subjects.confirm("c")
        requests = [self.subscribe(self.ann, name) for name in ("a", "b", "c")]
        self.subjects.confirm("b")
        self.assertEqual(self.ann.take(), [])
        self.subjects.confirm("a")
        self.assertEqual(self.ann.take(), [request.ack() for request in requests])

    def test_up_to_the_next(self) -> None:
        """
        When the first answer leaves, others that have a name to wait for still wait, and so do those behind them.
        """
        first, second = self.subscribe(self.ann, "a"), self.subscribe(self.ann, "b")
        third = self.unsubscribe(self.ann, "a")
        self.subjects.confirm("a")
        self.assertEqual(self.ann.take(), [first.ack()])
        self.subjects.confirm("b")
        self.assertEqual(self.ann.take(), [second.ack(), third.ack()])

    def test_unsubscribe_meanwhile(self) -> None:
        """
        A client that unsubscribes before the answer gets both acknowledgements, in order, and no message in between.
        """
        requests = [self.subscribe(self.ann, "a"), self.unsubscribe(self.ann, "a"), self.subscribe(self.ann, "a")]
        first, second = self.subjects.waiting("a")
        self.assertEqual(self.subjects.calls, [("want", "a"), ("unwant", "a"), ("want", "a")])
        second.callback(None)
        self.assertEqual(self.ann.take(), [])
        first.callback(None)
        self.assertEqual(self.ann.take(), [request.ack() for request in requests])

    def test_refusals(self) -> None:
        """
        Errors keep their place among the answers. A request none of whose names can be subscribed waits for nothing.
        """
        names = tuple(f"n{number}" for number in range(2 * NAMES_PER_STEP - 1))
        for name in names:
            self.registry.add(name, self.ann)
        self.subjects.confirm(*names)
        request = self.subscribe(self.ann, "a")
        repeated = subscribe("a")
        self.registry.subscribe(repeated, self.ann)
        denied = self.subscribe(self.ann, "b")
        self.assertEqual(self.ann.take(), [])
        self.subjects.confirm("a")
        self.assertEqual(
            self.ann.take(),
            [
                request.ack(),
                repeated.error("MULTIPLE_SUBSCRIPTIONS", "a", flagged=False),
                repeated.ack(),
                denied.error("MESSAGE_DENIED", "b"),
            ],
        )
        denied = self.subscribe(self.ann, "c")
        self.assertEqual(self.ann.take(), [denied.error("MESSAGE_DENIED", "c")])

    def test_repeated_text(self) -> None:
        """
        A text client gets no acknowledgement for a name that it has, but the error after that of its first request.
        """
        client = self.connect(dialect=TEXT)
        request = self.subscribe(client, "a")
        self.subscribe(client, "a")
        self.subjects.confirm("a")
        self.assertEqual(client.take(), [request.ack(), request.error("MULTIPLE_SUBSCRIPTIONS", "a", flagged=False)])

    def test_closed(self) -> None:
        """
        A client that closes meanwhile gets nothing, and the others get their answers.
        """
        self.subscribe(self.ann, "a", "b")
        request = self.subscribe(self.bob, "a")
        self.ann.close()
        self.subjects.confirm("a", "b")
        self.assertEqual((self.ann.take(), self.bob.take()), ([], [request.ack()]))

    def test_closed_by_an_answer(self) -> None:
        """
        So does one that is closed by the first of its answers.
        """
        requests = [self.subscribe(self.ann, "a") for _ in range(2)]
        send = self.ann.send

        def close(message: Message) -> None:
            send(message)
            self.ann.close()

        self.ann.send = close  # type: ignore[method-assign]
        self.subjects.confirm("a")
        self.assertEqual(self.ann.take(), [requests[0].ack()])

    def test_in_force_by_an_answer(self) -> None:
        """
        If a further name comes into force while an answer is sent, all is well.
        """
        requests = [self.subscribe(self.ann, name) for name in ("a", "b")]
        send = self.ann.send

        def confirm(message: Message) -> None:
            send(message)
            if self.subjects.waiting("b"):
                self.subjects.confirm("b")
                requests.append(self.subscribe(self.ann, "c"))

        self.ann.send = confirm  # type: ignore[method-assign]
        self.subjects.confirm("a")
        self.assertEqual(self.ann.take(), [request.ack() for request in requests[:2]])
        self.subjects.confirm("c")
        self.assertEqual(self.ann.take(), [requests[2].ack()])

    def test_revoked(self) -> None:
        """
        If new rules end a subscription meanwhile, its request is acknowledged once.
        """
        request = self.subscribe(self.ann, "a")
        self.registry.revoke("a", self.ann)
        self.subjects.confirm("a")
        self.assertEqual(self.ann.take(), [request.ack()])


@for_each_requester
class ManyAnswersTests(_Bus):
    """
    The number of answers that wait is limited.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(held_answers, "MAX_WAITING", 4)

    def test_others_go_on(self) -> None:
        """
        Up to the limit, no request of the client waits.
        """
        self.subscribe(self.ann, "a")
        self.subscribe(self.ann, "b")
        self.assertFalse(self.ann.paused)

    def test_requests_wait(self) -> None:
        """
        If too many answers wait, a further request is not served until all of them have left.
        """
        requests = [self.subscribe(self.ann, name) for name in "abc"]
        self.assertTrue(self.ann.paused)
        self.assertNotIn("c", self.registry)
        self.subjects.confirm("a")
        self.assertTrue(self.ann.paused)
        self.subjects.confirm("b")
        self.assertFalse(self.ann.paused)
        self.subjects.confirm("c")
        self.assertEqual(self.ann.take(), [request.ack() for request in requests])

    def test_ends_wait(self) -> None:
        """
        So does a request to unsubscribe.
        """
        requests = [self.subscribe(self.ann, name) for name in "ab"]
        requests.append(self.unsubscribe(self.ann, "a"))
        self.assertIn("a", self.registry)
        self.subjects.confirm("a", "b")
        self.assertNotIn("a", self.registry)
        self.assertEqual(self.ann.take(), [request.ack() for request in requests])

    def test_other_clients(self) -> None:
        """
        The answers of one client do not count for another.
        """
        self.subscribe(self.ann, "a", "b", "c", "d")
        self.subscribe(self.bob, "a")
        self.assertFalse(self.bob.paused)

    def test_closed(self) -> None:
        """
        A client that closes while its request waits is not subscribed.
        """
        self.subscribe(self.ann, "a", "b", "c", "d")
        self.subscribe(self.ann, "e")
        self.ann.close()
        self.subjects.confirm("a", "b", "c", "d")
        self.assertEqual((list(self.registry.names()), self.ann.take()), ([], []))
