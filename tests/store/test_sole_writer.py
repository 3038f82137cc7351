"""
Tests for L{dstwist.store.sole_writer}.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IRecordStore, ISharedStore, Record
from dstwist.store.memory import MemoryStore
from dstwist.store.plugin_store import PluginStore
from dstwist.store.sole_writer import SoleWriter, record_writer, shared
from dstwist.store.tombstones import Tombstones
from tests.store import contract
from tests.store.test_plugin_store import Coroutines


class SoleWriterTests(contract.StoreContract):
    """
    The contract, by a store that knows no expectations.
    """

    def make(self) -> Any:
        return SoleWriter(PluginStore(Coroutines(), "it", self.reactor))

    def test_shared_interface(self) -> None:
        """
        It provides L{ISharedStore}.
        """
        verifyObject(ISharedStore, self.make())

    def test_writes(self) -> None:
        """
        A writer that is alone can replace, remove and ask for the versions.
        """
        store = self.started(self.make())
        self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))
        self.assertIsNone(self.result(store.replace("a", 0, Record(1, {"b": 1}), [])))
        self.assertEqual(self.result(store.get("a")), Record(1, {"b": 1}))
        self.assertEqual(self.result(store.heads(["a", "b"])), {"a": 1, "b": -1})
        self.assertIsNone(self.result(store.fence()))
        self.assertIsNone(self.result(store.remove("a", 1)))
        self.assertEqual(self.result(store.heads(["a"])), {"a": -1})

    def test_no_reads(self) -> None:
        """
        It asks for no record that it is about to write.
        """
        inner = Coroutines()
        store = self.started(SoleWriter(PluginStore(inner, "it", self.reactor)))
        self.patch(inner, "get", None)
        self.assertIsNone(self.result(store.replace("a", 5, Record(6, {}))))
        self.assertIsNone(self.result(store.remove("a", 6)))

    def test_same_object(self) -> None:
        """
        A store that takes records as objects gets the object, whose JSON text is there already.
        """
        inner = MemoryStore()
        record = Record(1, {})
        self.result(SoleWriter(inner).replace("a", None, record))
        self.assertIs(inner.known("a"), record)
        other = PluginStore(Coroutines(), "it", self.reactor)
        self.assertFalse(IRecordStore.providedBy(other))
        self.result(record_writer(other)("a", record))
        self.assertEqual(self.result(other.get("a")), record)

    def test_shared(self) -> None:
        """
        A store that decides between its writers is used as it is.
        """
        store = MemoryStore()
        self.assertIs(shared(store), store)
        self.assertIsInstance(shared(PluginStore(Coroutines(), "it", self.reactor)), SoleWriter)


class TombstoneTests(contract.StoreTestCase):
    """
    A plug-in store with a single writer, whose removals are remembered in memory.
    """

    def test_versions_go_on(self) -> None:
        """
        A record that is created anew needs a higher version than the removed one had. C{deletionMemory} later it does
        not.
        """
        tombstones = Tombstones(RecordSettings(deletion_memory=10.0), self.reactor.seconds)
        store = self.started(shared(PluginStore(Coroutines(), "it", self.reactor), tombstones))
        self.result(store.replace("a", None, Record(7, {})))
        self.result(store.remove("a", 7))
        self.assertIsNone(self.result(store.get("a")))
        self.assertEqual(self.result(store.replace("a", None, Record(7, {}))), Record(7, None))
        self.assertIsNone(self.result(store.replace("a", None, Record(8, {}))))
        self.result(store.remove("a", 8))
        self.reactor.advance(10.0)
        self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))
