"""
Whether the files that SQLite has open are still found under their names, and are as long as they have to be.

On Unix an open file can be deleted, moved away or replaced, and all goes well until the next start: the server then
finds another file, or the file without its write-ahead log, which holds the last writes.

==================  ===================================  ==============================================================
L{OpenFiles.look}   what is the case                     what can be done
==================  ===================================  ==============================================================
C{None}             all three files are in place
L{FILE}             the database file is not in place    nothing: the operator put another file there, or moved it
L{SHORT}            the database file was truncated      nothing: its content has to be put back
L{CUT}              the log was truncated                L{OpenFiles.cut_log}; then, if L{OpenFiles.all_in_file}, empty
                                                         the log: nothing is lost
L{LOG}              C{-wal} or C{-shm} is not in place   L{OpenFiles.restore_log}, then open the database anew
==================  ===================================  ==============================================================

L{OpenFiles} keeps a descriptor of the C{-wal} file of its own, so the content can be saved after the file was deleted,
and one of the C{-shm} file. Closing a file ends all POSIX locks that the process has on it, SQLite's as well. SQLite
has locks on the database file and on C{-shm}: the database file is not opened here, and L{OpenFiles.close} must be
called after SQLite has closed the database.
"""

from __future__ import annotations

import os
import shutil

from dstwist.store.sqlite_wal import WrittenLog

FILE = "the database file"
SHORT = "a part of the database file"
CUT = "a part of its write-ahead log"
LOG = "its write-ahead log"

#: A file, whatever its name is: device and inode.
_Identity = tuple[int, int]


class OpenFiles:
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
        # Of the database file, when it was last found to be whole.
        self._size = os.stat(path).st_size
        self._descriptor = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._written = WrittenLog(self._descriptor, self._index)
        except BaseException:
            os.close(self._descriptor)
            raise

    def look(self) -> str | None:
        """
        What is not in place: L{FILE}, L{SHORT}, L{CUT}, L{LOG} or nothing.
        """
        try:
            found = os.stat(self._path)
        except OSError:
            return FILE
        if (found.st_dev, found.st_ino) != self._identities[0]:
            return FILE
        if found.st_size < self._written.least_file(self._size):
            return SHORT
        self._size = found.st_size
        # Before a log is put back that was deleted: it must be whole.
        if not self._written.whole():
            return CUT
        try:
            if (_identity(self._log), _identity(self._index)) != self._identities[1:]:
                return LOG
        except OSError:
            return LOG
        return None

    def take_size(self) -> None:
        """
        Take the database file for as long as it is now.
        """
        self._size = os.stat(self._path).st_size

    def log_size(self) -> int:
        """
        How many bytes the write-ahead log takes of the disk.
        """
        return os.fstat(self._descriptor).st_size

    def log_whole(self) -> bool:
        """
        Whether the write-ahead log has all that was written to it.
        """
        return self._written.whole()

    def log_frames(self) -> int:
        """
        How many pages the write-ahead log had in use when it was last looked at.
        """
        return self._written.frames

    def cut_log(self) -> None:
        """
        Leave of a truncated log what the next start can use.
        """
        self._written.cut()

    def all_in_file(self) -> bool:
        """
        Whether the database file has all that was committed.
        """
        return self._written.all_in_file()

    def restore_log(self) -> None:
        """
        Put the content of the open write-ahead log under its name again, and on the disk. The database that the next
        start finds then has all that was committed, whenever this process ends.

        @raise OSError: that is not possible. The file that has the name now stays.
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
        SQLite has closed the database.
        """
        self._written.close()
        os.close(self._descriptor)


def _identity(path: str) -> _Identity:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def sync_directory(path: str) -> None:
    """
    Have the names in a directory on the disk.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
