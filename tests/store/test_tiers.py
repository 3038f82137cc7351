"""
Tests for L{dstwist.store.tiers}.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer_only

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError
from dstwist.interfaces import ISharedStore, Record
from dstwist.store.tiers import CACHE_TIER, STORAGE_TIER, TieredStore, TierError
from tests.fakes import FakeStore


class Store:
    """
    As much of a store as is asked here.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def get(self, name: str) -> Deferred[Record | None]:
        self.asked.append(name)
        answer = self.answers.get(name)
        return answer if isinstance(answer, Deferred) else succeed(answer)


@implementer_only(ISharedStore)
class FarCache(FakeStore):
    """
    A cache in a server of its own.
    """


class SharedTests(SynchronousTestCase):
    """
    L{TieredStore.share}: other nodes write to the stores.
    """

    def setUp(self) -> None:
        self.cache, self.storage = FakeStore(), FakeStore()
        settings = RecordSettings(storage_exclusion_prefixes=("temporary/",))
        self.tiers = TieredStore(self.cache, self.storage, settings, Clock())
        self.cache.put("a", 1, {})
        self.storage.put("a", 2, {})

    def read(self, name: str) -> tuple[Record | None, list[str]]:
        """
        The record, and the names of the records that the cache may be given.
        """
        found: list[str] = []
        reading = self.tiers.read(name, lambda name, record: found.append(name))
        return self.successResultOf(Deferred.fromCoroutine(reading)), found

    def test_reads(self) -> None:
        """
        What is in the storage is read there, and what is not in the cache.
        """
        self.cache.put("temporary/a", 3, {})
        self.tiers.share()
        self.tiers.bypass_cache(False)
        self.assertEqual(self.read("a"), (Record(2, {}), ["a"]))
        self.assertEqual(self.successResultOf(self.tiers.load("a")), Record(2, {}))
        self.assertEqual(self.read("temporary/a"), (Record(3, {}), []))

    def test_cache_in_a_server(self) -> None:
        """
        A cache that is no memory of this process is not filled, and loses what is written.
        """
        self.cache = FarCache()
        self.tiers = TieredStore(self.cache, self.storage, RecordSettings(), Clock())
        self.tiers.share()
        self.cache.put("a", 1, {})
        self.assertEqual(self.read("a"), (Record(2, {}), []))
        self.successResultOf(self.tiers.write_cache("a", Record(3, {})))
        self.assertEqual(self.cache.records, {})

    def test_heads(self) -> None:
        """
        Each version is that of the arbiter.
        """
        self.cache.put("temporary/a", 3, {})
        heads = self.tiers.heads(["a", "temporary/a", "temporary/b"])
        self.assertEqual(self.successResultOf(heads), {"a": 2, "temporary/a": 3, "temporary/b": -1})
        self.assertEqual((self.cache.asked, self.storage.asked), ([["temporary/a", "temporary/b"]], [["a"]]))
        self.storage.outcome = "fails"
        self.failureResultOf(self.tiers.heads(["a"]), TierError)


class LoadTests(SynchronousTestCase):
    """
    L{TieredStore.load}: the cache, then the storage.
    """

    def lookup(self, cache: Any, storage: Any) -> TieredStore:
        self.clock = Clock()
        self.settings = RecordSettings(storage_exclusion_prefixes=("temporary/",))
        return TieredStore(cache, storage, self.settings, self.clock)

    def test_cached(self) -> None:
        """
        What is in the cache is there at once, and the storage is not asked.
        """
        record = Record(1, {})
        storage = Store()
        found = self.lookup(Store(a=record), storage).load("a")
        self.assertIs(self.successResultOf(found), record)
        self.assertEqual(storage.asked, [])

    def test_stored(self) -> None:
        """
        What is not comes from the storage; what is nowhere does not exist. With stores that know, that is at once.
        """
        record = Record(1, {})
        lookup = self.lookup(Store(), Store(a=record))
        self.assertIs(self.successResultOf(lookup.load("a")), record)
        self.assertIsNone(self.successResultOf(lookup.load("b")))

    def test_without_storage(self) -> None:
        """
        Without a storage the cache alone knows.
        """
        self.assertIsNone(self.successResultOf(self.lookup(Store(), None).load("a")))

    def test_excluded(self) -> None:
        """
        The storage is not asked for what is never stored.
        """
        storage = Store()
        self.assertIsNone(self.successResultOf(self.lookup(Store(), storage).load("temporary/a")))
        self.assertEqual(storage.asked, [])

    def test_failures(self) -> None:
        """
        A store that fails is no store that has nothing.
        """
        lookup = self.lookup(Store(a=fail(StoreError("broken"))), Store(b=fail(StoreError("broken too"))))
        for name in ("a", "b"):
            self.failureResultOf(lookup.load(name), StoreError)

    def test_too_late(self) -> None:
        """
        Neither is one that takes too long.
        """
        for cache, storage, where in (
            (Store(a=Deferred()), Store(), "cache"),
            (Store(), Store(a=Deferred()), "storage"),
        ):
            found = self.lookup(cache, storage).load("a")
            self.clock.advance(max(self.settings.cache_retrieval_timeout, self.settings.storage_retrieval_timeout))
            self.assertIn(f"no answer from the {where}", str(self.failureResultOf(found, StoreError).value))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_times(self) -> None:
        """
        The time of each answer that is waited for is measured, also of one that fails or does not come. A cache that
        answers at once is not measured.
        """
        late: Deferred[Record | None] = Deferred()
        lookup = self.lookup(Store(c=Deferred()), Store(a=late, b=Record(1, {})))
        found = lookup.load("a")
        self.clock.advance(0.3)
        late.callback(None)
        self.assertIsNone(self.successResultOf(found))
        self.successResultOf(lookup.load("b"))
        cache, storage = lookup.reads[CACHE_TIER], lookup.reads[STORAGE_TIER]
        self.assertEqual((cache.count, storage.count, storage.total), (0, 1, 0.3))
        found = lookup.load("c")
        self.clock.advance(self.settings.cache_retrieval_timeout)
        self.failureResultOf(found, TierError)
        self.assertEqual((cache.count, cache.total), (1, self.settings.cache_retrieval_timeout))


