"""
Tests for L{dstwist.store.memory}.
"""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreFull
from dstwist.interfaces import ICountedCache, IDoubtingCache, IEnumerableStore, IInstantStore, IKnowingStore, Record
from dstwist.protocol.freeing import LARGE_WEIGHT
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name
from dstwist.scheduling import large_dict
from dstwist.store.memory import MemoryStore
from dstwist.store.tombstones import Tombstones
from tests.store import contract


def size(name: str, data: Any) -> int:
    """
    What a record takes of a store's C{max_bytes}.
    """
    return Record(1, data).weigh() + weigh_name(name) + ENTRY_WEIGHT


class ManyRecordsTests(contract.SharedStoreContract):
    """
    The contract, for records beyond those that one dict takes.
    """

    def make(self) -> Any:
        self.patch(large_dict, "FIRST_ITEMS", 0)
        return MemoryStore()


class MemoryStoreTests(contract.SharedStoreContract):
    """
    The contract, without limits.
    """

    def make(self) -> Any:
        return MemoryStore()

    def test_at_once(self) -> None:
        """
        Everything is answered at once, so that nobody has to wait a turn of the reactor.
        """
        store = MemoryStore()
        done: list[Any] = [store.start(), store.set("a", 1, {}), store.get("a"), store.delete("a"), store.stop()]
        for deferred in done:
            self.successResultOf(deferred)

    def test_instant(self) -> None:
        """
        It can do without Deferreds, also within limits; past a limit it has to say why not.
        """
        store = self.make()
        verifyObject(IInstantStore, store)
        self.assertIsNone(store.known("a"))
        self.assertTrue(store.keep("a", Record(1, {})))
        self.assertEqual(store.known("a"), Record(1, {}))
        full = MemoryStore(max_entries=1, evict=False)
        self.assertTrue(full.keep("a", Record(1, {})))
        self.assertFalse(full.keep("b", Record(1, {})))

    def test_no_copy(self) -> None:
        """
        Data is kept as it is, not copied.
        """
        store = MemoryStore()
        data: dict[str, Any] = {}
        store.set("a", 1, data)
        self.assertIs(self.result(store.get("a")).data, data)


class LooseLimitsTests(MemoryStoreTests):
    """
    The contract, within limits.
    """

    def make(self) -> Any:
        return MemoryStore(max_entries=1000, max_bytes=1_000_000)


class LargeRecordTests(SynchronousTestCase):
    """
    Large records that are forgotten.
    """

    def test_freed(self) -> None:
        """
        Their data is given to the function that frees it. Small records are simply dropped.
        """
        freed: list[Any] = []
        store = MemoryStore(max_entries=1, free=freed.extend)
        large = ["x" * LARGE_WEIGHT]
        for data in (["small"], large, []):
            store.set(str(id(data)), 1, data)
        self.assertEqual(len(freed), 1)
        self.assertIs(freed[0], large)


class LacksTests(contract.StoreTestCase):
    """
    L{MemoryStore.lacks}.
    """

    def test_lacks(self) -> None:
        """
        It is certain of a name that it has never had, or of which it has no tombstone any more.
        """
        seconds = 0.0
        tombstones = Tombstones(RecordSettings(deletion_memory=10.0), lambda: seconds)
        store = MemoryStore(max_bytes=1_000_000, kept=("firm/",), tombstones=tombstones)
        verifyObject(IKnowingStore, store)
        names = ("a", "firm/a", "gone", "never")
        for name in names[:3]:
            self.result(store.set(name, 1, {}))
        self.result(store.remove("gone", 1))
        self.assertEqual([store.lacks(name) for name in names], [False, False, False, True])
        self.result(store.replace("gone", None, Record(2, {})))
        self.result(store.delete("gone"))
        self.assertTrue(store.lacks("gone"))


class FirmLimitsTests(MemoryStoreTests):
    """
    The contract, within limits that may not be exceeded.
    """

    def make(self) -> Any:
        return MemoryStore(max_entries=1000, max_bytes=1_000_000, evict=False)


