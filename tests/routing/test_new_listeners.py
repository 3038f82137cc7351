"""
Tests for L{dstwist.routing.new_listeners}.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.requesters import for_each_requester
from tests.routing.stage import SearchCase


@for_each_requester
class NewListenersTests(SearchCase):
    """
    Clients that have just begun to listen; time passes only when a test says so.
    """

    def test_order(self) -> None:
        """
        A client that begins to listen while a search runs is asked after those that listened before, in the order of
        coming, whatever the patterns.
        """
        ann, bob = self.stage.listener("a"), self.stage.listener("b")
        self.subscriber("ab")
        cat, dan, eve = (self.stage.listener(pattern) for pattern in "bab")
        for connection, pattern in ((ann, "a"), (bob, "b"), (cat, "b"), (dan, "a"), (eve, "b")):
            self.assertEqual(self.stage.heard(connection), [f"FOUND {pattern} ab"])
            self.stage.reject(connection, pattern, "ab")

    def test_looks_at_idle_names(self) -> None:
        """
        A new listener's pattern is matched with the names that have no search, and nothing else is matched.
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

    def test_looks_at_names(self) -> None:
        """
        If there are very many names, some are offered at once and the others in later turns, each once. The
        acknowledgement comes first.
        """
        names = self.names(40)
        self.subscriber(*names)
        self.busy()
        listener = self.connect()
        self.stage.listen(listener, "a")
        first = self.stage.heard(listener)
        self.assertEqual(first[:2], ["ACK LISTEN a", "FOUND a a0"])
        self.assertLess(len(first), 5)
        self.assertGreater(self.turns(), 10)
        self.assertEqual([*first[1:], *self.stage.heard(listener)], [f"FOUND a {name}" for name in names])

    def test_share(self) -> None:
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

    def test_and_names(self) -> None:
        """
        While a new listener's names are gone through some are wanted anew, end, or end and are wanted again: it is
        asked once about each that is wanted.
        """
        names = self.names(20)
        subscriber = self.subscriber(*names)
        self.busy()
        listener = self.connect()
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

    def test_leaves(self) -> None:
        """
        A listener that leaves while the names are gone through is asked no more. If it was the only one, the round
        ends.
        """
        for leave in (self.stage.unlisten, lambda connection, _: connection.close()):
            subscriber = self.subscriber(*self.names(40))
            self.busy()
            listener = self.connect()
            self.stage.listen(listener, "a")
            leave(listener, "a")
            listener.take()
            self.assertLess(self.turns(), 8)
            self.assertEqual(self.stage.heard(listener), [])
            self.clock.tick = 0
            subscriber.close()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_comes_again(self) -> None:
        """
        A listener that leaves and comes again while the names are gone through is offered each of them, like a new one.
        """
        self.subscriber(*self.names(20))
        self.busy()
        listener = self.connect()
        self.stage.listen(listener, "a")
        self.stage.unlisten(listener, "a")
        listener.take()
        self.stage.listen(listener, "a")
        self.turns()
        heard = self.stage.heard(listener)
        self.assertEqual(heard[0], "ACK LISTEN a")
        self.assertEqual(sorted(heard[1:]), sorted(f"FOUND a {name}" for name in self.names(20)))

    def test_after_failure(self) -> None:
        """
        If a search that began after a listener came was in vain, its name is not offered again to that listener in the
        round.
        """
        subscriber = self.subscriber(*self.names(20, "b"))
        self.busy()
        first, second = self.connect(), self.connect()
        self.stage.listen(first, "b")
        self.stage.listen(second, ".")
        self.stage.subscribe(subscriber, "a")
        self.stage.reject(second, ".", "a")
        self.turns()
        self.assertEqual(self.stage.heard(second).count("FOUND . a"), 1)
