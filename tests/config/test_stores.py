"""
Tests for L{dstwist.config.stores}.
"""

from __future__ import annotations

import os

from dstwist.config.plugins import PluginSettings
from dstwist.config.redis import RedisSettings
from dstwist.config.stores import DefaultStorage, MemorySettings, NoStorage, SqliteSettings
from dstwist.memory_limits import usable_memory
from tests.config.helpers import ConfigCase


class StoreTests(ConfigCase):
    """
    C{cache} and C{storage}.
    """

    def test_stores(self) -> None:
        """
        Where records are kept: by default, and by each type; a name is as good as a type.
        """
        default = self.load("")
        quarter = usable_memory() // 4
        self.assertEqual((MemorySettings(None, quarter), DefaultStorage()), (default.cache, default.storage))
        self.assertEqual(MemorySettings(None, None), self.load("cache: {options: {maxBytes: null}}").cache)
        settings = self.load("cache: {options: {maxEntries: 5}}\nstorage: {name: sqlite}")
        self.assertEqual((MemorySettings(5), SqliteSettings(None)), (settings.cache, settings.storage))
        settings = self.load(
            "cache: {type: memory, options: {maxBytes: 7, maxEntries: null}}\n"
            "storage: {type: sqlite, options: {path: data/r.db, synchronous: NORMAL, maxBytes: 1e6, maxWaiting: 3,"
            " busyTimeout: 10}}"
        )
        self.assertEqual(MemorySettings(None, 7), settings.cache)
        path = os.path.join(self.directory, "data", "r.db")
        self.assertEqual(SqliteSettings(path, "normal", 1000000, 3, 0.01), settings.storage)
        self.assertEqual(NoStorage(), self.load("storage: {type: none}").storage)
        self.assertEqual(MemorySettings(1), self.load("storage: {type: memory, options: {maxEntries: 1}}").storage)

    def test_stores_of_ones_own(self) -> None:
        """
        Stores that do not come with the server are a type of their own name, a class in a module or one in a file.
        """
        for section, expected in (
            ("{type: mine, options: {a: 1}}", PluginSettings("name", "mine", {"a": 1}, "storage.type")),
            ("{name: mine}", PluginSettings("name", "mine", {}, "storage.name")),
            ("{module: 'a.b:C'}", PluginSettings("module", "a.b:C", {}, "storage.module")),
            ("{path: 'a.b:C'}", PluginSettings("path", "a.b:C", {}, "storage.path")),
            (
                "{path: 'lib/a.py:C'}",
                PluginSettings("path", f"{os.path.join(self.directory, 'lib', 'a.py')}:C", {}, "storage.path"),
            ),
        ):
            self.assertEqual(expected, self.load(f"storage: {section}").storage)
        self.assertNotIn("hunter2", repr(self.load("storage: {type: mine, options: {password: hunter2}}")))

    def test_packages(self) -> None:
        """
        A Redis has the names of its packages for the Node server, too. Those for v2 and v3 had another layout.
        """
        for section, legacy in (
            ("{type: redis}", False),
            ("{name: redis}", False),
            ("{path: '@deepstream/cache-redis'}", False),
            ("{name: '@deepstream/cache-redis'}", False),
            ("{path: ./node_modules/@deepstream/cache-redis}", False),
            ("{path: deepstream.io-cache-redis}", True),
            ("{path: /opt/lib/deepstream.io-storage-redis/}", True),
            ("{path: deepstream.io-cache-redis, options: {legacyLayout: false}}", False),
            ("{type: redis, options: {legacyLayout: true}}", True),
        ):
            for place in ("cache", "storage"):
                found = getattr(self.load(f"{place}: {section}"), place)
                self.assertEqual(RedisSettings(legacy_layout=legacy), found, section)

    def test_refused(self) -> None:
        """
        Sections with which data would be lost, or that could not work, are refused.
        """
        self.assert_refused(
            (
                "cache: {name: memcached}",
                "cache.name: memcached is known but not built yet; data would be lost silently",
            ),
            ("storage: {path: '@deepstream/storage-postgres'}", "storage.path: postgres is known but not built yet"),
            ("storage: {type: mongodb}", "storage.type: mongodb is known but not built yet; data would be lost"),
            ("cache: {type: sqlite}", "cache.type: sqlite is for the storage; expected one of default, memory, redis"),
            ("cache: {kind: memory}", "cache.kind: unknown option"),
            ("cache: {options: {maxEntries: 0}}", "cache.options.maxEntries: expected a number from 1"),
            ("storage: {options: {path: x}}", "storage.options: the type default has no options; say which type"),
            ("storage: {type: none, options: {path: x}}", "storage.options: the type none has no options"),
            ("storage: {type: memory, options: {maxByte: 1}}", "storage.options.maxByte: unknown option; did you mean"),
            ("storage: {type: sqlite, options: {path: ''}}", "storage.options.path: expected a text, got an empty one"),
            (
                "storage: {type: sqlite, options: {synchronous: ful}}",
                'storage.options.synchronous: expected one of full, normal, off, got "ful"; did you mean full?',
            ),
            ("storage: {type: sqlite, options: {maxBytes: 65535}}", "storage.options.maxBytes: expected a number from"),
            ("storage: {path: ./lib/store.js}", "storage.path: JavaScript cannot run here; see docs/stores.rst"),
            ("storage: {module: store}", 'storage.module: expected package.module:Class, got "store"'),
        )
