"""
What is remembered of deleted records, so that nobody's late write to one ends up in the next of the same name.

A record that is made anew starts with version 0 again: clients expect that. Whoever still holds the old one, version 7
say, and writes version 8, would hit the new one if that has got to 7 by then. So for a while it is remembered up to
which version the old one went, and who may hold it:

- who was subscribed when it was deleted, for what is on its way;
- who subscribes later without being told what the record holds (SUBSCRIBEANDHEAD of v4+ clients that come back).

They are no longer suspected once they were sent the new record. Until then a write of theirs with a version of the old
record, or the one that would have followed, is a conflict. (Writes of -1 and of connections that hold nothing are none
of this.) It is all forgotten after C{deletionMemory}, when there are more than C{maxDeletionMemory} or they weigh more
than C{maxDeletionBytes} with their suspects, and when the server ends: the clients do not tell which of two
records of one name and version they hold, so more cannot be done.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IConnection
from dstwist.protocol.weights import ENTRY, weigh_name
from dstwist.scheduling.time_slices import TimeSlices

#: What a deletion weighs besides its name and entry, and what a suspect weighs, who is in two sets.
_DELETION = 300
_SUSPECT = 200


@dataclass(eq=False, slots=True)
class _Deletion:
    version: int
    expires: float
    suspects: set[IConnection]


class RecentDeletions:
    """
    The records that were deleted of late.

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
        self._suspected: dict[IConnection, set[str]] = {}
        # What the end of a connection with many names leads to.
        self._slices = TimeSlices(clock)

    def add(self, name: str, version: int, subscribers: list[IConnection]) -> None:
        """
        A record was deleted.

        @param version: its last one; -1 if it was not there.
        @param subscribers: the connections that were subscribed.
        """
        old = self._forget(name)
        if old is not None:
            version = max(version, old.version)
        now = self._clock.seconds()
        while self._deletions:
            oldest = next(iter(self._deletions))
            if len(self._deletions) < self._most and self._deletions[oldest].expires > now:
                break
            self._forget(oldest)
        if version < 0 or not self._lifetime:
            return
        suspects = set(subscribers) if old is None else old.suspects.union(subscribers)
        self._deletions[name] = deletion = _Deletion(version, now + self._lifetime, suspects)
        self.weight += _weight(name) + _SUSPECT * len(suspects)
        self._make_room()
        # They are suspected from now on. There may be very many, so the index of names by connection follows in slices.
        self._slices.do(self._index(name, deletion, list(suspects)))

    def _index(self, name: str, deletion: _Deletion, suspects: list[IConnection]) -> Iterator[None]:
        """
        Enter C{name} for each of its suspects, so that it is found when the connection closes.
        """
        for connection in suspects:
            if self._deletions.get(name) is not deletion:
                return  # forgotten meanwhile
            if connection in deletion.suspects:
                if connection.closed:
                    deletion.suspects.remove(connection)
                    self.weight -= _SUSPECT
                else:
                    self._enter(name, connection)
            yield

    def _enter(self, name: str, connection: IConnection) -> None:
        names = self._suspected.get(connection)
        if names is None:
            names = self._suspected[connection] = set()
            connection.on_close(self._closed)
        names.add(name)

    def suspect(self, name: str, connection: IConnection) -> None:
        """
        C{connection} may hold the deleted record, if there was one.
        """
        deletion = self._deletions.get(name)
        if deletion is None or connection.closed or connection in deletion.suspects:
            return
        deletion.suspects.add(connection)
        self.weight += _SUSPECT
        self._enter(name, connection)
        self._make_room()

    def clear(self, name: str, connection: IConnection) -> None:
        """
        C{connection} was told what the record holds now.
        """
        deletion = self._deletions.get(name)
        if deletion is not None and connection in deletion.suspects:
            deletion.suspects.remove(connection)
            # If it is not entered yet, it never will be.
            self._suspected.get(connection, set()).discard(name)
            self.weight -= _SUSPECT

    def may_hold(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} may hold the deleted record, or not have heard yet that it is no more.
        """
        deletion = self._deletions.get(name)
        return deletion is not None and connection in deletion.suspects

    def may_target(self, name: str, connection: IConnection, version: int) -> bool:
        """
        Whether a write of C{connection} with C{version} may be meant for the deleted record.
        """
        deletion = self._deletions.get(name)
        if deletion is None or connection not in deletion.suspects:
            return False
        if deletion.expires <= self._clock.seconds():
            self._forget(name)
            return False
        return version <= deletion.version + 1

    def _make_room(self) -> None:
        """
        Forget the oldest until the others weigh no more than they may.
        """
        while self.weight > self._most_bytes:
            self._forget(next(iter(self._deletions)))

    def _forget(self, name: str) -> _Deletion | None:
        deletion = self._deletions.pop(name, None)
        if deletion is not None:
            self.weight -= _weight(name) + _SUSPECT * len(deletion.suspects)
            self._slices.do(self._leave_out(name, list(deletion.suspects)))
        return deletion

    def _leave_out(self, name: str, connections: list[IConnection]) -> Iterator[None]:
        """
        Undo L{_enter} for C{connections}, but for those that are suspected once more.
        """
        for connection in connections:
            if not self.may_hold(name, connection):
                names = self._suspected.get(connection)
                if names is not None:
                    names.discard(name)
            yield

    def _closed(self, connection: IConnection) -> None:
        self._slices.do(self._clear_all(connection, self._suspected.pop(connection)))

    def _clear_all(self, connection: IConnection, names: set[str]) -> Iterator[None]:
        """
        Suspect C{connection}, which is closed, no more.
        """
        for name in names:
            deletion = self._deletions.get(name)
            # It may have been forgotten meanwhile, and the name deleted once more.
            if deletion is not None and connection in deletion.suspects:
                deletion.suspects.remove(connection)
                self.weight -= _SUSPECT
            yield


def _weight(name: str) -> int:
    return ENTRY + _DELETION + weigh_name(name)
