"""
The lock of an SQLite database: C{<file>.lock}, beside the file itself, which symbolic links may give several names.

The system holds the lock, so it ends with the process, in whatever way the process ends. Neither the existence of
C{<file>.lock} nor its text is a lock. The text is C{open} while a server has the database open, and C{closed} after it
was closed in order, so that the next start can detect a crash.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os

from dstwist.errors import StoreError

# Both have the same length, so that no change needs room on the disk.
_OPEN, _CLOSED = b"open  \n", b"closed\n"


class DatabaseLock:
    """
    The lock of the database C{path}, held as long as this object exists.

    @raise StoreError: another server has it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._marked = False
        name = f"{os.path.realpath(path)}.lock"
        # Programs that the server starts do not inherit the file.
        self._file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreError(f"{path} is in use by another dstwist, which has locked {name}") from None
            raise

    def was_open(self) -> bool:
        """
        Whether the server that had the database before did not close it.
        """
        said = os.pread(self._file, len(_OPEN), 0)
        if not said:
            # An older dstwist wrote nothing, but after a crash its log was still there.
            with contextlib.suppress(OSError):
                return os.stat(f"{self._path}-wal").st_size > 0
        return said == _OPEN

    def mark_open(self) -> None:
        """
        The database is open.
        """
        self._mark(_OPEN)
        self._marked = True

    def release(self, closed: bool) -> None:
        """
        Release the database.

        @param closed: it was closed in order.
        """
        # A failed start must not hide that the previous server crashed.
        if closed and self._marked:
            self._mark(_CLOSED)
        os.close(self._file)

    def _mark(self, text: bytes) -> None:
        # On a full disk there may be no room for it in a new file. Then the next start cannot detect a crash.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, text, 0)
            os.fsync(self._file)
