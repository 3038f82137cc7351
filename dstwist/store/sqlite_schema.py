"""
The schema of an SQLite store: its tables, whether a file is a database of dstwist, and which version its tables have.

=================  ===================================================================================================
in the file        meaning
=================  ===================================================================================================
C{application_id}  L{APPLICATION_ID}: the file is a database of dstwist
C{user_version}    L{SCHEMA_VERSION}: the version of the tables, so that a later dstwist can change them
=================  ===================================================================================================

==========  ==========================================================================================================
version     has
==========  ==========================================================================================================
1           the table C{records}
2           the table C{changes} as well (L{dstwist.store.sqlite_changes})
3           the table C{removed} as well (L{dstwist.store.sqlite_removed})
==========  ==========================================================================================================

A file of an older version gets what it lacks in one transaction, at the first start. This takes no longer for a large
file. An older dstwist refuses a file of a newer version.

Always true: nothing is written to a file before it is known to be new or a database of dstwist.
"""

from __future__ import annotations

import sqlite3

from dstwist.errors import StoreError
from dstwist.store import sqlite_changes, sqlite_removed

#: Marks a file as a database of dstwist: "dstw".
APPLICATION_ID = 0x64737477

#: The version of the tables. A file with a higher one was written by a newer dstwist.
SCHEMA_VERSION = 3

#: How much of the disk an empty write-ahead log may keep, in bytes. The log grows while another program reads the file.
MAX_EMPTY_LOG_BYTES = 64 * 1024 * 1024

_RECORDS = """
    CREATE TABLE records (
        name TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        data TEXT NOT NULL
    )
"""

#: What each version adds to the version before it.
ADDITIONS = ((_RECORDS,), sqlite_changes.SCHEMA, sqlite_removed.SCHEMA)


def identify(connection: sqlite3.Connection, path: str) -> int:
    """
    Check that the file is new or a database of dstwist.

    @return: the version of its tables; 0 if it is new.
    @raise StoreError: it is a file of another program.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(f"{path} is an SQLite file of another program")
    return int(version)


def prepare(connection: sqlite3.Connection, path: str, synchronous: str) -> None:
    """
    Check that the file is new or a database of dstwist, and set how SQLite writes it.

    @raise StoreError: the file cannot be used.
    """
    version = identify(connection, path)
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer dstwist: its schema has version {version},"
            f" this one knows none above {SCHEMA_VERSION}"
        )
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{path} cannot have a write-ahead log; is it on a network file system?")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA journal_size_limit = {MAX_EMPTY_LOG_BYTES}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")


def create_tables(connection: sqlite3.Connection) -> int:
    """
    Create the tables that the file does not have, and check that they can be read.

    @return: the version that the file had; 0 if it is new.
    """
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not version:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    if 0 <= version < SCHEMA_VERSION:
        for statements in ADDITIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    # A table that cannot be read fails the start, and not each read.
    connection.execute("SELECT name, version, data FROM records LIMIT 0")
    connection.execute("SELECT name, version, previous, data FROM changes LIMIT 0")
    connection.execute("SELECT name, version, time FROM removed LIMIT 0")
    return int(version)
