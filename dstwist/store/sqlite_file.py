"""
The SQLite file of L{dstwist.store.sqlite.SqliteStore}, as its thread sees it: everything here may take its time.

C{application_id} says that the file is dstwist's, C{user_version} of which kind its tables are, so that a later dstwist
can change them. L{dstwist.store.sqlite_rows} describes the table.

Always true: when L{SqliteFile.write} returns, each write without an error is on the disk, in files that the next start
finds. After each commit the file, its C{-wal} and its C{-shm} are looked for under their names
(L{dstwist.store.sqlite_names}):

=========================  ==========================================================================================
not in place               what happens
=========================  ==========================================================================================
C{-wal} or C{-shm}         the log is put back from the open file, and the database is opened anew; no write is lost
the database file          the writes fail, though a file that was moved has them; further ones fail before they are
                           done, until the file is in place again
=========================  ==========================================================================================
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable

from dstwist.errors import StoreError
from dstwist.store.sqlite_names import FILE, OpenFiles, sync_directory
from dstwist.store.sqlite_quota import Quota, QuotaError
from dstwist.store.sqlite_rows import SCHEMA, Read, Row, Write, commit, get, row_of

#: What marks a file as ours: "dstw".
APPLICATION_ID = 0x64737477

#: What the write-ahead log may keep of the disk after it had to grow because somebody read the file for long, in bytes.
LOG_KEPT = 64 * 1024 * 1024

#: How often it is looked whether the files are still there if nothing is written, in seconds. After each commit it is
#: looked in any case.
LOOK_INTERVAL = 1.0

#: The version of the tables. A file with a higher one was written by a newer dstwist.
SCHEMA_VERSION = 1

#: If so many writes of a transaction were refused since there is no room, the others are not tried one by one.
MOST_REFUSED = 100

#: Is told what an operator has to know: whether it is serious, and a sentence.
Tell = Callable[[bool, str], None]


class SqliteFile:
    """
    One file, open or not.
    """

    def __init__(
        self,
        path: str,
        synchronous: str,
        max_bytes: int | None,
        busy_timeout: float,
        tell: Tell = lambda serious, text: None,
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self._quota = None if max_bytes is None else Quota(max_bytes)
        self._busy_timeout = busy_timeout
        self._tell = tell
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._files: OpenFiles | None = None
        # Which file it is, whatever its name.
        self._identity: tuple[int, int] | None = None
        # When the files were last found in place, and why they are not.
        self._seen = 0.0
        self._lost = ""
        self._refused = 0

    # -- life

    def open(self) -> None:
        try:
            # The lock is beside the file itself: it may have several names, by symbolic links.
            self._lock = _locked(f"{os.path.realpath(self._path)}.lock", self._path)
            # Not for everybody to read, whatever the umask; what SQLite adds beside it has the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
            self._connect()
            # The names of new files are on the disk only when their directory is.
            sync_directory(os.path.dirname(os.path.abspath(self._path)))
            names = os.stat(self._path).st_nlink
            if names > 1:
                self._tell(
                    False,
                    f"{self._path} has {names} names (hard links): opened by another one, it is without the writes"
                    " that are in its write-ahead log",
                )
        except Exception as error:
            self.close()
            raise self._explained(error) from None

    def _connect(self) -> None:
        found = os.stat(self._path)
        identity = found.st_dev, found.st_ino
        if self._identity not in (None, identity):
            raise StoreError(self._moved())
        self._connection = sqlite3.connect(self._path, self._busy_timeout, isolation_level=None)
        try:
            self._prepare(self._connection)
            self._files = OpenFiles(self._path)
        except BaseException:
            self._disconnect()
            raise
        self._identity, self._seen = identity, time.monotonic()

    def _disconnect(self) -> None:
        files, self._files = self._files, None
        connection, self._connection = self._connection, None
        if files is not None:
            files.close()
        if connection is not None:
            # SQLite moves all of the log into the file, if that is in place, and deletes what has the log's name.
            connection.close()

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
        if self._quota is not None:
            self._quota.prepare(connection, LOG_KEPT)
        connection.execute("BEGIN IMMEDIATE")
        if not version:
            connection.execute(SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        # Better now than at every read.
        connection.execute("SELECT name, version, data FROM records LIMIT 0")

    def close(self) -> None:
        try:
            if self._connection is not None:
                # SQLite would delete a log that was put into the place of its own.
                with contextlib.suppress(StoreError):
                    self._look()
        finally:
            try:
                self._disconnect()
            finally:
                self._identity = None
                if self._lock is not None:
                    os.close(self._lock)
                    self._lock = None

    # -- whether the files are there

    def look(self) -> None:
        """
        Look whether the files are in place; called while nothing is written. The operator is told if they are not.
        """
        if self._lock is not None:
            with contextlib.suppress(StoreError):
                self._look()

    def _look(self) -> None:
        """
        Make sure that the next start finds what is written.

        @raise StoreError: it would not.
        """
        try:
            missing = FILE
            if self._files is None:
                # The last try to open the file anew has failed.
                self._connect()
            if self._files is not None:
                missing = self._files.look() or ""
            if missing == FILE:
                raise StoreError(self._moved())
            if missing:
                self._restore()
        except Exception as error:
            problem = str(self._explained(error))
            if problem != self._lost:
                self._lost = problem
                self._tell(
                    True,
                    f"{problem}. Writes are refused until then. The last acknowledged writes may be in the files that"
                    " were moved: do not start the server on a copy without them",
                )
            raise StoreError(problem) from None
        self._seen = time.monotonic()
        if self._lost:
            self._lost = ""
            self._tell(False, f"{self._path} is in place again; writes go on")

    def _moved(self) -> str:
        return (
            f"{self._path} has been moved or deleted; nothing is written until the file is put back with its -wal, or"
            " the next start"
        )

    def _restore(self) -> None:
        """
        Have a log under its name again that has all that was committed, then begin with new files.
        """
        assert self._files is not None
        try:
            self._files.restore_log()
        except OSError as error:
            raise StoreError(
                f"{self._path}-wal or -shm was deleted or replaced, and the log cannot be written anew"
                f" ({error.strerror}); nothing is written until that succeeds or the file is put back"
            ) from None
        if self._files.look() == FILE:
            raise StoreError(self._moved())
        self._disconnect()
        self._connect()
        self._tell(
            True,
            f"{self._path}-wal or -shm was deleted or replaced while the server runs. No write is lost: all were still"
            " in the open file and are in the database now. Find out what did that",
        )

    # -- reads and writes

    def read(self, reads: list[Read]) -> None:
        """
        Fill in what each read gets.
        """
        for read in reads:
            try:
                if self._connection is None:
                    raise StoreError(f"{self._path} is not open")
                read.record = get(self._connection, read.name)
            except ValueError as error:
                read.error = StoreError(f"{self._path}: what is stored for the record {read.name!r} {error}")
            except Exception as error:
                read.error = self._explained(error)

    def write(self, writes: list[Write]) -> None:
        """
        Do all of it, in one transaction if possible. Writes that cannot be done have their C{error} afterwards.
        """
        rows, deleted = self._rows(writes)
        if not rows and not deleted:
            return
        if self._lost or time.monotonic() - self._seen >= LOOK_INTERVAL:
            # Better refused than in doubt.
            self._look()
        self._refused = 0
        problems: dict[str, StoreError] = {}
        for part in [(rows, deleted)] if self._quota is None else self._quota.parts(rows, deleted):
            problems |= self._store(*part)
        # It is on the disk. Before any client is told: the next start must find it.
        self._look()
        if problems:
            for write in writes:
                write.error = write.error or problems.get(write.name)

    def _store(self, rows: list[Row], deleted: list[str]) -> dict[str, StoreError]:
        """
        Write and delete.

        @return: what there is no room for, by name.
        """
        connection = self._connection
        assert connection is not None and self._files is not None
        if self._refused >= MOST_REFUSED and not deleted:
            return dict.fromkeys([row[0] for row in rows], StoreError(f"{self._path} has no room"))
        try:
            if self._quota is not None:
                self._quota.make_room(connection, self._files, rows, self._busy_timeout)
            commit(connection, rows, deleted)
            return {}
        except Exception as error:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            explained = self._explained(error)
            if not isinstance(error, QuotaError) and _code(error) != sqlite3.SQLITE_FULL:
                raise explained from None
        if len(rows) + len(deleted) == 1:
            self._refused += 1
            return {rows[0][0] if rows else deleted[0]: StoreError(str(explained))}
        # Some of it may have room. Deletions make room, so they come first.
        if rows and deleted:
            return {**self._store([], deleted), **self._store(rows, [])}
        middle = (len(rows) + len(deleted)) // 2
        return {**self._store(rows[:middle], deleted[:middle]), **self._store(rows[middle:], deleted[middle:])}

    def _rows(self, writes: list[Write]) -> tuple[list[Row], list[str]]:
        """
        The rows to be written, and the names of those to be deleted: of each record what it is in the end.
        """
        rows: dict[str, Row | None] = {}
        for write in reversed(writes):
            name, record = write.name, write.record
            # A write is left out if a later one replaces it; not if that one cannot be done.
            if name not in rows:
                try:
                    name.encode("utf-8")
                    rows[name] = None if record is None else row_of(name, record)
                except (TypeError, ValueError, RecursionError, MemoryError) as error:
                    problem = "not enough memory" if isinstance(error, MemoryError) else error
                    write.error = StoreError(f"{self._path}: the record {name!r} cannot be stored: {problem}")
        return [row for row in rows.values() if row is not None], [name for name, row in rows.items() if row is None]

    def _explained(self, error: Exception) -> Exception:
        """
        What an operator can do something about. Mistakes of our own stay what they are.
        """
        if isinstance(error, sqlite3.Error):
            problem = _PROBLEMS.get(_code(error), str(error))
            return StoreError(f"{self._path} {problem} ({getattr(error, 'sqlite_errorname', 'no code')})")
        if isinstance(error, OSError):
            return StoreError(f"{self._path} cannot be opened: {error.strerror}")
        if isinstance(error, QuotaError):
            return StoreError(f"{self._path} {error}")
        if isinstance(error, MemoryError):
            return StoreError(f"{self._path} cannot be read or written: not enough memory")
        return error


def _code(error: Exception) -> int:
    """
    The primary result code of SQLite.
    """
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite file",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_READONLY: "cannot be written to: it or its directory is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: see that its directory is there and can be written to",
    sqlite3.SQLITE_PERM: "cannot be opened: permission denied",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full, or maxBytes is reached",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk fails, is read-only, or allows no larger files",
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
