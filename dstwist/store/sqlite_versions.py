"""
The versions of the records that were written last, so that most writes are compared with what they expect without a
look into the file.

Always true: a write is refused only for what the file says. A version that is remembered and equals the expected one is
believed, because no other process writes to the file.
"""

from __future__ import annotations

import sqlite3

from dstwist.interfaces import ANY_VERSION
from dstwist.store.sqlite_rows import Write, versions

#: How many versions are remembered. Above that, all of them are forgotten.
MAX_VERSIONS = 10_000

#: Longer names are not remembered, to bound the memory.
MAX_NAME_LENGTH = 200


class KnownVersions:
    """
    The versions that are remembered.
    """

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def look_up(self, connection: sqlite3.Connection, writes: list[Write]) -> dict[str, int]:
        """
        The versions of those records that exist, for all writes that expect one.
        """
        known = self._versions
        found: dict[str, int] = {}
        unknown: set[str] = set()
        for write in writes:
            expected = write.expected
            if expected is not ANY_VERSION:
                name = write.name
                if expected is not None and known.get(name) == expected:
                    found[name] = expected
                else:
                    unknown.add(name)
        if unknown:
            found.update(versions(connection, unknown))
        return found

    def wrote(self, writes: list[Write]) -> None:
        """
        A transaction of C{writes} has ended.
        """
        known = self._versions
        if len(known) + len(writes) > MAX_VERSIONS:
            known.clear()
        for write in writes:
            record = write.record
            if write.error is not None or record is None or len(write.name) > MAX_NAME_LENGTH:
                known.pop(write.name, None)
            elif write.found is None:
                known[write.name] = record.version

    def clear(self) -> None:
        """
        Forget all versions: it is unknown what the file has.
        """
        self._versions.clear()
