"""
Tests for L{dstwist.store.sqlite_versions}.
"""

from __future__ import annotations

from typing import Any

from dstwist.errors import StoreError
from dstwist.interfaces import Record
from dstwist.record import NO_RECORD
from dstwist.store import sqlite_rows, sqlite_versions
from dstwist.store.sqlite_file import SqliteFile
from tests.store.stage import SqliteTestCase


class KnownVersionsTests(SqliteTestCase):
    """
    Writes that expect a version.
    """

    def setUp(self) -> None:
        super().setUp()
        self.looked_up: list[set[str]] = []
        versions = sqlite_rows.versions

        def recorded(connection: Any, names: Any) -> Any:
            self.looked_up.append(set(names))
            return versions(connection, names)

        self.patch(sqlite_versions, "versions", recorded)

    def test_known(self) -> None:
        """
        The version of a record that was written before is not looked up.
        """
        store = self.started(self.make())
        self.result(store.replace("a", None, Record(0, {})))
        self.assertEqual(self.looked_up, [{"a"}])
        for version in range(3):
            self.assertIsNone(self.result(store.replace("a", version, Record(version + 1, {}))))
        self.result(store.set("b", 7, {}))
        self.assertIsNone(self.result(store.remove("b", 7)))
        self.assertEqual(self.looked_up, [{"a"}])
        self.assertIs(self.result(store.replace("b", 7, Record(8, {}))), NO_RECORD)
        self.assertEqual(self.looked_up, [{"a"}, {"b"}])

    def test_other_program(self) -> None:
        """
        A write is refused only for what the file says, even if another program has written to it.
        """
        store = self.started(self.make())
        self.result(store.replace("a", None, Record(0, {})))
        self.other_program().execute("UPDATE records SET version = 5 WHERE name = 'a'")
        self.assertIsNone(self.result(store.replace("a", 5, Record(6, {}))))

    def test_bounded(self) -> None:
        """
        Only some versions are remembered, and none of very long names.
        """
        self.patch(sqlite_versions, "MAX_VERSIONS", 3)
        store = self.started(self.make())
        names = ["a", "b", "c", "d", "x" * (sqlite_versions.MAX_NAME_LENGTH + 1)]
        for name in names:
            self.result(store.set(name, 1, {}))
        for name in names:
            self.assertIsNone(self.result(store.replace(name, 1, Record(2, {}))))
        self.assertIn({"a"}, self.looked_up)
        self.assertIn({names[-1]}, self.looked_up)
        self.assertNotIn({"d"}, self.looked_up[:1])

    def test_failed(self) -> None:
        """
        After a transaction that failed, which may be in the file all the same, all versions are looked up.
        """
        store = self.started(self.make())
        self.result(store.replace("a", None, Record(0, {})))
        checkpoint = SqliteFile._checkpoint

        def fails(file: SqliteFile) -> None:
            raise StoreError("moved")

        self.patch(SqliteFile, "_checkpoint", fails)
        self.failure(store.replace("a", 0, Record(1, {"in": "the file"})))
        self.patch(SqliteFile, "_checkpoint", checkpoint)
        there = Record(1, {"in": "the file"})
        self.assertEqual(self.result(store.replace("a", 0, Record(1, {"other": 1}))), there)
