"""
Checks whether the files that SQLite has open are still found under their names, and still have their content.

On Unix an open file can be deleted, moved away or replaced without an effect until the next start. The server then
finds another file, or the file without its write-ahead log, which has the last writes.

======================  ===================================  ==========================================================
L{FilesInPlace.look}    problem                              remedy
======================  ===================================  ==========================================================
C{None}                 none: all files are in place
L{FILE_MOVED}           the database file is not in place    none: the operator has moved or replaced it
L{FILE_TRUNCATED}       the database file was truncated      none: the operator has to restore its content
L{LOG_TRUNCATED}        the log was truncated                L{FilesInPlace.cut_log}; then, if
                                                             L{FilesInPlace.all_in_file}, empty the log: nothing is lost
L{LOG_MOVED}            C{-wal} or C{-shm} is not in place   L{FilesInPlace.restore_log}, then open the database anew
======================  ===================================  ==========================================================

L{FilesInPlace} has a descriptor of its own for the C{-wal} file, so that the content can be saved after the file was
deleted, and one for the C{-shm} file. Closing a file ends all POSIX locks that the process has on it, those of SQLite
as well. SQLite has locks on the database file and on C{-shm}. So this module does not open the database file, and
L{FilesInPlace.close} must be called after SQLite has closed the database.
"""

from __future__ import annotations

import os
import shutil

from dstwist.store.sqlite_wal import WrittenLog

FILE_MOVED = "the database file"
FILE_TRUNCATED = "a part of the database file"
LOG_TRUNCATED = "a part of its write-ahead log"
LOG_MOVED = "its write-ahead log"

#: Identifies a file without its name: device and inode.
_Identity = tuple[int, int]


class FilesInPlace:
    """
    The files of a database that SQLite has just opened in WAL mode.

    @raise OSError: one of the files cannot be found.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        # SQLite follows symbolic links before it names the other two files.
        real = os.path.realpath(path)
        self._log = f"{real}-wal"
        self._index = f"{real}-shm"
        self._identities = _identity(path), _identity(self._log), _identity(self._index)
        # The size of the database file at the last check that found it whole.
        self._size = os.stat(path).st_size
        self._descriptor = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._written = WrittenLog(self._descriptor, self._index)
        except BaseException:
            os.close(self._descriptor)
            raise

    def look(self) -> str | None:
        """
        Check the files.

        @return: L{FILE_MOVED}, L{FILE_TRUNCATED}, L{LOG_TRUNCATED} or L{LOG_MOVED}; C{None} if there is no problem.
        """
        try:
            found = os.stat(self._path)
        except OSError:
            return FILE_MOVED
        if (found.st_dev, found.st_ino) != self._identities[0]:
            return FILE_MOVED
        size, written = found.st_size, self._written
        if size < self._size or not written.has_grown():
            if size < written.least_file(self._size):
                return FILE_TRUNCATED
            # This comes before the names, because a deleted log is restored only if it is whole.
            if not written.whole():
                return LOG_TRUNCATED
        self._size = size
        try:
            if (_identity(self._log), _identity(self._index)) != self._identities[1:]:
                return LOG_MOVED
        except OSError:
            return LOG_MOVED
        return None

    def take_size(self) -> None:
        """
        Accept the present size of the database file.
        """
        self._size = os.stat(self._path).st_size

    def log_size(self) -> int:
        """
        The size of the write-ahead log on the disk, in bytes.
        """
        return os.fstat(self._descriptor).st_size

    def log_whole(self) -> bool:
        """
        Whether the write-ahead log has everything that was written to it.
        """
        return self._written.whole()

    def log_frames(self) -> int:
        """
        How many frames of the write-ahead log were in use at the last check.
        """
        return self._written.frames

    def cut_log(self) -> None:
        """
        Shorten a truncated log to the part that the next start can use.
        """
        self._written.cut()

    def all_in_file(self) -> bool:
        """
        Whether the database file has all commits.
        """
        return self._written.all_in_file()

    def restore_log(self) -> None:
        """
        Restore the write-ahead log under its name, from the open file, and on the disk. From then on the database that
        the next start finds has all commits, whenever this process ends.

        @raise OSError: that is not possible. The file that has the name now is left as it is.
        """
        try:
            if _identity(self._log) == self._identities[1]:
                return
        except OSError:
            pass  # There is no file of that name.
        copy = f"{self._log}.restored"
        with (
            open(self._descriptor, "rb", closefd=False) as source,
            open(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640), "wb") as target,
        ):
            source.seek(0)
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        os.replace(copy, self._log)
        sync_directory(os.path.dirname(self._log))

    def close(self) -> None:
        """
        Close the files, after SQLite has closed the database.
        """
        self._written.close()
        os.close(self._descriptor)


def _identity(path: str) -> _Identity:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def sync_directory(path: str) -> None:
    """
    Write the names in a directory to the disk.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
