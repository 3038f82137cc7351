"""
C{maxBytes}: the limit for the size of the database file and its write-ahead log together.

A quarter is for the log, the rest for the file. SQLite itself limits the file (C{max_page_count}). This module limits
the log: it is emptied before a transaction for which it has no room, and a transaction that is too large is split. If
another program reads the file for a long time, the log cannot be emptied, and writes fail. Changes of a large record
are added only as long as the log has room to fold them (L{dstwist.store.sqlite_changes}).

::

    maxBytes   |<-------- file: 3/4 -------->|<- log: 1/4 ->|
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from dstwist.errors import StoreError
from dstwist.store.sqlite_files_in_place import FilesInPlace
from dstwist.store.sqlite_removed import Removal
from dstwist.store.sqlite_rows import AnyRow

#: The least size of the log, whatever C{maxBytes} is: with less, no transaction fits.
MIN_LOG_BYTES = 256 * 1024

#: How many pages of the log a row may need in addition to its data: it is in the table and in the index of names, and
#: may split a page of each.
_LOG_PAGES_PER_ROW = 6

#: A transaction writes the data of its rows and, since SQLite overwrites deleted data, the data that was there before.
#: Pages, and their heads in the log, take a little more.
_LOG_BYTES_PER_BYTE = 2.1


#: What it writes for each other byte that it deletes.
_LOG_BYTES_PER_DELETED_BYTE = 1.1


class QuotaError(Exception):
    """
    There is no room for a transaction.
    """


class Quota:
    """
    The limits of one database.
    """

    def __init__(self, max_bytes: int) -> None:
        self._file = max_bytes - max_bytes // 4
        self._log = max(max_bytes // 4, MIN_LOG_BYTES)
        self._page = 4096

    @property
    def log(self) -> int:
        """
        The limit of the log, in bytes.
        """
        return self._log

    def prepare(self, connection: sqlite3.Connection, log_kept: int) -> None:
        """
        Set the limits that SQLite itself keeps.

        @param log_kept: how much of the disk an empty log may keep if there is no quota.
        """
        (self._page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(1, self._file // self._page)}")
        connection.execute(f"PRAGMA journal_size_limit = {min(log_kept, self._log // 2)}")

    def checkpoint_at(self, pages: int) -> int:
        """
        At how many pages the log is moved into the file, if that is C{pages} without a quota.
        """
        return min(pages, self._log // 2 // self._page)

    def parts(self, rows: list[AnyRow], deleted: list[Removal]) -> Iterator[tuple[list[AnyRow], list[Removal]]]:
        """
        Divide rows and deletions into transactions. Deletions come first, because they make room.
        """
        most = max(1, self._log // 2 // (_LOG_PAGES_PER_ROW * self._page))
        for start in range(0, len(deleted), most):
            yield [], deleted[start : start + most]
        part: list[AnyRow] = []
        size = 0
        for row in rows:
            weight = self._weight(row)
            if part and size + weight > self._log // 2:
                yield part, []
                part, size = [], 0
            part.append(row)
            size += weight
        if part:
            yield part, []

    def make_room(
        self,
        connection: sqlite3.Connection,
        files: FilesInPlace,
        rows: list[AnyRow],
        busy_timeout: float,
        deleted: int = 0,
    ) -> None:
        """
        Empty the log if it has no room for a transaction.

        @param deleted: how many bytes the transaction deletes besides, at most. SQLite overwrites them.
        @raise QuotaError: there is still no room.
        """
        size = sum(map(self._weight, rows))
        if size > self._log:
            raise QuotaError("is too small for the record: maxBytes would have to be larger")
        if files.log_size() + size + _LOG_BYTES_PER_DELETED_BYTE * deleted <= self._log:
            return
        if not files.log_whole():
            raise StoreError("the write-ahead log was truncated")
        # SQLite must not wait for programs that read the file: all other operations would wait with it.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}")
        if rows and files.log_size() + size > self._log:
            raise QuotaError(
                "cannot grow: maxBytes is reached, and another program that reads the file keeps the write-ahead log"
                " from being emptied"
            )

    def _weight(self, row: AnyRow) -> int:
        return int((8 * len(row[0]) + len(row[2])) * _LOG_BYTES_PER_BYTE) + _LOG_PAGES_PER_ROW * self._page
