"""
The shared store of the records in a simulated cluster, as the engine has it, and as one node reaches it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.interfaces import Change, Done, ICallbackStore, IReplaceableStore, ISharedStore, Record
from dstwist.protocol.constants import RecordAction
from dstwist.record import NO_RECORD
from tests.cluster.simulation.time import NodeClock

if TYPE_CHECKING:
    from tests.cluster.simulation.world import World


class Entry(NamedTuple):
    """
    What has happened to a record.

    @ivar token: the number of the write; C{None}: the record was deleted.
    """

    version: int
    token: int | None
    data: Any


class Copy(NamedTuple):
    """
    The content of the store at some time.
    """

    records: Mapping[str, Record]
    removed: Mapping[str, int]
    log: Mapping[str, Sequence[Entry]]


class Arbiter:
    """
    The records, and all that has happened to them.

    @ivar removed: the version that each deletion has left behind.
    @ivar log: what has led to the records as they are now.
    @ivar ever: all that has happened, also what is lost.
    @ivar lost: the writes that are lost.
    @ivar mixed: how many changes of a path were made to another record than that of the store, by nodes that knew that
        the store had gone back.
    @ivar era: how often the store has gone back.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.removed: dict[str, int] = {}
        self.log: dict[str, list[Entry]] = {}
        self.ever: dict[str, list[Entry]] = {}
        self.lost: set[int] = set()
        self.era = 0
        self.mixed = 0

    def copy(self) -> Copy:
        """
        The records as they are now.
        """
        log = {name: tuple(entries) for name, entries in self.log.items()}
        return Copy(dict(self.records), dict(self.removed), log)

    def go_back(self, copy: Copy) -> None:
        """
        The store has an older copy, or nothing.
        """
        self.era += 1
        for name, entries in self.log.items():
            kept = len(copy.log.get(name, ()))
            self.lost.update(entry.token for entry in entries[kept:] if entry.token is not None)
        self.records, self.removed = dict(copy.records), dict(copy.removed)
        self.log = {name: list(entries) for name, entries in copy.log.items()}

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change], era: int
    ) -> Record | None:
        """
        As of L{ISharedStore}.

        @param era: how often the store had gone back as far as the writer knew.
        """
        found = self.records.get(name, NO_RECORD)
        if found.version != (-1 if expected is None else expected):
            return found
        if expected is None and record.version <= self.removed.get(name, -1):
            return Record(self.removed[name], None)
        self.records[name] = record
        if expected is None:
            self._happened(name, Entry(record.version, record.data["token"], record.data))
        else:
            assert expected + len(changes) == record.version, (expected, changes, record)
            data = found.data
            for number, change in enumerate(changes):
                token = change.data["token"]
                data = {**data, "token": token} if change.action is RecordAction.PATCH else change.data
                self.mixed += data != change.data and era == self.era
                self._happened(name, Entry(expected + 1 + number, change.data["token"], change.data))
        return None

    def remove(self, name: str, expected: int | None) -> Record | None:
        """
        As of L{ISharedStore}.
        """
        found = self.records.get(name, NO_RECORD)
        if found.version != (-1 if expected is None else expected):
            return found
        if expected is not None:
            del self.records[name]
            self.removed[name] = expected
            self._happened(name, Entry(expected, None, None))
        return None

    def _happened(self, name: str, entry: Entry) -> None:
        self.log.setdefault(name, []).append(entry)
        self.ever.setdefault(name, []).append(entry)

    def was_written(self, name: str, version: int, data: Any) -> bool:
        """
        Whether a write has made that version.
        """
        return _has(self.ever, name, version, data)

    def is_kept(self, name: str, version: int, data: Any) -> bool:
        """
        Whether a write has made that version, and is not lost.
        """
        return _has(self.log, name, version, data)

    def tokens(self, name: str) -> list[int | None]:
        """
        The writes that have taken effect, in their order.
        """
        return [each.token for each in self.log.get(name, ())]

    def ever_tokens(self, name: str) -> list[int | None]:
        """
        The same, with the writes that are lost.
        """
        return [each.token for each in self.ever.get(name, ())]


def _has(log: Mapping[str, Sequence[Entry]], name: str, version: int, data: Any) -> bool:
    return any(each.version == version and each.data == data and each.token is not None for each in log.get(name, ()))


@implementer(ISharedStore, ICallbackStore, IReplaceableStore)
class NodeStore:
    """
    The shared store as one node reaches it: operations take time, get lost, and are executed late.
    """

    def __init__(self, world: World, clock: NodeClock) -> None:
        self._world = world
        self._clock = clock
        self._arbiter = world.arbiter
        # The connections up to this number are ended.
        self._ended = 0
        # The start of the engine to which there is a connection.
        self._connected_to = world.engine.starts
        self._era = world.arbiter.era
        self._reconnected: list[Callable[[str | None], object]] = []

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def get(self, name: str) -> Deferred[Record | None]:
        return self._operation(lambda: self._arbiter.records.get(name))

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        era = self._era
        return self._operation(lambda: self._arbiter.replace(name, expected, record, changes, era))

    def submit(
        self, name: str, expected: Any, record: Record, changes: Sequence[Change], done: Done, argument: Any
    ) -> None:
        written = self.replace(name, expected, record, changes)
        written.addCallback(lambda found: done(argument, None, found)).addErrback(self._world.crashed)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        return self._operation(lambda: self._arbiter.remove(name, expected))

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        names = list(names)
        records = self._arbiter.records
        return self._operation(lambda: {name: records.get(name, NO_RECORD).version for name in names})

    def fence(self) -> Deferred[None]:
        return self._operation(self._fence, always=True)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        raise NotImplementedError("only for a store that is no arbiter")

    def write(self, name: str, record: Record) -> Deferred[None]:
        raise NotImplementedError("only for a store that is no arbiter")

    def delete(self, name: str) -> Deferred[None]:
        raise NotImplementedError("only for a store that is no arbiter")

    def on_reconnected(self, callback: Callable[[str | None], object]) -> None:
        self._reconnected.append(callback)

    def reconnect(self) -> None:
        """
        The store can be used again, and has what it had.
        """
        if self._connected_to == self._world.engine.starts:
            self.tell(None)

    def connect(self) -> None:
        """
        Connect to the engine that was started again.
        """
        self._connected_to = self._world.engine.starts

    def tell(self, reason: str | None) -> None:
        """
        Say that the store can be used again, or that it has other data.
        """
        if reason is not None:
            self._era = self._arbiter.era
        for callback in self._reconnected:
            callback(reason)

    def _fence(self) -> None:
        self._ended += 1

    def _operation(self, execute: Callable[[], Any], always: bool = False) -> Deferred[Any]:
        connection = self._ended, self._connected_to
        engine = self._world.engine

        def is_wanted() -> bool:
            return connection[1] == engine.starts and (always or connection[0] == self._ended)

        return engine.operation(self._clock, execute, is_wanted)
