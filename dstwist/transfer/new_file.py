"""
A file that gets its name when it is complete, so that no reader finds a part of it under that name.

It is written as C{<name>.partial}, and locked meanwhile: two processes cannot write the same file. If the process is
killed, the unfinished file stays, and the next attempt begins anew in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from dstwist.errors import TransferError
from dstwist.store.sqlite_files_in_place import sync_directory

#: The end of the name of an unfinished file.
PARTIAL = ".partial"

#: Files that SQLite makes beside a database.
SIDE_FILES = ("-journal", "-wal", "-shm")


def refuse_existing(path: str) -> None:
    """
    @raise TransferError: there is a file of that name.
    """
    if os.path.lexists(path):
        raise TransferError(f"{path} exists already; --force replaces it")


@contextlib.contextmanager
def new_file(path: str, replace: bool, mode: int = 0o600) -> Iterator[str]:
    """
    The path to write the file to, for the length of a C{with} statement. If the statement ends without an exception,
    the file is written to the disk, and gets the name C{path}. Otherwise it is deleted.

    @param replace: whether the file may replace another one.
    @param mode: the permissions of the file.
    @raise TransferError: there is a file of that name already, or another process writes it now.
    """
    path = os.path.realpath(path)
    if os.path.lexists(path) and not os.path.isfile(path):
        raise TransferError(f"{path} is not a file")
    if not replace:
        refuse_existing(path)
    partial = path + PARTIAL
    descriptor = _claim(partial, mode)
    try:
        yield partial
        # SQLite has other descriptors of the file; this writes what they have written as well.
        os.fsync(descriptor)
        if not replace:
            refuse_existing(path)
        os.rename(partial, path)
        sync_directory(os.path.dirname(path))
    except BaseException:
        for end in ("", *SIDE_FILES):
            with contextlib.suppress(OSError):
                os.unlink(partial + end)
        raise
    finally:
        os.close(descriptor)


def _claim(partial: str, mode: int) -> int:
    """
    A descriptor of the unfinished file, which is empty and locked.
    """
    while True:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _has_name(descriptor, partial):
                os.ftruncate(descriptor, 0)
                os.fchmod(descriptor, mode)
                for end in SIDE_FILES:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(partial + end)
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise TransferError(f"{partial} is being written by another process") from None
        except BaseException:
            os.close(descriptor)
            raise
        # The other process has completed the file between the two calls.
        os.close(descriptor)


def _has_name(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
