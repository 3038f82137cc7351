"""
The crash test of the storage in a file.

Some records are so large that the store writes changes to them, and folds them later. Before some starts, the file is
changed into one of the version before, and the server is killed while it migrates the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from dstwist.store.sqlite_rows import get
from dstwist.store.sqlite_schema import SCHEMA_VERSION
from tests.e2e.crash import CrashTest
from tests.e2e.crash_book import LARGE, Book
from tests.e2e.server import PATIENCE, ServerFailed

#: How often a server is killed while it migrates a file, and within how many seconds after it has begun.
KILLED_WHILE_MIGRATING = 0.3
MIGRATION_SECONDS = 0.01


@dataclass
class SqliteBook(Book):
    """
    What all clients know together, and what happened to the file.

    @ivar unfolded: how many rows of changes the file had after the kills.
    @ivar folded: how often a large record was found to be written whole meanwhile.
    @ivar migrations: how often a server was killed while it migrated the file: before and after the commit.
    """

    unfolded: int = 0
    folded: int = 0
    migrations: list[int] = field(default_factory=lambda: [0, 0])

    def __str__(self) -> str:
        return (
            f"{super().__str__()}; {self.unfolded} changes unfolded, {self.folded} times folded; killed while"
            f" migrating: {self.migrations[0]} before the commit, {self.migrations[1]} after it"
        )


class SqliteCrashTest(CrashTest):
    """
    Rounds with a file in C{data_dir}.
    """

    book: SqliteBook

    def __init__(self, data_dir: Path, seed: int, config: Path | None = None) -> None:
        super().__init__(seed, config, data_dir)
        self.book = SqliteBook()
        self._file = data_dir / "records.sqlite"
        # The versions of the rows of large records after the kill before.
        self._rows: dict[str, int] = {}

    def round(self) -> None:
        if self._file.exists() and self._random.random() < KILLED_WHILE_MIGRATING:
            self._kill_while_migrating(self._random.uniform(0.0, MIGRATION_SECONDS))
        super().round()
        if self._file.exists():
            self._count_changes()

    def _count_changes(self) -> None:
        with contextlib.closing(sqlite3.connect(self._file)) as file:
            self.book.unfolded += file.execute("SELECT count(*) FROM changes").fetchone()[0]
            rows = dict(file.execute("SELECT name, version FROM records"))
        for name in LARGE & rows.keys():
            self.book.folded += rows[name] != self._rows.get(name)
            self._rows[name] = rows[name]

    def _kill_while_migrating(self, delay: float) -> None:
        """
        Have a file of version 1, as an older server has left it, and kill a server that has just opened it.
        """
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            for (name,) in file.execute("SELECT DISTINCT name FROM changes").fetchall():
                record = get(file, name)
                assert record is not None
                row = record.version, record.json.decode(), name
                file.execute("UPDATE records SET version = ?, data = ? WHERE name = ?", row)
            for (trigger,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                file.execute(f"DROP TRIGGER {trigger}")
            file.execute("DROP TABLE changes")
            file.execute("DROP TABLE removed")
            file.execute("PRAGMA user_version = 1")
            file.execute("COMMIT")
        # The older file does not say at which versions records were removed.
        self.book.revived.clear()
        log = self._file.with_name(self._file.name + "-wal")

        def kill() -> None:
            # The server creates the log when it opens the file.
            late = time.monotonic() + PATIENCE
            while not log.exists() and time.monotonic() < late:
                time.sleep(0.0005)
            time.sleep(delay)
            self._server.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with contextlib.suppress(ServerFailed):
            self._server.start()
        killer.join()
        self._server.kill()
        with contextlib.closing(sqlite3.connect(self._file)) as file:
            (version,) = file.execute("PRAGMA user_version").fetchone()
        self.book.migrations[version == SCHEMA_VERSION] += 1
