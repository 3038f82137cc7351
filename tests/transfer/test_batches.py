"""
Tests for L{dstwist.transfer.batches}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError, StoreFull, TransferError
from dstwist.interfaces import Record
from dstwist.store.memory import MemoryStore
from dstwist.store.plugin_store import PluginStore
from dstwist.store.tombstones import Tombstones
from dstwist.transfer.batches import TIMEOUT, Item, Outcome, write_batch
from tests.store.test_plugin_store import Coroutines


class BatchTestCase(SynchronousTestCase):
    """
    A test that writes batches to a store.

    @ivar reading: the method that tells what the store has.
    """

    reading = "heads"

    def setUp(self) -> None:
        self.clock = Clock()
        self.store: Any = MemoryStore()

    def begin(self, *records: tuple[str, int], overwrite: bool = False) -> Deferred[Outcome]:
        items = [Item(line, name, Record(version, [line])) for line, (name, version) in enumerate(records, 1)]
        return Deferred.fromCoroutine(write_batch(self.store, items, overwrite, self.clock))

    def write(self, *records: tuple[str, int], overwrite: bool = False) -> tuple[str, str, dict[str, str]]:
        """
        The names that were written and skipped, and the reasons for those that failed.
        """
        written, skipped, failed = self.successResultOf(self.begin(*records, overwrite=overwrite))
        return (
            "".join(item.name for item in written),
            "".join(item.name for item in skipped),
            {item.name: reason for item, reason in failed},
        )

    def version(self, name: str) -> int | None:
        record = self.successResultOf(self.store.get(name))
        return None if record is None else record.version


class BatchTests(BatchTestCase):
    """
    L{write_batch} with any store: here with one that decides between several writers.
    """

    def test_versions(self) -> None:
        """
        Lower versions are replaced; the same and higher ones stay.
        """
        for name, version in (("lower", 3), ("same", 4), ("higher", 5)):
            self.successResultOf(self.store.set(name, version, {}))
        found = self.write(("none", 4), ("zero", 0), ("lower", 4), ("same", 4), ("higher", 4))
        self.assertEqual(found, ("nonezerolower", "samehigher", {}))
        self.assertEqual([self.version(name) for name in ("none", "zero", "lower", "same", "higher")], [4, 0, 4, 4, 5])
        self.assertEqual(self.successResultOf(self.store.get("lower")).data, [3])
        self.assertEqual(self.successResultOf(self.store.get("same")).data, {})

    def test_overwrite(self) -> None:
        """
        With C{overwrite} all records are written.
        """
        self.successResultOf(self.store.set("a", 9, {}))
        self.assertEqual(self.write(("a", 4), ("b", 1), overwrite=True), ("ab", "", {}))
        self.assertEqual(self.version("a"), 4)

    def test_failures(self) -> None:
        """
        A record that cannot be written fails alone.
        """
        keep = self.store.keep
        self.patch(self.store, "keep", lambda name, record: name != "b" and keep(name, record))
        written, skipped, failed = self.write(("a", 1), ("b", 1), ("c", 1))
        self.assertEqual((written, skipped), ("ac", ""))
        self.assertIn("the memory store is full", failed["b"])

    def test_unreadable(self) -> None:
        """
        If the store cannot say what it has, nothing is written.
        """
        self.patch(self.store, self.reading, lambda names: fail(StoreError("away")))
        failure = self.failureResultOf(self.begin(("a", 1)), TransferError)
        self.assertIn("away", str(failure.value))

    def test_silent(self) -> None:
        """
        A store that does not answer is not waited for for ever.
        """
        self.patch(self.store, self.reading, lambda names: Deferred())
        outcome = self.begin(("a", 1))
        self.clock.advance(TIMEOUT)
        self.failureResultOf(outcome, TransferError)


class RaceTests(BatchTestCase):
    """
    L{write_batch} while another process writes, with a store that decides between several writers.
    """

    def racing(self, *versions: int) -> None:
        """
        Another process writes C{a} with these versions, one before each of our writes.
        """
        replace = self.store.replace
        left = list(versions)

        def raced(name: str, expected: int | None, record: Record) -> Any:
            if left:
                self.store.set(name, left.pop(0), {})
            return replace(name, expected, record)

        self.patch(self.store, "replace", raced)

    def test_lower_meanwhile(self) -> None:
        """
        A lower version that another process has written is replaced.
        """
        self.racing(2, 3)
        self.assertEqual(self.write(("a", 7)), ("a", "", {}))
        self.assertEqual(self.version("a"), 7)

    def test_higher_meanwhile(self) -> None:
        """
        A higher version that another process has written stays.
        """
        self.racing(9)
        self.assertEqual(self.write(("a", 7)), ("", "a", {}))
        self.assertEqual(self.version("a"), 9)

    def test_always_meanwhile(self) -> None:
        """
        The attempts end.
        """
        self.racing(*range(1, 100))
        written, skipped, failed = self.write(("a", 777))
        self.assertEqual((written, skipped), ("", ""))
        self.assertIn("another process", failed["a"])


class PlainBatchTests(BatchTests):
    """
    L{write_batch}, with a store that has the methods of L{IStore<dstwist.interfaces.IStore>} only.
    """

    reading = "get"

    def setUp(self) -> None:
        super().setUp()
        self.store = PluginStore(Coroutines(), "it", self.clock)

    def test_failures(self) -> None:
        """
        A record that cannot be written fails alone.
        """
        write = self.store.set
        self.patch(
            self.store, "set", lambda name, *rest: fail(StoreFull("no room")) if name == "b" else write(name, *rest)
        )
        self.assertEqual(self.write(("a", 1), ("b", 1), ("c", 1)), ("ac", "", {"b": "no room"}))


class RemovedTests(BatchTestCase):
    """
    L{write_batch} with a store that remembers the versions of removed records.
    """

    def test_removed(self) -> None:
        """
        A record that was removed is written. If the remembered version is not lower, the record gets the one after it.
        """
        self.store = MemoryStore(tombstones=Tombstones(RecordSettings(), self.clock.seconds))
        names = ("lower", "same", "higher")
        for overwrite in (False, True):
            for name in names:
                self.successResultOf(self.store.set(name, 4, {}))
                self.successResultOf(self.store.remove(name, 4))
            found = self.write(("lower", 3), ("same", 4), ("higher", 5), overwrite=overwrite)
            self.assertEqual(found, ("higherlowersame", "", {}))
            self.assertEqual([self.version(name) for name in names], [5, 5, 5])
            self.assertEqual(self.successResultOf(self.store.get("lower")).data, [1])
