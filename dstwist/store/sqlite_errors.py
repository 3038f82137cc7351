"""
What an operator is told of an SQLite store: why it failed, and what it found at the start.
"""

from __future__ import annotations

import sqlite3

from dstwist.errors import StoreError
from dstwist.store.sqlite_quota import QuotaError

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


def explained(path: str, error: Exception) -> Exception:
    """
    A L{StoreError} that tells the operator what to do. An exception that is a mistake in dstwist is returned as it is.
    """
    if isinstance(error, sqlite3.Error):
        problem = _PROBLEMS.get(_code(error), str(error))
        return StoreError(f"{path} {problem} ({getattr(error, 'sqlite_errorname', 'no code')})")
    if isinstance(error, OSError):
        return StoreError(f"{path} cannot be opened: {error.strerror}")
    if isinstance(error, QuotaError):
        return StoreError(f"{path} {error}")
    if isinstance(error, MemoryError):
        return StoreError(f"{path} cannot be read or written: not enough memory")
    return error


def moved(path: str) -> str:
    return (
        f"{path} has been moved or deleted; nothing is written until the file is put back with its -wal, or the next"
        " start"
    )


def file_truncated(path: str) -> str:
    return (
        f"{path} was truncated while the server runs; nothing is written until its content is put back. Stop the server"
        " and restore a copy"
    )


def log_truncated(path: str) -> str:
    return (
        f"{path}-wal was truncated or overwritten while the server runs: acknowledged writes that were only in it are"
        " lost. Nothing is written until the next start, which goes on with what is left. Find out what did that"
    )


def has_other_names(path: str, names: int) -> str:
    return (
        f"{path} has {names} names (hard links): opened by another one, it is without the writes that are in its"
        " write-ahead log"
    )


def was_not_closed(path: str) -> str:
    return (
        f"{path} was not closed: the server that had it before was killed or crashed, or the machine went down. Its"
        " write-ahead log was read; nothing has to be done"
    )


def was_older(path: str, before: int, version: int) -> str:
    return (
        f"{path} was written by an older dstwist: its schema had version {before}, and has version {version} now. The"
        " older dstwist cannot open it any more"
    )


def no_room(error: Exception) -> bool:
    """
    Whether a smaller transaction might have room.
    """
    return isinstance(error, QuotaError) or _code(error) == sqlite3.SQLITE_FULL


def _code(error: Exception) -> int:
    """
    The primary result code of SQLite.
    """
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
