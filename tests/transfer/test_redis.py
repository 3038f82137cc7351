"""
Exports from a real Redis, and imports into one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.config.redis import RedisSettings
from dstwist.config.settings import RecordSettings, Settings
from dstwist.config.stores import MemorySettings, NoStorage, SqliteSettings
from dstwist.errors import TransferError
from dstwist.record import Record
from dstwist.transfer.batches import Item
from dstwist.transfer.exporting import Exporter
from dstwist.transfer.stores import Destination, export_parts, sqlite_file
from tests.store.redis_stage import RedisTestCase

RECORDS = {f"r/{number}": Record(number, {"n": number}) for number in range(1500)}


class RedisTransferTests(RedisTestCase):
    """
    A Redis as the storage, and as all there is.
    """

    def do(self, coroutine: Any) -> Any:
        return self.result(Deferred.fromCoroutine(coroutine))

    def kinds(self, **record: Any) -> list[Settings]:
        """
        A Redis as the storage, and as a cache without one.
        """
        settings = RecordSettings(**record)
        return [
            Settings(storage=self.settings(), record=settings),
            Settings(cache=self.settings(), storage=NoStorage(), record=settings),
        ]

    def lines(self, settings: Settings) -> list[bytes]:
        """
        The lines of an export, without the first and the last.
        """
        parts, _ = export_parts(settings, None, self.reactor)
        lines: list[bytes] = []
        exporter = Exporter(lines.append, False, lambda problem: None)
        for part in parts:
            self.result(part.source.start())
            self.do(exporter.export(part.source, part.wanted))
            self.result(part.source.stop())
        return lines

    def fill(self, settings: Settings, records: dict[str, Record], overwrite: bool = False) -> Any:
        destination = Destination.from_settings(settings, None, self.reactor)
        self.do(destination.start())
        items = [Item(line, name, record) for line, (name, record) in enumerate(records.items())]
        outcome = self.do(destination.write(items, overwrite))
        self.do(destination.stop())
        return outcome

    def test_there_and_back(self) -> None:
        """
        All records that were imported are exported.
        """
        for settings in self.kinds():
            self.server.command("FLUSHALL")
            outcome = self.fill(settings, RECORDS)
            self.assertEqual((1500, 0, 0), tuple(map(len, outcome)))
            lines = self.lines(settings)
            self.assertEqual(1500, len(set(lines)))
            self.assertIn(b'"r/7"', b"".join(lines))
            self.assertEqual((0, 1500, 0), tuple(map(len, self.fill(settings, RECORDS))))
            self.assertEqual((1500, 0, 0), tuple(map(len, self.fill(settings, RECORDS, overwrite=True))))

    def test_excluded(self) -> None:
        """
        Records that do not go into the storage are in a cache in Redis. An old copy of the others is removed from it.
        """
        path = self.mktemp()
        settings = Settings(
            cache=self.settings(),
            storage=SqliteSettings(path),
            record=RecordSettings(storage_exclusion_prefixes=("c/",)),
        )
        store = self.started(self.make())
        self.result(store.set("s", 1, {"old": 1}))
        self.fill(settings, {"s": Record(2, {}), "c/1": Record(3, {})})
        self.assertIsNone(self.result(store.get("s")))
        self.assertEqual(Record(3, {}), self.result(store.get("c/1")))
        self.assertEqual(2, len(self.lines(settings)))

    def test_described(self) -> None:
        """
        The operator is told where the records are, without the password.
        """
        redis = RedisSettings(host="cache", password="hunter2")
        for settings in (Settings(storage=redis), Settings(cache=redis, storage=NoStorage())):
            parts, notes = export_parts(settings, None, self.reactor)
            self.assertEqual((["redis cache:6379"], []), ([part.description for part in parts], notes))
            self.assertEqual("redis cache:6379", Destination.from_settings(settings, None, self.reactor).description)
        problem = str(self.assertRaises(TransferError, sqlite_file, Settings(storage=redis), None, "export"))
        self.assertEqual("the storage is redis cache:6379, and not an SQLite file: use dstwist export", problem)
        self.assertRaises(
            TransferError, export_parts, Settings(cache=MemorySettings(), storage=NoStorage()), None, self.reactor
        )