class TieredStoreTests(SynchronousTestCase):
    """
    L{TieredStore}, in front of stores that take writes.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.cache, self.storage = FakeStore(self.clock), FakeStore(self.clock)
        settings = RecordSettings(storage_exclusion_prefixes=("temporary/",))
        self.tiers = TieredStore(self.cache, self.storage, settings, self.clock)
        for name in ("a", "temporary/a"):
            self.cache.put(name, 1, {"in": "cache"})
            self.storage.put(name, 2, {"in": "storage"})

    def run_now(self, work: Coroutine[Any, Any, Record | None]) -> Record | None:
        found: Record | None = self.successResultOf(Deferred.fromCoroutine(work))
        return found

    def test_unresolved(self) -> None:
        """
        A record whose last write is unresolved is loaded from the storage, whatever the cache has. The cache is left as
        it is, because a write may be under way.
        """
        self.tiers.mark_unresolved("a")
        self.assertEqual(self.successResultOf(self.tiers.load("a")), Record(2, {"in": "storage"}))
        self.assertEqual(self.cache.calls, [])
        self.tiers.mark_resolved("a")
        self.assertEqual(self.successResultOf(self.tiers.load("a")), Record(1, {"in": "cache"}))

    def test_unresolved_without_storage(self) -> None:
        """
        The cache is the authority of records that are not stored.
        """
        self.tiers.mark_unresolved("temporary/a")
        self.assertEqual(self.successResultOf(self.tiers.load("temporary/a")), Record(1, {"in": "cache"}))
        self.assertEqual(self.storage.calls, [])

    def test_unresolved_unknown(self) -> None:
        """
        If the storage fails, the value of a record whose last write is unresolved is unknown; the cache is no
        substitute.
        """
        self.tiers.mark_unresolved("a")
        self.storage.outcome = "fails"
        error = self.failureResultOf(self.tiers.load("a"), TierError).value
        self.assertEqual(getattr(error, "tier", None), STORAGE_TIER)

    def test_on_stored(self) -> None:
        """
        The caller of L{TieredStore.read} is given a record that only the storage has; the cache is left as it is.
        """
        found: list[tuple[str, Record]] = []

        def on_stored(name: str, record: Record) -> None:
            found.append((name, record))

        self.cache.records.clear()
        record = self.run_now(self.tiers.read("a", on_stored))
        self.assertEqual((record, found), (Record(2, {"in": "storage"}), [("a", record)]))
        self.assertEqual(self.cache.records, {})

    def test_on_stored_not_called(self) -> None:
        """
        A record from the cache, or no record at all, is nothing to put into the cache.
        """
        for name in ("a", "missing"):
            self.run_now(self.tiers.read(name, lambda name, record: self.fail(name)))

    def test_refresh(self) -> None:
        """
        L{TieredStore.refresh} makes the cache agree with the storage, also about records that are gone.
        """
        self.cache.put("gone", 1, {})
        self.assertEqual(self.run_now(self.tiers.refresh("a")), Record(2, {"in": "storage"}))
        self.assertIsNone(self.run_now(self.tiers.refresh("gone")))
        self.assertIsNotNone(self.run_now(self.tiers.refresh("temporary/a")))
        self.assertEqual(
            self.cache.records, {"a": Record(2, {"in": "storage"}), "temporary/a": Record(1, {"in": "cache"})}
        )

    def test_refresh_fails(self) -> None:
        """
        A cache that does not take the record has not been refreshed; the error tells which tier failed, and why.
        """
        self.cache.outcome = "fails"
        error = self.failureResultOf(Deferred.fromCoroutine(self.tiers.refresh("a")), TierError).value
        assert isinstance(error, TierError)
        self.assertEqual((error.tier, type(error.reason)), (CACHE_TIER, StoreError))
