"""
Tombstones: the last versions of removed records, so that the versions of a name do not go back.

A record that is created anew while its tombstone is kept gets a higher version. So a late write to the removed record,
or a late copy of it, loses by its version.

A tombstone is forgotten after C{record.deletionMemory}. The oldest ones are forgotten earlier if there are more than
C{record.maxDeletionMemory}, or if they weigh more than C{record.maxDeletionBytes}.
"""

from __future__ import annotations

from collections.abc import Callable

from dstwist.config.settings import RecordSettings
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name

#: The memory of a tombstone besides its name and entry, in bytes.
_TOMBSTONE_BYTES = 200


class Tombstones:
    """
    The tombstones of one store in memory.

    @param seconds: the time.
    """

    def __init__(self, settings: RecordSettings, seconds: Callable[[], float]) -> None:
        self._lifetime = settings.deletion_memory
        self._most = settings.max_deletion_memory
        self._most_bytes = settings.max_deletion_bytes
        self._seconds = seconds
        self._bytes = 0
        # Version and time of expiry by name, the oldest first.
        self._versions: dict[str, tuple[int, float]] = {}

    def __contains__(self, name: str) -> bool:
        """
        Whether the record may have been removed. An expired tombstone may still be here.
        """
        return name in self._versions

    def add(self, name: str, version: int) -> None:
        """
        The record was removed at that version.
        """
        self.discard(name)
        now = self._seconds()
        self._versions[name] = version, now + self._lifetime
        self._bytes += _weight(name)
        while self._versions:
            oldest = next(iter(self._versions))
            if (
                len(self._versions) <= self._most
                and self._bytes <= self._most_bytes
                and self._versions[oldest][1] > now
            ):
                break
            self.discard(oldest)

    def version(self, name: str) -> int:
        """
        The version at which the record was removed; -1 if it was not, or that is forgotten.
        """
        version, expires = self._versions.get(name, (-1, 0.0))
        return version if expires > self._seconds() else -1

    def discard(self, name: str) -> None:
        """
        The record has a higher version now.
        """
        if self._versions.pop(name, None) is not None:
            self._bytes -= _weight(name)

    def clear(self) -> None:
        """
        Forget all.
        """
        self._versions.clear()
        self._bytes = 0


def _weight(name: str) -> int:
    return ENTRY_WEIGHT + _TOMBSTONE_BYTES + weigh_name(name)
