"""
Tests for L{dstwist.api.subscription}, through events.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from dstwist.api import subscription
from dstwist.api.errors import HandleClosed, SlowConsumer
from dstwist.api.subscription import Subscription
from tests.api.stage import ApiTestCase, ignore
from tests.logs import Lines


class CallbackTests(ApiTestCase):
    """
    Subscriptions with a callback.
    """

    def subscribe(self, callback: Any) -> Subscription[Any]:
        return self.done(self.api.events.subscribe("news", callback))

    def emit(self, *values: Any) -> None:
        for value in values:
            self.api.events.emit("news", value)
        self.turn()

    def test_failure(self) -> None:
        """
        A callback that raises, at once or later, is logged. It gets the next event, and the others get all of them.
        """
        taken: list[Any] = []

        async def fail_later(event: Any) -> None:
            raise ZeroDivisionError

        self.subscribe(lambda event: 1 // event)
        self.subscribe(fail_later)
        self.subscribe(taken.append)
        self.emit(0, 1, 0)
        self.assertEqual(taken, [0, 1, 0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 5)

    def test_calls_again(self) -> None:
        """
        A callback may use the API, also what it is called by.
        """
        taken: list[Any] = []

        def count(event: int) -> None:
            taken.append(event)
            if event < 5:
                self.api.events.emit("news", event + 1)

        self.subscribe(count)
        self.emit(0)
        self.assertEqual(taken, [0, 1, 2, 3, 4, 5])

    def test_close_while_called(self) -> None:
        """
        A subscription that is closed while an event is delivered, by itself or by another, gets no more.
        """
        taken: list[Any] = []
        subscriptions: list[Subscription[Any]] = []

        def close_all(event: Any) -> None:
            taken.append(event)
            for each in subscriptions:
                each.close()

        subscriptions += (self.subscribe(close_all), self.subscribe(taken.append), self.subscribe(close_all))
        self.emit(1, 2)
        self.assertEqual(taken, [1])
        self.assertEqual(self.api.figures().events, 0)
        self.subscribe(taken.append)
        self.emit(3)
        self.assertEqual(taken, [1, 3])

    def test_subscribe_while_called(self) -> None:
        """
        A callback may subscribe to its own name; the new subscription gets the later events.
        """
        taken: list[Any] = []

        def subscribe(event: Any) -> None:
            if not event:
                self.api.events.subscribe("news", taken.append)

        self.subscribe(subscribe)
        self.emit(0)
        self.emit(1)
        self.assertEqual(taken, [1])

    def test_ended(self) -> None:
        """
        The end of a subscription can be waited for.
        """
        closed = self.subscribe(ignore)
        first, given_up = closed.ended(), closed.ended()
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.done(closed.close())
        self.successResultOf(first)
        self.successResultOf(closed.ended())
        other = self.subscribe(ignore)
        ended = other.ended()
        self.done(self.node.stop())
        self.refused(ended, HandleClosed)
        self.refused(other.ended(), HandleClosed)


class IterationTests(ApiTestCase):
    """
    Subscriptions that are iterated over.
    """

    def setUp(self) -> None:
        super().setUp()
        self.news: Subscription[Any] = self.done(self.api.events.subscribe("news"))

    def next(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.news.__anext__())

    def emit(self, *values: Any) -> None:
        for value in values:
            self.done(self.api.events.emit("news", value))

    def test_waiting(self) -> None:
        """
        Events wait for the reader, and the reader waits for events.
        """
        self.emit(1, 2)
        self.assertEqual([self.successResultOf(self.next()) for _ in range(2)], [1, 2])
        waiting = self.next()
        self.assertNoResult(waiting)
        self.refused(self.next(), RuntimeError)
        self.emit(3)
        self.assertEqual(self.successResultOf(waiting), 3)

    def test_cancel(self) -> None:
        """
        A reader that gives up takes no event away.
        """
        waiting = self.next()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.emit(1)
        self.assertEqual(self.successResultOf(self.next()), 1)

    def test_close(self) -> None:
        """
        The iteration ends when the subscription is closed.
        """
        waiting = self.next()
        self.emit(1, 2)
        self.done(self.news.close())
        self.assertEqual(self.successResultOf(waiting), 1)
        self.failureResultOf(self.next(), StopAsyncIteration)

    def test_slow(self) -> None:
        """
        If too many events wait for the reader, the subscription ends. The reader gets those before the error.
        """
        lines = Lines(self)
        self.patch(subscription, "MAX_WAITING_ITEMS", 3)
        other = self.done(self.api.events.subscribe("news", ignore))
        self.emit(*range(5))
        self.assertEqual([self.successResultOf(self.next()) for _ in range(3)], [0, 1, 2])
        error = self.failureResultOf(self.next(), SlowConsumer).value
        self.assertEqual((error.event, error.name), ("SLOW_CONSUMER", "news"))
        self.failureResultOf(self.next(), SlowConsumer)
        self.assertIn("SLOW_CONSUMER | ", lines.last("warn"))
        self.assertFalse(other.closed)
        self.done(other.close())
        self.assertEqual(self.api.figures().events, 0)

    def test_slow_bytes(self) -> None:
        """
        The same if they have too many bytes; one event may be long.
        """
        self.patch(subscription, "MAX_WAITING_ITEM_BYTES", 1000)
        self.emit("x" * 2000)
        self.assertFalse(self.news.closed)
        self.emit("x")
        self.assertTrue(self.news.closed)

    def test_with_callback(self) -> None:
        """
        A subscription with a callback is not iterated over.
        """
        self.news = self.done(self.api.events.subscribe("news", ignore))
        self.failureResultOf(self.next(), TypeError)
