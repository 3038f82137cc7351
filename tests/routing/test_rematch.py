"""
Tests for L{dstwist.routing.rematch}.
"""

from __future__ import annotations

from typing import Any

from dstwist.protocol.constants import Topic
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import FakeConnection
from tests.requesters import RequesterTestCase, for_each_requester
from tests.routing.stage import SearchCase, Stage


@for_each_requester
class RematchTests(SearchCase):
    """
    Names that no listener took; time passes only when a test says so.
    """

    def test_of_failures(self) -> None:
        """
        A rematch is about the names that no listener took: names that match no pattern are not looked at.
        """
        listener = self.stage.listener("a")
        self.subscriber(*self.names(100, "b"), "a1", "a2", "a3")
        self.stage.accept(listener, "a", "a1")
        self.stage.reject(listener, "a", "a2")
        listener.take()
        self.clock.advance(20)
        self.assertEqual(self.stage.heard(listener), ["TIMEOUT a3"])
        matched = self.matched()
        self.clock.advance(10)
        self.assertEqual(matched, ["a2", "a3"])
        self.assertEqual(self.stage.heard(listener), ["FOUND a a2", "FOUND a a3"])

    def test_of_nothing(self) -> None:
        """
        While no search has failed nothing is looked at, however many names there are.
        """
        self.provider("a")
        self.subscriber(*self.names(100, "b"))
        matched = self.matched()
        for _ in range(5):
            self.clock.advance(30)
        self.assertEqual(matched, [])

    def test_of_new_listeners(self) -> None:
        """
        A name that only a new listener was offered, and did not take, is offered again as well.
        """
        self.subscriber("a")
        listener = self.stage.listener("a")
        self.stage.reject(listener, "a", "a")
        self.stage.heard(listener)
        self.clock.advance(30)
        self.assertEqual(self.stage.heard(listener), ["FOUND a a"])

    def test_beside_new_listeners(self) -> None:
        """
        While a new listener is asked about a name that no listener took, no other listener is.
        """
        patient = self.stage.listener("a")
        subscriber = self.subscriber("a")
        self.stage.reject(patient, "a", "a")
        patient.take()
        self.clock.advance(29.8)
        new_listener = self.stage.listener("a")
        self.clock.advance(0.2)
        self.assertEqual(self.stage.heard(patient), [])
        self.stage.accept(new_listener, "a", "a")
        self.assertEqual(self.stage.heard(subscriber), ["PROVIDED a"])

    def test_without_match(self) -> None:
        """
        A name that matches no pattern any more is forgotten, and is offered to any new listener.
        """
        leaver = self.stage.listener("a")
        self.stage.listener("b")
        self.subscriber("a")
        self.stage.reject(leaver, "a", "a")
        leaver.close()
        self.clock.advance(30)
        matched = self.matched()
        self.clock.advance(30)
        self.assertEqual(matched, [])
        self.assertEqual(self.stage.heard(self.stage.listener("a")), ["FOUND a a"])

    def test_many(self) -> None:
        """
        If very many names were not taken all are asked again in slices, about each once, even if that lasts until the
        next time that all are asked.
        """
        self.stage = Stage(connect=self.connect, clock=self.clock, response_timeout=1000.0)
        names = self.names(40)
        listener = self.stage.listener("a")
        self.subscriber(*names)
        for name in names:
            self.stage.reject(listener, "a", name)
        listener.take()
        self.busy()
        self.clock.advance(30)
        told = self.stage.heard(listener)
        self.assertLess(len(told), 5)
        self.clock.advance(31)
        told += self.stage.heard(listener)
        self.assertEqual(len(self.stage.listeners._assignment.time_slices), 1)
        self.clock.tick = TIME_SLICE / 400
        self.turns()
        self.assertEqual(told + self.stage.heard(listener), [f"FOUND a {name}" for name in names])


