"""
A store of a plug-in, with the guarantees of L{IStore<dstwist.interfaces.IStore>}: each operation returns a Deferred,
and C{get} gives a record or C{None}.

====================================================  ====================================================
the method of the plug-in                             the caller gets
====================================================  ====================================================
returns a Deferred                                    that Deferred
is an C{async def}                                    a Deferred for its outcome
raises an exception, or returns a value               a Deferred that has failed or fired with it
C{get}: gives neither a record nor C{None}            a Deferred that fails with L{StoreError}
C{replace}, C{remove}: the same                       the same; the write is in doubt then
====================================================  ====================================================

A store that cannot report its state (L{IStoreStatus}) counts as unable to write for some seconds after a failed write,
unless a write succeeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from dstwist.errors import StoreError, StoreFull
from dstwist.interfaces import (
    Change,
    IClusterTable,
    IClusterTableHost,
    IEnumerableStore,
    ISharedStore,
    IStore,
    IStoreStatus,
    Record,
)
from dstwist.record import NO_RECORD

#: How long the store counts as unable to write after a failed write, in seconds. While no client writes, no other write
#: can show that the store works again.
FAILURE_SECONDS = 10.0


@implementer(IStore, IStoreStatus)
class PluginStore:
    """
    The store C{inner} of a plug-in.

    @param source: its name or path in the configuration.
    """

    def __init__(self, inner: Any, source: str, clock: IReactorTime) -> None:
        self._inner = inner
        self._source = source
        self._clock = clock
        self._status: IStoreStatus | None = IStoreStatus(inner, None)
        # If the last write failed: the time until which that counts, and the reason.
        self._failed_until = 0.0
        self._failure = ""
        for interface in (IEnumerableStore, IClusterTableHost):
            if interface.providedBy(inner):
                alsoProvides(self, interface)

    def start(self) -> Deferred[None]:
        return maybeDeferred(self._inner.start)

    def stop(self) -> Deferred[None]:
        return maybeDeferred(self._inner.stop)

    def get(self, name: str) -> Deferred[Record | None]:
        return maybeDeferred(self._inner.get, name).addCallback(self._checked, "get", name)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self._watched(maybeDeferred(self._inner.set, name, version, data))

    def delete(self, name: str) -> Deferred[None]:
        return self._watched(maybeDeferred(self._inner.delete, name))

    def names(self, cursor: Any, limit: int) -> Deferred[tuple[Sequence[str], Any]]:
        """
        As of L{IEnumerableStore}, if the plug-in provides that.
        """
        return maybeDeferred(self._inner.names, cursor, limit)

    def cluster_table(self) -> IClusterTable:
        """
        As of L{IClusterTableHost}, if the plug-in provides that.
        """
        table: IClusterTable = self._inner.cluster_table()
        return table

    def contents(self) -> str:
        return "" if self._status is None else self._status.contents()

    def problem(self) -> str | None:
        if self._status is not None:
            return self._status.problem()
        return self._failure if self._clock.seconds() < self._failed_until else None

    def _watched(self, write: Deferred[Any]) -> Deferred[Any]:
        return write if self._status is not None else write.addCallbacks(self._written, self._not_written)

    def _written(self, result: Any) -> Any:
        self._failed_until = 0.0
        return result

    def _not_written(self, failure: Failure) -> Failure:
        # Clients can fill a store on purpose, so a full store does not count as unable to write.
        if failure.check(StoreFull) is None:
            self._failed_until = self._clock.seconds() + FAILURE_SECONDS
            self._failure = failure.getErrorMessage()
        return failure

    def _checked(self, found: Any, method: str, name: str) -> Record | None:
        if found is None:
            return None
        if isinstance(found, Record) and isinstance(found.version, int) and isinstance(found.data, (dict, list)):
            return found
        raise StoreError(f"{self._source}: {method}({name!r}) gave neither None nor a Record(version, object or array)")


@implementer(ISharedStore)
class SharedPluginStore(PluginStore):
    """
    The store C{inner} of a plug-in, which decides between several writers.
    """

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        write = maybeDeferred(self._inner.replace, name, expected, record, changes)
        return self._decided(write, "replace", name, expected is None)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        return self._decided(maybeDeferred(self._inner.remove, name, expected), "remove", name)

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        return maybeDeferred(self._inner.heads, names)

    def fence(self) -> Deferred[None]:
        return maybeDeferred(self._inner.fence)

    def _decided(self, write: Deferred[Any], method: str, name: str, creates: bool = False) -> Deferred[Record | None]:
        return self._watched(write.addCallback(self._checked_instead, method, name, creates))

    def _checked_instead(self, found: Any, method: str, name: str, creates: bool) -> Record | None:
        if isinstance(found, Record) and found.version == NO_RECORD.version:
            return NO_RECORD
        if creates and isinstance(found, Record) and isinstance(found.version, int) and found.data is None:
            return found  # the version of a removed record
        return self._checked(found, method, name)
