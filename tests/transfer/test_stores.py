"""
Tests for L{dstwist.transfer.stores}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from dstwist.config.load import load
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError, StoreError, TransferError
from dstwist.interfaces import IEnumerableStore, IStore, Record
from dstwist.store.memory import MemoryStore
from dstwist.transfer.batches import Item
from dstwist.transfer.stores import Destination, export_parts, sqlite_file
from tests.transfer.stage import FilesTestCase

HERE = __name__


@implementer(IStore)
class Unlisted:
    """
    A store of a plug-in. All with the same option have the same records, as clients of a database have.
    """

    records: dict[str, MemoryStore] = {}

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        self.inner = self.records.setdefault(options["of"], MemoryStore())

    def start(self) -> Deferred[None]:
        return self.inner.start()

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def get(self, name: str) -> Deferred[Record | None]:
        return self.inner.get(name)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self.inner.set(name, version, data)

    def delete(self, name: str) -> Deferred[None]:
        return self.inner.delete(name)


@implementer(IEnumerableStore)
class Listed(Unlisted):
    """
    The same, with names.
    """

    def names(self, cursor: Any, limit: int) -> Any:
        return self.inner.names(cursor, limit)


class StoresTestCase(FilesTestCase):
    """
    A test with configurations of stores.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(Unlisted, "records", {})
        self.data_dir = os.path.dirname(self.path)

    def settings(self, excluded: tuple[str, ...] = (), **sections: Any) -> Settings:
        return load({"record": {"storageExclusionPrefixes": list(excluded)}, **sections}, {})

    def plugin(self, of: str, name: str = "Listed") -> dict[str, Any]:
        return {"module": f"{HERE}:{name}", "options": {"of": of}}


class SqliteFileTests(StoresTestCase):
    """
    L{sqlite_file}.
    """

    def test_found(self) -> None:
        """
        It is where the server has it.
        """
        self.assertEqual(sqlite_file(self.settings(), self.data_dir, "export"), self.path)
        settings = self.settings(storage={"type": "sqlite", "options": {"path": "/a/b.sqlite"}})
        for data_dir in (None, self.data_dir):
            self.assertEqual(sqlite_file(settings, data_dir, "export"), "/a/b.sqlite")

    def test_none(self) -> None:
        """
        Without such a file, the text says what to do.
        """
        for storage, error, text in (
            ({}, TransferError, "--data-dir or --config says where it is"),
            ({"type": "none"}, TransferError, "there is no storage that survives the server"),
            ({"type": "memory"}, TransferError, "there is no storage that survives the server"),
            ({"type": "sqlite"}, ConfigError, "storage.options.path: missing"),
            (self.plugin("a"), TransferError, "use dstwist export"),
        ):
            with self.assertRaises(error) as caught:
                sqlite_file(self.settings(storage=storage), None, "export")
            self.assertIn(text, str(caught.exception))

    def test_cache_outlives(self) -> None:
        """
        If the cache has the records, and is not in the memory of the server, the text names it.
        """
        with self.assertRaises(TransferError) as caught:
            sqlite_file(self.settings(cache={"type": "redis"}), None, "export")
        self.assertIn("the records are in redis", str(caught.exception))
        self.assertIn("use dstwist export", str(caught.exception))


class ExportPartsTests(StoresTestCase):
    """
    L{export_parts}.
    """

    def exported(self, settings: Settings, data_dir: str | None = None) -> list[list[str]]:
        """
        The names of the records that each part has and that are wanted.
        """
        found = []
        self.notes: list[str]
        parts, self.notes = export_parts(settings, data_dir, self.reactor)
        for part in parts:
            self.result(part.source.start())
            names, _ = self.result(part.source.names(None, 1000))
            found.append([name for name in names if part.wanted(name)])
            self.result(part.source.stop())
        return found

    def fill(self, of: str, *names: str) -> None:
        store = Unlisted.records.setdefault(of, MemoryStore())
        for name in names:
            store.set(name, 1, {})

    def test_sqlite(self) -> None:
        """
        The records of a file, also while a server has it open.
        """
        store = self.store()
        self.result(store.set("a", 1, {}))
        self.assertEqual(self.exported(self.settings(), self.data_dir), [["a"]])
        self.assertEqual(self.notes, [])

    def test_excluded(self) -> None:
        """
        Records that the server keeps in memory are not exported, nor old ones of the same names. A note says so.
        """
        self.put("a", "temp/b")
        self.assertEqual(self.exported(self.settings(("temp/",)), self.data_dir), [["a"]])
        self.assertIn("the prefixes temp/", self.notes[0])

    def test_plugins(self) -> None:
        """
        With a cache and a storage of plug-ins, each record comes from its authority.
        """
        self.fill("storage", "a", "temp/b")
        self.fill("cache", "a", "temp/b", "temp/c")
        stores: dict[str, Any] = {"storage": self.plugin("storage"), "cache": self.plugin("cache")}
        self.assertEqual(self.exported(self.settings(("temp/",), **stores)), [["a"], ["temp/b", "temp/c"]])
        self.assertEqual(self.exported(self.settings(**stores)), [["a", "temp/b"]])

    def test_cache_alone(self) -> None:
        """
        Without a storage, all records are in the cache.
        """
        self.fill("cache", "a", "temp/b")
        settings = self.settings(("temp/",), storage={"type": "none"}, cache=self.plugin("cache"))
        self.assertEqual(self.exported(settings, self.data_dir), [["a", "temp/b"]])

    def test_unlisted(self) -> None:
        """
        A store that cannot list its names is refused, with the interface that it needs.
        """
        for section in ("storage", "cache"):
            settings = load({section: self.plugin("it", "Unlisted")}, {})
            with self.assertRaisesRegex(TransferError, f"the {section} .*:Unlisted cannot list .*IEnumerableStore"):
                export_parts(settings, None, self.reactor)

    def test_memory(self) -> None:
        """
        There is nothing to export if the records are in the memory of the server.
        """
        for storage in ({"type": "none"}, {"type": "memory"}, {}):
            with self.assertRaisesRegex(TransferError, "in memory only"):
                export_parts(self.settings(storage=storage), None, self.reactor)


