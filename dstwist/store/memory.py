"""
A store in the memory of this process. Its records are lost when the process ends.

It answers at once: its Deferreds have fired already. The data of a record is never modified, so it is not copied.

A record is either *firm* or *loose*:

=========  =====================================================  ===========================================
a record   if                                                     above a limit
=========  =====================================================  ===========================================
is firm    no other store has it: this store is a storage, or a   the write is refused with L{StoreFull};
           cache without a storage behind it, or the record is    deletions, and writes that make the record
           excluded from the storage                              smaller, succeed
is loose   a storage has it as well                               the least recently used loose records are
                                                                  forgotten
=========  =====================================================  ===========================================

A loose record may be set aside (L{IDoubtingCache}): then it answers no request. The first records to be forgotten are
those that are set aside.

Firm records have priority: loose records get the room that firm records leave. Always true: C{_firm_weight} and
C{_loose_weight} are the sums of the weights of the records, with their names and entries; after a write their sum is at
most C{maxBytes}. Weights are upper bounds (L{dstwist.protocol.weights}).
"""

from __future__ import annotations

import heapq
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from dstwist.errors import StoreFull
from dstwist.interfaces import (
    Change,
    ICountedCache,
    IDoubtingCache,
    IEnumerableStore,
    IKnowingStore,
    ISharedStore,
    Record,
)
from dstwist.protocol.freeing import LARGE_WEIGHT
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name
from dstwist.record import NO_RECORD
from dstwist.scheduling.large_dict import LargeDict
from dstwist.store.tombstones import Tombstones


