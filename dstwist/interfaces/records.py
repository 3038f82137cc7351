"""
The stores of records: caches and storages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.interfaces.lifecycle import ILifecycle
from dstwist.record import Change, Record


class IStore(ILifecycle):
    """
    Keeps records: a cache, or a storage.

    Operations on one name take effect in the order in which they are called. A store may group the writes of different
    names. A store that knows the answer returns a Deferred that has fired already; callers then go on at once.

    If the store cannot do an operation, its Deferred fails with L{dstwist.errors.StoreError}. A write that fails with
    L{dstwist.errors.StoreRefusal} had no effect, and will have none: the store has no room for it, or cannot be
    reached, for instance. A write that fails for another reason is I{in doubt}: it may have taken effect, and it may
    take effect later. So is a write that has no answer in time. Callers watch the time, and cancel the Deferred of a
    late operation; the store need not cancel the operation.
    """

    def start() -> Deferred[None]:
        """
        Get ready. Nothing else is called before the Deferred has fired.
        """

    def stop() -> Deferred[None]:
        """
        Finish all operations so far, and release everything. Nothing is called after that.
        """

    def get(name: str) -> Deferred[Record | None]:
        """
        The record of that name; C{None} if there is no record.
        """

    def set(name: str, version: int, data: Any) -> Deferred[None]:
        """
        Keep a record in place of the one that is there, if any. A durable store has it on disk when the Deferred fires.
        """

    def delete(name: str) -> Deferred[None]:
        """
        Remove a record. It is no failure if there is no record. The store need not remember its version.
        """


class ISharedStore(IStore):
    """
    A store that several writers can share: services of one process, or processes. It decides which of two writers is
    the first. Each write names the version that it follows, and is refused if the store has another one.

    Each operation is atomic for all users of the store. A write that is refused changes nothing.

    A caller does not repeat a write that is in doubt. It calls C{fence}, and then C{get}.
    """

    def replace(
        name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        """
        Keep a record in place of the one that has the version C{expected}; C{None}: in the place of no record. A
        durable store has it on disk when the Deferred fires.

        The versions of a name do not go back: a record that is created anew needs a higher version than the one that
        was removed, as long as the store remembers that (C{remove}). So a creation that was decided on an earlier
        removal is refused if another writer has created the record, and removed it again, in the meantime.

        @param changes: the writes that lead from the expected record to C{record}, in their order, each with its paths
            and values (L{dstwist.record.Change.changes}). The store may write them instead of the whole record. If
            there are none, the record is new, or the way to it is unknown.
        @return: C{None} if the record is kept. Otherwise the record that the store has instead;
            L{dstwist.record.NO_RECORD} if it has none. If the version of a record that is created anew is too low: a
            L{Record} with the version of the removed one and the data C{None}.
        """

    def remove(name: str, expected: int | None) -> Deferred[Record | None]:
        """
        Remove the record if it has the version C{expected}, and remember that version for C{record.deletionMemory}, or
        as long as there is room; C{None}: make sure that there is no record.

        @return: C{None} if there is no record now. Otherwise the record that the store has instead;
            L{dstwist.record.NO_RECORD} if one was expected, and there is none.
        """

    def heads(names: Iterable[str]) -> Deferred[dict[str, int]]:
        """
        The version of each record; -1 if there is no record. These are versions that C{get} could give. A record whose
        version cannot be read is left out, so that the others have theirs.
        """

    def fence() -> Deferred[None]:
        """
        Make sure that no operation which was called by this process so far takes effect after an operation that is
        called once the Deferred has fired. A store that executes the operations on each name in their order, whatever
        happens, has nothing to do. A store behind a connection that broke ends the old connection at its server.
        """


class IRecordStore(IStore):
    """
    A store that takes a record as an object, so that its JSON text is made once for both stores.
    """

    def write(name: str, record: Record) -> Deferred[None]:
        """
        Like C{set}.
        """


#: The version that L{ICallbackStore.submit} expects if the write takes effect whatever there is.
ANY_VERSION: Any = object()

#: Called when a write has ended: with the argument of the caller, the L{dstwist.errors.StoreError} if the write has
#: failed, and the record that is there instead if the write was refused.
Done = Callable[[Any, Exception | None, Record | None], object]


class ICallbackStore(IRecordStore):
    """
    A store that tells the outcome of a write without a Deferred, which would cost as much as the write.
    """

    def submit(
        name: str, expected: int | None, record: Record, changes: Sequence[Change], done: Done, argument: Any
    ) -> None:
        """
        Like C{write} if C{expected} is L{ANY_VERSION}, otherwise like L{ISharedStore.replace}. When the Deferred would
        fire or fail, the store calls C{done} with C{argument}. If the store cannot take the write, it may do that
        before this method returns.
        """


class IInstantStore(IRecordStore):
    """
    A store that can answer without Deferreds, at least sometimes: two Deferreds cost as much as a write to memory.
    """

    def known(name: str) -> Record | None:
        """
        The record of that name, if the store knows it at once. C{None} says nothing: ask C{get} then.
        """

    def keep(name: str, record: Record) -> bool:
        """
        Keep a record at once, like C{set}. If that is not possible, do nothing and return C{False}: call C{set} then.
        """


class IKnowingStore(IInstantStore):
    """
    An instant store that knows at once which records it does not have.
    """

    def lacks(name: str) -> bool:
        """
        Whether the store has no record of that name, and does not remember that it had one. So C{keep} may be given
        version 1 of the record. C{False} says nothing.
        """


class IReplaceableStore(Interface):
    """
    A store in a server of its own, which may lose acknowledged writes: it was restarted without its data, was restored,
    or a replica that was behind took over.
    """

    def on_reconnected(callback: Callable[[str | None], object]) -> None:
        """
        Have C{callback} called each time the store can be used again after its connection was lost, and each time the
        store has other data than before although the connection stayed. If the store may have less than before, because
        another server answers, or one that was restarted, or its data are not those of before, the argument is the
        reason, a few words for the log; otherwise it is C{None}. The operations that are called afterwards find the
        data that the store has now.

        This is called before the start. It may be called several times: the callbacks are called in the same order.
        """


class IDoubtingCache(Interface):
    """
    A cache in the memory of this process that can set records aside until the storage behind it confirms them. Only the
    records that the storage has as well are set aside. They answer no request meanwhile.
    """

    def set_aside() -> None:
        """
        Set all records aside.
        """

    def next_aside(limit: int) -> list[str]:
        """
        The names of the next records that are set aside, the most recently used first. Each is given once after
        C{set_aside}; there are no more if the list is empty.
        """

    def aside(name: str) -> int | None:
        """
        The version of a record that is set aside; C{None} if there is none. A record that is written meanwhile is not
        set aside any more.
        """

    def confirm(name: str) -> None:
        """
        Use a record again that C{next_aside} has given. Called about in the order in which it has given them.
        """

    def drop(name: str) -> None:
        """
        Forget a record that is set aside.
        """


class ICountedCache(Interface):
    """
    A cache in the memory of this process that knows how much it is used.
    """

    weight: int = Attribute("The bytes of memory that its records take, as far as they can be estimated.")

    max_bytes: int | None = Attribute("The most bytes; C{None} if there is no limit.")

    hits: int = Attribute("How often a record was asked for that it had.")

    misses: int = Attribute("How often a record was asked for that it did not have.")


class IStoreStatus(Interface):
    """
    A store that can report its state. Both methods answer at once.
    """

    def contents() -> str:
        """
        The content that the store found at the start, in a few words for the log: C{1234 records}, or that there is
        nothing yet.
        """

    def problem() -> str | None:
        """
        Why the store cannot write at present, as far as it knows; C{None} if it can. While there is a reason, the
        server tells load balancers that it is not ready. A limit that the operator has set is no such reason, and
        neither is a single write that fails: clients could cause both.
        """


class IEnumerableStore(Interface):
    """
    A store that can list the names of its records, so that they can be exported.
    """

    def names(cursor: Any, limit: int) -> Deferred[tuple[Sequence[str], Any]]:
        """
        The names of some records, in an order that the store chooses, and the cursor of the names that follow. A record
        that exists from the first call to the last is in at least one answer; other records may be.

        @param cursor: C{None}: from the beginning. Otherwise the cursor of an earlier answer.
        @param limit: about how many names to return.
        @return: the second item is C{None} after the last names.
        """


class IStoreMaker(Interface):
    """
    Makes the stores of a type that does not come with dstwist. A L{twisted.plugin.IPlugin} in C{twisted.plugins} that
    provides this is found by its name.
    """

    name: str = Attribute("Its name in the configuration: C{storage: {type: <name>}}.")

    def make(options: Mapping[str, Any], context: Any) -> IStore:
        """
        A store. It opens nothing before its start.

        @param options: as in the configuration.
        @param context: a L{dstwist.plugins.PluginContext}.
        @raise ValueError: the options cannot be used. The text says which, and why.
        """
