"""
The rows of an SQLite store: reads and writes of records, and their SQL statements.

L{dstwist.store.sqlite_schema} has the tables. L{dstwist.store.sqlite_changes} describes the table C{changes},
L{dstwist.store.sqlite_removed} the table C{removed}. This is the table C{records}:

============  =================================================================
column        content
============  =================================================================
C{name}       the name of the record; the primary key
C{version}    a whole number
C{data}       JSON text
============  =================================================================
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import StoreError
from dstwist.interfaces import ANY_VERSION, Change, Done, Record
from dstwist.protocol.jsontext import loads
from dstwist.record import NO_RECORD
from dstwist.scheduling.firing import fire
from dstwist.store.sqlite_changes import ChangeRow, Folding, add, changed
from dstwist.store.sqlite_removed import Removal, RemovedVersions, is_utf8

#: How long counting the records may take, in seconds.
MAX_COUNTING_SECONDS = 0.3

#: The largest JSON text. SQLite's own limit for a column is a little higher.
_MAX_DATA_BYTES = 500_000_000

# The JSON text is passed as bytes, but stored as text, so that SQLite's own JSON functions can use it.
_GET = (
    "SELECT version, CAST(data AS BLOB), EXISTS (SELECT 1 FROM changes WHERE changes.name = records.name)"
    " FROM records WHERE name = ?"
)
_ROW = "(?, ?, CAST(? AS TEXT))"
_DELETE = "DELETE FROM records WHERE name = ?"


def _set(rows: int) -> str:
    return (
        f"INSERT INTO records (name, version, data) VALUES {', '.join([_ROW] * rows)}"
        " ON CONFLICT (name) DO UPDATE SET version = excluded.version, data = excluded.data"
    )


# One statement writes many rows. For each statement, the thread of the store takes the interpreter lock (GIL) from the
# reactor's thread several times.
_SET_ONE = _set(1)
_SETS = [(rows, _set(rows)) for rows in (256, 32, 4, 1)]

_CHANGED_VERSIONS = (
    "SELECT name, max(changes.version) FROM changes JOIN records USING (name) WHERE name IN ({}) GROUP BY name"
)

#: Name, version and JSON text of a record.
Row = tuple[str, int, bytes]

AnyRow = Row | ChangeRow


#: How many names one statement looks up.
_NAMES_PER_STATEMENT = 256


class Read:
    """
    One read. Its Deferred fires with C{result}.
    """

    __slots__ = ("deferred", "error", "name", "result")

    #: As of L{Write}.
    readers: list[Read] | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.deferred: Deferred[Any] = Deferred()
        self.result: Any = None
        self.error: Exception | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """
        Fill in the result.
        """
        self.result = get(connection, self.name)

    def tell(self) -> None:
        """
        Fire the Deferred.
        """
        fire(self.deferred, self.error, self.result)


class Heads(Read):
    """
    The read of the versions of many records.
    """

    __slots__ = ("names",)

    def __init__(self, names: list[str]) -> None:
        super().__init__(names[0] if names else "")
        self.names = names

    def run(self, connection: sqlite3.Connection) -> None:
        found = versions(connection, self.names)
        # Another program may have written any value as a version. Such a row is no record.
        self.result = {name: version if isinstance(version := found.get(name), int) else -1 for name in self.names}


class Write:
    """
    One write, or a deletion if C{record} is None.

    @ivar expected: the version that the write follows; C{None}: there is no record; L{ANY_VERSION}: whatever there is.
    @ivar changes: the changes that lead from the expected record to C{record}, if they are known.
    @ivar done: called with C{argument}, C{error} and C{found} when the write has ended.
    @ivar found: if the write was refused: the record that is there instead, or the version at which it was removed.
    @ivar readers: the reads that were requested after it and before the next write of the same record; C{None} if there
        are none.
    """

    __slots__ = ("argument", "changes", "done", "error", "expected", "found", "name", "readers", "record")

    def __init__(
        self,
        name: str,
        expected: int | None,
        record: Record | None,
        changes: Sequence[Change],
        done: Done,
        argument: Any,
    ) -> None:
        self.name = name
        self.expected = expected
        self.record = record
        self.changes = changes
        self.done = done
        self.argument = argument
        self.found: Record | None = None
        self.readers: list[Read] | None = None
        self.error: Exception | None = None

    @property
    def result(self) -> Record | None:
        """
        The record that is there after the write; C{None} if there is none.
        """
        found = self.found
        return self.record if found is None else None if found.data is None else found

    def tell(self) -> None:
        """
        Call C{done}.
        """
        self.done(self.argument, self.error, self.found)


def get(connection: sqlite3.Connection, name: str) -> Record | None:
    """
    The record of that name.

    @raise ValueError: the row of that name is not a record. The text says why.
    """
    try:
        row = connection.execute(_GET, (name,)).fetchone()
    except UnicodeError:
        # No row can have that name.
        return None
    if row is None:
        return None
    version, text, has_changes = row
    record = _loaded(version, text)
    return Record(*changed(connection, name, record.version, record.data)) if has_changes else record


def _loaded(version: Any, text: bytes | None) -> Record:
    # Another program may have written the row, and SQLite accepts any value in any column.
    try:
        data = loads(text or b"")
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None
    if not isinstance(data, (dict, list)) or not isinstance(version, int):
        raise ValueError("is no record")
    return Record(version, data)


def commit(
    connection: sqlite3.Connection,
    rows: Sequence[AnyRow],
    deleted: list[Removal],
    removed: RemovedVersions,
    forget: bool = False,
) -> None:
    """
    Write and delete in one transaction. If that fails, the transaction may still be open.

    @param forget: forget the versions of earlier removals, to make room.
    """
    if len(rows) == 1 and not deleted:
        # A statement is a transaction of its own.
        _write_one(connection, rows[0])
        return
    connection.execute("BEGIN IMMEDIATE")
    if deleted:
        connection.executemany(_DELETE, [(name,) for name, _ in deleted])
        removed.add(connection, deleted, forget)
    whole: list[Row] = []
    for row in rows:
        if isinstance(row, ChangeRow):
            _write_one(connection, row)
        else:
            whole.append(row)
    done = 0
    for size, statement in _SETS:
        while done + size <= len(whole):
            connection.execute(statement, [value for row in whole[done : done + size] for value in row])
            done += size
    connection.execute("COMMIT")


def _write_one(connection: sqlite3.Connection, row: AnyRow) -> None:
    if isinstance(row, ChangeRow):
        if add(connection, row):
            return
        # Another program has written the record.
        row = row_of(row.name, row.record)
    connection.execute(_SET_ONE, row)


def rows_of(
    connection: sqlite3.Connection,
    path: str,
    writes: list[Write],
    found: dict[str, int],
    removed: dict[str, int],
    folding: Folding,
) -> tuple[list[AnyRow], list[Removal]]:
    """
    The rows to write, and the rows to delete, after the last write of each record. A write that expects another version
    than there is gets C{found}, as does a creation with a version that is not high enough; a write that cannot be a row
    gets its C{error}.

    @param found: the versions of those records that exist, for all writes that expect one.
    @param removed: the versions that are remembered, for all creations.
    """
    rows: dict[str, AnyRow | None] = {}
    # The versions at which C{writes} remove records.
    removals: dict[str, int] = {}
    last: dict[str, Write] = {}
    for write in writes:
        name, record = write.name, write.record
        if write.expected is not ANY_VERSION:
            before = last.get(name)
            current = found.get(name) if before is None else before.record and before.record.version
            if current != write.expected:
                try:
                    write.found = (get(connection, name) if before is None else before.record) or NO_RECORD
                except ValueError as error:
                    write.error = unreadable(path, name, error)
                continue
            if current is None and record is not None:
                last_version = removals.get(name, removed.get(name, -1))
                if record.version <= last_version:
                    write.found = Record(last_version, None)
                    continue
        try:
            name.encode("utf-8")
            if record is None:
                rows[name] = None
                if isinstance(write.expected, int):
                    removals[name] = write.expected
                folding.deleted(name)
            elif write.changes and (row := _change_row(connection, write, record, rows, folding)) is not None:
                rows[name] = row
            else:
                rows[name] = whole = row_of(name, record)
                folding.wrote(name, len(whole[2]))
            last[name] = write
        except (TypeError, ValueError, RecursionError, MemoryError) as error:
            problem = "not enough memory" if isinstance(error, MemoryError) else error
            write.error = StoreError(f"{path}: the record {name!r} cannot be stored: {problem}")
    deleted = [Removal(name, removals.get(name)) for name, row in rows.items() if row is None]
    return [row for row in rows.values() if row is not None], deleted


def _change_row(
    connection: sqlite3.Connection,
    write: Write,
    record: Record,
    rows: dict[str, AnyRow | None],
    folding: Folding,
) -> ChangeRow | None:
    """
    The row of the changes of a write; C{None} if the record has to be written whole.
    """
    if write.name not in rows:
        return folding.row(connection, write.name, record, write.changes)
    planned = rows[write.name]
    if not isinstance(planned, ChangeRow):
        return None
    return folding.row(connection, write.name, record, write.changes, planned)


def unreadable(path: str, name: str, error: ValueError) -> StoreError:
    """
    The row of that name is not a record.

    @param error: as raised by L{get}.
    """
    return StoreError(f"{path}: what is stored for the record {name!r} {error}")


def versions(connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """
    The versions of those records that exist.
    """
    # No row can have a name that is no UTF-8.
    names = [name for name in names if is_utf8(name)]
    found: dict[str, int] = {}
    for start in range(0, len(names), _NAMES_PER_STATEMENT):
        part = names[start : start + _NAMES_PER_STATEMENT]
        statement = f"SELECT name, version FROM records WHERE name IN ({', '.join('?' * len(part))})"
        found.update(connection.execute(statement, part))
        found.update(connection.execute(_CHANGED_VERSIONS.format(", ".join("?" * len(part))), part))
    return found


def row_of(name: str, record: Record) -> Row:
    """
    The row that holds a record.

    @raise ValueError: the record cannot be a row, as do TypeError and RecursionError.
    """
    if not -(2**63) <= record.version < 2**63:
        raise ValueError("the version is too high")
    data = record.json
    if len(data) > _MAX_DATA_BYTES:
        raise ValueError(f"it has more than {_MAX_DATA_BYTES} bytes")
    return name, record.version, data


def count(connection: sqlite3.Connection, seconds: float = MAX_COUNTING_SECONDS) -> str:
    """
    How many records there are, in words: their number if they can be counted in a short time, else their size.
    """
    ends = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
    try:
        # SQLite does not look at the time while it does count(*).
        (found,) = connection.execute("SELECT total(1) FROM records").fetchone()
    except sqlite3.Error as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            # Records that are not in the damaged part can still be served.
            return f"records that cannot be counted ({error.sqlite_errorname})"
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        return f"{pages * size / 2**20:.4g} MiB of records, so many that counting them takes long"
    finally:
        connection.set_progress_handler(None, 0)
    return f"{found:.0f} record{'' if found == 1 else 's'}"
