"""
Tests for L{dstwist.permission.lookup}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError
from dstwist.interfaces import Record
from dstwist.permission.lookup import RecordLookup


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


class LookupTests(SynchronousTestCase):
    """
    L{RecordLookup}: the cache, then the storage.
    """

    def lookup(self, cache: Any, storage: Any) -> RecordLookup:
        self.clock = Clock()
        self.settings = RecordSettings(storage_exclusion_prefixes=("temporary/",))
        return RecordLookup(cache, storage, self.settings, self.clock)

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
