"""
The transactions of an SQLite store: from writes to rows, and as many rows on the disk as there is room for.

::

    writes --> which versions are there? --> rows --> one transaction
                                                          |
                             no room: halves, each in a transaction, down to single rows

=====================================  ===============================================================================
a single row that has no room          effect
=====================================  ===============================================================================
a change of a record                   the whole record is written, which deletes its changes
a deletion                             it replaces what is remembered of earlier deletions
any other row                          its write fails
=====================================  ===============================================================================
"""

from __future__ import annotations

import contextlib
import sqlite3

from dstwist.errors import StoreError
from dstwist.store.sqlite_changes import ChangeRow, Folding
from dstwist.store.sqlite_errors import explained, no_room
from dstwist.store.sqlite_files_in_place import FilesInPlace
from dstwist.store.sqlite_quota import Quota
from dstwist.store.sqlite_removed import Removal, RemovedVersions
from dstwist.store.sqlite_rows import AnyRow, Write, commit, row_of, rows_of
from dstwist.store.sqlite_versions import KnownVersions

#: If this number of writes of a transaction had no room, the other writes are not attempted one by one.
MAX_REFUSED_WRITES = 100


class Transactions:
    """
    The transactions of one file.

    @param quota: limits the file and its log; C{None}: the disk is the limit.
    @param busy_timeout: how long a transaction waits for other programs that use the file, in seconds.
    """

    def __init__(self, path: str, quota: Quota | None, busy_timeout: float, removed: RemovedVersions) -> None:
        self._path = path
        self._quota = quota
        self._busy_timeout = busy_timeout
        self._removed = removed
        self._folding = Folding(None if quota is None else quota.log)
        self._versions = KnownVersions()
        self._refused = 0

    def forget(self) -> None:
        """
        It is unknown what the file has.
        """
        self._folding.forget()
        self._versions.clear()

    def run(
        self, connection: sqlite3.Connection, files: FilesInPlace, writes: list[Write]
    ) -> dict[str, StoreError] | None:
        """
        Execute writes, in one transaction if possible. Those that cannot be rows have an C{error} or what was C{found}
        afterwards.

        @return: the errors of the writes for which there was no room, by name; C{None} if there was nothing to write.
        @raise Exception: all other writes fail for this reason.
        """
        self._refused = 0
        self._folding.deleted_bytes = 0
        found = self._versions.look_up(connection, writes)
        created = {
            write.name
            for write in writes
            if write.expected is None and write.record is not None and write.name not in found
        }
        removed = self._removed.look_up(connection, created) if created else {}
        rows, deleted = rows_of(connection, self._path, writes, found, removed, self._folding)
        if not rows and not deleted:
            return None
        if self._quota is None:
            return self._store(connection, files, rows, deleted)
        problems: dict[str, StoreError] = {}
        for part in self._quota.parts(rows, deleted):
            problems |= self._store(connection, files, *part)
        return problems

    def ended(self, writes: list[Write], problems: dict[str, StoreError]) -> None:
        """
        The rows of C{writes} are on the disk, except those with C{problems}.
        """
        if problems:
            self._folding.forget()
            for write in writes:
                write.error = write.error or problems.get(write.name)
        self._versions.wrote(writes)

    def _store(
        self, connection: sqlite3.Connection, files: FilesInPlace, rows: list[AnyRow], deleted: list[Removal]
    ) -> dict[str, StoreError]:
        """
        Write and delete.

        @return: the errors of the writes for which there is no room, by name.
        """
        if self._refused >= MAX_REFUSED_WRITES and not deleted:
            return dict.fromkeys([row[0] for row in rows], StoreError(f"{self._path} has no room"))
        try:
            if self._quota is not None:
                self._quota.make_room(connection, files, rows, self._busy_timeout, self._folding.deleted_bytes)
            commit(connection, rows, deleted, self._removed)
            return {}
        except Exception as error:
            problem = self._no_room(connection, error)
        if len(rows) == 1 and not deleted and isinstance(row := rows[0], ChangeRow):
            # The whole record may have room, since its changes are deleted with it.
            return self._store(connection, files, [row_of(row.name, row.record)], [])
        if len(rows) + len(deleted) == 1:
            if deleted:
                try:
                    commit(connection, rows, deleted, self._removed, forget=True)
                    return {}
                except Exception as error:
                    problem = self._no_room(connection, error)
            self._refused += 1
            return {rows[0][0] if rows else deleted[0].name: problem}
        # There may be room for some of the writes. Deletions make room, so they come first.
        if rows and deleted:
            parts: list[tuple[list[AnyRow], list[Removal]]] = [([], deleted), (rows, [])]
        else:
            middle = (len(rows) + len(deleted)) // 2
            parts = [(rows[:middle], deleted[:middle]), (rows[middle:], deleted[middle:])]
        problems: dict[str, StoreError] = {}
        for part in parts:
            problems |= self._store(connection, files, *part)
        return problems

    def _no_room(self, connection: sqlite3.Connection, error: Exception) -> StoreError:
        """
        Undo a transaction that had no room.

        @return: the error of its writes.
        @raise StoreError: it has failed for another reason.
        """
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        problem = explained(self._path, error)
        if not no_room(error):
            raise problem from None
        return StoreError(str(problem))
