"""
A store in this process: as fast as can be, and gone with it.

It answers at once, in Deferreds that have fired already. Data is never changed, so it is kept as it is.

A record is either *firm* or *loose*:

=========  ====================================================  ==========================================
a record   if                                                    past a limit
=========  ====================================================  ==========================================
is firm    nothing else has it: the store is a storage, or a     the write is refused with L{StoreFull};
           cache without a storage behind it, or the record is   writes that make the record smaller, and
           excluded from the storage                             deletions, go on
is loose   a storage has it as well                              those are forgotten that were not used
                                                                 for longest
=========  ====================================================  ==========================================

Firm records come first: loose ones have the room that firm ones leave. Always true: C{_firm_weight} and
C{_loose_weight} are the sums of the weights of the records, with their names and entries; after a write they are not
above C{maxBytes} together. Weights are estimates from above (L{dstwist.protocol.weights}).
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from dstwist.errors import StoreFull
from dstwist.interfaces import IInstantStore, Record
from dstwist.protocol.weights import ENTRY, weigh_name


@implementer(IInstantStore)
class MemoryStore:
    """
    Records in dictionaries.

    @param max_entries: how many records it may keep; C{None}: any number.
    @param max_bytes: how much they may weigh together; C{None}: anything.
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
        self._max_entries = sys.maxsize if max_entries is None else max_entries
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        bounded = max_entries is not None or max_bytes is not None
        # Without limits no record has to go, and the order of use need not be known.
        self._kept = kept if evict and bounded else ("",)
        self._firm: dict[str, Record] = {}
        # The record used last is at the end. Unlike a dict, this finds its first key at once.
        self._loose: OrderedDict[str, Record] = OrderedDict()
        self._firm_weight = 0
        self._loose_weight = 0

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self._firm.clear()
        self._loose.clear()
        self._firm_weight = self._loose_weight = 0
        return succeed(None)

    def known(self, name: str) -> Record | None:
        record = self._firm.get(name)
        if record is None and self._loose:
            record = self._loose.get(name)
            if record is not None:
                self._loose.move_to_end(name)
        return record

    def keep(self, name: str, record: Record) -> bool:
        firm = self._firm
        old = firm.get(name)
        weight = record.weight
        if weight is None:
            weight = record.weigh()
        if old is not None:
            grown = weight - old.weight  # type: ignore[operator]  # it was weighed when it was kept
        elif not name.startswith(self._kept):
            self._keep_loose(name, record, weight + _entry(name))
            return True
        elif len(firm) >= self._max_entries:
            return False
        else:
            grown = weight + _entry(name)
        # A record may always become smaller, also if the store is fuller than it may be.
        if grown > 0 and self._firm_weight + grown > self._max_bytes:
            return False
        firm[name] = record
        self._firm_weight += grown
        if self._loose:
            self._make_room()
        return True

    def get(self, name: str) -> Deferred[Record | None]:
        return succeed(self.known(name))

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self.write(name, Record(version, data))

    def write(self, name: str, record: Record) -> Deferred[None]:
        if self.keep(name, record):
            return succeed(None)
        if name not in self._firm and len(self._firm) >= self._max_entries:
            return fail(StoreFull(f"the memory store is full: it may keep {self._max_entries} records"))
        return fail(StoreFull(f"the memory store is full: it may keep {self._max_bytes} bytes"))

    def delete(self, name: str) -> Deferred[None]:
        record = self._firm.pop(name, None)
        if record is not None:
            self._firm_weight -= record.weigh() + _entry(name)
        else:
            self._forget(name)
        return succeed(None)

    def _keep_loose(self, name: str, record: Record, weight: int) -> None:
        self._forget(name)
        # A record that is too large for all the room there is would only drive out the others.
        if self._firm_weight + weight > self._max_bytes:
            return
        self._loose[name] = record
        self._loose_weight += weight
        self._make_room()

    def _make_room(self) -> None:
        loose = self._loose
        while loose and (
            self._firm_weight + self._loose_weight > self._max_bytes or len(loose) + len(self._firm) > self._max_entries
        ):
            self._forget(next(iter(loose)))

    def _forget(self, name: str) -> None:
        record = self._loose.pop(name, None)
        if record is not None:
            self._loose_weight -= record.weigh() + _entry(name)


def _entry(name: str) -> int:
    return ENTRY + weigh_name(name)
