"""
Tests for L{dstwist.transfer.exporting}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import StoreError, TransferError
from dstwist.interfaces import Record
from dstwist.store.memory import MemoryStore
from dstwist.transfer import exporting
from dstwist.transfer.exporting import Exporter
from dstwist.transfer.lines import END, HEADER, read_line


class Broken(MemoryStore):
    """
    A store that cannot read some records.
    """

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = broken

    def get(self, name: str) -> Deferred[Record | None]:
        return fail(StoreError("it is torn")) if name in self.broken else super().get(name)


class ExporterTests(SynchronousTestCase):
    """
    L{Exporter}.
    """

    def setUp(self) -> None:
        self.lines: list[bytes] = []
        self.told: list[str] = []

    def exporter(self, keep_going: bool = False) -> Exporter:
        return Exporter(self.lines.append, keep_going, self.told.append)

    def export(
        self, exporter: Exporter, store: Any, wanted: Callable[[str], bool] = lambda name: True
    ) -> Deferred[None]:
        return Deferred.fromCoroutine(exporter.export(store, wanted))

    def exported(self) -> dict[str, int]:
        found = [read_line(line) for line in self.lines]
        return {record[0]: record[1].version for record in found if record is not None}

    def store(self, *broken: str) -> Broken:
        store = Broken(*broken)
        for version, name in enumerate("abcdefg"):
            store.set(name, version, {})
        return store

    def test_all(self) -> None:
        """
        All records are written, on several pages as on one.
        """
        for page in (1, 3, 7, 8, 1000):
            self.lines.clear()
            self.patch(exporting, "NAMES_PER_PAGE", page)
            self.patch(exporting, "RECORDS_AT_ONCE", 2)
            exporter = self.exporter()
            self.successResultOf(self.export(exporter, self.store()))
            self.assertEqual(self.exported(), dict(zip("abcdefg", range(7), strict=True)))
            self.assertEqual(exporter.records, 7)

    def test_ends(self) -> None:
        """
        The first line and the last line.
        """
        exporter = self.exporter()
        exporter.begin()
        exporter.end()
        self.assertEqual(self.lines, [HEADER, END])

    def test_wanted(self) -> None:
        """
        Only the wanted records are written.
        """
        self.successResultOf(self.export(self.exporter(), self.store(), lambda name: name > "d"))
        self.assertEqual(sorted(self.exported()), ["e", "f", "g"])

    def test_deleted(self) -> None:
        """
        A record that is deleted when its name is known already is left out.
        """
        store = self.store()
        names = store.names

        def deleting(cursor: Any, limit: int) -> Any:
            found = names(cursor, limit)
            store.delete("c")
            return found

        self.patch(store, "names", deleting)
        exporter = self.exporter()
        self.successResultOf(self.export(exporter, store))
        self.assertEqual(sorted(self.exported()), list("abdefg"))
        self.assertEqual(exporter.records, 6)

    def test_unreadable(self) -> None:
        """
        A record that cannot be read ends the export.
        """
        failure = self.failureResultOf(self.export(self.exporter(), self.store("c")), TransferError)
        self.assertEqual(str(failure.value), "'c' cannot be read: it is torn")

    def test_keep_going(self) -> None:
        """
        If that is wanted, the record is left out, counted and reported.
        """
        exporter = self.exporter(keep_going=True)
        self.successResultOf(self.export(exporter, self.store("c", "d")))
        self.assertEqual(sorted(self.exported()), list("abefg"))
        self.assertEqual(exporter.failed, 2)
        self.assertEqual(self.told, ["'c' cannot be read: it is torn", "'d' cannot be read: it is torn"])

    def test_no_names(self) -> None:
        """
        A store that cannot list its names fails the export in any case.
        """
        store = self.store()
        self.patch(store, "names", lambda cursor, limit: fail(StoreError("away")))
        failure = self.failureResultOf(self.export(self.exporter(keep_going=True), store), TransferError)
        self.assertIn("away", str(failure.value))
