"""
The shared store of the records in a simulated cluster, as the engine has it, and as one node reaches it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.interfaces import Change, Done, ICallbackStore, IReplaceableStore, ISharedStore, Record
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


class Arbiter:
    """
    The records, and all that has happened to them.

    @ivar removed: the version that each deletion has left behind.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.removed: dict[str, int] = {}
        self.log: dict[str, list[Entry]] = {}

    def replace(self, name: str, expected: int | None, record: Record, changes: Sequence[Change]) -> Record | None:
        """
        As of L{ISharedStore}.
        """
        found = self.records.get(name, NO_RECORD)
        if found.version != (-1 if expected is None else expected):
            return found
        if expected is None and record.version <= self.removed.get(name, -1):
            return Record(self.removed[name], None)
        self.records[name] = record
        log = self.log.setdefault(name, [])
        if expected is None:
            log.append(Entry(record.version, record.data["token"], record.data))
        else:
            assert expected + len(changes) == record.version, (expected, changes, record)
            for number, change in enumerate(changes):
                log.append(Entry(expected + 1 + number, change.data["token"], change.data))
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
            self.log[name].append(Entry(expected, None, None))
        return None

    def entry(self, name: str, version: int) -> Entry | None:
        """
        The write that has made that version; C{None} if there was none.
        """
        found = (each for each in self.log.get(name, ()) if each.version == version and each.token is not None)
        return next(found, None)

    def tokens(self, name: str) -> list[int | None]:
        """
        The writes that have taken effect, in their order.
        """
        return [each.token for each in self.log.get(name, ())]


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
        return self._operation(lambda: self._arbiter.replace(name, expected, record, changes))

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
        for callback in self._reconnected:
            callback(None)

    def _fence(self) -> None:
        self._ended += 1

    def _operation(self, execute: Callable[[], Any], always: bool = False) -> Deferred[Any]:
        connection = self._ended
        return self._world.engine.operation(self._clock, execute, lambda: always or connection == self._ended)
