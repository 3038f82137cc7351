"""
Puts a backup in the place of the file of an SQLite store. No server may use the store; the lock of the store sees to
that.

::

    records.sqlite.partial    the backup is copied, checked, and on the disk
    records.sqlite            its write-ahead log is moved into it, so that it is one file
    records.sqlite.replaced-T gets a second name
    records.sqlite            is the backup now

Always true: whenever the process ends, the next server finds the old records or those of the backup, and all of them.
(If the file system has no hard links, there is a moment without C{records.sqlite}.) A write-ahead log that is not of
the file beside it would damage the file, so it goes first.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

from dstwist.errors import StoreError, TransferError
from dstwist.store.sqlite_errors import explained
from dstwist.store.sqlite_lock import DatabaseLock
from dstwist.store.sqlite_schema import SCHEMA_VERSION, identify
from dstwist.transfer.importing import is_export
from dstwist.transfer.new_file import SIDE_FILES, new_file
from dstwist.transfer.sqlite_copy import BUSY_TIMEOUT, Progress, copy, reading

#: The permissions of the file of a store.
_MODE = 0o640


def check_backup(file: str) -> None:
    """
    Check that C{file} is a backup, without a look at its records.

    @raise TransferError: it is none, or of a newer version.
    """
    try:
        with reading(file) as connection:
            version = identify(connection, file)
    except TransferError:
        if is_export(file):
            raise TransferError(f"{file} is an export, and not a backup: use dstwist import") from None
        raise
    if version > SCHEMA_VERSION:
        raise TransferError(
            f"{file} was written by a newer dstwist: its schema has version {version},"
            f" this one knows none above {SCHEMA_VERSION}"
        )


def restore(file: str, store: str, progress: Progress = lambda done, total: None) -> tuple[int, str | None]:
    """
    Put the backup C{file} in the place of C{store}.

    @return: the number of records, and the name that the replaced file has now; C{None} if there was none.
    @raise TransferError: that is not possible. The text says why; the store is as it was.
    """
    store = os.path.realpath(store)
    with contextlib.suppress(OSError):
        if os.path.samefile(file, store):
            raise TransferError(f"{file} is the file of the store itself")
    check_backup(file)
    try:
        lock = DatabaseLock(store)
    except StoreError as error:
        raise TransferError(f"{error}. Stop the server first") from None
    except OSError as error:
        raise TransferError(f"{error.filename}: {error.strerror}") from None
    done = False
    try:
        _give_away(f"{store}.lock", store)
        with new_file(store, replace=True, mode=_MODE) as partial:
            records = copy(file, partial, progress)
            _give_away(partial, store)
            replaced = _set_aside(store)
        # The next server need not be told that the last one did not close its file.
        lock.mark_open()
        done = True
        return records, replaced
    except OSError as error:
        raise TransferError(f"{error.filename or store}: {error.strerror}") from None
    finally:
        lock.release(done)


def _give_away(path: str, store: str) -> None:
    """
    Give a file to the owner of the store, or else of its directory, if this process runs as root.
    """
    if os.geteuid() == 0:
        model = os.stat(store if os.path.exists(store) else os.path.dirname(store))
        os.chown(path, model.st_uid, model.st_gid)


def _set_aside(store: str) -> str | None:
    """
    Give the file of the store another name, or a second one.

    @return: that name; C{None} if there is no such file.
    """
    replaced = _free_name(store)
    if os.path.exists(store):
        _fold(store)
    # These are here if the file is damaged, or was deleted.
    left = [end for end in SIDE_FILES if os.path.exists(store + end)]
    for end in left:
        os.rename(store + end, replaced + end)
    if not os.path.exists(store):
        return replaced + left[0] if left else None
    try:
        os.link(store, replaced)
    except OSError:
        # The file system has no hard links.
        os.rename(store, replaced)
    return replaced


def _free_name(store: str) -> str:
    first = name = f"{store}.replaced-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while any(os.path.lexists(name + end) for end in ("", *SIDE_FILES)):
        number += 1
        name = f"{first}-{number}"
    return name


def _fold(store: str) -> None:
    """
    Move the write-ahead log into the file. If the file is damaged, do nothing.

    @raise TransferError: another program has the file open.
    """
    connection = sqlite3.connect(store, BUSY_TIMEOUT, isolation_level=None)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise TransferError(str(explained(store, error))) from None
        return
    finally:
        connection.close()
    if mode == "wal":
        raise TransferError(f"{store} is in use by another program")
