"""
ProviderSearches for providers when names, patterns and listeners are many, and when clients go in the midst of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Message
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import BusyClock, FakeConnection
from tests.logs import Lines
from tests.routing.stage import Stage, entries

#: How the log names the clients of these tests.
ANN = "ann (192.0.2.1, /deepstream, #7)"


class Fragile(FakeConnection):
    """
    A connection that closes when it is sent the message that is one too many, as one does whose client does not read.
    """

    def __init__(self, holds: int, action: str = "") -> None:
        super().__init__()
        self.holds = holds
        self.action = action

    def send(self, message: Message) -> None:
        if not self.closed and self.action in message.action.name:
            self.holds -= 1
            if self.holds < 0:
                self.close("outgoing buffer full")
        super().send(message)


class ProviderSearchesTests(SynchronousTestCase):
    """
    L{ProviderSearches} of records, where time passes only when a test says so.
    """

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.stage = Stage(clock=self.clock)

    def busy(self, steps: int = 4) -> None:
        """
        From now on everything takes so long that C{steps} looks at the time fill a slice.
        """
        self.clock.tick = TIME_SLICE / steps

    def names(self, count: int, prefix: str = "a") -> list[str]:
        return [f"{prefix}{number}" for number in range(count)]

    def subscriber(self, *names: str) -> FakeConnection:
        connection = FakeConnection("subscriber")
        for name in names:
            self.stage.subscribe(connection, name)
        connection.take()
        return connection

    def provider(self, pattern: str, *names: str) -> FakeConnection:
        """
        A listener that provides C{names}.
        """
        connection = self.stage.listener(pattern)
        for name in names:
            self.stage.accept(connection, pattern, name)
            self.assertTrue(self.stage.listeners.provided(name))
        connection.take()
        return connection

    def turns(self, limit: int = 1000) -> int:
        """
        Let the reactor go on until nothing is to be done at once; how many turns that took.
        """
        for number in range(limit):
            if not any(call.getTime() <= self.clock.rightNow for call in self.clock.getDelayedCalls()):
                return number
            self.clock.advance(0)
        raise AssertionError("there is no end of it")

    def matched(self) -> list[str]:
        """
        The names that are matched with patterns from now on.
        """
        names: list[str] = []
        table: Any = self.stage.listeners._registrations
        ask = table.matching

        def matching(name: str) -> Any:
            names.append(name)
            return ask(name)

        self.patch(table, "matching", matching)
        return names

    # -- what is looked at

    def test_rematch_of_failures(self) -> None:
        """
        When all are asked again it is about the names that nobody took: what matches no pattern is not looked at.
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

    def test_rematch_of_nothing(self) -> None:
        """
        While no search has failed nothing is looked at, however many names there are.
        """
        self.provider("a")
        self.subscriber(*self.names(100, "b"))
        matched = self.matched()
        for _ in range(5):
            self.clock.advance(30)
        self.assertEqual(matched, [])

    def test_rematch_of_new_listeners(self) -> None:
        """
        What a new listener alone was asked for, and did not take, is offered again as well.
        """
        self.subscriber("a")
        listener = self.stage.listener("a")
        self.stage.reject(listener, "a", "a")
        self.stage.heard(listener)
        self.clock.advance(30)
        self.assertEqual(self.stage.heard(listener), ["FOUND a a"])

    def test_rematch_beside_new_listeners(self) -> None:
        """
        While a new listener is asked about a name that nobody took, nobody else is.
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

    def test_order_of_new_listeners(self) -> None:
        """
        Who comes while a search is under way is asked after those who were there before, in the order of coming,
        whatever the patterns.
        """
        ann, bob = self.stage.listener("a"), self.stage.listener("b")
        self.subscriber("ab")
        cat, dan, eve = (self.stage.listener(pattern) for pattern in "bab")
        for connection, pattern in ((ann, "a"), (bob, "b"), (cat, "b"), (dan, "a"), (eve, "b")):
            self.assertEqual(self.stage.heard(connection), [f"FOUND {pattern} ab"])
            self.stage.reject(connection, pattern, "ab")

    def test_rematch_without_match(self) -> None:
        """
        What nobody's pattern matches any more is forgotten, and is offered to whoever comes.
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

    def test_newcomer_looks_at_idle_names(self) -> None:
        """
        A new listener has its pattern matched with the names about which nobody is asked, and nothing else is matched.
        """
        asked = self.stage.listener("a")
        self.subscriber(*self.names(10), "b1", "b2")
        self.stage.accept(asked, "a", "a3")
        matched = self.matched()
        new_listener = self.stage.listener("[b3]")
        self.assertEqual(matched, ["b1", "b2"])
        self.stage.reject(asked, "a", "a0")
        asked.close()
        self.assertEqual(self.stage.heard(new_listener), ["FOUND [b3] b1", "FOUND [b3] b2", "FOUND [b3] a3"])

    def test_timers(self) -> None:
        """
        All searches share one timer.
        """
        self.stage.listener("a")
        self.subscriber(*self.names(1000))
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)

    def test_w56_waiting(self) -> None:
        """
        W56: a search costs the same memory however many patterns match: it keeps nobody who has not been asked.
        """
        self.subscriber(*self.names(100))
        listener = FakeConnection()
        self.stage.listen(listener, "a")
        before = entries(self.stage.listeners)
        for number in range(200):
            self.stage.listen(listener, f"a.{{0,{number}}}")
        self.assertLess(entries(self.stage.listeners) - before, 1000)

    # -- slices

    def test_newcomer(self) -> None:
        """
        Of very many names some are offered at once and the others in later turns, each once; the acknowledgement comes
        first of all.
        """
        names = self.names(40)
        self.subscriber(*names)
        self.busy()
        listener = FakeConnection()
        self.stage.listen(listener, "a")
        first = self.stage.heard(listener)
        self.assertEqual(first[:2], ["ACK LISTEN a", "FOUND a a0"])
        self.assertLess(len(first), 5)
        self.assertGreater(self.turns(), 10)
        self.assertEqual([*first[1:], *self.stage.heard(listener)], [f"FOUND a {name}" for name in names])

    def test_newcomers_share(self) -> None:
        """
        Those who come while names are gone through share the next round, so there is never more than one list of names.
        """
        self.subscriber(*self.names(20, "b"), *self.names(4))
        self.busy()
        listed: list[Iterable[str]] = []
        names = self.stage.subscriptions.names

        def counted() -> Iterable[str]:
            listed.append(names())
            return listed[-1]

        self.patch(self.stage.subscriptions, "names", counted)
        listeners = [
            self.stage.listener("a"),
            *(self.stage.listener(pattern) for pattern in ("a", "b", "a.", "b.", ".")),
        ]
        self.turns()
        self.assertEqual(len(listed), 2)
        asked = [self.stage.heard(listener) for listener in listeners]
        self.assertEqual(sum(len(heard) for heard in asked), 24)
        self.assertEqual(asked[0], [f"FOUND a a{number}" for number in range(4)])
        self.assertEqual([len(heard) for heard in asked[1:3]], [0, 20])

    def test_newcomer_and_names(self) -> None:
        """
        While a new listener's names are gone through some are wanted anew, end, or end and are wanted again: it is
        asked once about each that is wanted.
        """
        names = self.names(20)
        subscriber = self.subscriber(*names)
        self.busy()
        listener = FakeConnection()
        self.stage.listen(listener, "a")
        for name in ("a17", "a18"):
            self.stage.unsubscribe(subscriber, name)
        for name in ("a18", "a20"):
            self.stage.subscribe(subscriber, name)
            self.stage.reject(listener, "a", name)
        self.turns()
        expected = {f"FOUND a {name}" for name in (*names, "a20")} - {"FOUND a a17"}
        heard = self.stage.heard(listener)
        self.assertEqual(set(heard), expected | {"ACK LISTEN a"})
        self.assertEqual(len(heard), len(set(heard)))

    def test_newcomer_leaves(self) -> None:
        """
        Who goes while its names are gone through is asked no more, and the names are not gone through for nobody.
        """
        for leave in (self.stage.unlisten, lambda connection, _: connection.close()):
            subscriber = self.subscriber(*self.names(40))
            self.busy()
            listener = FakeConnection()
            self.stage.listen(listener, "a")
            leave(listener, "a")
            listener.take()
            self.assertLess(self.turns(), 8)
            self.assertEqual(self.stage.heard(listener), [])
            self.clock.tick = 0
            subscriber.close()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_newcomer_comes_again(self) -> None:
        """
        Who goes and comes again while its names are gone through is offered each of them, as one who comes.
        """
        self.subscriber(*self.names(20))
        self.busy()
        listener = FakeConnection()
        self.stage.listen(listener, "a")
        self.stage.unlisten(listener, "a")
        listener.take()
        self.stage.listen(listener, "a")
        self.turns()
        heard = self.stage.heard(listener)
        self.assertEqual(heard[0], "ACK LISTEN a")
        self.assertEqual(sorted(heard[1:]), sorted(f"FOUND a {name}" for name in self.names(20)))

    def test_newcomer_after_failure(self) -> None:
        """
        What was searched in vain since somebody came is not offered again when its turn comes.
        """
        subscriber = self.subscriber(*self.names(20, "b"))
        self.busy()
        first, second = FakeConnection(), FakeConnection()
        self.stage.listen(first, "b")
        self.stage.listen(second, ".")
        self.stage.subscribe(subscriber, "a")
        self.stage.reject(second, ".", "a")
        self.turns()
        self.assertEqual(self.stage.heard(second).count("FOUND . a"), 1)

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
        While a provider is replaced some names end, or end and are wanted again: nobody is told of them twice.
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
        Who is asked about a name that ended and is wanted again meanwhile is not passed over for the one who left.
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
        new_listener = FakeConnection()
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

    def test_rematch(self) -> None:
        """
        If very many names were not taken all are asked again in slices, about each once, even if that lasts until the
        next time that all are asked.
        """
        self.stage = Stage(clock=self.clock, response_timeout=1000.0)
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
        self.assertEqual(len(self.stage.listeners._assignment._time_slices), 1)
        self.clock.tick = TIME_SLICE / 400
        self.turns()
        self.assertEqual(told + self.stage.heard(listener), [f"FOUND a {name}" for name in names])

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
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
        If the listener that goes was the only subscriber of the name itself, nobody else is asked about it; it may go
        when it is told that it was too slow, or what it has lost.
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

    # -- the log

    def test_log(self) -> None:
        """
        A provider that leaves costs one line: with the name if it provided one, else with their number.
        """
        lines = Lines(self)
        stopped = "LISTEN_PROVIDER_STOPPED | listen provider has stopped for"
        for names, expected in (
            (["a1"], [f"{stopped} RECORD:a1: {ANN}"]),
            (
                ["a1", "a2", "b1"],
                [f"{stopped} 3 names of RECORD: {ANN}"],
            ),
            ([], []),
        ):
            subscriber = self.subscriber(*names)
            provider = self.stage.listener("a", "b")
            for name in names:
                self.stage.accept(provider, name[0], name)
            provider.close()
            self.assertEqual(lines.of("info"), expected)
            lines.clear()
            subscriber.close()

    def test_log_braces(self) -> None:
        """
        Whatever a name looks like, the line says it.
        """
        self.stage = Stage(Topic.EVENT, clock=self.clock)
        self.subscriber("{count}a{")
        provider = self.stage.listener("a", dialect=TEXT)
        self.stage.accept(provider, "a", "{count}a{")
        lines = Lines(self)
        self.stage.unlisten(provider, "a")
        self.assertEqual(
            lines.of("info"), ["LISTEN_PROVIDER_STOPPED | listen provider has stopped for EVENT:{count}a{: " + ANN]
        )
