"""
The SQLite file of L{dstwist.store.sqlite.SqliteStore}. All methods are called in the thread of the store, and may
block.

Always true: when L{SqliteFile.write} returns, each write without an error is on the disk, in files that the next start
finds. After each commit it is checked that the file, its C{-wal} and its C{-shm} are in place under their names
(L{dstwist.store.sqlite_files_in_place}):

=========================  ==========================================================================================
not in place               effect
=========================  ==========================================================================================
C{-wal} or C{-shm}         the log is restored from the open file, and the database is opened anew; no write is lost
the database file          the writes fail, although a file that was moved has them; further writes are refused until
                           the file is in place again
a part of the log          if the database file has all of it, the log is emptied, and no write is lost; otherwise the
                           writes fail, and further writes are refused until the next start
a part of the database     the writes fail, and further writes are refused until the content is restored
=========================  ==========================================================================================

SQLite makes no checkpoint by itself. This module makes them, after it has found the log to be whole.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable

from dstwist.errors import StoreError
from dstwist.store.sqlite_errors import (
    explained,
    file_truncated,
    has_other_names,
    log_truncated,
    moved,
    was_not_closed,
    was_older,
)
from dstwist.store.sqlite_files_in_place import (
    FILE_MOVED,
    FILE_TRUNCATED,
    LOG_MOVED,
    LOG_TRUNCATED,
    FilesInPlace,
    sync_directory,
)
from dstwist.store.sqlite_lock import DatabaseLock
from dstwist.store.sqlite_quota import Quota
from dstwist.store.sqlite_removed import RemovedVersions
from dstwist.store.sqlite_rows import Read, Write, count, unreadable
from dstwist.store.sqlite_schema import MAX_EMPTY_LOG_BYTES, SCHEMA_VERSION, create_tables, prepare
from dstwist.store.sqlite_transactions import Transactions

#: At how many pages the write-ahead log is moved into the database file.
CHECKPOINT_PAGES = 1000

#: How often the files are checked while nothing is written, in seconds. They are checked after each commit as well.
FILE_CHECK_INTERVAL = 1.0

#: The least time between two attempts to find out whether writes are possible, in seconds.
WRITE_CHECK_INTERVAL = 1.0

#: Tells the operator something: whether it is serious, and a sentence.
Tell = Callable[[bool, str], None]


class SqliteFile:
    """
    One file, open or not.

    @ivar contents: the records that were found when it was opened, as a text.
    @ivar problem: why writes fail at present; C{None} if they do not.
    """

    def __init__(
        self,
        path: str,
        synchronous: str,
        max_bytes: int | None,
        busy_timeout: float,
        removed: RemovedVersions,
        tell: Tell = lambda serious, text: None,
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self._quota = None if max_bytes is None else Quota(max_bytes)
        self._checkpoint_at = CHECKPOINT_PAGES
        self._busy_timeout = busy_timeout
        self._tell = tell
        self._lock: DatabaseLock | None = None
        self._connection: sqlite3.Connection | None = None
        self._files: FilesInPlace | None = None
        # The device and inode of the file.
        self._identity: tuple[int, int] | None = None
        # Changes when another program writes to the file.
        self._foreign = 0
        # When the files were last found in place, and the problem if they are not.
        self._seen = 0.0
        self._lost = ""
        self._transactions = Transactions(path, self._quota, busy_timeout, removed)
        self._tried = 0.0
        self.contents = "nothing yet"
        self.problem: str | None = None

    # -- open and close

    def open(self) -> None:
        try:
            self._lock = DatabaseLock(self._path)
            # Other users cannot read the file, whatever the umask is. SQLite gives its other files the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
            is_new = os.stat(self._path).st_size == 0
            crashed = self._lock.was_open()
            self._connect()
            assert self._connection is not None
            self.contents = "a new file" if is_new else count(self._connection)
            # The names of new files are on the disk only when their directory is synchronized.
            sync_directory(os.path.dirname(os.path.abspath(self._path)))
            names = os.stat(self._path).st_nlink
            if names > 1:
                self._tell(False, has_other_names(self._path, names))
            if crashed:
                self._tell(False, was_not_closed(self._path))
            self._lock.mark_open()
        except Exception as error:
            self.close()
            raise explained(self._path, error) from None

    def _connect(self) -> None:
        found = os.stat(self._path)
        identity = found.st_dev, found.st_ino
        if self._identity not in (None, identity):
            raise StoreError(moved(self._path))
        self._connection = sqlite3.connect(self._path, self._busy_timeout, isolation_level=None)
        try:
            prepare(self._connection, self._path, self._synchronous)
            # A file that has reached its limit needs some pages for new tables.
            version = create_tables(self._connection)
            if self._quota is not None:
                self._quota.prepare(self._connection, MAX_EMPTY_LOG_BYTES)
                self._checkpoint_at = self._quota.checkpoint_at(CHECKPOINT_PAGES)
            self._files = FilesInPlace(self._path)
            self._foreign = self._foreign_writes()
        except BaseException:
            self._disconnect()
            raise
        self._identity, self._seen = identity, time.monotonic()
        self._transactions.forget()
        if 0 < version < SCHEMA_VERSION:
            self._tell(False, was_older(self._path, version, SCHEMA_VERSION))

    def _disconnect(self) -> None:
        files, self._files = self._files, None
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                # SQLite moves all of the log into the file if that is in place, and deletes any file that has the log's
                # name.
                connection.close()
        finally:
            if files is not None:
                files.close()

    def close(self) -> None:
        in_order = False
        try:
            if self._connection is not None:
                # Otherwise SQLite would delete a file that has replaced the log.
                with contextlib.suppress(StoreError):
                    self._look()
        finally:
            try:
                self._disconnect()
                in_order = True
            finally:
                self._identity = None
                if self._lock is not None:
                    self._lock.release(in_order)
                    self._lock = None

    # -- checks

    def look(self) -> None:
        """
        Check whether the files are in place, while nothing is written. Tell the operator if they are not.
        """
        if self._lock is not None:
            with contextlib.suppress(StoreError):
                self._look()
            if self.problem is not None and not self._lost:
                self._try()

    def _try(self) -> None:
        """
        Find out whether a small write is possible. Clients cannot make this write fail: a record that is too large, for
        instance, does not affect it.
        """
        self._tried = time.monotonic()
        before, self.problem = self.problem, self._problem_now()
        if before is None and self.problem is not None:
            self._tell(True, f"{self.problem}. The server is not ready until writes are possible")
        elif before is not None and self.problem is None:
            self._tell(False, f"{self._path} can be written to again")

    def _problem_now(self) -> str | None:
        try:
            self._look()
            connection = self._connection
            assert connection is not None
            # If another program writes now, this check does not wait for it.
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                connection.execute("BEGIN IMMEDIATE")
                # The version does not change, but SQLite writes the page.
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                connection.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout * 1000)}")
        except Exception as error:
            return str(explained(self._path, error))
        return None

    def _look(self) -> None:
        """
        Make sure that the next start finds all writes.

        @raise StoreError: it would not find them.
        """
        try:
            missing = FILE_MOVED
            if self._files is None:
                # The last attempt to open the file anew has failed.
                self._connect()
            files = self._files
            if files is not None:
                missing = files.look() or ""
                if missing == FILE_TRUNCATED and self._foreign != (foreign := self._foreign_writes()):
                    # Another program may have made it smaller with VACUUM.
                    self._foreign = foreign
                    files.take_size()
                    missing = files.look() or ""
            if missing == FILE_MOVED:
                raise StoreError(moved(self._path))
            if missing == FILE_TRUNCATED:
                raise StoreError(file_truncated(self._path))
            if missing == LOG_TRUNCATED:
                self._save()
            elif missing:
                self._restore()
        except Exception as error:
            problem = str(explained(self._path, error))
            if problem != self._lost:
                self._lost = self.problem = problem
                if missing not in (FILE_TRUNCATED, LOG_TRUNCATED):
                    problem += (
                        ". Writes are refused until then. The last acknowledged writes may be in the files that were"
                        " moved: do not start the server on a copy without them"
                    )
                self._tell(True, problem)
            raise StoreError(self._lost) from None
        self._seen = time.monotonic()
        if self._lost:
            # Another copy of the file may have been put back.
            self._transactions.forget()
            self._lost, self.problem = "", None
            self._tell(False, f"{self._path} is in place again; writes go on")

    def _foreign_writes(self) -> int:
        assert self._connection is not None
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _restore(self) -> None:
        """
        Restore the log under its name with all commits, then open the database anew.
        """
        assert self._files is not None
        try:
            self._files.restore_log()
        except OSError as error:
            raise StoreError(
                f"{self._path}-wal or -shm was deleted or replaced, and the log cannot be written anew"
                f" ({error.strerror}); nothing is written until that succeeds or the file is put back"
            ) from None
        if self._files.look() == FILE_MOVED:
            raise StoreError(moved(self._path))
        self._disconnect()
        self._connect()
        self._tell(
            True,
            f"{self._path}-wal or -shm was deleted or replaced while the server runs. No write is lost: all were still"
            " in the open file and are in the database now. Find out what did that",
        )

    def _save(self) -> None:
        """
        Save as many commits as possible after the log was truncated.

        @raise StoreError: some commits are lost.
        """
        assert self._files is not None and self._connection is not None
        try:
            self._files.cut_log()
            if self._files.all_in_file():
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                missing = self._files.look()
                if missing in (None, LOG_MOVED):
                    self._tell(
                        True,
                        f"{self._path}-wal was truncated while the server runs. No write is lost: all were in the"
                        " database file already. Find out what did that",
                    )
                    if missing:
                        self._restore()
                    return
            self._files.restore_log()
        except OSError as error:
            raise StoreError(f"{log_truncated(self._path)} ({error.strerror})") from None
        raise StoreError(log_truncated(self._path))

    # -- reads and writes

    def read(self, reads: list[Read]) -> None:
        """
        Fill in the record or the error of each read.
        """
        for read in reads:
            try:
                if self._connection is None:
                    raise StoreError(f"{self._path} is not open")
                read.run(self._connection)
            except ValueError as error:
                read.error = unreadable(self._path, read.name, error)
            except Exception as error:
                read.error = explained(self._path, error)

    def write(self, writes: list[Write]) -> None:
        """
        Execute all writes, in one transaction if possible. Those that fail have an C{error} afterwards.

        @raise Exception: all other writes fail for this reason.
        """
        try:
            fine = self._write(writes)
        except Exception:
            # The writes may be in the file all the same.
            self._transactions.forget()
            self._try_sometimes()
            raise
        if not fine or self.problem is not None:
            self._try_sometimes()

    def _try_sometimes(self) -> None:
        if time.monotonic() - self._tried >= WRITE_CHECK_INTERVAL:
            self._try()

    def _write(self, writes: list[Write]) -> bool:
        """
        L{write}.

        @return: whether there was room for all writes.
        """
        if not writes:
            return True
        if self._lost or time.monotonic() - self._seen >= FILE_CHECK_INTERVAL:
            # A write that is refused now has a known outcome.
            self._look()
        assert self._connection is not None and self._files is not None
        try:
            problems = self._transactions.run(self._connection, self._files, writes)
        except Exception as error:
            # If the files are not in place, that is the reason.
            self._look()
            raise explained(self._path, error) from None
        if problems is None:
            return True
        # The writes are on the disk. Before any client gets its answer, it is checked that the next start finds them.
        self._look()
        self._checkpoint()
        self._transactions.ended(writes, problems)
        return not problems

    def _checkpoint(self) -> None:
        """
        Move the log into the database file, if it is long enough.
        """
        assert self._files is not None and self._connection is not None
        if self._files.log_frames() >= self._checkpoint_at:
            # If this fails, there is another attempt after the next transaction. The log keeps the data meanwhile.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._look()
