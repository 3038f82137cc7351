"""
A store in a real SQLite file, and its copies.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from dstwist.store.sqlite import SqliteStore
from tests.store import contract


class FilesTestCase(contract.StoreTestCase):
    """
    A test with a directory for the store, and one for copies.
    """

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.mktemp()).absolute()
        (self.directory / "data").mkdir(parents=True)
        self.path = str(self.directory / "data" / "records.sqlite")
        self.copy = str(self.directory / "copy.sqlite")

    def store(self, path: str | None = None, **options: Any) -> SqliteStore:
        """
        A store that is open until the end of the test.
        """
        store: SqliteStore = self.started(SqliteStore(path or self.path, self.reactor, **options))
        return store

    def put(self, *names: str, path: str | None = None, version: int = 1) -> None:
        """
        Write records to the store, while no server has it open.
        """
        store = SqliteStore(path or self.path, self.reactor)
        self.result(store.start())
        for name in names:
            self.result(store.set(name, version, {"name": name}))
        self.result(store.stop())

    def contents(self, path: str) -> dict[str, int]:
        """
        The versions of the records in a file that no program has open.
        """
        connection = sqlite3.connect(path)
        try:
            return dict(connection.execute("SELECT name, version FROM records"))
        finally:
            connection.close()

    def damage(self, path: str) -> None:
        """
        Overwrite the pages behind the first ones.
        """
        with open(path, "r+b") as file:
            file.seek(2 * 4096)
            file.write(b"\xff" * 4096 * 8)