@implementer(IKnowingStore, ISharedStore, IEnumerableStore, IDoubtingCache, ICountedCache)
class MemoryStore:
    """
    Records in dictionaries.

    @param max_entries: the limit for the number of records; C{None}: no limit.
    @param max_bytes: the limit for their weight; C{None}: no limit.
    @param evict: whether records are forgotten to stay within the limits; otherwise writes are refused.
    @param kept: the prefixes of the names of records that are never forgotten.
    @param tombstones: the versions of removed records; C{None}: they are not remembered.
    @param free: frees the data of a large record that is forgotten (L{dstwist.scheduling.large_values}).
    """

    def __init__(
        self,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        evict: bool = True,
        kept: tuple[str, ...] = (),
        free: Callable[[list[Any]], object] | None = None,
        tombstones: Tombstones | None = None,
    ) -> None:
        self._max_entries = sys.maxsize if max_entries is None else max_entries
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        bounded = max_entries is not None or max_bytes is not None
        # Without limits no record is ever forgotten, so the order of use is not needed.
        self._kept = kept if evict and bounded else ("",)
        # The prefixes of the names of records that no storage has.
        self._unstored = kept if evict else ("",)
        self._free = free
        self._tombstones = tombstones
        self._firm: LargeDict[Record] = LargeDict()
        # The parts of the firm records. To read them here saves each read and write the call of a method.
        self._first, self._more = self._firm.first, self._firm.more
        # The record used last is at the end. Unlike a dict, an OrderedDict finds its first key at once.
        self._loose: OrderedDict[str, Record] = OrderedDict()
        # The loose records that are set aside, in the same order, and those whose names were given. Always true:
        # a name is in one of the three.
        self._aside: OrderedDict[str, Record] = OrderedDict()
        self._given: dict[str, Record] = {}
        self._firm_weight = 0
        self._loose_weight = 0
        self._asked = 0
        self.misses = 0
        self.max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._firm) + len(self._loose) + len(self._aside) + len(self._given)

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self._firm.clear()
        self._loose.clear()
        self._aside.clear()
        self._given.clear()
        self._firm_weight = self._loose_weight = 0
        if self._tombstones is not None:
            self._tombstones.clear()
        return succeed(None)

    @property
    def weight(self) -> int:
        return self._firm_weight + self._loose_weight

    @property
    def hits(self) -> int:
        return self._asked - self.misses

    def known(self, name: str) -> Record | None:
        self._asked += 1
        record = self._first.get(name)
        if record is None:
            if self._more:
                record = self._firm.get(name)
                if record is not None:
                    return record
            if self._loose:
                record = self._loose.get(name)
                if record is not None:
                    self._loose.move_to_end(name)
                    return record
            self.misses += 1
        return record

    def keep(self, name: str, record: Record) -> bool:
        firm, first = self._firm, self._first
        old = found = first.get(name)
        if old is None and self._more:
            old = firm.get(name)
        weight = record.weight
        if weight is None:
            weight = record.weigh()
        if old is not None:
            grown = weight - old.weight  # type: ignore[operator]  # it was weighed when it was kept
        elif not name.startswith(self._kept):
            self._keep_loose(name, record, weight)
            return True
        elif len(firm) >= self._max_entries:
            return False
        else:
            if self._aside or self._given:
                self.drop(name)
            grown = weight + _entry(name)
        # A record may always become smaller, even if the store exceeds its limit.
        if grown > 0 and self._firm_weight + grown > self._max_bytes:
            return False
        if found is None:
            firm[name] = record
        else:
            first[name] = record
        self._firm_weight += grown
        # Each loose record has a weight, with those that are set aside. One look is enough, and each write passes here.
        if self._loose_weight:
            self._make_room()
        return True

    def lacks(self, name: str) -> bool:
        if name in self._firm or name in self._loose:
            return False
        return self._tombstones is None or name not in self._tombstones

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
        record = self._firm.pop(name)
        if record is not None:
            self._firm_weight -= record.weigh() + _entry(name)
        else:
            self._forget(name)
        return succeed(None)

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        found = self.known(name) or NO_RECORD
        if found.version != (-1 if expected is None else expected):
            return succeed(found)
        tombstones = self._tombstones
        if expected is None and tombstones is not None:
            removed = tombstones.version(name)
            if record.version <= removed:
                return succeed(Record(removed, None))
        written = self.write(name, record)
        if expected is None and tombstones is not None and self.known(name) is record:
            tombstones.discard(name)
        return written  # type: ignore[return-value]  # C{None}: the record is kept

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        found = self.known(name) or NO_RECORD
        if found.version != (-1 if expected is None else expected):
            return succeed(found)
        if expected is not None and self._tombstones is not None:
            self._tombstones.add(name, expected)
        return self.delete(name)  # type: ignore[return-value]  # C{None}: the record is removed

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        return succeed({name: (self.known(name) or NO_RECORD).version for name in names})

    def fence(self) -> Deferred[None]:
        return succeed(None)

    def names(self, cursor: Any, limit: int) -> Deferred[tuple[Sequence[str], Any]]:
        after = (name for name in (*self._firm, *self._loose) if cursor is None or name > cursor)
        found = heapq.nsmallest(limit, after)
        return succeed((found, found[-1] if len(found) == limit else None))

    # -- setting aside

    def set_aside(self) -> None:
        aside = self._aside
        if aside or self._given:
            # This takes long if there are very many; but then all of them were set aside shortly before.
            aside.update(reversed(self._given.items()))
            self._given.clear()
            aside.update(self._loose)
            self._loose.clear()
        else:
            self._aside, self._loose = self._loose, aside
        if self._kept != self._unstored:
            # Without limits, the records that the storage has are firm as well.
            for name in [name for name in self._firm if not name.startswith(self._unstored)]:
                record = self._firm.pop(name)
                assert record is not None
                self._aside[name] = record
                weight = record.weigh() + _entry(name)
                self._firm_weight -= weight
                self._loose_weight += weight

    def next_aside(self, limit: int) -> list[str]:
        names: list[str] = []
        while self._aside and len(names) < limit:
            name, record = self._aside.popitem()
            self._given[name] = record
            names.append(name)
        return names

    def aside(self, name: str) -> int | None:
        record = self._aside.get(name) or self._given.get(name)
        return None if record is None else record.version

    def confirm(self, name: str) -> None:
        record = self._given.get(name)
        if record is None:
            return
        if name.startswith(self._kept):
            self._forget(name)
            self.keep(name, record)
            return
        del self._given[name]
        self._loose[name] = record
        # The records that were confirmed before it, and those that are used from now on, are behind it.
        self._loose.move_to_end(name, last=False)

    def drop(self, name: str) -> None:
        if name in self._aside or name in self._given:
            self._forget(name)

    # -- loose records

    def _keep_loose(self, name: str, record: Record, weight: int) -> None:
        if self._aside or self._given:
            self.drop(name)
        loose = self._loose
        old = loose.get(name)
        if old is not None:
            # Most writes replace a record, and there is room for the new one.
            total = self._loose_weight + weight - old.weight  # type: ignore[operator]  # it was weighed when it was kept
            if self._firm_weight + total <= self._max_bytes:
                loose[name] = record
                loose.move_to_end(name)
                self._loose_weight = total
                return
            self._forget(name)
        weight += _entry(name)
        # A record that is larger than the room for loose records would only drive out the others.
        if self._firm_weight + weight > self._max_bytes:
            return
        self._loose[name] = record
        self._loose_weight += weight
        self._make_room()

    def _make_room(self) -> None:
        loose, aside, given = self._loose, self._aside, self._given
        while (loose or aside or given) and (
            self._firm_weight + self._loose_weight > self._max_bytes or len(self) > self._max_entries
        ):
            record = self._forget(next(iter(aside or given or loose)))
            if record is not None and record.weigh() > LARGE_WEIGHT and self._free is not None:
                self._free([record.content])

    def _forget(self, name: str) -> Record | None:
        record = self._loose.pop(name, None)
        if record is None and (self._aside or self._given):
            record = self._aside.pop(name, None) or self._given.pop(name, None)
        if record is not None:
            self._loose_weight -= record.weigh() + _entry(name)
        return record


def _entry(name: str) -> int:
    return ENTRY_WEIGHT + weigh_name(name)
