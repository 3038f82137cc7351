"""
The versions of removed records in an SQLite store: tombstones (L{dstwist.store.tombstones}) that survive a restart.

The table C{removed} has a row for each. The row is written in the transaction that deletes the record::

    number    name    version    time
    1         a       7          1700000000.0      a was removed at version 7
    2         b       0          1700000001.5

A row stays when the record is created anew. It does no harm, since the record has a higher version, and the next
removal replaces it.

===================  =================================================================================================
forgotten are        by
===================  =================================================================================================
old rows             C{record.deletionMemory}: an older row counts as missing, and the next removal deletes it
too many rows        C{record.maxDeletionMemory}: no row is kept whose C{number} is further back
too long names       C{record.maxDeletionBytes}: a row with a long name takes several numbers
the other rows       a full file: a deletion that has no room for its row replaces all earlier rows
===================  =================================================================================================

Always true: each C{number} is higher than those of earlier removals, so nothing has to be counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dstwist.config.settings import RecordSettings
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name

SCHEMA = (
    """
    CREATE TABLE removed (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL,
        time REAL NOT NULL
    )
    """,
)

#: The bytes of a row besides its name, in the table and in the index of names.
_ROW_BYTES = 100

#: How many names one statement looks up.
_NAMES_PER_STATEMENT = 256

_ADD = "INSERT OR REPLACE INTO removed (number, name, version, time) VALUES (?, ?, ?, ?)"
_LAST = "SELECT coalesce(max(number), 0) FROM removed"
_CLEAR = "DELETE FROM removed"
# The rows are in the order of their time, so this looks at the old ones and one more.
_PRUNE = (
    "DELETE FROM removed WHERE number < max(?1,"
    " coalesce((SELECT number FROM removed WHERE time > ?2 ORDER BY number LIMIT 1), ?1))"
)


class Removal(NamedTuple):
    """
    The deletion of a record.

    @ivar version: the version that is remembered; C{None}: it is unknown, and nothing is remembered.
    """

    name: str
    version: int | None


class RemovedVersions:
    """
    The versions that are remembered.

    @param seconds: the time since 1970.
    """

    def __init__(self, settings: RecordSettings, seconds: Callable[[], float]) -> None:
        self._lifetime = settings.deletion_memory
        self._most = settings.max_deletion_memory
        # How many bytes one number stands for.
        self._bytes = max(1, settings.max_deletion_bytes // settings.max_deletion_memory)
        self._seconds = seconds

    def look_up(self, connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
        """
        The versions at which the records of those names were removed, if that is remembered.
        """
        found: dict[str, int] = {}
        # No row can have a name that is no UTF-8.
        names = [name for name in names if is_utf8(name)]
        after = self._seconds() - self._lifetime
        for start in range(0, len(names), _NAMES_PER_STATEMENT):
            part = names[start : start + _NAMES_PER_STATEMENT]
            places = ", ".join("?" * len(part))
            statement = f"SELECT name, version FROM removed WHERE name IN ({places}) AND time > ?"
            found.update(connection.execute(statement, (*part, after)))
        # Another program may have written any value as a version.
        return {name: version for name, version in found.items() if isinstance(version, int)}

    def add(self, connection: sqlite3.Connection, removals: list[Removal], alone: bool = False) -> None:
        """
        Remember the versions of deleted records, in the transaction under way, and forget old ones.

        @param alone: forget all others, to make room.
        """
        if not self._lifetime:
            return
        if alone:
            connection.execute(_CLEAR)
        (number,) = connection.execute(_LAST).fetchone()
        now = self._seconds()
        rows = []
        for name, version in removals:
            if version is not None:
                number += 1 + (ENTRY_WEIGHT + _ROW_BYTES + weigh_name(name)) // self._bytes
                rows.append((number, name, version, now))
        if rows:
            connection.executemany(_ADD, rows)
            connection.execute(_PRUNE, (number - self._most + 1, now - self._lifetime))


def is_utf8(name: str) -> bool:
    """
    Whether a row can have that name.
    """
    if name.isascii():
        return True
    try:
        name.encode("utf-8")
    except UnicodeError:
        return False
    return True
