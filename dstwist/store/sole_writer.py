"""
A store that cannot decide between several writers, behind the interface of one that can.

It fits a server that is the only writer of its store. There the queue of the record
(L{dstwist.services.record.queue}) makes sure that each write follows the version that is there, so the store need not
check it.

=====================  ===============================================================================================
operation              of the inner store
=====================  ===============================================================================================
C{replace}, C{remove}  C{set}, C{delete}. What they expect is not checked: a read before each write would double the
                       time of a write. The versions of removed records are remembered in memory
                       (L{dstwist.store.tombstones})
C{heads}               one C{get} for each name
C{fence}               nothing: the inner store executes the operations on each name in their order
=====================  ===============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.interfaces import Change, IRecordStore, ISharedStore, IStore, Record
from dstwist.store.tombstones import Tombstones


@implementer(ISharedStore)
class SoleWriter:
    """
    The store C{inner}, to which no other process writes.
    """

    def __init__(self, inner: IStore, tombstones: Tombstones | None = None) -> None:
        self._inner = inner
        self._tombstones = tombstones
        self._write = record_writer(inner)

    def start(self) -> Deferred[None]:
        return self._inner.start()

    def stop(self) -> Deferred[None]:
        return self._inner.stop()

    def get(self, name: str) -> Deferred[Record | None]:
        return self._inner.get(name)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self._inner.set(name, version, data)

    def delete(self, name: str) -> Deferred[None]:
        return self._inner.delete(name)

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        tombstones = self._tombstones
        if expected is None and tombstones is not None:
            removed = tombstones.version(name)
            if record.version <= removed:
                return succeed(Record(removed, None))
        return self._write(name, record)  # type: ignore[return-value]  # C{None}: the record is kept

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        if expected is not None and self._tombstones is not None:
            self._tombstones.add(name, expected)
        return self.delete(name)  # type: ignore[return-value]  # C{None}: the record is removed

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        return Deferred.fromCoroutine(self._heads(names))

    async def _heads(self, names: Iterable[str]) -> dict[str, int]:
        versions = {}
        for name in names:
            record: Record | None = await self.get(name)
            versions[name] = -1 if record is None else record.version
        return versions

    def fence(self) -> Deferred[None]:
        return succeed(None)


def shared(store: IStore, tombstones: Tombstones | None = None) -> ISharedStore:
    """
    C{store} as a store that decides between its writers. If it cannot do that, this process has to be the only writer.
    """
    return ISharedStore(store) if ISharedStore.providedBy(store) else SoleWriter(store, tombstones)


def record_writer(store: IStore) -> Callable[[str, Record], Deferred[None]]:
    """
    The function that writes a record to C{store}. If the store accepts L{Record} objects, the function passes the
    object itself, so that its JSON text is made once.
    """
    if IRecordStore.providedBy(store):
        return IRecordStore(store).write
    return lambda name, record: store.set(name, record.version, record.data)
