"""
Tests for L{dstwist.store.memory}.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from dstwist.interfaces import IInstantStore, Record
from dstwist.store.memory import MemoryStore
from tests.store import contract


class MemoryStoreTests(contract.StoreContract):
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
        It can do without Deferreds, unless it has limits to look after.
        """
        store = MemoryStore()
        verifyObject(IInstantStore, store)
        self.assertIsNone(store.known("a"))
        self.assertTrue(store.keep("a", Record(1, {})))
        self.assertEqual(store.known("a"), Record(1, {}))
        self.assertFalse(MemoryStore(max_entries=1).keep("a", Record(1, {})))

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

    def test_cache_forgets_bytes(self) -> None:
        """
        So does one that is full of bytes; as many go as have to.
        """
        store = MemoryStore(max_bytes=50)
        for name in "abcd":
            self.result(store.set(name, 1, ["123456"]))
        self.assertEqual(self.names(store, "abcd"), "abcd")
        self.result(store.set("e", 1, ["x" * 25]))
        self.assertEqual(self.names(store, "abcde"), "de")
        self.result(store.delete("e"))
        self.result(store.set("f", 1, ["123456"]))
        self.assertEqual(self.names(store, "df"), "df")

    def test_cache_too_small(self) -> None:
        """
        A record bigger than the whole cache is not kept, and no older version of it either.
        """
        store = MemoryStore(max_bytes=50)
        self.result(store.set("a", 1, {}))
        self.result(store.set("a", 2, ["x" * 60]))
        self.assertIsNone(self.result(store.get("a")))
        self.result(store.set("b", 1, ["x" * 40]))
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
        A record that would grow beyond the limit is refused, and its old version stays.
        """
        store = MemoryStore(max_bytes=20, evict=False)
        self.result(store.set("a", 1, ["12345"]))
        self.result(store.set("b", 1, []))
        self.assertIn("may keep 20 bytes", self.failure(store.set("a", 2, ["123456789012345"])))
        self.assertEqual(self.result(store.get("a")), Record(1, ["12345"]))
        self.result(store.set("a", 2, ["1234567890"]))
        self.assertEqual(self.result(store.get("a")), Record(2, ["1234567890"]))

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
        store = MemoryStore(max_bytes=40, kept=("k",))
        self.result(store.set("k", 1, ["1234567890"]))
        self.result(store.set("a", 1, ["1234567890"]))
        self.result(store.set("b", 1, ["1234567890"]))
        self.assertEqual(self.names(store, "kab"), "kb")
        self.assertIn("may keep 40 bytes", self.failure(store.set("k2", 1, ["x" * 30])))
        self.result(store.delete("k"))
        self.result(store.set("k2", 1, ["x" * 30]))
        self.assertEqual(self.names(store, "kb"), "")

    def test_stopped(self) -> None:
        """
        What was in there is gone with it.
        """
        store = MemoryStore(max_bytes=100)
        self.result(store.set("a", 1, {}))
        self.result(store.stop())
        self.result(store.start())
        self.assertIsNone(self.result(store.get("a")))
