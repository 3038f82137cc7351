"""
The SQLite file of L{dstwist.store.sqlite.SqliteStore}, as its thread sees it: everything here may take its time.

============  =================================================================
column        content
============  =================================================================
C{name}       of the record; the primary key
C{version}    a whole number
C{data}       JSON text
============  =================================================================

C{application_id} says that the file is dstwist's, C{user_version} of which kind its tables are, so that a later dstwist
can change them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import StoreError
from dstwist.interfaces import Record
from dstwist.protocol.jsontext import dumps, loads

#: What marks a file as ours: "dstw".
APPLICATION_ID = 0x64737477

#: What SQLite can hold in a column is a little more.
_MAX_DATA = 500_000_000

#: What the write-ahead log may keep of the disk after it had to grow because somebody read the file for long, in bytes.
LOG_KEPT = 64 * 1024 * 1024

#: How often it is looked whether the file is still there, in seconds. Looking costs as much as a small write.
LOOK_INTERVAL = 1.0

#: The version of the tables. A file with a higher one was written by a newer dstwist.
SCHEMA_VERSION = 1

_SCHEMA = """
    CREATE TABLE records (
        name TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        data TEXT NOT NULL
    )
"""
# JSON text goes in and out as bytes, but is kept as text, so that SQLite's own JSON functions can work on it.
_GET = "SELECT version, CAST(data AS BLOB) FROM records WHERE name = ?"
_ROW = "(?, ?, CAST(? AS TEXT))"


def _set(rows: int) -> str:
    return (
        f"INSERT INTO records (name, version, data) VALUES {', '.join([_ROW] * rows)}"
        " ON CONFLICT (name) DO UPDATE SET version = excluded.version, data = excluded.data"
    )


# Many rows to a statement: each one costs the thread several fights with the reactor for the interpreter.
_SET_ONE = _set(1)
_SETS = [(rows, _set(rows)) for rows in (256, 32, 4, 1)]
_DELETE = "DELETE FROM records WHERE name = ?"


class Read:
    """
    One read. Its Deferred fires with the record.
    """

    __slots__ = ("deferred", "error", "name", "record")

    def __init__(self, name: str) -> None:
        self.name = name
        self.deferred: Deferred[Record | None] = Deferred()
        self.record: Record | None = None
        self.error: Exception | None = None


class Write:
    """
    One write, or a deletion if C{record} is None.

    @ivar readers: the reads that came after it and before the next write of the same record.
    """

    __slots__ = ("deferred", "error", "name", "readers", "record")

    def __init__(self, name: str, record: Record | None) -> None:
        self.name = name
        self.record = record
        self.deferred: Deferred[None] = Deferred()
        self.readers: list[Read] = []
        self.error: Exception | None = None


class SqliteFile:
    """
    One file, open or not.
    """

    def __init__(self, path: str, synchronous: str, max_bytes: int | None, busy_timeout: float) -> None:
        self._path = path
        self._synchronous = synchronous
        self._max_bytes = max_bytes
        self._busy_timeout = busy_timeout
        self._lock: int | None = None
        # Which file it is, whatever its name, and when it was last seen under its name.
        self._identity: tuple[int, int] | None = None
        self._seen = 0.0
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        try:
            # The lock is beside the file itself: it may have several names, by symbolic links.
            self._lock = _locked(f"{os.path.realpath(self._path)}.lock", self._path)
            # Not for everybody to read, whatever the umask; what SQLite adds beside it has the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
            self._identity, self._seen = self._there(), time.monotonic()
            self._connection = sqlite3.connect(self._path, self._busy_timeout, isolation_level=None)
            self._prepare(self._connection)
            # The names of new files are on the disk only when their directory is.
            _sync_directory(os.path.dirname(os.path.abspath(self._path)))
        except Exception as error:
            self.close()
            raise self._explained(error) from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """
        Check that the file is ours, or make it so.
        """
        # Nothing is written before it is known whose file it is.
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (application or version or tables):
            raise StoreError(f"{self._path} is an SQLite file of another program")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path} was written by a newer dstwist: its schema has version {version},"
                f" this one knows none above {SCHEMA_VERSION}"
            )
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"{self._path} cannot have a write-ahead log; is it on a network file system?")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")
        if self._max_bytes is not None:
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {max(1, self._max_bytes // page_size)}")
        connection.execute("BEGIN IMMEDIATE")
        if not version:
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        # Better now than at every read.
        connection.execute("SELECT name, version, data FROM records LIMIT 0")

    def _there(self) -> tuple[int, int] | None:
        """
        Which file has the name now.
        """
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _look(self) -> None:
        """
        Make sure that what is written can be found again: on Unix an open file can be deleted, or moved away to put a
        copy into its place, and all goes well until the next start.
        """
        now = time.monotonic()
        if now - self._seen >= LOOK_INTERVAL:
            if self._there() != self._identity:
                raise StoreError(f"{self._path} has been moved or deleted; nothing is written until the next start")
            self._seen = now

    def close(self) -> None:
        try:
            if self._connection is not None:
                self._connection.close()
        finally:
            self._connection = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def read(self, reads: list[Read]) -> None:
        """
        Fill in what each read gets.
        """
        assert self._connection is not None
        for read in reads:
            try:
                row = self._connection.execute(_GET, (read.name,)).fetchone()
                read.record = row and self._loaded(read.name, *row)
            except UnicodeError:
                # No row can have that name.
                read.record = None
            except Exception as error:
                read.error = self._explained(error)

    def _loaded(self, name: str, version: Any, text: bytes | None) -> Record:
        # Somebody may have written to the file by other means, and SQLite takes anything for anything.
        try:
            data = loads(text or b"")
        except ValueError as error:
            raise StoreError(f"{self._path}: what is stored for the record {name!r} is no JSON: {error}") from None
        if not isinstance(data, (dict, list)) or not isinstance(version, int):
            raise StoreError(f"{self._path}: what is stored for the record {name!r} is no record")
        return Record(version, data)

    def write(self, writes: list[Write]) -> None:
        """
        Do all of it, in one transaction. Writes that cannot be done have their C{error} afterwards.
        """
        rows, deleted = self._rows(writes)
        if not rows and not deleted:
            return
        connection = self._connection
        assert connection is not None
        self._look()
        try:
            if len(rows) + len(deleted) == 1:
                # A statement is a transaction of its own.
                connection.execute(*((_DELETE, deleted) if deleted else (_SET_ONE, rows[0])))
                return
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_DELETE, [(name,) for name in deleted])
            done = 0
            for size, statement in _SETS:
                while done + size <= len(rows):
                    connection.execute(statement, [value for row in rows[done : done + size] for value in row])
                    done += size
            connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise self._explained(error) from None

    def _rows(self, writes: list[Write]) -> tuple[list[tuple[str, int, bytes]], list[str]]:
        """
        The rows to be written, and the names of those to be deleted: of each record what it is in the end.
        """
        rows: dict[str, tuple[str, int, bytes] | None] = {}
        for write in reversed(writes):
            name, record = write.name, write.record
            # A write is left out if a later one replaces it; not if that one cannot be done.
            if name not in rows:
                try:
                    name.encode("utf-8")
                    rows[name] = None if record is None else _row(name, record)
                except (TypeError, ValueError, RecursionError) as error:
                    write.error = StoreError(f"{self._path}: the record {name!r} cannot be stored: {error}")
        return [row for row in rows.values() if row is not None], [name for name, row in rows.items() if row is None]

    def _explained(self, error: Exception) -> Exception:
        """
        What an operator can do something about. Mistakes of our own stay what they are.
        """
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", 0)
            problem = _PROBLEMS.get(code & 0xFF, str(error))
            return StoreError(f"{self._path} {problem} ({getattr(error, 'sqlite_errorname', 'no code')})")
        if isinstance(error, OSError):
            return StoreError(f"{self._path} cannot be opened: {error.strerror}")
        return error


def _row(name: str, record: Record) -> tuple[str, int, bytes]:
    """
    @raise ValueError: SQLite has no row for that; so has TypeError.
    """
    if not -(2**63) <= record.version < 2**63:
        raise ValueError("the version is too high")
    data = dumps(record.data)
    if len(data) > _MAX_DATA:
        raise ValueError(f"it has more than {_MAX_DATA} bytes")
    return name, record.version, data


# By primary result code.
_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite file",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_READONLY: "cannot be written to: it or its directory is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: see that its directory is there and can be written to",
    sqlite3.SQLITE_PERM: "cannot be opened: permission denied",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full, or maxBytes is reached",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk fails",
}


def _locked(path: str, whose: str) -> int:
    """
    The descriptor of a lock file that is ours alone now.
    """
    # Not inherited by programs we start, and empty: the lock is the system's, not the file's being there.
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise StoreError(f"{whose} is in use by another dstwist, which has locked {path}") from None
        raise
    return lock


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
