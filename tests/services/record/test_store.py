"""
Cache and storage as one.
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
from dstwist.services.record import store as record_store
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.store import RecordError, RecordStore
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeStore


class RecordStoreTests(SynchronousTestCase):
    """
    L{RecordStore}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.cache, self.storage = FakeStore(self.clock), FakeStore(self.clock)
        settings = RecordSettings()
        queue = RecordQueue(settings, lambda name, message, sender: None, self.clock)
        self.tiers = TieredStore(self.cache, self.storage, settings, self.clock)
        self.store = RecordStore(self.tiers, queue, settings, self.clock)
        self.told: list[tuple[str, Record | None]] = []
        self.retried: list[float] = []
        self.store.told = lambda name, record, astray: self.told.append((name, record))
        self.store.retry = self.retry

    def run_now(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def run_failing(self, work: Coroutine[Any, Any, Any]) -> RecordError:
        error = self.failureResultOf(Deferred.fromCoroutine(work), RecordError).value
        assert isinstance(error, RecordError)
        return error

    def retry(self, name: str) -> None:
        self.retried.append(self.clock.seconds())
        self.run_now(self.store.try_to_settle(name))

    def test_storage_first(self) -> None:
        """
        The cache gets nothing that the storage does not have: nobody reads what a crash could take back.
        """
        self.storage.outcome = "fails"
        error = self.run_failing(self.store.commit("a", Record(1, {})))
        self.assertEqual((error.action, error.detail), (RecordAction.RECORD_UPDATE_ERROR, "storage error"))
        self.assertEqual(self.cache.calls, [])
        error = self.run_failing(self.store.delete("b"))
        self.assertEqual(error.action, RecordAction.RECORD_DELETE_ERROR)
        self.assertEqual(self.cache.calls, [])

    def test_not_believed(self) -> None:
        """
        The cache is not asked about a doubtful record; the storage is, and the cache gets what it says.
        """
        self.cache.instant = True
        self.cache.put("a", 1, {"old": 1})
        self.cache.put("b", 1, {})
        self.storage.put("a", 1, {"old": 1})
        self.storage.outcome = "lost"
        self.run_failing(self.store.commit("a", Record(2, {"new": 1})))
        self.assertIsNone(self.store.peek("a"))
        self.assertIsNotNone(self.store.peek("b"))
        self.storage.outcome = "ok"
        new = Record(2, {"new": 1})
        self.assertEqual(self.run_now(self.store.load("a")), new)
        self.assertEqual((self.cache.records["a"], self.told), (new, [("a", new)]))
        self.assertIsNotNone(self.store.peek("a"))

    def test_retries(self) -> None:
        """
        A doubt is tried to be resolved after one second, then twice as late each time, at most every minute.
        """
        self.storage.outcome = "fails"
        self.run_failing(self.store.commit("a", Record(1, {})))
        self.clock.pump([0.5] * 500)
        self.assertEqual(self.retried, [1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0, 243.0])
        self.storage.outcome = "ok"
        self.clock.pump([0.5] * 500)
        self.assertEqual((len(self.retried), self.told), (10, [("a", None)]))

    def test_stop(self) -> None:
        """
        After the end there are no more tries.
        """
        self.storage.outcome = "fails"
        self.run_failing(self.store.commit("a", Record(1, {})))
        self.store.stop()
        self.run_failing(self.store.commit("b", Record(1, {})))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many_doubts(self) -> None:
        """
        With too many doubtful records nothing is written any more.
        """
        self.patch(record_store, "MAX_DOUBTS", 2)
        self.storage.outcome = "fails"
        for name in "ab":
            self.run_failing(self.store.commit(name, Record(1, {})))
        self.storage.calls.clear()
        self.assertIn("too many", self.run_failing(self.store.commit("c", Record(1, {}))).detail)
        self.assertIn("too many", self.run_failing(self.store.delete("c")).detail)
        self.assertEqual(self.storage.calls, [])

    def test_excluded(self) -> None:
        """
        What is only in the cache is settled with what the cache says.
        """
        settings = RecordSettings(storage_exclusion_prefixes=("a",))
        queue = RecordQueue(settings, lambda name, message, sender: None, self.clock)
        store = RecordStore(TieredStore(self.cache, self.storage, settings, self.clock), queue, settings, self.clock)
        self.cache.outcome = "lost"
        self.run_failing(store.commit("a", Record(1, {})))
        self.cache.outcome = "ok"
        self.assertEqual(self.run_now(store.load("a")), Record(1, {}))
        self.assertEqual(self.storage.calls, [])
        store.stop()

    def test_rules_do_not_believe_the_cache(self) -> None:
        """
        While the last write of a record is unresolved, permission rules are given what the storage has: the write may
        have taken effect although it failed.
        """
        self.cache.put("a", 1, {"member": True})
        self.storage.put("a", 1, {"member": True})
        self.storage.outcome = "lost"
        self.run_failing(self.store.commit("a", Record(2, {"member": False})))
        self.storage.outcome = "ok"
        self.assertEqual(self.successResultOf(self.tiers.load("a")), Record(2, {"member": False}))
        self.run_now(self.store.load("a"))
        self.assertEqual(self.tiers.unresolved, set())
