"""
Copies the SQLite file of a store, while a server writes to it or not, and checks the copy.

The copy has the records as they were at one moment, after its begin. It has every write that was committed by then, so
every write that was acknowledged. The log of the store cannot be emptied before the copy is complete: it grows by what
the server writes meanwhile. The check of the copy needs the store no more.

A copy is one file. It has no write-ahead log, so it can be moved, and read from a medium that cannot be written to.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from urllib.parse import quote

from dstwist.errors import StoreError, TransferError
from dstwist.store.sqlite_errors import explained
from dstwist.store.sqlite_schema import identify

#: How many pages are copied between two calls of C{progress}.
PAGES_PER_STEP = 2048

#: How long to wait while another program has locked a file, in seconds.
BUSY_TIMEOUT = 10.0

#: The most problems of a damaged file that are told.
_MAX_PROBLEMS = 3

#: Called with the done and the total number of pages.
Progress = Callable[[int, int], object]


@contextlib.contextmanager
def reading(path: str) -> Iterator[sqlite3.Connection]:
    """
    A connection that reads an SQLite file of dstwist and changes nothing, for the length of a C{with} statement.

    @raise TransferError: the file is missing, or no database of dstwist. Errors of SQLite in the statement become such
        errors as well.
    """
    # SQLite needs files beside a database that has a write-ahead log, and may not be able to make them.
    alone = not any(os.path.exists(os.path.realpath(path) + end) for end in ("-wal", "-journal"))
    writable = os.access(os.path.dirname(os.path.realpath(path)), os.W_OK)
    options = "?mode=ro&immutable=1" if alone and not writable else "?mode=ro"
    connection = None
    try:
        # SQLite would not say that the file is missing. It must not be opened here: to close it would end the locks
        # that another connection of this process has.
        os.stat(path)
        uri = f"file:{quote(os.path.abspath(path))}{options}"
        connection = sqlite3.connect(uri, BUSY_TIMEOUT, isolation_level=None, uri=True)
        if identify(connection, path) == 0:
            raise TransferError(f"{path} has no records: it is not an SQLite file of dstwist")
        yield connection
    except FileNotFoundError:
        raise TransferError(f"there is no file {path}") from None
    except (sqlite3.Error, OSError, StoreError) as error:
        raise TransferError(str(explained(path, error))) from None
    finally:
        if connection is not None:
            connection.close()


def copy(source: str, target: str, progress: Progress) -> int:
    """
    Copy the store C{source} into the empty file C{target}, and check the copy.

    @return: the number of records in the copy.
    @raise TransferError: it cannot be copied, or the copy is damaged. The store is damaged then, or the disk.
    """
    try:
        connection = sqlite3.connect(target, isolation_level=None)
        try:
            # If this fails, the file is of no use. So SQLite need not be able to undo anything.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            _copy_pages(source, connection, progress)
            # The copy must not need a write-ahead log.
            connection.execute("PRAGMA journal_mode = DELETE")
            return _check(source, connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise TransferError(str(explained(target, error))) from None


def _copy_pages(source: str, target: sqlite3.Connection, progress: Progress) -> None:
    with reading(source) as connection:
        # A transaction from here to the end. Without it, each write of the server would make SQLite begin anew.
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        try:
            connection.backup(
                target, pages=PAGES_PER_STEP, progress=lambda status, left, total: progress(total - left, total)
            )
        except sqlite3.Error as error:
            raise _failed(source, target, error) from None


def _failed(source: str, target: sqlite3.Connection, error: sqlite3.Error) -> TransferError:
    # SQLite reports the errors of both files in the same way. A full disk can only be that of the copy.
    (path,) = (row[2] for row in target.execute("PRAGMA database_list"))
    full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return TransferError(str(explained(path if full else source, error)))


def _check(source: str, connection: sqlite3.Connection) -> int:
    try:
        found = [text for (text,) in connection.execute(f"PRAGMA integrity_check({_MAX_PROBLEMS})")]
        if found == ["ok"]:
            (records,) = connection.execute("SELECT count(*) FROM records").fetchone()
            return int(records)
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    raise TransferError(f"{source} is damaged, and a copy of it as well: {'; '.join(found)}")
