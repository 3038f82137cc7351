"""
Tests for L{dstwist.routing.provider_assignment}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes import FakeConnection
from tests.requesters import for_each_requester
from tests.routing.stage import Fragile, SearchCase, entries


@for_each_requester
class ProviderAssignmentTests(SearchCase):
    """
    Listeners that leave, or may not provide a name any more; time passes only when a test says so.
    """

    def fragile(self, holds: int, action: str = "", pattern: str = "a") -> Fragile:
        connection = Fragile(holds, action)
        self.stage.listen(connection, pattern)
        return connection

    def test_provider_leaves(self) -> None:
        """
        A provider of very many names that leaves is replaced in slices: subscribers are told once that there is none,
        the next one is asked once, and until then the name counts as provided.
        """
        for leave in (self.stage.unlisten, lambda connection, _: connection.close()):
            names = self.names(40)
            subscriber = self.subscriber(*names)
            leaver = self.provider("a", *names)
            spare = self.stage.listener("a")
            subscriber.take()
            self.busy()
            leave(leaver, "a")
            told = self.stage.heard(subscriber)
            self.assertLess(len(told), 5)
            self.assertEqual(told[0], "UNPROVIDED a0")
            self.assertEqual([self.stage.listeners.provided(name) for name in ("a0", "a39")], [False, True])
            self.assertGreater(self.turns(), 10)
            self.assertEqual(told + self.stage.heard(subscriber), [f"UNPROVIDED {name}" for name in names])
            self.assertEqual(self.stage.heard(spare), [f"FOUND a {name}" for name in names])
            self.clock.tick = 0
            leaver.take()
            subscriber.close()
            self.assertEqual(self.stage.heard(leaver), [])
            for connection in (leaver, spare):
                connection.close()

    def test_provider_leaves_and_names(self) -> None:
        """
        While a provider is replaced, some names end, or end and have a subscriber again: no listener is told of them
        twice.
        """
        names = self.names(20)
        subscriber = self.subscriber(*names)
        leaver = self.provider("a", *names)
        spare = self.stage.listener("a")
        subscriber.take()
        self.busy()
        self.stage.unlisten(leaver, "a")
        for name in ("a18", "a19"):
            self.stage.unsubscribe(subscriber, name)
            self.assertFalse(self.stage.listeners.provided(name))
        self.stage.subscribe(subscriber, "a19")
        self.stage.accept(spare, "a", "a19")
        self.turns()
        self.assertTrue(self.stage.listeners.provided("a19"))
        told = [words for words in self.stage.heard(subscriber) if words.startswith("UNPROVIDED")]
        self.assertEqual(told, [f"UNPROVIDED {name}" for name in names[:18]])
        self.assertEqual(
            sorted(self.stage.heard(spare)), sorted({f"FOUND a {name}" for name in names} - {"FOUND a a18"})
        )
        self.assertEqual(self.stage.heard(leaver), ["ACK UNLISTEN a"])

    def test_provider_comes_again(self) -> None:
        """
        A provider that goes and comes again is asked once about each name that it has provided, and is the provider of
        none until it accepts.
        """
        names = self.names(20)
        subscriber = self.subscriber(*names)
        listener = self.provider("a", *names)
        subscriber.take()
        self.busy()
        self.stage.unlisten(listener, "a")
        self.stage.listen(listener, "a")
        self.stage.accept(listener, "a", "a19")
        self.turns()
        heard = [words for words in self.stage.heard(listener) if "ACK" not in words]
        self.assertIn("REMOVED a a19", heard)
        heard.remove("REMOVED a a19")
        self.assertEqual(sorted(heard), sorted(f"FOUND a {name}" for name in names))
        self.assertEqual(self.stage.heard(subscriber), [f"UNPROVIDED {name}" for name in names])
        self.stage.accept(listener, "a", "a19")
        self.assertEqual(self.stage.heard(subscriber), ["PROVIDED a19"])

    def test_asked_leaves(self) -> None:
        """
        Somebody who is being asked about very many names and leaves is replaced in slices; it can accept none of them
        any more, and if the time for its answer is over meanwhile the next one is asked all the same, once.
        """
        names = self.names(20)
        asked, spare = self.stage.listener("a"), self.stage.listener("a")
        subscriber = self.subscriber(*names)
        self.busy()
        asked.take()
        self.stage.unlisten(asked, "a")
        self.stage.accept(asked, "a", "a19")
        self.assertEqual(self.stage.heard(asked), ["ACK UNLISTEN a", "REMOVED a a19"])
        self.stage.unsubscribe(subscriber, "a18")
        self.stage.subscribe(subscriber, "a18")
        self.stage.accept(spare, "a", "a18")
        self.clock.advance(0.5)
        self.turns()
        offers = [words for words in self.stage.heard(spare) if words.startswith("FOUND")]
        self.assertEqual(sorted(offers), sorted(f"FOUND a {name}" for name in names))
        self.assertEqual(self.stage.heard(asked), [])
        self.assertEqual(self.stage.heard(subscriber), ["ACK UNSUBSCRIBE", "ACK SUBSCRIBE", "PROVIDED a18"])

    def test_asked_leaves_and_names(self) -> None:
        """
        A listener that is asked about a name that ended and has a subscriber again is not passed over for the one that
        left.
        """
        asked, spare = self.stage.listener("a"), self.stage.listener("a")
        subscriber = self.subscriber(*self.names(20))
        self.busy()
        self.stage.unlisten(asked, "a")
        self.clock.advance(0)
        self.stage.unsubscribe(subscriber, "a19")
        self.stage.subscribe(subscriber, "a19")
        self.clock.tick = 0
        self.turns()
        self.assertEqual(self.stage.heard(spare).count("FOUND a a19"), 1)
        self.stage.accept(spare, "a", "a19")
        self.assertTrue(self.stage.listeners.provided("a19"))

    def test_asked_leaves_alone(self) -> None:
        """
        When the only listener leaves all timers end, and what it was asked about is offered to the next who comes.
        """
        names = self.names(20)
        self.subscriber(*names)
        only = self.stage.listener("a")
        self.busy()
        only.close()
        new_listener = self.connect()
        self.stage.listen(new_listener, "a")
        self.turns()
        heard = self.stage.heard(new_listener)
        self.assertEqual(sorted(heard[1:]), sorted(f"FOUND a {name}" for name in names))
        new_listener.close()
        self.turns()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_revoked(self) -> None:
        """
        A provider that loses its right is told of each name once, also of those that end before their turn comes; if it
        stops listening itself it is told nothing more.
        """
        names = self.names(20)
        subscriber = self.subscriber(*names)
        provider = self.provider("a", *names)
        self.busy()
        self.stage.listeners.revoke("a", provider)
        self.stage.unsubscribe(subscriber, "a19")
        told = self.stage.heard(provider)
        self.assertEqual((told[0], told[-1]), ("REMOVED a a0", "REMOVED a a19"))
        self.clock.advance(0)
        told += self.stage.heard(provider)
        self.stage.unlisten(provider, "a")
        self.turns()
        self.assertEqual(self.stage.heard(provider), ["ACK UNLISTEN a"])
        self.assertTrue(len(told) == len(set(told)) < 20)

    def test_stop(self) -> None:
        """
        A stop ends what is done in slices, and leaves no timer.
        """
        names = self.names(40)
        subscriber = self.subscriber(*names)
        self.busy()
        listener, other = self.stage.listener("a"), self.stage.listener("b")
        self.stage.listeners.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        listener.take()
        self.stage.listen(other, "a")
        other.take()
        self.stage.reject(listener, "a", "a0")
        self.assertEqual(self.stage.heard(other), [])
        for connection in (subscriber, listener, other):
            connection.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.stage.heard(listener), [])

    def test_closed_by_removal(self) -> None:
        """
        A provider that goes when it is told what is not wanted any more, or what it has lost, is replaced like any
        other.
        """
        ends: list[Callable[[FakeConnection, FakeConnection], Any]] = [
            lambda subscriber, provider: self.stage.unsubscribe(subscriber, "a0"),
            lambda subscriber, provider: self.stage.listeners.revoke("a", provider),
        ]
        for end in ends:
            names = self.names(5)
            provider = self.fragile(0, "REMOVED")
            subscriber = self.subscriber(*names)
            for name in names:
                self.stage.accept(provider, "a", name)
            spare = self.stage.listener("a")
            subscriber.take()
            end(subscriber, provider)
            self.assertTrue(provider.closed)
            told = [words for words in self.stage.heard(subscriber) if words.startswith("UNPROVIDED")]
            self.assertEqual(len(told), len(self.stage.heard(spare)))
            self.assertGreaterEqual(len(told), 4)
            for connection in (subscriber, spare):
                connection.close()

    def test_subscriber_closed(self) -> None:
        """
        If the listener that leaves was the only subscriber of the name, no other listener is asked about it. It may
        leave when it is told that it was too slow, or which name it has lost.
        """
        for action in ("TIMEOUT", "REMOVED"):
            both, spare = self.fragile(0, action), self.stage.listener("a")
            before = entries(self.stage.listeners)
            self.stage.subscribe(both, "a1")
            if action == "TIMEOUT":
                self.clock.advance(0.5)
            else:
                self.stage.accept(both, "a", "a1")
                self.stage.listeners.revoke("a", both)
            self.assertTrue(both.closed)
            self.assertEqual(self.stage.heard(spare), [])
            self.assertLess(entries(self.stage.listeners), before)
            spare.close()
