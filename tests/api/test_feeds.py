"""
Tests for L{dstwist.api.feeds}, through events.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from dstwist.api import subscription
from dstwist.api.errors import MessageDenied, SlowConsumer
from dstwist.api.subscription import Subscription
from tests.api.stage import ApiTestCase, ignore


class FeedTests(ApiTestCase):
    """
    One subscription of the server for all of the application.
    """

    def test_shared(self) -> None:
        """
        The server has one subscription until the last one of the application is closed.
        """
        taken: list[Any] = []
        first, second = (self.done(self.api.events.subscribe("news", taken.append)) for _ in range(2))
        self.done(self.api.events.emit("news", 1))
        self.assertEqual((taken, self.api.figures().events), ([1, 1], 1))
        self.done(first.close())
        self.done(first.close())
        self.assertEqual(self.api.figures().events, 1)
        self.done(second.close())
        self.assertEqual(self.api.figures().events, 0)

    def test_many(self) -> None:
        """
        Of many subscriptions to one name, each is closed without a search for it.
        """
        subscriptions = [self.done(self.api.events.subscribe("news", ignore)) for _ in range(10)]
        compared: list[Any] = []

        def compare(one: object, other: object) -> bool:
            compared.append(other)
            return one is other

        self.patch(Subscription, "__eq__", compare)
        for each in reversed(subscriptions):
            self.done(each.close())
        self.assertEqual(compared, [])
        self.assertEqual(self.api.figures().events, 0)

    def test_again_at_once(self) -> None:
        """
        A name is closed and subscribed to again while the server is slow: only new events arrive.
        """
        taken: list[Any] = []
        old = self.done(self.api.events.subscribe("news", taken.append))
        self.waits = True
        # The requester that subscribes has to wait for the permission.
        other = self.api.events.subscribe("other", ignore)
        closing = old.close()
        again = self.api.events.subscribe("news", taken.append)
        self.waits = False
        self.done(self.api.events.emit("news", "old"))
        self.assertEqual(taken, [])
        self.permit()
        outcomes: list[Deferred[Any]] = [other, closing, again]
        for each in outcomes:
            self.successResultOf(each)
        self.done(self.api.events.emit("news", "new"))
        self.assertEqual(taken, ["new"])

    def test_cancelled_join(self) -> None:
        """
        Two callers wait for the subscription, and one gives up: the other one gets it.
        """
        self.waits = True
        first, second = (self.api.events.subscribe("news", ignore) for _ in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.permit()
        self.assertFalse(self.successResultOf(second).closed)
        self.assertEqual(self.api.figures().events, 1)

    def test_cancel_the_other(self) -> None:
        """
        The first of two callers has the other one cancelled, when it gets its subscription.
        """
        self.waits = True
        first = self.api.events.subscribe("news", ignore)
        second = self.api.events.subscribe("news", ignore)
        outcomes: list[Any] = []
        second.addBoth(outcomes.append)

        def cancel(subscription: Subscription[Any]) -> Subscription[Any]:
            second.cancel()
            return subscription

        first.addCallback(cancel)
        self.permit()
        self.assertIsInstance(outcomes[0].value, CancelledError)
        self.done(self.successResultOf(first).close())
        self.assertEqual(self.api.figures().events, 0)

    def test_cancel_the_other_when_refused(self) -> None:
        """
        The first of two callers has the other one cancelled, when the server refuses the subscription.
        """
        self.waits = True
        first, second, third = (self.api.events.subscribe("news", ignore) for _ in range(3))
        outcomes: list[Any] = []
        second.addBoth(outcomes.append)

        def cancel(failure: Failure) -> Failure:
            second.cancel()
            return failure

        first.addErrback(cancel)
        self.permit(False)
        self.assertIsInstance(outcomes[0].value, CancelledError)
        for each in (first, third):
            self.failureResultOf(each, MessageDenied)

    def test_flood(self) -> None:
        """
        If more events come in one turn than may wait for the application, its subscriptions end.
        """
        self.patch(subscription, "MAX_WAITING_ITEMS", 10)
        taken: list[Any] = []
        subscriptions = [self.done(self.api.events.subscribe("news", taken.append)) for _ in range(2)]
        other = self.done(self.api.events.subscribe("other", ignore))
        for number in range(50):
            self.api.events.emit("news", number)
        self.turn()
        self.assertEqual(taken, [number for number in range(10) for _ in subscriptions])
        for each in subscriptions:
            self.assertIsInstance(each.error, SlowConsumer)
        self.assertFalse(other.closed)
        self.assertEqual(self.api.figures().events, 1)
        self.done(self.api.events.subscribe("news", taken.append))
        self.done(self.api.events.emit("news", "again"))
        self.assertEqual(taken[-1], "again")
