"""
Reads of records that their clients are about to subscribe to.

If the application asks client 7.0.5 for a snapshot and for the record itself, the client sends two requests and takes
the first answer for both::

    client                                     server
    READ a ----------------------------------> version 1
             <-------------------------------- READ_RESPONSE 1      the record is ready; the client writes to it
                                               another client writes 2: no UPDATE, since the client is not subscribed
    UPDATE a 2 ------------------------------> VERSION_EXISTS 2     the client takes the version, and not the data
    SUBSCRIBECREATEANDREAD a ----------------> subscribed
             <-------------------------------- READ_RESPONSE 2      the client ignores it

The client takes an error for both answers as well: it believes that it has the record, but has neither version nor
data, and throws when the application writes to a path. This needs no snapshot. A client that holds a record reads it
after a reconnect, another client deletes it meanwhile, and the application asks for it again::

    client                                     server
    READ a ----------------------------------> deleted by another client
             <-------------------------------- DELETED              the client forgets the record
    SUBSCRIBECREATEANDREAD a ----------------> created
             <-------------------------------- RECORD_NOT_FOUND     the record is ready, without data
             <-------------------------------- READ_RESPONSE 1      the client ignores it

So each read of such a client is remembered for L{READ_MEMORY_SECONDS}. If the record has another version when the
client subscribes, or the read failed, or a write of the client was refused in between, its copy is wrong.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IRequester
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.record.shares import Shares

#: For how long a read is remembered, in seconds. Clients gather subscriptions for a tenth of a second by default.
READ_MEMORY_SECONDS = 2.0

#: How many reads are remembered, and how many bytes of memory they may take.
MAX_READS = 10_000
MAX_READ_BYTES = 16 * 1024 * 1024

#: How many reads of one connection are remembered, and how many bytes of memory they may take.
MAX_READS_EACH = 2000
MAX_READ_BYTES_EACH = 2 * 1024 * 1024

#: The memory of a read besides its name and entry, in bytes.
_READ_BYTES = 200

_Key = tuple[IRequester, str]


class RecentReads:
    """
    The reads that are remembered.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._versions: dict[_Key, int] = {}
        self._memory: Deadlines[_Key] = Deadlines(READ_MEMORY_SECONDS, clock, self._forget)
        self._shares = Shares()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._versions)

    def add(self, name: str, connection: IRequester, version: int) -> None:
        """
        C{connection}, which is not subscribed, was sent C{version} of the record.

        @param version: -1 if the client got an error.
        """
        key = (connection, name)
        if key in self._versions:
            if version < 0:
                # The client may have taken this answer, not the first.
                self._versions[key] = version
        else:
            self._versions[key] = version
            weight = _weight(name)
            self._weight += weight
            while (own := self._shares.excess(connection, MAX_READS_EACH, MAX_READ_BYTES_EACH)) is not None:
                self._memory.remove((connection, own))
                self._forget((connection, own))
            self._shares.add(name, connection, weight)
            while self._memory and (len(self._memory) >= MAX_READS or self._weight > MAX_READ_BYTES):
                self._memory.expire_first()
            self._memory.add(key)

    def take(self, name: str, connection: IRequester) -> int | None:
        """
        The version that C{connection} was sent first within L{READ_MEMORY_SECONDS}; -1 if it got an error; C{None} if
        there was no read. The read is forgotten.
        """
        key = (connection, name)
        version = self._versions.get(key)
        if version is not None:
            self._memory.remove(key)
            self._forget(key)
        return version

    def stop(self) -> None:
        """
        Forget all.
        """
        self._versions.clear()
        self._shares.clear()
        self._weight = 0
        self._memory.stop()

    def _forget(self, key: _Key) -> None:
        del self._versions[key]
        self._shares.remove(key[1], key[0])
        self._weight -= _weight(key[1])


def _weight(name: str) -> int:
    return ENTRY_WEIGHT + _READ_BYTES + weigh_name(name)
