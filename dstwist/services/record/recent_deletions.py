"""
Recently deleted records, and the clients that may not have heard of the deletion.

The store makes sure that a late write to a deleted record does not change the next record of the same name: the next
one has higher versions (L{dstwist.store.tombstones}). The store does not know two things that clients need:

- A client of v2 and v3 has destroyed the callbacks of its writes when it hears of the deletion, and client 2.3.4 throws
  on an acknowledgement after that.
- A client that creates the record anew, and writes before it is sent the record, believes that its first write makes
  version 1.

So the last version of the deleted record, the I{predecessor}, is remembered for a while, with its I{suspects}, the
connections that may have a copy of it:

- the connections that were subscribed when the record was deleted, or was found to be lost, since their writes may be
  on their way;
- the connections that subscribe later without being sent the record (SUBSCRIBEANDHEAD of v4+ clients that reconnect).

A connection is no longer a suspect when it was sent the new record. Until then its writes of version 1 are conflicts.
Version 1 of a connection that is no suspect counts as -1 if the new record has only been created.

A deletion is forgotten after C{deletionMemory}. The oldest deletions are forgotten earlier if there are more than
C{maxDeletionMemory}, or if all deletions weigh more than C{maxDeletionBytes} with their suspects. All deletions are
forgotten when the server ends.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IRequester
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name
from dstwist.scheduling.time_slices import TimeSlices

#: The memory of a deletion besides its name and entry, and of a suspect, which is in two sets, in bytes.
_DELETION_BYTES = 300
_SUSPECT_BYTES = 200


@dataclass(eq=False, slots=True)
class _Deletion:
    version: int
    expires: float
    suspects: set[IRequester]


class RecentDeletions:
    """
    The deletions that are remembered.

    @ivar names: the names of the records whose deletion is remembered.
    @ivar weight: how much memory they take, estimated from above.
    """

    def __init__(self, settings: RecordSettings, clock: IReactorTime) -> None:
        self._lifetime = settings.deletion_memory
        self._most = settings.max_deletion_memory
        self._most_bytes = settings.max_deletion_bytes
        self.weight = 0
        self._clock = clock
        # The oldest first.
        self._deletions: dict[str, _Deletion] = {}
        self.names: Container[str] = self._deletions
        self._suspected: dict[IRequester, set[str]] = {}
        # Runs the work for the many names of a connection, or the many suspects of a name.
        self._slices = TimeSlices(clock)

    def add(self, name: str, version: int, subscribers: list[IRequester]) -> None:
        """
        A record was deleted.

        @param version: its last one; -1 if the server did not find it, or does not know its version.
        @param subscribers: the connections that were subscribed. They may have a copy even if the server did not find
            the record: a store may have lost it.
        """
        old = self._forget(name)
        suspects = set(subscribers)
        if old is not None:
            version = max(version, old.version)
            suspects |= old.suspects
        now = self._clock.seconds()
        while self._deletions:
            oldest = next(iter(self._deletions))
            if len(self._deletions) < self._most and self._deletions[oldest].expires > now:
                break
            self._forget(oldest)
        if not self._lifetime or (version < 0 and not suspects):
            return
        self._deletions[name] = deletion = _Deletion(version, now + self._lifetime, suspects)
        self.weight += _weight(name) + _SUSPECT_BYTES * len(suspects)
        self._make_room()
        # They are suspects from now on. They may be very many, so the index of names by connection follows in slices.
        self._slices.do(self._add_all_to_index(name, deletion, list(suspects)))

    def _add_all_to_index(self, name: str, deletion: _Deletion, suspects: list[IRequester]) -> Iterator[None]:
        """
        Add C{name} to the index for each of its suspects, so that it is found when the connection closes.
        """
        for connection in suspects:
            if self._deletions.get(name) is not deletion:
                return  # forgotten meanwhile
            if connection in deletion.suspects:
                if connection.closed:
                    deletion.suspects.remove(connection)
                    self.weight -= _SUSPECT_BYTES
                else:
                    self._add_to_index(name, connection)
            yield

    def _add_to_index(self, name: str, connection: IRequester) -> None:
        names = self._suspected.get(connection)
        if names is None:
            names = self._suspected[connection] = set()
            connection.on_close(self._closed)
        names.add(name)

    def suspect(self, name: str, connection: IRequester) -> None:
        """
        C{connection} may have a copy of the predecessor, if there is one.
        """
        deletion = self._deletions.get(name)
        if deletion is None or connection.closed or connection in deletion.suspects:
            return
        deletion.suspects.add(connection)
        self.weight += _SUSPECT_BYTES
        self._add_to_index(name, connection)
        self._make_room()

    def clear(self, name: str, connection: IRequester) -> None:
        """
        C{connection} was sent the new record.
        """
        deletion = self._deletions.get(name)
        if deletion is not None and connection in deletion.suspects:
            deletion.suspects.remove(connection)
            # If it is not in the index yet, it will not get there.
            self._suspected.get(connection, set()).discard(name)
            self.weight -= _SUSPECT_BYTES

    def may_hold(self, name: str, connection: IRequester) -> bool:
        """
        Whether C{connection} may have a copy of the predecessor, or may not know yet that it is deleted.
        """
        deletion = self._deletions.get(name)
        return deletion is not None and connection in deletion.suspects

    def is_first_write(self, name: str, connection: IRequester, version: int) -> bool:
        """
        Whether a write of C{connection} is the first one to a record that was created anew, if the data are C{{}}.

        @param version: the version of the record.
        """
        deletion = self._deletions.get(name)
        if deletion is None or connection in deletion.suspects:
            return False
        if deletion.expires <= self._clock.seconds():
            self._forget(name)
            return False
        return version == deletion.version + 1

    def _make_room(self) -> None:
        """
        Forget the oldest deletions until the others weigh at most C{maxDeletionBytes}.
        """
        while self.weight > self._most_bytes:
            self._forget(next(iter(self._deletions)))

    def _forget(self, name: str) -> _Deletion | None:
        deletion = self._deletions.pop(name, None)
        if deletion is not None:
            self.weight -= _weight(name) + _SUSPECT_BYTES * len(deletion.suspects)
            self._slices.do(self._remove_from_index(name, list(deletion.suspects)))
        return deletion

    def _remove_from_index(self, name: str, connections: list[IRequester]) -> Iterator[None]:
        """
        Remove C{name} from the index for C{connections}, unless they are suspects again.
        """
        for connection in connections:
            if not self.may_hold(name, connection):
                names = self._suspected.get(connection)
                if names is not None:
                    names.discard(name)
            yield

    def _closed(self, connection: IRequester) -> None:
        self._slices.do(self._clear_all(connection, self._suspected.pop(connection)))

    def _clear_all(self, connection: IRequester, names: set[str]) -> Iterator[None]:
        """
        C{connection} is closed, and no longer a suspect.
        """
        for name in names:
            deletion = self._deletions.get(name)
            # It may have been forgotten meanwhile, and the name deleted once more.
            if deletion is not None and connection in deletion.suspects:
                deletion.suspects.remove(connection)
                self.weight -= _SUSPECT_BYTES
            yield


def _weight(name: str) -> int:
    return ENTRY_WEIGHT + _DELETION_BYTES + weigh_name(name)
