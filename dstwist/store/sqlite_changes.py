"""
The changes of large records in an SQLite store.

A patch of some bytes would rewrite the whole JSON text of its record. So if the record is large, the store adds the
changes of the write as a row to a table of their own. Reading makes the record from both::

    records    a, version 7, {"x":1,...}                             the record at version 7
    changes    a, version 8, previous 7, [["x",2]]                   x is set
               a, version 10, previous 8, [["y.z",true],["x"]]       y.z is set, and x erased: two writes, one batch

When a record has so many changes that they cost as much as the whole text, the next write writes the whole text: the
changes are I{folded}. They are deleted in the same transaction. To fold costs no reading, since each write comes with
the whole record.

==================  ==================================================================================================
limit               for
==================  ==================================================================================================
L{MIN_SIZE}         the size of the JSON text above which changes are added. A shorter text takes few pages, so that
                    to write it costs little more than to write a change
C{maxBytes}         the changes of one record, so that the log has room to fold them
L{FOLD_COST}        the changes of one record: their bytes are no more than the record's, so reading remains linear
                    in the size of the record, and the changes of all records take no more space than the records
==================  ==================================================================================================

So a write of C{n} bytes writes at most C{16 KB + 10 * n} on average, however large the record is.

Always true: the changes of a record follow its row, and each other, without a gap. Whatever writes or deletes a row
deletes its changes: triggers see to that, also if another program does it. A change is added only if the record has the
version that it follows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from dstwist.interfaces import Change, Record
from dstwist.protocol.drafts import Limits
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.paths import set_many
from dstwist.protocol.typed import UNDEFINED

#: Changes are added to records with a JSON text of this size or more, in bytes.
MIN_SIZE = 16 * 1024

#: How many bytes are written for each byte of a record that is written whole: into the log and into the file, and in
#: both places SQLite overwrites the text that was there before. C{bench.large_patches} measures it.
FOLD_COST = 4.2

#: What it may cost to fold a row of changes: so many bytes, and so many for each byte of the row. The row itself costs
#: some 9 KB, and 4 bytes for each byte, until it is deleted.
_FOLD_BYTES_PER_ROW = 5000
_FOLD_BYTES_PER_BYTE = 5

#: How many bytes go into the log for each byte of a record when it is folded, and for each byte of its changes: these
#: may have made the record longer, and are overwritten.
_LOG_PER_BYTE = 2.2
_LOG_PER_CHANGED_BYTE = 3.4

#: Of how many records the store remembers what to fold.
_MAX_REMEMBERED = 10_000

#: The server has accepted the changes, whatever its limits are now.
_UNLIMITED = Limits(2**62, 2**62)

SCHEMA = (
    """
    CREATE TABLE changes (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        previous INTEGER NOT NULL,
        data TEXT NOT NULL
    )
    """,
    "CREATE INDEX changes_by_name ON changes (name)",
    *(
        f"CREATE TRIGGER changes_of_{event.lower()}d AFTER {event} ON records"
        f" BEGIN DELETE FROM changes WHERE name = {row}.name; END"
        for event, row in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
    ),
)

# Nothing is added if the record has another version than the changes follow.
_ADD = (
    "INSERT INTO changes (name, version, data, previous) SELECT ?1, ?2, CAST(?3 AS TEXT), ?4 WHERE ?4 = coalesce("
    "(SELECT version FROM changes WHERE name = ?1 ORDER BY number DESC LIMIT 1),"
    " (SELECT version FROM records WHERE name = ?1))"
)
_GET = "SELECT version, previous, CAST(data AS BLOB) FROM changes WHERE name = ? ORDER BY number"
_SIZE = "SELECT length(CAST(data AS BLOB)) FROM records WHERE name = ?"
_SUM = "SELECT count(*), total(length(CAST(data AS BLOB))) FROM changes WHERE name = ?"


class ChangeRow(NamedTuple):
    """
    Changes of one record.

    @ivar version: the version of the record after them.
    @ivar data: a JSON array. Each change is an array of a path and a value, or of the path alone if it is erased.
    @ivar previous: the version of the record before them.
    @ivar record: the record after them.
    """

    name: str
    version: int
    data: bytes
    previous: int
    record: Record


class Folding:
    """
    Decides which writes are written as changes, and when changes are folded.

    @ivar deleted_bytes: how many bytes of changes the rows of the present transaction delete, at most.
    @param log: the limit for the write-ahead log, in bytes; C{None}: no limit. There is room in it to fold the changes
        of a record.
    """

    def __init__(self, log: int | None = None) -> None:
        self._log = log
        # By name: the size of a record that was written whole, and what it may cost to fold its changes since then.
        self._costs: dict[str, tuple[int, int]] = {}
        self.deleted_bytes = 0

    def __len__(self) -> int:
        """
        The number of records that it remembers.
        """
        return len(self._costs)

    def forget(self) -> None:
        """
        Ask the file again: a transaction has failed.
        """
        self._costs.clear()

    def wrote(self, name: str, size: int) -> None:
        """
        A record was written whole.

        @param size: the bytes of its JSON text.
        """
        known = self._costs.get(name)
        if known is not None:
            self.deleted_bytes += known[1] // _FOLD_BYTES_PER_BYTE
        if size >= MIN_SIZE or known is not None:
            self._remember(name, size, 0)

    def deleted(self, name: str) -> None:
        """
        A record was deleted.
        """
        self._costs.pop(name, None)

    def row(
        self, connection: sqlite3.Connection, name: str, record: Record, changes: Sequence[Change], last: Any = None
    ) -> ChangeRow | None:
        """
        The row for a write; C{None} if the record has to be written whole.

        @param last: the row that the same transaction adds for the same record before this one, if any.
        """
        if record.weight is not None and record.weight < MIN_SIZE:
            return None  # Nearly all records. The weight is no less than the size.
        previous = changes[0].old.version
        if previous < 0 or not previous < record.version < 2**63 or (last is not None and last.version != previous):
            return None
        size, cost = self._cost(connection, name)
        if size < MIN_SIZE:
            return None
        try:
            data = _json_of(changes)
        except (TypeError, ValueError, RecursionError):
            return None
        if data is None:
            return None
        cost += _FOLD_BYTES_PER_ROW + _FOLD_BYTES_PER_BYTE * len(data)
        if cost > FOLD_COST * size:
            return None
        if (
            self._log is not None
            and _LOG_PER_BYTE * size + _LOG_PER_CHANGED_BYTE * cost / _FOLD_BYTES_PER_BYTE > self._log
        ):
            return None
        self._remember(name, size, cost)
        if last is not None:
            return ChangeRow(name, record.version, last.data[:-1] + b"," + data[1:], last.previous, record)
        return ChangeRow(name, record.version, data, previous, record)

    def _cost(self, connection: sqlite3.Connection, name: str) -> tuple[int, int]:
        known = self._costs.get(name)
        if known is None:
            found = connection.execute(_SIZE, (name,)).fetchone()
            rows, size = connection.execute(_SUM, (name,)).fetchone()
            known = found[0] if found else 0, int(_FOLD_BYTES_PER_ROW * rows + _FOLD_BYTES_PER_BYTE * size)
            self._remember(name, *known)
        return known

    def _remember(self, name: str, size: int, cost: int) -> None:
        if len(self._costs) >= _MAX_REMEMBERED:
            self._costs.clear()
        self._costs[name] = size, cost


def add(connection: sqlite3.Connection, row: ChangeRow) -> bool:
    """
    Add changes.

    @return: whether the record has the version that they follow. Otherwise it is as before.
    """
    return connection.execute(_ADD, row[:4]).rowcount > 0


def changed(connection: sqlite3.Connection, name: str, version: int, data: Any) -> tuple[int, Any]:
    """
    The version and the data of a record after its changes.

    @param version: the version of the record in its row.
    @param data: its data in its row.
    @raise ValueError: the changes do not lead on from there. The text says so.
    """
    changes: list[tuple[Any, Any]] = []
    try:
        for after, previous, text in connection.execute(_GET, (name,)):
            if previous != version:
                raise ValueError(f"has no change that follows version {version}")
            for path, *value in loads(text):
                changes.append((parse(path), value[0] if value else UNDEFINED))
            version = after
        return version, set_many(data, changes, _UNLIMITED)
    except (ValueError, TypeError) as error:
        raise ValueError(f"has changes that cannot be made: {error}") from None


def _json_of(changes: Sequence[Change]) -> bytes | None:
    """
    The content of a row; C{None} if a change replaces the whole record.
    """
    found: list[list[Any]] = []
    for change in changes:
        for path, value in change.changes:
            if path is None:
                return None
            found.append([path] if value is UNDEFINED else [path, value])
    return dumps(found)
