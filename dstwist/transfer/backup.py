"""
A backup: a copy of the file of an SQLite store, whether a server uses it or not.
"""

from __future__ import annotations

import os

from dstwist.errors import TransferError
from dstwist.transfer.new_file import SIDE_FILES, new_file
from dstwist.transfer.sqlite_copy import Progress, copy, reading


def back_up(store: str, file: str, replace: bool, progress: Progress = lambda done, total: None) -> int:
    """
    Write a backup of the store with the file C{store} to C{file}, which only its owner can read.

    @param replace: whether the backup may replace another file.
    @return: the number of records in it.
    @raise TransferError: there is no backup. The text says why; a file of the name C{file} is as it was.
    """
    own = os.path.realpath(store)
    if os.path.realpath(file) in [own + end for end in ("", ".lock", *SIDE_FILES)] or _same(store, file):
        raise TransferError(f"{file} is a file of the store itself")
    with reading(store):
        # The file is there, and a store: only then an unfinished backup is begun.
        pass
    try:
        with new_file(file, replace) as partial:
            return copy(store, partial, progress)
    except OSError as error:
        raise TransferError(f"{error.filename or file}: {error.strerror}") from None


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
