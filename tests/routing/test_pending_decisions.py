"""
Tests for L{dstwist.routing.pending_decisions}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.routing.pending_decisions import MAX_PENDING_DECISIONS, PendingDecisions
from dstwist.routing.provider_search import ProviderSearch
from dstwist.routing.registrations import Registration, Registrations
from dstwist.scheduling.time_slices import TimeSlices
from tests.fakes import FakeConnection
from tests.routing.stage import PermissionCase, entries


class PendingDecisionsTests(SynchronousTestCase):
    """
    L{PendingDecisions}.
    """

    def setUp(self) -> None:
        self.resumed: list[str] = []
        self.decided: list[tuple[bool, str]] = []
        self.pending = PendingDecisions(TimeSlices(Clock()), lambda search: self.resumed.append(search.name))
        self.registration = Registrations().add(FakeConnection(), "a", 100, {})

    def wait(self) -> Deferred[bool]:
        decision: Deferred[bool] = Deferred()
        self.pending.wait(decision, self.decide, ProviderSearch("a", 0, 1), self.registration)
        return decision

    def decide(self, allowed: bool, search: ProviderSearch, registration: Registration) -> None:
        self.assertIs(registration, self.registration)
        self.decided.append((allowed, search.name))

    def test_decided(self) -> None:
        """
        A decision is handed on when it is there.
        """
        self.assertFalse(self.pending.queue(ProviderSearch("b", 0, 1)))
        decisions = [self.wait() for _ in range(2)]
        self.assertEqual(self.decided, [])
        for decision, allowed in zip(decisions, (True, False), strict=True):
            decision.callback(allowed)
        self.assertEqual(self.decided, [(True, "a"), (False, "a")])

    def test_room(self) -> None:
        """
        Searches queue while there is no room, and go on in their order when there is, unless they are over.
        """
        decisions = [self.wait() for _ in range(MAX_PENDING_DECISIONS)]
        searches = [ProviderSearch(name, 0, 1) for name in "bcd"]
        self.assertEqual([self.pending.queue(search) for search in searches], [True] * 3)
        self.pending.forget(searches[1])
        self.assertEqual(self.resumed, [])
        decisions[0].callback(True)
        self.assertEqual(self.resumed, ["b", "d"])

    def test_failure(self) -> None:
        """
        A failure of what is done with a decision is logged.
        """

        def fail(*arguments: object) -> None:
            raise ZeroDivisionError

        decision: Deferred[bool] = Deferred()
        self.pending.wait(decision, fail, ProviderSearch("a", 0, 1), self.registration)
        decision.callback(True)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ManyLaterTests(PermissionCase):
    """
    Very many decisions that have to be waited for.
    """

    def setUp(self) -> None:
        super().setUp()
        self.decisions: dict[str | None, Deferred[bool]] = {}
        self.stage = self.make(lambda user, name: self.decisions.setdefault(name, Deferred()), rematch_interval=None)
        self.ann = self.listener(self.stage, "ann", ".*")
        self.subscriber = FakeConnection()
        self.count = MAX_PENDING_DECISIONS + 50
        for number in range(self.count):
            self.stage.subscribe(self.subscriber, str(number))

    def test_queue(self) -> None:
        """
        No more than L{MAX_PENDING_DECISIONS} are awaited at a time; the others queue, and all are decided.
        """
        self.assertEqual(len(self.decisions), MAX_PENDING_DECISIONS)
        for number in range(self.count):
            self.decisions[str(number)].callback(True)
        found = [f"FOUND .* {number}" for number in range(self.count)]
        self.assertEqual(sorted(self.stage.heard(self.ann)), sorted(found))

    def test_forgotten(self) -> None:
        """
        Names without subscribers leave the queue.
        """
        before = entries(self.stage.listeners)
        for number in range(MAX_PENDING_DECISIONS, self.count):
            self.stage.unsubscribe(self.subscriber, str(number))
        # Each was in the table of searches and in the queue.
        self.assertEqual(entries(self.stage.listeners), before - 2 * 50)
        self.decisions["0"].callback(True)
        self.assertEqual(len(self.decisions), MAX_PENDING_DECISIONS)

    def test_listener_leaves(self) -> None:
        """
        A search in the queue is for the clients that listen when its turn comes.
        """
        self.ann.close()
        decisions = list(self.decisions.values())
        self.decisions.clear()
        for decision in decisions:
            decision.callback(True)
        self.assertEqual(self.decisions, {})
        bob = self.listener(self.stage, "bob", ".*")
        for _ in range(self.count):
            name, decision = self.decisions.popitem()
            decision.callback(True)
        self.assertEqual(len(self.stage.heard(bob)), self.count)
