"""
Tests for L{dstwist.store.from_settings}, and for the stores of one's own that C{docs/stores.rst} tells about.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyObject

import twisted.plugins
from dstwist.config.plugins import PluginSettings
from dstwist.config.redis import RedisSettings
from dstwist.config.settings import RecordSettings
from dstwist.config.stores import CacheSettings, DefaultStorage, MemorySettings, NoStorage, SqliteSettings
from dstwist.config.stores import StorageSettings as AnyStorage
from dstwist.errors import ConfigError
from dstwist.interfaces import ISharedStore, IStore, IStoreStatus, Record
from dstwist.store.from_settings import Stores, build_stores
from dstwist.store.memory import MemoryStore
from dstwist.store.redis import RedisStore
from dstwist.store.sqlite import SqliteStore
from tests.store import contract
from tests.store.faulty import FaultyStore

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "examples"


class Reactor(contract.ThreadsReactor):
    """
    One that has a thread pool.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPool(0, 2)
        self._pool.start()

    def getThreadPool(self) -> ThreadPool:
        return self._pool

    def stop(self) -> None:
        self._pool.stop()


class NotAStore:
    """
    Something else.
    """

    def __init__(self, options: Any, context: Any) -> None:
        pass


def broken(options: Any, context: Any) -> Any:
    raise ValueError(f"there is no bucket {options['bucket']}")


def half_a_store(options: Any, context: Any) -> Any:
    """
    What says it is a store, and forgot all of it.
    """
    store = NotAStore(options, context)
    directlyProvides(store, IStore)
    return store


def memory(options: Any, context: Any) -> MemoryStore:
    return MemoryStore(**options)


def shared_memory(options: Any, context: Any) -> FaultyStore:
    """
    A store that decides between its writers, and is not instant.
    """
    return FaultyStore(MemoryStore())


def plugin(source: str, kind: str = "module", **options: Any) -> PluginSettings:
    return PluginSettings(kind, source, options, f"storage.{kind}")