class DestinationTests(StoresTestCase):
    """
    L{Destination}.
    """

    def destination(self, settings: Settings, data_dir: str | None = None) -> Destination:
        destination = Destination.from_settings(settings, data_dir, self.reactor)
        self.result(Deferred.fromCoroutine(destination.start()))
        self.addCleanup(lambda: self.result(Deferred.fromCoroutine(destination.stop())))
        return destination

    def write(self, destination: Destination, *names: str, version: int = 3) -> Any:
        items = [Item(line, name, Record(version, {})) for line, name in enumerate(names, 1)]
        return Deferred.fromCoroutine(destination.write(items, False))

    def version(self, destination: Destination, name: str) -> int:
        version: int = self.result(Deferred.fromCoroutine(destination.version(name)))
        return version

    def test_sqlite(self) -> None:
        """
        Records go into the file. Those that the server keeps in memory go nowhere.
        """
        destination = self.destination(self.settings(("temp/",)), self.data_dir)
        self.assertIsNone(destination.store_of("temp/a"))
        outcome = self.result(self.write(destination, "a", "b"))
        self.assertEqual([item.name for item in outcome.written], ["a", "b"])
        self.assertEqual((self.version(destination, "a"), self.version(destination, "c")), (3, -1))
        self.assertEqual(self.version(destination, "temp/a"), -1)
        self.assertIn(self.path, destination.description)

    def test_one_transaction(self) -> None:
        """
        The records of a batch share a transaction, however few operations the server lets wait.
        """
        from dstwist.store.sqlite_file import SqliteFile

        batches: list[int] = []
        write = SqliteFile.write

        def recorded(file: SqliteFile, writes: Any) -> None:
            batches.append(len(writes))
            write(file, writes)

        self.patch(SqliteFile, "write", recorded)
        settings = self.settings(storage={"type": "sqlite", "options": {"path": self.path, "maxWaiting": 1}})
        destination = self.destination(settings)
        outcome = self.result(self.write(destination, *map(str, range(500))))
        self.assertEqual((len(outcome.written), len(outcome.failed)), (500, 0))
        self.assertIn(500, batches)

    def test_in_use(self) -> None:
        """
        While a server has the file, there is no import.
        """
        self.store()
        destination = Destination.from_settings(self.settings(), self.data_dir, self.reactor)
        self.assertIn("is in use by another dstwist", self.failure(Deferred.fromCoroutine(destination.start())))

    def test_plugins(self) -> None:
        """
        With a cache and a storage of plug-ins, each record goes to its authority, and old ones leave the cache.
        """
        cache = Unlisted.records["cache"] = MemoryStore()
        cache.set("a", 1, {})
        cache.set("b", 9, {})
        stores: dict[str, Any] = {"storage": self.plugin("storage"), "cache": self.plugin("cache")}
        destination = self.destination(self.settings(("temp/",), **stores))
        self.result(self.write(destination, "b"))
        cache.set("b", 1, {})
        outcome = self.result(self.write(destination, "a", "temp/c", "b"))
        self.assertEqual([item.name for item in outcome.written], ["a", "temp/c"])
        self.assertEqual([item.name for item in outcome.skipped], ["b"])
        self.assertEqual(self.successResultOf(cache.names(None, 10))[0], ["temp/c"])
        self.assertEqual(self.successResultOf(Unlisted.records["storage"].names(None, 10))[0], ["a", "b"])
        self.assertEqual((self.version(destination, "temp/c"), self.version(destination, "a")), (3, 3))

    def test_cache_alone(self) -> None:
        """
        Without a storage, all records go into the cache of the plug-in.
        """
        destination = self.destination(self.settings(("temp/",), cache=self.plugin("cache")))
        self.result(self.write(destination, "a", "temp/b"))
        self.assertEqual(self.successResultOf(Unlisted.records["cache"].names(None, 10))[0], ["a", "temp/b"])

    def test_cache_keeps_old_records(self) -> None:
        """
        If an old record may have stayed in the cache, the import fails.
        """
        destination = self.destination(self.settings(storage=self.plugin("storage"), cache=self.plugin("cache")))
        self.patch(Unlisted.records["cache"], "delete", lambda name: fail(StoreError("away")))
        self.assertIn("may be in the cache: away", self.failure(self.write(destination, "a")))

    def test_memory(self) -> None:
        """
        Records that would be gone with the command are not imported.
        """
        for storage in ({"type": "none"}, {"type": "memory"}, {}):
            with self.assertRaisesRegex(TransferError, "in memory only"):
                Destination.from_settings(self.settings(storage=storage), None, self.reactor)
