"""
Reconciliation of records whose last write has an unknown outcome.

A store that fails a write, or does not answer in time, may have written the record, or may write it later. From then on
the record is I{unresolved}, until its arbiter (L{dstwist.store.tiers}) says what the record contains. If the arbiter
says that the write had no effect (L{StoreRefusal<dstwist.errors.StoreRefusal>}), nothing is unresolved::

    a write fails --> unresolved --> the arbiter is asked, and the cache made to agree --> on_resolved is called
                          ^                    |
                          |                    | fails
                          +---- L{FIRST_RETRY_SECONDS}, then twice as long each time, at most L{MAX_RETRY_SECONDS}

The arbiter is asked right after the failure, by each request that needs the record, again after the time above, and
when a store can be used again after its connection was lost: a few records at a time, since there may be very many.
Before that the stores are fenced (C{fence} of L{ISharedStore<dstwist.interfaces.ISharedStore>}), so no earlier write
can change the record after this answer. A write is not repeated: its writer gets an error, and then the record.

===================================================  ==============================================
the record                                           is sent to
===================================================  ==============================================
is what it was before the failed writes (L{assume})  the clients whose writes failed
is anything else                                     all subscribers
===================================================  ==============================================

In the first case all other clients have the record already. They may have sent a write of the next version, and would
give up that write if they were sent the record once more.

Always true: an unresolved record has a timer, unless the server stops or the record is being reconciled. All methods
but L{Reconciliation.stop} are called by steps of the record's queue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.interfaces import IRequester, Record, Work
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.services.record.failures import RecordError, read_failed
from dstwist.services.record.queue import RecordQueue
from dstwist.store.tiers import TieredStore, TierError

#: How long an unresolved record waits for the next attempt, in seconds: the first and the longest time.
FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0

#: With more unresolved records, all writes are refused, and no more records become unresolved because the arbiter could
#: not be asked. Clients can ask for that (NOTIFY), with as many names as they like.
MAX_UNRESOLVED_RECORDS = 100000

#: How many records are retried at a time when a store can be used again.
RETRIED_AT_ONCE = 100

#: The request of the server itself.
_RECONCILE = Message(Topic.RECORD, RecordAction.NOTIFY)

_NOT_ASSUMED: Any = object()

#: Called with the name of a record, the record (C{None} if there is none), and the clients to be told; C{None} stands
#: for all subscribers.
OnResolved = Callable[[str, Record | None, list[IRequester] | None], None]


@dataclass(eq=False, slots=True)
class _Unresolved:
    """
    One unresolved record.

    @ivar wait: the time before the next attempt.
    @ivar assumed: the record before the failed writes, if known.
    @ivar writers: the clients whose writes failed, in their order.
    """

    wait: float = 0.0
    timer: IDelayedCall | None = None
    assumed: Record | None = _NOT_ASSUMED
    writers: dict[IRequester, None] = field(default_factory=dict)

    def cancel(self) -> None:
        """
        Make no further attempt.
        """
        if self.timer is not None and self.timer.active():
            self.timer.cancel()


class Reconciliation:
    """
    The unresolved records.

    @ivar added: how often a record has become unresolved.
    @param on_resolved: called for each record that is resolved.
    """

    def __init__(self, tiers: TieredStore, queue: RecordQueue, clock: IReactorTime, on_resolved: OnResolved) -> None:
        self._tiers = tiers
        self._queue = queue
        self._clock = clock
        self._on_resolved = on_resolved
        self.added = 0
        self._records: dict[str, _Unresolved] = {}
        self._stopped = False
        self._slices = TimeSlices(clock)
        # Whether all records are being retried, and whether they are retried once more after that.
        self._retrying = False
        self._retry_again = False

    def __len__(self) -> int:
        return len(self._records)

    @property
    def full(self) -> bool:
        """
        Whether there are too many unresolved records.
        """
        return len(self._records) >= MAX_UNRESOLVED_RECORDS

    def add(self, name: str) -> None:
        """
        The record is unresolved, because a write failed or the arbiter could not be asked.
        """
        unresolved = self._records.get(name)
        if unresolved is None:
            unresolved = self._records[name] = _Unresolved()
            self.added += 1
            self._tiers.mark_unresolved(name)
        if unresolved.timer is None or not unresolved.timer.active():
            unresolved.wait = min(unresolved.wait * 2, MAX_RETRY_SECONDS) or FIRST_RETRY_SECONDS
            unresolved.timer = None if self._stopped else self._clock.callLater(unresolved.wait, self._retry, name)

    def assume(self, name: str, record: Record | None) -> None:
        """
        Before the failed writes, all clients knew that the record held this. Only the first call about an unresolved
        record counts, and none about another one.
        """
        unresolved = self._records.get(name)
        if unresolved is not None and unresolved.assumed is _NOT_ASSUMED:
            unresolved.assumed = record

    def add_writer(self, name: str, connection: IRequester) -> bool:
        """
        A write of C{connection} failed. The client is sent the record when it is resolved.

        @return: whether the record is unresolved; if not, the client is sent nothing.
        """
        unresolved = self._records.get(name)
        if unresolved is None:
            return False
        unresolved.writers[connection] = None
        return True

    async def reconcile(self, name: str) -> Record | None:
        """
        Resolve the record, and return it; C{None} if there is none.

        @raise RecordError: the arbiter could not be asked; the record stays unresolved.
        """
        unresolved = self._records.get(name)
        record = await self.refresh(name)
        unchanged = unresolved is not None and unresolved.assumed == record
        self._on_resolved(name, record, list(unresolved.writers) if unresolved is not None and unchanged else None)
        return record

    async def try_to_reconcile(self, name: str) -> None:
        """
        L{reconcile} the record if it is unresolved; if that fails, there is another attempt later.
        """
        if name not in self._records:
            return
        try:
            await self.reconcile(name)
        except RecordError:
            pass  # It is logged, and the requests that wait in the queue get the error.

    async def refresh(self, name: str) -> Record | None:
        """
        The record as its arbiter has it; C{None} if there is none. Afterwards the cache agrees, and the record is
        resolved. The caller tells subscribers about it.

        @raise RecordError: the arbiter could not be asked; the record is unresolved now, unless there are too many.
        """
        try:
            record = await self._tiers.refresh(name)
        except TierError as error:
            failure = read_failed(name, error)
            if name in self._records or not self.full:
                self.add(name)
            self._queue.failed(name, failure)
            raise failure from error
        unresolved = self._records.pop(name, None)
        if unresolved is not None:
            self._tiers.mark_resolved(name)
            unresolved.cancel()
        return record

    def retry(self) -> None:
        """
        Make the next attempt for all records now.
        """
        self._retry_again = True
        if not self._retrying and not self._stopped:
            self._retrying = True
            self._slices.do(self._retry_all())

    def _retry_all(self) -> Work:
        while self._retry_again:
            self._retry_again = False
            names = iter(list(self._records))
            while (batch := list(islice(names, RETRIED_AT_ONCE))) and not self._stopped:
                served: Deferred[None] = Deferred()
                left = len(batch)

                def done(served: Deferred[None] = served) -> None:
                    nonlocal left
                    left -= 1
                    if not left:
                        served.callback(None)

                for name in batch:
                    self._queue.submit(self._reconcile_in_turn, name, _RECONCILE, None, done, always=True)
                yield served
        self._retrying = False

    def stop(self) -> None:
        """
        Make no further attempts.
        """
        self._stopped = True
        for unresolved in self._records.values():
            unresolved.cancel()

    def _retry(self, name: str) -> None:
        self._queue.submit(self._reconcile_in_turn, name, _RECONCILE, None, always=True)

    async def _reconcile_in_turn(self, name: str, message: Message, sender: None) -> None:
        await self.try_to_reconcile(name)
