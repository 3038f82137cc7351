"""
Writes a batch of records to a store.

==============================  ===============================================  =====================================
the store has the record        and by default                                   with C{overwrite}
==============================  ===============================================  =====================================
not                             it is written                                    it is written
with a lower version            it is written                                    it is written
with the same, or a higher one  it is left as it is: it counts as skipped        it is written
==============================  ===============================================  =====================================

If the store remembers that a record of that name was removed at the same version or a higher one, the record is written
with the version after that one: versions do not go back.

A store that decides between several writers (L{ISharedStore}) is told what is there, so a write of another process
is not lost. Any other store must have no other writer meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from dstwist.errors import TransferError
from dstwist.interfaces import ISharedStore, IStore, Record
from dstwist.store.tiers import within

#: How often a write is attempted if another process writes the record at the same time.
_ATTEMPTS = 5

#: How long a store may take for a batch, in seconds.
TIMEOUT = 60.0


class Item(NamedTuple):
    """
    A record to write.

    @ivar line: the number of its line.
    """

    line: int
    name: str
    record: Record


class Outcome(NamedTuple):
    """
    The outcome of a batch: the items that were written, those that were skipped, and those that failed with a reason.
    """

    written: list[Item]
    skipped: list[Item]
    failed: list[tuple[Item, str]]


async def write_batch(store: IStore, items: Sequence[Item], overwrite: bool, clock: IReactorTime) -> Outcome:
    """
    Write records of different names.

    @raise TransferError: the store does not answer, or cannot say what it has.
    """
    outcome = Outcome([], [], [])
    known = await known_versions(store, [item.name for item in items], clock)
    left = list(items)
    for _ in range(_ATTEMPTS):
        wanted: list[Item] = []
        for item in left:
            newer = overwrite or item.record.version > known[item.name]
            (wanted if newer else outcome.skipped).append(item)
        left = []
        results = await _all([_write(store, item, known[item.name]) for item in wanted], clock)
        for item, (success, result) in zip(wanted, results, strict=True):
            if not success:
                outcome.failed.append((item, result.getErrorMessage()))
            elif result is None:
                outcome.written.append(item)
            elif result.data is None and result.version >= 0:
                left.append(item._replace(record=Record(result.version + 1, item.record.content)))
            else:
                known[item.name] = result.version
                left.append(item)
        if not left:
            break
    outcome.failed.extend((item, "another process writes the record at the same time") for item in left)
    return outcome


def _write(store: IStore, item: Item, known: int) -> Deferred[Record | None]:
    if ISharedStore.providedBy(store):
        expected = None if known < 0 else known
        written: Deferred[Record | None] = ISharedStore(store).replace(item.name, expected, item.record)
        return written
    done: Deferred[None] = store.set(item.name, item.record.version, item.record.data)
    return done.addCallback(lambda result: None)


async def known_versions(store: IStore, names: Sequence[str], clock: IReactorTime) -> dict[str, int]:
    """
    The versions of the records that the store has; -1 if there is no record.

    @raise TransferError: the store does not say.
    """
    try:
        if ISharedStore.providedBy(store):
            heads: dict[str, int] = await within(ISharedStore(store).heads(names), TIMEOUT, clock)
            return {name: heads.get(name, -1) for name in names}
    except Exception as error:
        raise TransferError(f"the store cannot be read: {error}") from None
    versions = {}
    results = await _all([store.get(name) for name in names], clock)
    for name, (success, result) in zip(names, results, strict=True):
        if not success:
            raise TransferError(f"{name!r} cannot be read from the store: {result.getErrorMessage()}")
        versions[name] = -1 if result is None else result.version
    return versions


async def _all(deferreds: Iterable[Deferred[Any]], clock: IReactorTime) -> list[tuple[bool, Any]]:
    found: list[tuple[bool, Any]] = await DeferredList(
        [within(deferred, TIMEOUT, clock) for deferred in deferreds], consumeErrors=True
    )
    return found
