"""
Tests for L{dstwist.routing.topic_searches}: many names, patterns and listeners, and clients that go in the midst of a
search.
"""

from __future__ import annotations

from tests.fakes import FakeConnection
from tests.routing.stage import Fragile, SearchCase, entries


class TopicSearchesTests(SearchCase):
    """
    L{TopicSearches} of records, where time passes only when a test says so.
    """

    # -- what is looked at

    def test_timers(self) -> None:
        """
        All searches share one timer.
        """
        self.stage.listener("a")
        self.subscriber(*self.names(1000))
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)

    def test_w56_waiting(self) -> None:
        """
        W56: a search costs the same memory however many patterns match: it does not keep registrations that have not
        been asked.
        """
        self.subscriber(*self.names(100))
        listener = FakeConnection()
        self.stage.listen(listener, "a")
        before = entries(self.stage.listeners)
        for number in range(200):
            self.stage.listen(listener, f"a.{{0,{number}}}")
        self.assertLess(entries(self.stage.listeners) - before, 1000)

    # -- slices

    def test_timeouts(self) -> None:
        """
        If very many questions are not answered the next one is asked in slices; what is answered until then counts.
        """
        names = self.names(40)
        slow, spare = self.stage.listener("a"), self.stage.listener("a")
        subscriber = self.subscriber(*names)
        slow.take()
        self.busy()
        self.clock.advance(0.5)
        told = self.stage.heard(slow)
        self.assertEqual(told[0], "TIMEOUT a0")
        self.assertLess(len(told), 5)
        self.stage.accept(slow, "a", "a39")
        self.assertEqual(self.stage.heard(subscriber), ["PROVIDED a39"])
        self.clock.tick = 0
        self.turns()
        self.assertEqual(told + self.stage.heard(slow), [f"TIMEOUT {name}" for name in names[:-1]])
        self.assertEqual(self.stage.heard(spare), [f"FOUND a {name}" for name in names[:-1]])

    # -- clients that go because of what they are sent

    def fragile(self, holds: int, action: str = "", pattern: str = "a") -> Fragile:
        connection = Fragile(holds, action)
        self.stage.listen(connection, pattern)
        return connection

    def test_closed_by_acknowledgement(self) -> None:
        """
        A listener that goes by its acknowledgement is offered nothing.
        """
        self.subscriber("a")
        listener = self.fragile(0)
        self.assertTrue(listener.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.stage.heard(self.stage.listener("a")), ["FOUND a a"])

    def test_closed_by_offer(self) -> None:
        """
        A listener that goes by an offer among many is asked no more, and the others are asked in its place; it may be
        the subscriber as well.
        """
        names = self.names(10)
        self.subscriber(*names)
        first = self.fragile(3, "FOUND")
        self.assertTrue(first.closed)
        second = self.fragile(3, "FOUND")
        for name in self.names(10, "b"):
            self.stage.subscribe(second, name)
        last = self.stage.listener("a")
        self.assertTrue(second.closed)
        self.assertEqual(sorted(self.stage.heard(last)), sorted(f"FOUND a {name}" for name in names))

    def test_all_closed_by_offers(self) -> None:
        """
        However many go one after the other by the offers they get, nothing breaks, and nothing is left of them.
        """
        self.stage.listener("none")
        before = entries(self.stage.listeners)
        listeners = [self.fragile(2 + number % 3, "FOUND") for number in range(300)]
        subscriber = self.subscriber(*self.names(1000))
        self.assertTrue(all(listener.closed for listener in listeners))
        subscriber.close()
        self.assertEqual(entries(self.stage.listeners), before)

    def test_closed_by_timeout(self) -> None:
        """
        A listener that goes when it is told that it was too slow is replaced once; so is one that has many patterns.
        """
        names = self.names(5)
        slow = self.fragile(2, "TIMEOUT")
        self.stage.listen(slow, "a.")
        spare = self.stage.listener("a")
        self.subscriber(*names)
        self.clock.advance(0.5)
        self.assertTrue(slow.closed)
        self.assertEqual(sorted(self.stage.heard(spare)), sorted(f"FOUND a {name}" for name in names))

    def test_last_closed_by_timeout(self) -> None:
        """
        When the last listener goes because it is told that it was too slow no timer is left.
        """
        self.fragile(2, "TIMEOUT")
        self.subscriber(*self.names(5))
        self.clock.advance(0.5)
        # The mark of the turn.
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    # -- the log
