"""
Tests for L{dstwist.store.plugin_store}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.errors import StoreFull
from dstwist.interfaces import IClusterTableHost, IEnumerableStore, IStoreStatus, Record
from dstwist.record import NO_RECORD
from dstwist.store.memory import MemoryStore
from dstwist.store.plugin_store import FAILURE_SECONDS, PluginStore, SharedPluginStore
from tests.store import contract


class Coroutines:
    """
    A store all of coroutines.
    """

    def __init__(self) -> None:
        self._inner = MemoryStore()

    async def start(self) -> None:
        await self._inner.start()

    async def stop(self) -> None:
        await self._inner.stop()

    async def get(self, name: str) -> Any:
        return await self._inner.get(name)

    async def set(self, name: str, version: int, data: Any) -> None:
        await self._inner.set(name, version, data)

    async def delete(self, name: str) -> None:
        await self._inner.delete(name)


class Careless:
    """
    A store that does not bother with Deferreds.
    """

    gives: Any = None

    def start(self) -> None:
        pass

    def stop(self) -> None:
        raise OSError("cannot stop")

    def get(self, name: str) -> Any:
        return self.gives

    def set(self, name: str, version: int, data: Any) -> None:
        raise KeyError(name)

    def delete(self, name: str) -> None:
        raise OSError("disk")


class CarelessShared(Careless):
    """
    The same, with several writers.
    """

    def replace(self, name: str, expected: int | None, record: Record, changes: Any) -> Any:
        return self.gives

    def remove(self, name: str, expected: int | None) -> Any:
        return self.gives


class CoroutineTests(contract.StoreContract):
    """
    The contract, by coroutines.
    """

    def make(self) -> Any:
        return PluginStore(Coroutines(), "it", self.reactor)


class SharedCoroutines(Coroutines):
    """
    A store all of coroutines, which decides between its writers.
    """

    async def replace(self, name: str, expected: int | None, record: Record, changes: Any = ()) -> Any:
        return await self._inner.replace(name, expected, record, changes)

    async def remove(self, name: str, expected: int | None) -> Any:
        return await self._inner.remove(name, expected)

    async def heads(self, names: Any) -> Any:
        return await self._inner.heads(names)

    async def fence(self) -> None:
        await self._inner.fence()


class SharedCoroutineTests(contract.SharedStoreContract):
    """
    The contract of a store with several writers, by coroutines.
    """

    def make(self) -> Any:
        return SharedPluginStore(SharedCoroutines(), "it", self.reactor)


class CarelessTests(contract.StoreTestCase):
    """
    What is no Deferred becomes one.
    """

    def setUp(self) -> None:
        super().setUp()
        self.inner = Careless()
        self.store = PluginStore(self.inner, "my.py:Mine", self.reactor)

    def test_raises(self) -> None:
        """
        A method that raises has failed; nothing is raised where nobody expects it.
        """
        self.result(self.store.start())
        self.assertIn("disk", self.failure_of(OSError, self.store.delete("a")))
        self.assertIn("a", self.failure_of(KeyError, self.store.set("a", 1, {})))
        self.assertIn("cannot stop", self.failure_of(OSError, self.store.stop()))

    def test_no_record(self) -> None:
        """
        What C{get} says is there must be a record; C{None}, and a record at once, will do.
        """
        self.assertIsNone(self.result(self.store.get("a")))
        self.inner.gives = Record(1, {})
        self.assertEqual(self.result(self.store.get("a")), Record(1, {}))
        version: Any = "1"
        wrongs: list[Any] = [(1, {}), {"version": 1}, Record(version, {}), Record(1, "text"), Record(1, None), 5]
        for wrong in wrongs:
            self.inner.gives = wrong
            self.assertIn("my.py:Mine: get('a') gave neither None nor a Record", self.failure(self.store.get("a")))

    def test_no_outcome(self) -> None:
        """
        What a refused write finds must be a record as well.
        """
        inner = CarelessShared()
        store = SharedPluginStore(inner, "my.py:Mine", self.reactor)
        asked = {"replace": lambda: store.replace("a", 1, Record(2, {})), "remove": lambda: store.remove("a", 1)}
        outcomes: list[tuple[Any, Any]] = [(None, None), (Record(3, {}), Record(3, {})), (Record(-1, None), NO_RECORD)]
        for method, ask in asked.items():
            for inner.gives, expected in outcomes:
                self.assertEqual(self.result(ask()), expected)
            for inner.gives in (False, True, 2, Record(1, None)):
                self.assertIn(f"my.py:Mine: {method}('a') gave neither None nor", self.failure(ask()))
            self.assertIsNotNone(store.problem())
        inner.gives = Record(1, None)
        self.assertEqual(self.result(store.replace("a", None, Record(0, {}))), Record(1, None))

    def failure_of(self, kind: type[Exception], deferred: Deferred[None]) -> str:
        return str(self.failureResultOf(deferred, kind).value)


class Failing(Careless):
    """
    A store whose writes end as the test says.
    """

    error: Exception | None = None

    def set(self, name: str, version: int, data: Any) -> None:
        if self.error is not None:
            raise self.error

    def delete(self, name: str) -> None:
        self.set(name, 0, None)


@implementer(IStoreStatus)
class Knowing(Failing):
    """
    A store that can report its state.
    """

    trouble: str | None = None

    def contents(self) -> str:
        return "7 records"

    def problem(self) -> str | None:
        return self.trouble


class StatusTests(contract.StoreTestCase):
    """
    Whether a store of the operator's own can write.
    """

    def write(self, store: PluginStore, error: Exception | None = None) -> None:
        store._inner.error = error
        for deferred in (store.set("a", 1, {}), store.delete("a")):
            deferred.addErrback(lambda failure: None)

    def test_failure(self) -> None:
        """
        A store counts as one that cannot write after a write has failed, until one succeeds or some seconds pass.
        """
        store = PluginStore(Failing(), "it", self.reactor)
        self.assertEqual((store.problem(), store.contents()), (None, ""))
        self.write(store, OSError("no route to host"))
        self.assertEqual(store.problem(), "no route to host")
        self.write(store)
        self.assertIsNone(store.problem())
        self.write(store, OSError("no route to host"))
        self.reactor.advance(FAILURE_SECONDS - 0.1)
        self.assertEqual(store.problem(), "no route to host")
        self.reactor.advance(0.1)
        self.assertIsNone(store.problem())

    def test_full(self) -> None:
        """
        One that has no room for a record can write all the same.
        """
        store = PluginStore(Failing(), "it", self.reactor)
        self.write(store, StoreFull("too large"))
        self.assertIsNone(store.problem())

    def test_knowing(self) -> None:
        """
        A store that can report its state is asked for it.
        """
        inner = Knowing()
        store = PluginStore(inner, "it", self.reactor)
        self.write(store, OSError("no route to host"))
        self.assertEqual((store.problem(), store.contents()), (None, "7 records"))
        inner.trouble = "away"
        self.assertEqual(store.problem(), "away")


@implementer(IEnumerableStore)
class Listing(Careless):
    """
    It can list its names.
    """

    def names(self, cursor: Any, limit: int) -> Any:
        return [f"after {cursor}"], limit


class NamesTests(contract.StoreTestCase):
    """
    The names of the records of a store that can list them.
    """

    def test_names(self) -> None:
        """
        The names are those of the plug-in, if it has any.
        """
        store = PluginStore(Listing(), "it", self.reactor)
        verifyObject(IEnumerableStore, store)
        self.assertEqual(self.result(store.names("a", 7)), (["after a"], 7))
        self.assertFalse(IEnumerableStore.providedBy(PluginStore(Careless(), "it", self.reactor)))


@implementer(IClusterTableHost)
class Hosting(Careless):
    """
    It keeps the table of the nodes.
    """

    def cluster_table(self) -> Any:
        return "the table"


class TableTests(contract.StoreTestCase):
    """
    The table of the nodes, in a store that keeps one.
    """

    def test_table(self) -> None:
        """
        The table is that of the plug-in, if it keeps one.
        """
        store = PluginStore(Hosting(), "it", self.reactor)
        verifyObject(IClusterTableHost, store)
        self.assertEqual(store.cluster_table(), "the table")
        self.assertFalse(IClusterTableHost.providedBy(PluginStore(Careless(), "it", self.reactor)))
