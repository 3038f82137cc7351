"""
Tests for L{dstwist.routing.subscription_requests}.
"""

from __future__ import annotations

from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from tests.requesters import for_each_requester
from tests.routing.subscribers import SubscriptionTestCase, emit, repeated, subscribe, unsubscribe


@for_each_requester
class SubscriptionRequestsTests(SubscriptionTestCase):
    """
    L{SubscriptionRequests}, with C{services.md} section 2 beside it.
    """

    def test_bulk_ack(self) -> None:
        """
        A bulk request has one acknowledgement, after all its names.
        """
        connection = self.connect()
        request = subscribe("a", "b")
        self.registry.subscribe(request, connection)
        self.assertEqual(connection.take(), [request.ack()])
        self.assertEqual(sorted(self.registry.names()), ["a", "b"])

    def test_limit(self) -> None:
        """
        A connection that wants more names than it may have is refused them, one by one, and keeps what it has; that it
        may ask for again, and for another name when it has given up one.
        """
        self.registry = SubscriptionRegistry(Topic.EVENT, limit=2)
        one, two = self.subscriber("a"), self.subscriber("a", "b")
        request = subscribe("a", "b", "c", "d")
        self.registry.subscribe(request, one)
        repeated = request.error("MULTIPLE_SUBSCRIPTIONS", "a", flagged=False)
        denials = [request.error("MESSAGE_DENIED", name) for name in ("c", "d")]
        self.assertEqual(one.take(), [repeated, *denials, request.ack()])
        self.assertEqual((sorted(self.registry.names()), self.registry.subscribers("b")), (["a", "b"], [two, one]))
        request = subscribe("c")
        self.registry.subscribe(request, one)
        self.assertEqual(one.take(), [request.error("MESSAGE_DENIED", "c")])
        self.registry.unsubscribe(unsubscribe("a"), one)
        one.take()
        self.registry.subscribe(request, one)
        self.assertEqual(one.take(), [request.ack()])

    def test_long_bulk(self) -> None:
        """
        The names of a long request are dealt with a few in each turn; the one acknowledgement follows the last.
        """
        connection = self.connect()
        connection.turns = True
        names = tuple(f"n{number}" for number in range(3 * NAMES_PER_STEP))
        for request, ask, left in (
            (subscribe(*names), self.registry.subscribe, (1, 2, 3)),
            (unsubscribe(*names), self.registry.unsubscribe, (2, 1, 0)),
        ):
            ask(request, connection)
            for turn, steps in enumerate(left):
                self.assertEqual(len(self.registry.names_of(connection)), steps * NAMES_PER_STEP)
                self.assertEqual(connection.take(), [request.ack()] if turn == 2 else [])
                connection.turn()

    def test_limit_in_long_bulk(self) -> None:
        """
        The limit holds in a later turn as well.
        """
        self.registry = SubscriptionRegistry(Topic.EVENT, limit=NAMES_PER_STEP + 1)
        connection = self.connect()
        connection.turns = True
        request = subscribe(*(f"n{number}" for number in range(4 * NAMES_PER_STEP)))
        self.registry.subscribe(request, connection)
        while connection.turn():
            pass
        denials = [request.error("MESSAGE_DENIED", name) for name in request.names[NAMES_PER_STEP + 1 :]]
        self.assertEqual(connection.take(), [*denials, request.ack()])
        self.assertEqual(len(self.registry.names_of(connection)), NAMES_PER_STEP + 1)

    def test_gone_in_long_bulk(self) -> None:
        """
        A client that leaves in the midst of a long request is subscribed to nothing, and each name that began has
        ended.
        """
        connection = self.connect()
        connection.turns = True
        self.registry.subscribe(subscribe(*(f"n{number}" for number in range(3 * NAMES_PER_STEP))), connection)
        connection.turn()
        connection.close()
        self.assertFalse(connection.turn())
        self.assertEqual((list(self.registry.names()), list(self.registry.connections())), ([], []))
        first, last = ([name for what, name in self.seen if what == kind] for kind in ("first", "last"))
        self.assertEqual((len(first), sorted(first)), (2 * NAMES_PER_STEP, sorted(last)))

    def test_repeated(self) -> None:
        """
        A name that is subscribed already is complained about before the acknowledgement, and counts once.
        """
        connection = self.subscriber("a")
        request = subscribe("b", "a")
        self.registry.subscribe(request, connection)
        self.assertEqual(connection.take(), [repeated(request, "a"), request.ack()])
        self.registry.publish(emit("a"))
        self.assertEqual(connection.take(), [emit("a")])

    def test_repeated_in_one_request(self) -> None:
        """
        The same name twice in one request is a repetition as well.
        """
        connection = self.connect()
        request = subscribe("a", "a")
        self.registry.subscribe(request, connection)
        self.assertEqual(connection.take(), [repeated(request, "a"), request.ack()])

    def test_repeated_text(self) -> None:
        """
        Text clients get the complaint, and no acknowledgement.
        """
        connection = self.subscriber("a", dialect=TEXT)
        request = subscribe("a")
        self.registry.subscribe(request, connection)
        self.assertEqual(connection.take(), [repeated(request, "a")])

    def test_unsubscribe(self) -> None:
        """
        After the acknowledgement of its end a subscription brings nothing more.
        """
        connection = self.subscriber("a")
        self.registry.unsubscribe(unsubscribe("a"), connection)
        self.registry.publish(emit("a"))
        self.assertEqual(connection.take(), [unsubscribe("a").ack()])

    def test_unsubscribe_unknown(self) -> None:
        """
        The end of a subscription that never was is acknowledged, in both generations: the client may have ended it
        while it was offline.
        """
        for connection in (self.connect(), self.connect(dialect=TEXT)):
            for names in (("a",), ("a", "b")):
                self.registry.unsubscribe(unsubscribe(*names), connection)
                self.assertEqual(connection.take(), [unsubscribe(*names).ack()])

    def test_rpc_names(self) -> None:
        """
        A topic may have its own names for the errors.
        """
        registry = SubscriptionRegistry(Topic.RPC, "MULTIPLE_PROVIDERS")
        connection = self.connect()
        provide = Message(Topic.RPC, RpcAction.PROVIDE, names=("add",))
        registry.subscribe(provide, connection)
        registry.subscribe(provide, connection)
        self.assertEqual(connection.take()[1].action, RpcAction.MULTIPLE_PROVIDERS)