class BuildTests(SynchronousTestCase):
    """
    The configuration says where records are kept.
    """

    def build(
        self,
        cache: CacheSettings | None = None,
        storage: AnyStorage | None = None,
        data_dir: str | None = None,
    ) -> Stores:
        return build_stores(cache or MemorySettings(), storage or DefaultStorage(), data_dir, Reactor())

    def in_cluster(self, cache: CacheSettings, storage: AnyStorage) -> Stores:
        return build_stores(cache, storage, None, Reactor(), is_cluster=True)

    def refusal(self, settings: AnyStorage) -> str:
        return str(self.assertRaises(ConfigError, self.build, storage=settings))

    def test_default(self) -> None:
        """
        Without a data directory nothing is kept for good, and the log will say so.
        """
        stores = self.build()
        self.assertIsInstance(stores.cache, MemoryStore)
        self.assertIsNone(stores.storage)
        self.assertTrue(stores.storage_description.startswith("none: every read misses, every write succeeds"))

    def test_redis(self) -> None:
        """
        A Redis is a storage, a cache, or both by turns; the log tells where it is, without the password.
        """
        redis = RedisSettings(password="hunter2", prefix="a:")
        stores = self.build(storage=redis)
        self.assertIsInstance(stores.storage, RedisStore)
        self.assertIsInstance(stores.cache, MemoryStore)
        self.assertEqual("redis 127.0.0.1:6379", stores.storage_description)
        stores = self.build(redis)
        self.assertIsInstance(stores.cache, RedisStore)
        self.assertIsNone(stores.storage)
        self.assertEqual("redis 127.0.0.1:6379", stores.cache_description)
        self.assertEqual("none: the cache has all records", stores.storage_description)
        self.assertIsInstance(self.build(redis, MemorySettings()).cache, RedisStore)

    def test_lasting(self) -> None:
        """
        Users who are records are in the storage, or in a Redis that has all records.
        """
        redis = RedisSettings()
        for stores, expected in (
            (self.build(), None),
            (self.build(redis), "cache"),
            (self.build(redis, MemorySettings()), "storage"),
            (self.build(storage=redis), "storage"),
        ):
            self.assertIs(None if expected is None else getattr(stores, expected), stores.lasting)

    def test_same_redis(self) -> None:
        """
        Cache and storage must not have the same keys.
        """
        for cache, storage, same in (
            (RedisSettings(), RedisSettings(password="x"), True),
            (RedisSettings(prefix="a"), RedisSettings(), True),
            (RedisSettings(), RedisSettings(prefix="a"), True),
            (RedisSettings(legacy_layout=True), RedisSettings(), True),
            (RedisSettings(prefix="a"), RedisSettings(prefix="b"), False),
            (RedisSettings(db=1), RedisSettings(), False),
            (RedisSettings(port=1), RedisSettings(), False),
        ):
            if same:
                problem = str(self.assertRaises(ConfigError, self.build, cache, storage))
                self.assertIn("cache and storage have the same keys in the same Redis; leave out the storage", problem)
            else:
                self.build(cache, storage)

    def test_data_directory(self) -> None:
        """
        With a data directory records are kept in a file in there; nothing is opened yet.
        """
        directory = os.path.abspath(self.mktemp())
        for settings in (DefaultStorage(), SqliteSettings(synchronous="normal")):
            storage: Any = self.build(storage=settings, data_dir=os.path.relpath(directory)).storage
            self.assertIsInstance(storage, SqliteStore)
            self.assertEqual(storage.path, f"{directory}/records.sqlite")
        self.assertFalse(os.path.exists(directory))
        self.assertIsNone(self.build(storage=NoStorage(), data_dir=directory).storage)

    def test_data_directory_and_redis(self) -> None:
        """
        If the cache is a Redis, it has all records: there is no other storage unless one is configured.
        """
        directory = self.mktemp()
        stores = self.build(RedisSettings(), data_dir=directory)
        self.assertIsNone(stores.storage)
        self.assertEqual(stores.storage_description, "none: the cache has all records")
        self.assertIsInstance(self.build(RedisSettings(), SqliteSettings(), directory).storage, SqliteStore)

    def test_file_and_redis(self) -> None:
        """
        If there is a file with records as well, the configuration has to say what it is for.
        """
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        with open(f"{directory}/records.sqlite", "w"):
            pass
        error = self.assertRaises(ConfigError, self.build, RedisSettings(), data_dir=directory)
        self.assertIn("storage.type: missing; the cache is a Redis", str(error))
        self.assertIn(f"{directory}/records.sqlite", str(error))
        self.assertIsNone(self.build(RedisSettings(), NoStorage(), directory).storage)
        self.assertIsInstance(self.build(RedisSettings(), SqliteSettings(), directory).storage, SqliteStore)

    def test_sqlite(self) -> None:
        """
        The file may be said; if it is not, there must be a data directory.
        """
        storage: Any = self.build(storage=SqliteSettings("/srv/r.sqlite"), data_dir="/elsewhere").storage
        self.assertIsInstance(storage, SqliteStore)
        self.assertEqual(storage.path, "/srv/r.sqlite")
        self.assertEqual(
            self.refusal(SqliteSettings()),
            "storage.options.path: missing; without a data directory it must say which file",
        )

    def test_limits(self) -> None:
        """
        A full cache forgets, but only what is in the storage too; a full storage refuses.
        """
        for storage, cache_evicts in ((None, False), (MemorySettings(1), True)):
            stores = self.build(MemorySettings(1), storage)
            self.successResultOf(stores.cache.set("a", 1, {}))
            second = stores.cache.set("b", 1, {})
            if cache_evicts:
                self.successResultOf(second)
            else:
                self.failureResultOf(second)
            self.assertEqual(self.successResultOf(stores.cache.get("a")) is None, cache_evicts)
        assert stores.storage is not None
        self.successResultOf(stores.storage.set("a", 1, {}))
        self.failureResultOf(stores.storage.set("b", 1, {}))

    def test_excluded(self) -> None:
        """
        A full cache does not forget the records that are not in the storage because of their names.
        """
        cache = build_stores(
            MemorySettings(1), MemorySettings(), None, Reactor(), RecordSettings(storage_exclusion_prefixes=("temp/",))
        ).cache
        self.successResultOf(cache.set("temp/a", 1, {}))
        self.successResultOf(cache.set("b", 1, {}))
        self.assertIsNotNone(self.successResultOf(cache.get("temp/a")))

    def test_cluster(self) -> None:
        """
        In a cluster, a store of one's own has to decide between several writers. A cache of one's own cannot stand in
        front of a storage: nodes would read old records from it.
        """
        own = plugin(f"{EXAMPLES}/folder_store.py:FolderStore", "path", folder=self.mktemp())
        shared = plugin(f"{__name__}:shared_memory")
        self.assertIsNotNone(self.in_cluster(MemorySettings(), shared).storage)
        self.assertIsNone(self.in_cluster(shared, NoStorage()).storage)
        for cache, storage, problem in (
            (MemorySettings(), own, f"storage.path: {own.source} does not provide dstwist.interfaces.ISharedStore"),
            (own, NoStorage(), f"storage.path: {own.source} does not provide dstwist.interfaces.ISharedStore"),
            (shared, RedisSettings(), "storage.module: a cache of your own in front of a storage serves one node"),
        ):
            error = self.assertRaises(ConfigError, self.in_cluster, cache, storage)
            self.assertTrue(str(error).startswith(problem), error)
            self.build(cache, storage)

    def test_module(self) -> None:
        """
        A function or class of the operator's own gets the options.
        """
        stores = self.build(
            PluginSettings("module", f"{__name__}:memory", {"max_entries": 1}, "cache.module"),
            plugin(f"{__name__}:memory", max_entries=1, evict=False),
        )
        assert stores.storage is not None
        self.successResultOf(stores.storage.set("a", 1, {}))
        self.failureResultOf(stores.storage.set("b", 1, {}))
        self.assertIsInstance(stores.cache, MemoryStore)

    def test_shared(self) -> None:
        """
        A store of the operator's own that decides between its writers is used as such.
        """
        store = self.build(storage=plugin(f"{__name__}:shared_memory")).storage
        assert store is not None
        verifyObject(ISharedStore, store)
        self.assertIsNone(self.successResultOf(ISharedStore(store).replace("a", None, Record(0, {}))))

    def test_refused(self) -> None:
        """
        What cannot be found, or made, or is no store is named, with the key that asks for it.
        """
        for settings, expected in (
            (plugin("nowhere.at_all:Store"), "storage.module: cannot load nowhere.at_all:Store: ModuleNotFoundError"),
            (plugin(f"{__name__}:Nothing"), f"storage.module: cannot load {__name__}:Nothing: AttributeError"),
            (plugin("/nowhere.py:Store", "path"), "storage.path: cannot load /nowhere.py:Store: FileNotFoundError"),
            (plugin(f"{__name__}:broken", bucket="b"), f"storage.module: cannot load {__name__}:broken: ValueError:"),
            (plugin(f"{__name__}:NotAStore"), f"storage.module: {__name__}:NotAStore does not provide"),
            (
                plugin(f"{__name__}:half_a_store"),
                f"storage.module: {__name__}:half_a_store is not what IStore asks for",
            ),
            (plugin("sqlit", "name"), "storage.name: there is no store of the type sqlit: neither built in nor a plug"),
        ):
            self.assertTrue(self.refusal(settings).startswith(expected), self.refusal(settings))
        self.assertIn("did you mean sqlite?", self.refusal(plugin("sqlit", "name")))
        self.assertIn("there is no bucket b", self.refusal(plugin(f"{__name__}:broken", bucket="b")))


