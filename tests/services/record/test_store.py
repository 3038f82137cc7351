"""
Tests for L{dstwist.services.record.store}.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import Record
from dstwist.protocol.constants import RecordAction
from dstwist.services.record import reconcile
from dstwist.services.record.failures import RecordError
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.reconcile import Reconciliation
from dstwist.services.record.store import RecordStore
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeCallbackStore, FakeStore


class RecordStoreTests(SynchronousTestCase):
    """
    L{RecordStore}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.cache, self.storage = FakeStore(self.clock), FakeStore(self.clock)
        self.resolved: list[tuple[str, Record | None]] = []
        self.make_store(RecordSettings())

    def make_store(self, settings: RecordSettings) -> None:
        queue = RecordQueue(settings, lambda name, message, sender: None, self.clock)
        self.tiers = TieredStore(self.cache, self.storage, settings, self.clock)
        self.reconciliation = Reconciliation(
            self.tiers, queue, self.clock, lambda name, record, writers: self.resolved.append((name, record))
        )
        self.store = RecordStore(self.tiers, self.reconciliation, queue, settings, self.clock)

    def run_now(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def run_failing(self, work: Coroutine[Any, Any, Any]) -> RecordError:
        error = self.failureResultOf(Deferred.fromCoroutine(work), RecordError).value
        assert isinstance(error, RecordError)
        return error

    def test_storage_first(self) -> None:
        """
        The cache gets nothing that the storage does not have: nobody reads what a crash could take back.
        """
        self.storage.outcome = "fails"
        error = self.run_failing(self.store.commit("a", None, Record(1, {})))
        self.assertEqual((error.action, error.detail), (RecordAction.RECORD_UPDATE_ERROR, "storage error"))
        self.assertEqual(self.cache.calls, [])
        error = self.run_failing(self.store.delete("b", None))
        self.assertEqual(error.action, RecordAction.RECORD_DELETE_ERROR)
        self.assertEqual(self.cache.calls, [])

    def test_refused(self) -> None:
        """
        A write that the storage has not executed leaves no doubt, whether the storage has callbacks or not. If the
        cache refuses what the storage has, the record is unresolved.
        """
        for storage in (FakeStore(self.clock), FakeCallbackStore(self.clock)):
            self.storage = storage
            self.make_store(RecordSettings())
            storage.outcome = "refuses"
            for work in (self.store.commit("a", None, Record(1, {})), self.store.delete("a", None)):
                self.run_failing(work)
                self.assertEqual((len(self.reconciliation), self.cache.calls), (0, []))
            storage.outcome, self.cache.outcome = "ok", "refuses"
            self.run_failing(self.store.commit("a", None, Record(1, {})))
            self.assertEqual(len(self.reconciliation), 1)
            self.cache.outcome = "ok"
            self.cache.calls.clear()

    def test_not_believed(self) -> None:
        """
        The cache is not asked about an unresolved record; the storage is, and its answer goes into the cache.
        """
        self.cache.instant = True
        self.cache.put("a", 1, {"old": 1})
        self.cache.put("b", 1, {})
        self.storage.put("a", 1, {"old": 1})
        self.storage.outcome = "lost"
        self.run_failing(self.store.commit("a", Record(1, {}), Record(2, {"new": 1})))
        self.assertIsNone(self.store.peek("a"))
        self.assertIsNotNone(self.store.peek("b"))
        self.storage.outcome = "ok"
        new = Record(2, {"new": 1})
        self.assertEqual(self.run_now(self.store.load("a")), new)
        self.assertEqual((self.cache.records["a"], self.resolved), (new, [("a", new)]))
        self.assertIsNotNone(self.store.peek("a"))

    def test_too_many_unresolved(self) -> None:
        """
        With too many unresolved records, all writes are refused.
        """
        self.patch(reconcile, "MAX_UNRESOLVED_RECORDS", 2)
        self.storage.outcome = "fails"
        for name in "ab":
            self.run_failing(self.store.commit(name, None, Record(1, {})))
        self.storage.calls.clear()
        self.assertIn("too many", self.run_failing(self.store.commit("c", None, Record(1, {}))).detail)
        self.assertIn("too many", self.run_failing(self.store.delete("c", None)).detail)
        self.assertEqual(self.storage.calls, [])

    def test_excluded(self) -> None:
        """
        A record that is only in the cache is reconciled with the cache.
        """
        self.make_store(RecordSettings(storage_exclusion_prefixes=("a",)))
        self.cache.outcome = "lost"
        self.run_failing(self.store.commit("a", None, Record(1, {})))
        self.cache.outcome = "ok"
        self.assertEqual(self.run_now(self.store.load("a")), Record(1, {}))
        self.assertEqual(self.storage.calls, [])
        self.reconciliation.stop()

    def test_rules_do_not_believe_the_cache(self) -> None:
        """
        While the last write of a record is unresolved, permission rules are given what the storage has: the write may
        have taken effect although it failed.
        """
        self.cache.put("a", 1, {"member": True})
        self.storage.put("a", 1, {"member": True})
        self.storage.outcome = "lost"
        self.run_failing(self.store.commit("a", Record(1, {}), Record(2, {"member": False})))
        self.storage.outcome = "ok"
        self.assertEqual(self.successResultOf(self.tiers.load("a")), Record(2, {"member": False}))
        self.run_now(self.store.load("a"))
        self.assertNotIn("a", self.tiers.unresolved)

    def test_times(self) -> None:
        """
        The time of writes is measured, also of those that fail or have no answer. Of the writes to a store with
        callbacks, one at a time is measured. A store that answers at once is not measured, unless it has callbacks.
        """
        self.run_now(self.store.commit("a", None, Record(1, {})))
        times = self.tiers.writes
        self.assertEqual((times["storage"].count, times["cache"].count), (0, 0))
        self.storage.delay = 0.25
        works = [Deferred.fromCoroutine(self.store.commit(name, None, Record(1, {}))) for name in "bc"]
        self.clock.advance(0.25)
        for work in works:
            self.assertIsNone(self.successResultOf(work))
        self.assertEqual((times["storage"].count, times["storage"].total), (2, 0.5))

        self.storage = FakeCallbackStore(self.clock)
        self.make_store(RecordSettings())
        storage = self.tiers.writes["storage"]
        self.storage.delay = 0.25
        works = [Deferred.fromCoroutine(self.store.commit(name, None, Record(1, {}))) for name in "bcd"]
        self.assertEqual(self.store.unanswered, 3)
        self.clock.advance(0.25)
        self.assertEqual((storage.count, storage.total, self.store.unanswered), (1, 0.25, 0))
        self.storage.delay = 20.0
        late = Deferred.fromCoroutine(self.store.commit("e", None, Record(1, {})))
        self.clock.advance(10.0)
        self.failureResultOf(late, RecordError)
        self.assertEqual((storage.count, storage.total), (2, 10.25))