@for_each_requester
class RematchTimeTests(RequesterTestCase):
    """
    The times of rematches, for listeners to records.
    """

    topic = Topic.RECORD

    def setUp(self) -> None:
        self.stage = self.make()

    def make(self, **options: Any) -> Stage:
        return Stage(self.topic, connect=self.connect, **options)

    def hears(self, connection: FakeConnection, *expected: str) -> None:
        """
        C{connection} was sent exactly this; only subscribers of records are told of providers.
        """
        if self.topic is Topic.EVENT:
            expected = tuple(words for words in expected if not words.startswith(("PROVIDED", "UNPROVIDED")))
        self.assertEqual(self.stage.heard(connection), list(expected))

    def test_w36_cooldown(self) -> None:
        """
        W36: a name that all declined is offered again, but not before the cooldown is over.
        """
        self.stage = self.make(rematch_interval=4.0, match_cooldown=10.0)
        listener = self.stage.listener("a")
        self.stage.clock.advance(1)
        self.stage.subscriber("a")
        self.stage.reject(listener, "a", "a")
        self.hears(listener, "FOUND a a")
        self.stage.clock.pump([3, 4])
        self.hears(listener)
        self.stage.clock.advance(4)
        self.hears(listener, "FOUND a a")
        self.stage.reject(listener, "a", "a")
        self.stage.clock.pump([4, 4])
        self.hears(listener)
        self.stage.clock.advance(4)
        self.hears(listener, "FOUND a a")

    def test_w36_new_subscription(self) -> None:
        """
        W36: when a name is wanted anew its former lack of success is forgotten.
        """
        listener = self.stage.listener("a")
        for _ in range(2):
            subscriber = self.stage.subscriber("a")
            self.stage.reject(listener, "a", "a")
            self.hears(listener, "FOUND a a")
            subscriber.close()

    def test_w36_nobody_starves(self) -> None:
        """
        W36: a listener that comes, declines and comes again does not keep others from being asked.
        """
        patient = self.stage.listener("a")
        self.stage.subscriber("a")
        self.stage.reject(patient, "a", "a")
        patient.take()
        for _ in range(7):
            self.stage.clock.advance(5)
            restless = self.stage.listener("a")
            self.stage.reject(restless, "a", "a")
            restless.close()
        self.hears(patient, "FOUND a a", "TIMEOUT a")

    def test_w38_rematch(self) -> None:
        """
        W38: a name that all have declined finds its provider when all are asked again.
        """
        listeners = [self.stage.listener("a") for _ in range(2)]
        subscriber = self.stage.subscriber("a")
        for listener in listeners:
            self.stage.reject(listener, "a", "a")
            listener.take()
        self.stage.clock.advance(30)
        self.hears(listeners[0], "FOUND a a")
        self.stage.reject(listeners[0], "a", "a")
        self.stage.accept(listeners[1], "a", "a")
        self.hears(subscriber, "PROVIDED a")
        self.stage.clock.pump([30, 30])
        self.hears(listeners[0])

    def test_rematch_leaves_searches_alone(self) -> None:
        """
        A name that has a search or a provider is not searched again.
        """
        self.stage = self.make(rematch_interval=1.1, response_timeout=5.0)
        first, second = self.stage.listener("a"), self.stage.listener("a")
        for name in ("a1", "a2"):
            self.stage.subscriber(name)
        self.stage.accept(first, "a", "a2")
        self.stage.clock.pump([1.1] * 4)
        self.hears(first, "FOUND a a1", "FOUND a a2")
        self.hears(second)

    def test_no_rematch(self) -> None:
        """
        The interval can be switched off: then no timer runs.
        """
        stage = self.make(rematch_interval=None)
        stage.listener("a")
        self.assertEqual(stage.clock.getDelayedCalls(), [])

    def test_no_rematch_for_nobody(self) -> None:
        """
        The timer ends with the last listener and starts with the next one.
        """
        ann, bob = self.stage.listener("a"), self.stage.listener("a")
        self.assertEqual(len(self.stage.clock.getDelayedCalls()), 1)
        ann.close()
        self.assertEqual(len(self.stage.clock.getDelayedCalls()), 1)
        self.stage.unlisten(bob, "a")
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])
        self.stage.listen(bob, "a")
        self.assertEqual(len(self.stage.clock.getDelayedCalls()), 1)


@for_each_requester
class EventRematchTimeTests(RematchTimeTests):
    """
    The times of rematches, for listeners to events.
    """

    topic = Topic.EVENT
