"""
Tests for L{dstwist.services.record.reconcile}.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IConnection, Record
from dstwist.services.record.failures import RecordError
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.reconcile import Reconciliation
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeConnection, FakeStore

BEFORE = Record(1, {"n": 1})
AFTER = Record(2, {"n": 2})


class ReconciliationTests(SynchronousTestCase):
    """
    L{Reconciliation}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.cache, self.storage = FakeStore(self.clock), FakeStore(self.clock)
        settings = RecordSettings()
        self.tiers = TieredStore(self.cache, self.storage, settings, self.clock)
        self.queue = RecordQueue(settings, lambda name, message, sender: None, self.clock)
        self.resolved: list[tuple[str, Record | None, list[IConnection] | None]] = []
        self.reconciliation = Reconciliation(self.tiers, self.queue, self.clock, self.on_resolved)
        self.ann = FakeConnection("ann", None)

    def on_resolved(self, name: str, record: Record | None, writers: list[IConnection] | None) -> None:
        self.resolved.append((name, record, writers))

    def run_now(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def run_failing(self, work: Coroutine[Any, Any, Any]) -> None:
        self.failureResultOf(Deferred.fromCoroutine(work), RecordError)

    def test_retries(self) -> None:
        """
        The next attempt is made after one second, then twice as late each time, at most every minute.
        """
        self.storage.outcome = "fails"
        self.reconciliation.add("a")
        attempts = []
        for _ in range(500):
            self.clock.advance(0.5)
            if self.storage.calls:
                attempts.append(self.clock.seconds())
                self.storage.calls.clear()
        self.assertEqual(attempts, [1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0, 243.0])
        self.storage.outcome = "ok"
        self.clock.pump([0.5] * 500)
        self.assertEqual((len(self.storage.calls), self.resolved), (1, [("a", None, None)]))

    def test_stop(self) -> None:
        """
        After the end there are no more attempts.
        """
        self.reconciliation.add("a")
        self.reconciliation.stop()
        self.reconciliation.add("b")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unchanged(self) -> None:
        """
        If the failed writes did nothing, only their clients are told, each once.
        """
        self.storage.put("a", 1, {"n": 1})
        self.reconciliation.add("a")
        self.reconciliation.assume("a", BEFORE)
        bob = FakeConnection("bob", None)
        for connection in (self.ann, bob, self.ann):
            self.assertTrue(self.reconciliation.add_writer("a", connection))
        self.assertEqual(self.run_now(self.reconciliation.reconcile("a")), BEFORE)
        self.assertEqual(self.resolved, [("a", BEFORE, [self.ann, bob])])

    def test_changed(self) -> None:
        """
        If one of the failed writes took effect, all subscribers are told.
        """
        self.storage.put("a", 2, {"n": 2})
        self.reconciliation.add("a")
        self.reconciliation.assume("a", BEFORE)
        self.reconciliation.add_writer("a", self.ann)
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual(self.resolved, [("a", AFTER, None)])

    def test_first_assumption(self) -> None:
        """
        A second write that fails does not change what all clients knew before the first.
        """
        self.storage.put("a", 2, {"n": 2})
        self.reconciliation.add("a")
        self.reconciliation.assume("a", BEFORE)
        self.reconciliation.assume("a", AFTER)
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual(self.resolved, [("a", AFTER, None)])

    def test_did_not_exist(self) -> None:
        """
        A record that did not exist, and still does not, is unchanged.
        """
        self.reconciliation.add("a")
        self.reconciliation.assume("a", None)
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual(self.resolved, [("a", None, [])])

    def test_resolved(self) -> None:
        """
        A resolved record has no timer, takes no writers, and is read from the cache, which agrees with the storage.
        """
        self.cache.put("a", 1, {"n": 1})
        self.storage.put("a", 2, {"n": 2})
        self.reconciliation.add("a")
        self.assertEqual((len(self.reconciliation), "a" in self.tiers.unresolved), (1, True))
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual((len(self.reconciliation), "a" in self.tiers.unresolved), (0, False))
        self.assertEqual(self.cache.records["a"], AFTER)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.reconciliation.add_writer("a", self.ann))

    def test_fails(self) -> None:
        """
        A record whose authority cannot be asked stays unresolved, and the subscribers are told nothing.
        """
        self.storage.outcome = "fails"
        self.reconciliation.add("a")
        self.run_failing(self.reconciliation.reconcile("a"))
        self.run_now(self.reconciliation.try_to_reconcile("a"))
        self.assertEqual((len(self.reconciliation), "a" in self.tiers.unresolved, self.resolved), (1, True, []))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_refresh(self) -> None:
        """
        A refresh resolves the record and leaves it to the caller to tell subscribers. If it fails, the record is
        unresolved from then on.
        """
        self.storage.outcome = "fails"
        self.run_failing(self.reconciliation.refresh("a"))
        self.assertIn("a", self.tiers.unresolved)
        self.storage.outcome = "ok"
        self.assertIsNone(self.run_now(self.reconciliation.refresh("a")))
        self.assertEqual(("a" in self.tiers.unresolved, self.resolved), (False, []))
