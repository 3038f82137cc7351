"""
A store in this process: as fast as can be, and gone with it.

It answers at once, in Deferreds that have fired already. Data is never changed by anybody, so it is kept as it is.

With limits it is either a cache, which forgets what was not used for longest, or a storage, which forgets nothing and
refuses what would not fit. A cache may be told of names that are nowhere else: of these it is the storage. Without
limits, the default, there is no difference. The size of a record is that of its
name and its JSON text; the memory it takes is several times that.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from dstwist.errors import StoreError
from dstwist.interfaces import IInstantStore, Record
from dstwist.protocol.jsontext import dumps


@implementer(IInstantStore)
class MemoryStore:
    """
    Records in a dictionary.

    @param max_entries: how many records it may keep.
    @param max_bytes: how much they may be together.
    @param evict: whether it forgets to stay within the limits; otherwise it refuses.
    @param kept: what the names of records start with that it never forgets.
    """

    def __init__(
        self,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        evict: bool = True,
        kept: tuple[str, ...] = (),
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._kept = kept if evict else ("",)
        self._bounded = max_entries is not None or max_bytes is not None
        # Those used last are at the end, if there is a limit.
        self._records: dict[str, Record] = {}
        # Those that may not be forgotten, if there is a limit.
        self._firm: dict[str, Record] = {}
        self._firm_size = 0
        self._sizes: dict[str, int] = {}
        self._size = 0

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self._records.clear()
        self._firm.clear()
        self._sizes.clear()
        self._size = self._firm_size = 0
        return succeed(None)

    def known(self, name: str) -> Record | None:
        record = self._records.get(name)
        if self._bounded:
            if record is None:
                return self._firm.get(name)
            del self._records[name]
            self._records[name] = record
        return record

    def keep(self, name: str, record: Record) -> bool:
        if self._bounded:
            return False
        self._records[name] = record
        return True

    def get(self, name: str) -> Deferred[Record | None]:
        return succeed(self.known(name))

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self.write(name, Record(version, data))

    def write(self, name: str, record: Record) -> Deferred[None]:
        return succeed(None) if self.keep(name, record) else self._set_bounded(name, record)

    def delete(self, name: str) -> Deferred[None]:
        self._forget(name)
        return succeed(None)

    def _set_bounded(self, name: str, record: Record) -> Deferred[None]:
        size = 0 if self._max_bytes is None else len(name.encode("utf-8", "replace")) + len(dumps(record.data))
        firm = name.startswith(self._kept)
        if firm:
            entries = len(self._firm) + (name not in self._firm)
            if self._max_entries is not None and entries > self._max_entries:
                return fail(StoreError(f"the memory store is full: it may keep {self._max_entries} records"))
            if self._max_bytes is not None and self._firm_size - self._sizes.get(name, 0) + size > self._max_bytes:
                return fail(StoreError(f"the memory store is full: it may keep {self._max_bytes} bytes"))
        self._forget(name)
        (self._firm if firm else self._records)[name] = record
        if self._max_bytes is not None:
            self._sizes[name] = size
            self._size += size
            self._firm_size += size if firm else 0
        while self._is_full():
            # What is bigger than the whole store goes as well, rather than an older version of it staying.
            self._forget(next(iter(self._records)))
        return succeed(None)

    def _is_full(self) -> bool:
        return (self._max_entries is not None and len(self._records) + len(self._firm) > self._max_entries) or (
            self._max_bytes is not None and self._size > self._max_bytes
        )

    def _forget(self, name: str) -> None:
        if self._records.pop(name, None) is not None:
            self._size -= self._sizes.pop(name, 0)
        elif self._firm.pop(name, None) is not None:
            size = self._sizes.pop(name, 0)
            self._size -= size
            self._firm_size -= size
