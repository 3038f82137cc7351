"""
Tests for L{dstwist.store.sqlite_schema}.
"""

from __future__ import annotations

from pathlib import Path

from dstwist.interfaces import Record
from dstwist.store import sqlite_schema
from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_schema import ADDITIONS, APPLICATION_ID, SCHEMA_VERSION
from tests.store.stage import SqliteTestCase

#: What made a file of version 1.
VERSION_1 = f"""
    PRAGMA journal_mode = WAL;
    CREATE TABLE records (
        name TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        data TEXT NOT NULL
    );
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = 1;
    INSERT INTO records VALUES ('a', 7, '{{"x":1}}'), ('b', 0, '[]');
"""

#: The statements that made a file of version 2 of that.
VERSION_2 = ";".join((*ADDITIONS[1], "PRAGMA user_version = 2"))


class SchemaTestCase(SqliteTestCase):
    """
    A test with files of other versions.
    """

    def old_file(self) -> None:
        """
        Have a file of version 1 with two records.
        """
        self.other_program().executescript(VERSION_1)

    def tables(self) -> list[str]:
        """
        The tables of the file.
        """
        rows = self.other_program().execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [name for (name,) in rows]


class OldFileTests(SchemaTestCase):
    """
    Files of version 1 and 2.
    """

    def told(self, store: SqliteStore) -> list[str]:
        """
        Start a store, and return what it tells the operator.
        """
        told: list[str] = []
        self.patch(SqliteStore, "_say", lambda store, serious, text: told.append(text))
        self.started(store)
        return told

    def test_migrated(self) -> None:
        """
        The first start adds what is missing, and tells the operator. The records stay.
        """
        self.old_file()
        store = self.make()
        told = self.told(store)[0]
        self.assertIn("its schema had version 1, and has version 3 now. The older dstwist cannot open it", told)
        self.assertEqual(store.contents(), "2 records")
        self.assertEqual(self.result(store.get("a")), Record(7, {"x": 1}))
        self.assertEqual(self.other_program().execute("PRAGMA user_version").fetchone(), (SCHEMA_VERSION,))
        self.assertEqual(self.tables(), ["changes", "records", "removed"])
        self.result(store.stop())
        self.assertNotIn("older dstwist", "".join(self.told(self.make())))

    def test_version_2(self) -> None:
        """
        A file of version 2 has its changes afterwards.
        """
        self.old_file()
        other = self.other_program()
        other.executescript(VERSION_2)
        other.execute("INSERT INTO changes (name, version, previous, data) VALUES ('a', 8, 7, '[[\"y\",2]]')")
        store = self.make()
        self.assertIn("its schema had version 2, and has version 3 now", self.told(store)[0])
        self.assertEqual(self.result(store.get("a")), Record(8, {"x": 1, "y": 2}))
        self.assertIsNone(self.result(store.remove("a", 8)))
        self.assertEqual(self.result(store.replace("a", None, Record(1, {}))), Record(8, None))

    def test_interrupted(self) -> None:
        """
        A start that ends in the middle leaves the file as it was. The next one does all of it.
        """
        self.old_file()
        added = ADDITIONS[1] + ADDITIONS[2]
        for statements in range(len(added) + 1):
            self.patch(sqlite_schema, "ADDITIONS", ((), (*added[:statements], "CREATE TABLE")))
            self.assertIn(self.path, self.refusal())
            self.assertEqual(self.other_program().execute("PRAGMA user_version").fetchone(), (1,))
            self.assertEqual(self.tables(), ["records"])
        self.patch(sqlite_schema, "ADDITIONS", ADDITIONS)
        store = self.started(self.make())
        self.assertEqual(self.tables(), ["changes", "records", "removed"])
        self.assertEqual(self.result(store.get("b")), Record(0, []))

    def test_full(self) -> None:
        """
        A file that has reached its limit is migrated all the same.
        """
        self.old_file()
        other = self.other_program()
        other.execute("INSERT INTO records VALUES ('c', 1, ?)", ['["' + "x" * 100_000 + '"]'])
        store = self.started(self.make(max_bytes=65536))
        self.assertEqual(self.result(store.get("a")), Record(7, {"x": 1}))
        self.assertIn("cannot grow", self.failure(store.set("d", 1, ["x" * 50_000])))


class SchemaTests(SchemaTestCase):
    """
    The files that a store opens, and those that it refuses.
    """

    def test_not_a_database(self) -> None:
        """
        A file that is something else is refused, and stays as it is.
        """
        content = b"# a configuration\n" * 100
        Path(self.path).write_bytes(content)
        self.assertIn(f"{self.path} is not an SQLite file", self.refusal())
        self.assertEqual(Path(self.path).read_bytes(), content)

    def test_other_programs_database(self) -> None:
        """
        A database of another program is refused, and gets no table of ours.
        """
        other = self.other_program()
        other.execute("CREATE TABLE songs (title TEXT)")
        self.assertIn(f"{self.path} is an SQLite file of another program", self.refusal())
        self.assertEqual(other.execute("SELECT name FROM sqlite_master").fetchall(), [("songs",)])

    def test_newer_schema(self) -> None:
        """
        A file of a newer dstwist is refused: an older one would not know what it means.
        """
        other = self.other_program()
        other.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        self.assertIn("was written by a newer dstwist: its schema has version 4", self.refusal())

    def test_no_table(self) -> None:
        """
        A file that is marked as ours, but has not our table, is refused at start.
        """
        for version in (SCHEMA_VERSION, -1):
            other = self.other_program()
            other.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            other.execute(f"PRAGMA user_version = {version}")
            self.assertIn(self.path, self.refusal())

    def test_other_tables(self) -> None:
        """
        So is a file that has not all our tables.
        """
        self.old_file()
        self.other_program().execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self.assertIn("no such table: changes", self.refusal())

    def test_marked(self) -> None:
        """
        Our files say whose they are, and of which schema.
        """
        self.started(self.make())
        other = self.other_program()
        self.assertEqual(other.execute("PRAGMA application_id").fetchone(), (APPLICATION_ID,))
        self.assertEqual(other.execute("PRAGMA user_version").fetchone(), (SCHEMA_VERSION,))
