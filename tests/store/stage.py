"""
A store in a real SQLite file, for the tests of the sqlite modules.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_file import SqliteFile
from tests.store import contract

#: The user without any rights.
NOBODY = 65534


class SqliteTestCase(contract.StoreTestCase):
    """
    A test with a file.
    """

    def setUp(self) -> None:
        super().setUp()
        self.path = str(Path(self.mktemp()).absolute())

    def make(self, **options: Any) -> SqliteStore:
        return SqliteStore(self.path, self.reactor, **options)

    def refusal(self, path: str | None = None) -> str:
        """
        Why a store does not start.
        """
        return self.failure(SqliteStore(path or self.path, self.reactor).start())

    def other_program(self) -> sqlite3.Connection:
        """
        Another user of the file.
        """
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        self.addCleanup(connection.close)
        return connection

    def batches(self) -> list[list[str]]:
        """
        The names of what is written from now on, a list a transaction.
        """
        batches: list[list[str]] = []
        write = SqliteFile.write

        def recorded(file: SqliteFile, writes: Any) -> None:
            if writes:
                batches.append([write.name for write in writes])
            write(file, writes)

        self.patch(SqliteFile, "write", recorded)
        return batches