class LimitsTests(contract.StoreTestCase):
    """
    What happens past a limit.
    """

    def names(self, store: MemoryStore, names: str) -> str:
        """
        Those of C{names} that are there.
        """
        return "".join(name for name in names if self.result(store.get(name)) is not None)

    def test_cache_forgets(self) -> None:
        """
        A full cache forgets the record that was neither read nor written for longest.
        """
        store = MemoryStore(max_entries=3)
        for name in "abc":
            self.result(store.set(name, 1, {}))
        self.result(store.get("a"))
        self.result(store.set("b", 2, {}))
        self.result(store.set("d", 1, {}))
        self.assertEqual(self.names(store, "abcd"), "abd")

    def test_figures(self) -> None:
        """
        Lookups count by whether there is a record, and so does the memory that the records take.
        """
        store = MemoryStore(max_bytes=1_000_000, kept=("firm/",))
        verifyObject(ICountedCache, store)
        self.assertEqual((store.hits, store.misses, store.weight, store.max_bytes), (0, 0, 0, 1_000_000))
        for name in ("firm/a", "b"):
            self.result(store.set(name, 1, {}))
        for name in ("firm/a", "b", "b", "c", "firm/c"):
            self.result(store.get(name))
        self.assertEqual((store.hits, store.misses), (3, 2))
        self.assertEqual(store.weight, size("firm/a", {}) + size("b", {}))

    def test_cache_forgets_bytes(self) -> None:
        """
        So does one that is full of bytes; as many go as have to.
        """
        store = MemoryStore(max_bytes=4 * size("a", ["123456"]) + 9)
        for name in "abcd":
            self.result(store.set(name, 1, ["123456"]))
        self.assertEqual(self.names(store, "abcd"), "abcd")
        self.result(store.set("e", 1, ["x" * (size("a", ["123456"]) // 2)]))
        self.assertEqual(self.names(store, "abcde"), "cde")
        self.result(store.delete("e"))
        self.result(store.set("f", 1, ["123456"]))
        self.assertEqual(self.names(store, "cdf"), "cdf")

    def test_cache_too_small(self) -> None:
        """
        A record bigger than the whole cache is not kept, and no older version of it either. All others stay.
        """
        store = MemoryStore(max_bytes=2000)
        self.result(store.set("a", 1, {}))
        self.result(store.set("b", 1, {}))
        self.result(store.set("a", 2, ["x" * 1000]))
        self.assertEqual(self.names(store, "ab"), "b")

    def test_storage_refuses(self) -> None:
        """
        A full storage forgets nothing: it refuses new records, and takes new versions of those it has.
        """
        store = MemoryStore(max_entries=2, evict=False)
        self.result(store.set("a", 1, {}))
        self.result(store.set("b", 1, {}))
        self.assertIn("may keep 2 records", self.failure(store.set("c", 1, {})))
        self.result(store.set("a", 2, {}))
        self.result(store.delete("b"))
        self.result(store.set("c", 1, {}))
        self.assertEqual(self.names(store, "abc"), "ac")

    def test_storage_refuses_bytes(self) -> None:
        """
        A record that would grow beyond the limit is refused, as is a new one, and the old version stays. A deletion
        makes room.
        """
        store = MemoryStore(max_bytes=size("a", ["x" * 50]) + size("b", []), evict=False)
        self.result(store.set("a", 1, ["12345"]))
        self.result(store.set("b", 1, []))
        refusal = self.failureResultOf(store.set("a", 2, ["x" * 51]), StoreFull)
        self.assertIn(f"may keep {size('a', ['x' * 50]) + size('b', [])} bytes", refusal.getErrorMessage())
        self.assertEqual(self.result(store.get("a")), Record(1, ["12345"]))
        self.result(store.set("a", 2, ["x" * 50]))
        self.assertEqual(self.result(store.get("a")), Record(2, ["x" * 50]))
        self.failureResultOf(store.set("c", 1, []), StoreFull)
        self.result(store.delete("b"))
        self.result(store.set("c", 1, []))

    def test_storage_refuses_replacements(self) -> None:
        """
        So it is with an expectation: a write for which there is no room has changed nothing.
        """
        store = MemoryStore(max_bytes=size("a", ["x" * 50]), evict=False)
        self.assertIsNone(self.result(store.replace("a", None, Record(1, ["x" * 50]))))
        self.failureResultOf(store.replace("a", 1, Record(2, ["x" * 51])), StoreFull)
        self.failureResultOf(store.replace("b", None, Record(0, {})), StoreFull)
        self.assertEqual(self.result(store.heads("ab")), {"a": 1, "b": -1})
        self.assertIsNone(self.result(store.remove("a", 1)))
        self.assertIsNone(self.result(store.replace("b", None, Record(0, {}))))

    def test_full_storage_shrinks(self) -> None:
        """
        In a storage that is full, records may become smaller and change without growing.
        """
        store = MemoryStore(max_bytes=size("a", ["x" * 50]), evict=False)
        self.result(store.set("a", 1, ["x" * 50]))
        for version, length in ((2, 50), (3, 40), (4, 0), (5, 50)):
            self.result(store.set("a", version, ["y" * length]))
        self.failure(store.set("a", 6, ["y" * 51]))
        self.assertEqual(self.result(store.get("a")), Record(5, ["y" * 50]))

    def test_names_count(self) -> None:
        """
        Ten thousand records that hold nothing are bounded as well, by their names and all that a record needs.
        """
        limit = 1_000_000
        store = MemoryStore(max_bytes=limit, evict=False)
        gc.collect()
        tracemalloc.start()
        kept = sum(store.keep(f"record/{number}", Record(number, {})) for number in range(1000, 11_000))
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        self.assertTrue(1000 < kept < 5000, kept)
        self.assertLess(used, limit)
        self.assertFalse(MemoryStore(max_bytes=limit, evict=False).keep("x" * limit, Record(1, {})))

    def test_cache_takes_what_it_says(self) -> None:
        """
        So it is for a cache that forgets, with its order of use.
        """
        store = MemoryStore(max_bytes=1_000_000)
        gc.collect()
        tracemalloc.start()
        for number in range(1000, 11_000):
            store.keep(f"record/{number}", Record(number, {"a": {"b": float(number)}}))
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        self.assertLess(used, 1_000_000)
        self.assertIsNotNone(store.known("record/10999"))

    def test_cache_keeps(self) -> None:
        """
        What is nowhere else is not forgotten to make room, however long it was not used; and when there is nothing but
        that, more of it is refused.
        """
        store = MemoryStore(max_entries=3, kept=("k/", "l/"))
        for name in ("k/1", "a", "b", "c", "l/2", "d"):
            self.result(store.set(name, 1, {}))
        for name, there in (("k/1", True), ("l/2", True), ("a", False), ("c", False), ("d", True)):
            self.assertEqual(self.result(store.get(name)) is not None, there, name)
        self.result(store.set("k/3", 1, {}))
        self.assertIn("may keep 3 records", self.failure(store.set("k/4", 1, {})))
        self.result(store.set("k/1", 2, {}))
        self.result(store.set("e", 1, {}))
        self.assertIsNone(self.result(store.get("e")))
        self.result(store.delete("l/2"))
        self.result(store.set("k/4", 1, {}))
        self.assertEqual(self.result(store.get("k/1")), Record(2, {}))

    def test_cache_keeps_bytes(self) -> None:
        """
        So it is with bytes.
        """
        one = size("k", ["1234567890"])
        store = MemoryStore(max_bytes=2 * one + 99, kept=("k",))
        for name in "kab":
            self.result(store.set(name, 1, ["1234567890"]))
        self.assertEqual(self.names(store, "kab"), "kb")
        self.failureResultOf(store.set("k2", 1, ["x" * one]), StoreFull)
        self.assertEqual(self.names(store, "kb"), "kb")
        self.result(store.delete("k"))
        self.result(store.set("k2", 1, ["x" * (one // 2)]))
        self.assertEqual(self.names(store, "kb"), "")
        self.assertIsNotNone(self.result(store.get("k2")))

    def test_all_gone(self) -> None:
        """
        When all records are deleted there is as much room as there was at first.
        """
        for evict in (True, False):
            store = MemoryStore(max_bytes=10_000, evict=evict)
            for _ in range(100):
                for name in ("a", "b"):
                    self.result(store.set(name, 1, ["x" * 1000]))
                    self.result(store.set(name, 2, {}))
                    self.result(store.set(name, 3, ["y" * 1500]))
                    self.result(store.delete(name))
                    self.result(store.delete(name))
            self.result(store.set("c", 1, ["x" * ((10_000 - size("c", [""])) // 2)]))
            self.assertIsNotNone(self.result(store.get("c")))

    def test_stopped(self) -> None:
        """
        What was in there is gone with it.
        """
        store = MemoryStore(max_bytes=1000)
        self.result(store.set("a", 1, {}))
        self.result(store.stop())
        self.result(store.start())
        self.assertIsNone(self.result(store.get("a")))


class NamesTests(contract.StoreTestCase):
    """
    The names of the records.
    """

    def test_names(self) -> None:
        """
        All names are listed in pages, those of records that may be forgotten as well.
        """
        store = MemoryStore(max_bytes=10_000, kept=("a",))
        verifyObject(IEnumerableStore, store)
        for name in ("b", "a2", "c", "a1"):
            self.result(store.set(name, 1, {}))
        for limit in (1, 2, 3, 4, 5):
            names: list[str] = []
            cursor = None
            while True:
                page, cursor = self.result(store.names(cursor, limit))
                self.assertLessEqual(len(page), limit)
                names += page
                if cursor is None:
                    break
            self.assertEqual(names, ["a1", "a2", "b", "c"])


class TombstoneTests(contract.TombstoneContract):
    """
    The contract of stores that remember removed records.
    """

    def make(self, **settings: Any) -> Any:
        tombstones = Tombstones(RecordSettings(**settings), self.reactor.seconds)
        return MemoryStore(tombstones=tombstones)

    def test_forgotten(self) -> None:
        """
        After C{deletionMemory} the versions begin anew.
        """
        store = self.make(deletion_memory=10.0)
        self.result(store.set("a", 7, {}))
        self.result(store.remove("a", 7))
        self.reactor.advance(9.0)
        self.assertEqual(self.result(store.replace("a", None, Record(0, {}))).version, 7)
        self.reactor.advance(1.0)
        self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))

    def test_bounds(self) -> None:
        """
        The oldest removals are forgotten if there are too many, or their names are too long.
        """
        for settings in ({"max_deletion_memory": 2}, {"max_deletion_bytes": 1000}):
            store = self.make(**settings)
            for name in "abcd":
                self.result(store.set(name, 7, {}))
                self.result(store.remove(name, 7))
            self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))
            self.assertEqual(self.result(store.replace("d", None, Record(0, {}))).version, 7)

    def test_full(self) -> None:
        """
        A store that has no room for the new record remembers the removal.
        """
        store = MemoryStore(max_bytes=1000, evict=False, tombstones=Tombstones(RecordSettings(), self.reactor.seconds))
        self.result(store.set("a", 7, {}))
        self.result(store.remove("a", 7))
        self.failureResultOf(store.replace("a", None, Record(8, ["x" * 5000])), StoreFull)
        self.assertEqual(self.result(store.replace("a", None, Record(0, {}))).version, 7)


class AsideTests(SynchronousTestCase):
    """
    A cache sets records aside when the storage behind it may have less than before.
    """

    def filled(self, *names: str, **limits: Any) -> MemoryStore:
        store = MemoryStore(**limits)
        verifyObject(IDoubtingCache, store)
        for name in names:
            self.assertTrue(store.keep(name, Record(1, {"is": name})))
        return store

    def taken(self, store: MemoryStore) -> list[str]:
        """
        Set records aside, and take their names.
        """
        store.set_aside()
        return store.next_aside(100)

    def shown(self, store: MemoryStore, *names: str) -> list[str]:
        return [name for name in names if store.known(name) is not None]

    def test_aside(self) -> None:
        """
        Records that are set aside answer nothing; the names come in the order in which they were used last.
        """
        for limits in ({}, {"max_entries": 9}):
            store = self.filled("a", "b", "c", **limits)
            store.set_aside()
            self.assertEqual([store.next_aside(2), store.next_aside(2), store.next_aside(2)], [["c", "b"], ["a"], []])
            self.assertEqual(self.shown(store, "a", "b", "c"), [])
            self.assertEqual((store.aside("a"), store.aside("x"), len(store)), (1, None, 3))

    def test_confirmed(self) -> None:
        """
        A record that is confirmed answers again, one that is dropped does not.
        """
        for limits in ({}, {"max_entries": 9}):
            store = self.filled("a", "b", "c", **limits)
            self.assertEqual(self.taken(store), ["c", "b", "a"])
            store.confirm("c")
            store.drop("b")
            store.confirm("x")
            self.assertEqual(self.shown(store, "a", "b", "c"), ["c"])
            self.assertEqual([store.aside(name) for name in "abc"], [1, None, None])
            self.assertEqual(len(store), 2)

    def test_order(self) -> None:
        """
        Confirmed records are forgotten in the same order as before, and those that are used meanwhile after them.
        """
        store = self.filled("a", "b", "c", max_entries=4)
        for name in self.taken(store):
            if name == "b":
                store.keep("d", Record(1, {}))
            store.confirm(name)
        for name in ("e", "f"):
            store.keep(name, Record(1, {}))
        self.assertEqual(self.shown(store, *"abcdef"), ["c", "d", "e", "f"])

    def test_written(self) -> None:
        """
        A record that is written or deleted meanwhile is not set aside any more, and no confirmation changes it.
        """
        for limits, count in itertools.product(({}, {"max_entries": 9}), (0, 1, 2)):
            store = self.filled("a", "b", **limits)
            store.set_aside()
            store.next_aside(count)
            store.keep("a", Record(2, {}))
            self.successResultOf(store.delete("b"))
            for name in ("a", "b"):
                self.assertIsNone(store.aside(name))
                store.confirm(name)
            self.assertEqual((store.known("a"), store.known("b"), len(store)), (Record(2, {}), None, 1))

    def test_again(self) -> None:
        """
        Records that were confirmed are set aside again.
        """
        store = self.filled("a", "b", max_entries=9)
        store.set_aside()
        self.assertEqual(store.next_aside(1), ["b"])
        store.confirm("b")
        self.assertEqual(self.taken(store), ["b", "a"])
        self.assertEqual(self.taken(store), ["b", "a"])
        self.assertEqual(self.shown(store, "a", "b"), [])

    def test_unstored(self) -> None:
        """
        A record that no storage has is never set aside.
        """
        for limits in ({}, {"max_entries": 9}):
            store = self.filled("a", "x/a", kept=("x/",), **limits)
            self.assertEqual(self.taken(store), ["a"])
            self.assertEqual(self.shown(store, "a", "x/a"), ["x/a"])
        self.assertEqual(self.taken(self.filled("a", evict=False)), [])

    def test_weight(self) -> None:
        """
        Records that are set aside count, and are the first to be forgotten.
        """
        each = size("a", {"is": "a"})
        store = self.filled("a", "b", "c", max_bytes=3 * each)
        store.set_aside()
        store.next_aside(1)
        store.confirm("c")
        store.keep("d", Record(1, {"is": "d"}))
        self.assertEqual((store.aside("a"), store.aside("b"), self.shown(store, "c", "d")), (None, 1, ["c", "d"]))
        for name in ("b", "c", "d"):
            self.successResultOf(store.delete(name))
        for name in ("e", "f", "g"):
            store.keep(name, Record(1, {"is": name}))
        self.assertEqual(self.shown(store, "e", "f", "g"), ["e", "f", "g"])
