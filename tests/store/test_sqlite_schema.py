"""
Tests for L{dstwist.store.sqlite_schema}.
"""

from __future__ import annotations

from pathlib import Path

from dstwist.store.sqlite_schema import APPLICATION_ID, SCHEMA_VERSION
from tests.store.stage import SqliteTestCase


class SchemaTests(SqliteTestCase):
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
        self.assertIn("was written by a newer dstwist: its schema has version 2", self.refusal())

    def test_no_table(self) -> None:
        """
        A file that is marked as ours, but has not our table, is refused at start.
        """
        for version in (SCHEMA_VERSION, -1):
            other = self.other_program()
            other.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            other.execute(f"PRAGMA user_version = {version}")
            self.assertIn(self.path, self.refusal())

    def test_marked(self) -> None:
        """
        Our files say whose they are, and of which schema.
        """
        self.started(self.make())
        other = self.other_program()
        self.assertEqual(other.execute("PRAGMA application_id").fetchone(), (APPLICATION_ID,))
        self.assertEqual(other.execute("PRAGMA user_version").fetchone(), (SCHEMA_VERSION,))