@implementer(IStoreStatus)
class Reporting(MemoryStore):
    """
    A store that reports its state.
    """

    trouble: str | None = None

    def contents(self) -> str:
        return "7 records"

    def problem(self) -> str | None:
        return self.trouble


class StatusTests(SynchronousTestCase):
    """
    The states of both stores.
    """

    def test_describe_storage(self) -> None:
        """
        The log has the storage, and its content if the storage reports one.
        """
        self.assertEqual("here: 7 records", Stores(MemoryStore(), Reporting(), "memory", "here").describe_storage())
        self.assertEqual("here", Stores(Reporting(), MemoryStore(), "memory", "here").describe_storage())
        self.assertEqual("none", Stores(Reporting(), None, "memory", "none").describe_storage())

    def test_not_ready(self) -> None:
        """
        While one of the stores cannot write, clients should use another server. They are not told the problem.
        """
        cache, storage = Reporting(), Reporting()
        stores = Stores(cache, storage, "", "")
        self.assertIsNone(stores.not_ready())
        cache.trouble = "away"
        self.assertEqual("the cache cannot write", stores.not_ready())
        storage.trouble = "/srv is full"
        self.assertEqual("the storage cannot write", stores.not_ready())
        self.assertIsNone(Stores(MemoryStore(), None, "", "").not_ready())


class FolderStoreTests(contract.StoreContract):
    """
    The example of the documentation does what a store must do.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reactor: Reactor = Reactor()
        self.addCleanup(self.reactor.stop)

    def make(self) -> Any:
        return self.built(plugin(f"{EXAMPLES}/folder_store.py:FolderStore", "path", folder=self.mktemp()))

    def built(self, settings: PluginSettings) -> Any:
        return build_stores(MemorySettings(), settings, None, self.reactor).storage

    def test_names(self) -> None:
        """
        Any text is a name of its own, as far as the file system has names of that length; none leads out of the folder.
        """
        store = self.started(self.make())
        for name in ("a", "../a", "/etc/passwd", "nul\x00inside", "A"):
            self.result(store.set(name, 1, {"name": name}))
            self.assertEqual(self.result(store.get(name)), Record(1, {"name": name}))
        self.assertIn("File name too long", self.failure(store.set("x" * 5000, 1, {})))

    def test_options(self) -> None:
        """
        A missing option is refused before anything is opened.
        """
        settings = plugin(f"{EXAMPLES}/folder_store.py:FolderStore", "path")
        self.assertIn("the option folder must say", str(self.assertRaises(ConfigError, self.built, settings)))

    def test_plugin(self) -> None:
        """
        A plug-in of Twisted's makes it a type of its own, which is found by its name.
        """
        site = Path(self.mktemp()).absolute()
        plugins = site / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        shutil.copy(EXAMPLES / "folder_store.py", site)
        shutil.copy(EXAMPLES / "folder_plugin.py", plugins)
        self.patch(sys, "path", [str(site), *sys.path])
        self.patch(twisted.plugins, "__path__", [str(plugins), *twisted.plugins.__path__])
        for module in ("folder_store", "twisted.plugins.folder_plugin"):
            self.addCleanup(sys.modules.pop, module, None)
        store = self.started(self.built(plugin("folder", "name", folder=self.mktemp())))
        self.result(store.set("a", 1, {}))
        self.assertEqual(self.result(store.get("a")), Record(1, {}))
