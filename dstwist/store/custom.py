"""
A store of the operator's own, as the rest of the server sees it: whatever it does, an operation is a Deferred, and what
it says is there is a record.

===============================================  =========================================================
the store's method                               the caller gets
===============================================  =========================================================
gives a Deferred                                 that
is an C{async def}                               a Deferred for its outcome
raises, or gives a value at once                 a Deferred that has failed with that, or fired with it
C{get} gives what is neither a record nor None   a L{StoreError}
===============================================  =========================================================
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from dstwist.errors import StoreError
from dstwist.interfaces import IStore, Record


@implementer(IStore)
class CustomStore:
    """
    The store C{inner}.

    @param source: what the configuration calls it.
    """

    def __init__(self, inner: Any, source: str) -> None:
        self._inner = inner
        self._source = source

    def start(self) -> Deferred[None]:
        return maybeDeferred(self._inner.start)

    def stop(self) -> Deferred[None]:
        return maybeDeferred(self._inner.stop)

    def get(self, name: str) -> Deferred[Record | None]:
        return maybeDeferred(self._inner.get, name).addCallback(self._checked, name)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return maybeDeferred(self._inner.set, name, version, data)

    def delete(self, name: str) -> Deferred[None]:
        return maybeDeferred(self._inner.delete, name)

    def _checked(self, found: Any, name: str) -> Record | None:
        if found is None:
            return None
        if isinstance(found, Record) and isinstance(found.version, int) and isinstance(found.data, (dict, list)):
            return found
        raise StoreError(f"{self._source}: get({name!r}) gave neither None nor a Record(version, object or array)")
