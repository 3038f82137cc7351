"""
Reads the records of an SQLite store while a server writes to it, or without a server.

Each record is read in a transaction of its own. So the write-ahead log can be emptied at any time, however long all of
it takes. A record comes as it is at some moment of the export; different records may come from different moments.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from zope.interface import implementer

from dstwist.errors import StoreError, TransferError
from dstwist.interfaces import IEnumerableStore, Record
from dstwist.store.sqlite_errors import explained
from dstwist.store.sqlite_rows import get, unreadable
from dstwist.store.sqlite_schema import SCHEMA_VERSION, identify
from dstwist.transfer.sqlite_copy import reading

_NAMES = "SELECT name FROM records WHERE name > ? ORDER BY name LIMIT ?"
_FIRST_NAMES = "SELECT name FROM records ORDER BY name LIMIT ?"


@implementer(IEnumerableStore)
class SqliteReader:
    """
    The records in the SQLite file C{path}. It has the methods of a store that reading needs.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._open = contextlib.ExitStack()
        self._connection: sqlite3.Connection | None = None

    def start(self) -> Deferred[None]:
        return execute(self._start)

    def _start(self) -> None:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(reading(self._path))
            version = identify(connection, self._path)
            if version > SCHEMA_VERSION:
                raise TransferError(f"{self._path} was written by a newer dstwist, which has to export it")
            if version < SCHEMA_VERSION:
                raise TransferError(
                    f"{self._path} was written by an older dstwist. Start the server once, so that it adapts the file"
                )
            self._connection = connection
            self._open = stack.pop_all()

    def stop(self) -> Deferred[None]:
        self._open.close()
        self._connection = None
        return succeed(None)

    def names(self, cursor: Any, limit: int) -> Deferred[tuple[Sequence[str], Any]]:
        return execute(self._names, cursor, limit)

    def _names(self, cursor: Any, limit: int) -> tuple[Sequence[str], Any]:
        assert self._connection is not None
        try:
            if cursor is None:
                rows = self._connection.execute(_FIRST_NAMES, (limit,)).fetchall()
            else:
                rows = self._connection.execute(_NAMES, (cursor, limit)).fetchall()
        except sqlite3.Error as error:
            raise explained(self._path, error) from None
        # Another program may have written a name that is no text.
        names = [name for (name,) in rows if isinstance(name, str)]
        return names, rows[-1][0] if len(rows) == limit else None

    def get(self, name: str) -> Deferred[Record | None]:
        return execute(self._get, name)

    def _get(self, name: str) -> Record | None:
        assert self._connection is not None
        try:
            # A record may be in several rows.
            self._connection.execute("BEGIN")
            try:
                return get(self._connection, name)
            finally:
                self._connection.execute("COMMIT")
        except ValueError as error:
            raise unreadable(self._path, name, error) from None
        except sqlite3.Error as error:
            raise StoreError(str(explained(self._path, error))) from None
