"""
Deciding writes: which of them is permitted, valid and the next version, and which record it makes.

::

    for each queued write: permitted?  valid?  the next version?  --> a new state, or a refusal

A write is decided on the record as the write before it has left it: permission, version and data are all checked with
one L{Change<dstwist.record.Change>}. The writes that are queued while the stores are busy are decided one after the
other, and form a I{batch}. A batch is limited in time and in bytes; the writes behind it form the next batch. Nothing
is written here, so the writes of a batch can be decided once more, on another record.

===================================  ===================================================================================
version of the write                 outcome
===================================  ===================================================================================
-1                                   the next version
the current one and one              that version
the current one or less              VERSION_EXISTS
more                                 INVALID_VERSION
1, and the record is new             the next version: see below
of a client of v2 and v3 that has    RECORD_UPDATE_ERROR: see L{dstwist.services.record.replicas}
not heard of a deletion
===================================  ===================================================================================

Writes that create a record (CREATEANDUPDATE, CREATEANDPATCH, and acknowledged writes of v4+ clients) find version 0 and
C{{}} if the record does not exist. All other writes fail then.

The versions of a name do not go back. If a record was removed at version 7, and the store still knows that, the next
record of its name begins with version 8 and C{{}}, and the first write makes version 9. A client that has created the
record, and has not been sent it yet, believes that its first write makes version 1. So version 1 counts as -1 for the
first write.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from twisted.internet.defer import DeferredLock

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.jsontext import NoRoom
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Change, Record
from dstwist.scheduling.time_slices import STEP_TIME, TurnPause
from dstwist.scheduling.turns import TIME_SLICE, Turns
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.queue import Request, Step
from dstwist.services.record.refusals import SendConflict, SendRefusal
from dstwist.services.record.sizes import RecordSizes
from dstwist.services.record.write_permission import Decided, WritePermission, creates, is_plain

_CREATEANDUPDATE = RecordAction.CREATEANDUPDATE

#: The limit for the weight (L{dstwist.protocol.weights}) of the states of one batch, and of the answers that contain
#: the record. All of them are in memory at the same time. Larger batches would save commits only for records whose
#: commit costs less than their writes.
MAX_BATCH_WEIGHT = 64 * 1024 * 1024

#: A write, its sender, its outcome, and the change on which it was decided.
Outcome = tuple[Message, IRequester, Record | SendRefusal, Change]


class Batch(NamedTuple):
    """
    Writes that are decided.

    @ivar first: the record before them; L{NO_RECORD} if it does not exist.
    @ivar last: the record after them.
    @ivar outcomes: the outcome of each write, in their order.
    @ivar taken: the requests of all writes but the first.
    @ivar long: whether one of the writes is long.
    """

    first: Record
    last: Record
    outcomes: list[Outcome]
    taken: list[Request]
    long: bool

    @property
    def changes(self) -> list[Change]:
        """
        The changes of the accepted writes.
        """
        return [change for _, _, outcome, change in self.outcomes if isinstance(outcome, Record)]


class WriteDecisions:
    """
    Decides writes.
    """

    def __init__(self, parts: RecordParts, write_permission: WritePermission, sizes: RecordSizes) -> None:
        self._queue = parts.queue
        self._allows = parts.permission.allows
        self._refusals = refusals = parts.refusals
        self._write_permission = write_permission
        self._predecessors = refusals.predecessors
        self._is_first_write = refusals.is_first_write
        self._hot_path_prefixes = parts.settings.storage_hot_path_prefixes
        self._make = sizes.make
        self._limits = sizes.limits
        self._turns = Turns.of(parts.clock)
        # Acquired while a long write is read.
        self._long_writes = DeferredLock()

    async def batch(
        self,
        step: Step,
        name: str,
        first: Record,
        message: Message,
        sender: IRequester,
        decided: Decided,
        removed: int = -1,
    ) -> Batch:
        """
        Decide a write, and the writes that are queued right behind it, for the step under way.

        @param step: the step that serves the writes behind it.
        @param first: the record; L{NO_RECORD} if it does not exist.
        @param decided: the decisions about the first write that the permission was asked for already.
        @param removed: as of L{decide}.
        """
        state = first
        outcomes: list[Outcome] = []
        taken: list[Request] = []
        room = MAX_BATCH_WEIGHT
        long = False
        now = self._turns.now
        deadline = now() + TIME_SLICE
        while True:
            change = Change(state, message, self._limits)
            if change.is_long:
                long = True
                await self._compute(change)
            outcome: Record | SendRefusal | None
            if is_plain(message) and not (state is NO_RECORD and creates(message, sender)):
                decision = decided[0] if decided else self._allows(message, sender, change)
                outcome = (
                    None
                    if decision is True
                    else await self._write_permission.check_decision(name, message, sender, change, decision)
                )
            else:
                outcome = await self._write_permission.check_effect(name, message, sender, change, decided)
            decided = ()
            if outcome is None:
                outcome = self.decide(name, message, sender, change, removed)
                if isinstance(outcome, SendConflict) and not await self._write_permission.may_see(name, sender, change):
                    outcome = partial(self._refusals.outdated, name, message, sender)
            outcomes.append((message, sender, outcome, change))
            if isinstance(outcome, Record):
                creates_record = state is NO_RECORD
                state = outcome
                if creates_record:
                    # If the store remembers a removed record, or another one by now, it has to compare the first
                    # version of the new one.
                    break
            room -= state.weigh()
            if room < 0 or now() > deadline:
                break
            following = self._queue.take_following(name, step)
            if following is None:
                break
            taken.append(following)
            message, sender = following.message, following.sender
        return Batch(first, state, outcomes, taken, long)

    def decide(
        self, name: str, message: Message, sender: IRequester, change: Change, removed: int = -1
    ) -> Record | SendRefusal:
        """
        The new state that a permitted write makes, or its refusal.

        @param removed: if there is no record: the version at which it was removed; -1 if there was none.
        """
        state = change.old
        current = state.version
        wanted: int = message.version  # type: ignore[assignment]  # codecs let no write through without it
        refusals = self._refusals
        if message.is_write_ack and refusals.has_no_callback(name, message, sender):
            message = replace(message, is_write_ack=None)
        try:
            if state is NO_RECORD:
                if not creates(message, sender):
                    change.apply()  # raises if the write is invalid
                    reason = f"Received update for non-existant record {name}"
                    return partial(refusals.failed, name, message, sender, state, reason)
                current = removed + 1
            elif wanted == current + 1 and not (
                # A client of v2 and v3 that is not subscribed writes only before it hears of the deletion.
                name in self._predecessors and refusals.has_no_callback(name, message, sender)
            ):
                return self._make(wanted, change)
            if (
                wanted == -1
                or (
                    wanted == 1
                    and (
                        state is NO_RECORD
                        or (
                            name in self._predecessors
                            and self._is_first_write(name, sender, current)
                            and state.data == {}
                        )
                    )
                )
                or (message.action is _CREATEANDUPDATE and name.startswith(self._hot_path_prefixes))
            ):
                return self._make(current + 1, change)
            change.apply()
        except NoRoom as problem:
            return partial(refusals.failed, name, message, sender, state, str(problem))
        except ValueError as problem:
            return partial(refusals.invalid, name, message, sender, state, str(problem))
        # A missing record has version 0 for this, whatever is remembered.
        if wanted > max(state.version, 0) + 1 and not sender.dialect.merges_versions_ahead:
            return partial(refusals.ahead, name, message, sender, state)
        return SendConflict(refusals.conflict, name, message, sender, state)

    async def _compute(self, change: Change) -> None:
        """
        Read a long write, and compute its effect, in slices; one at a time of all records, since values take much more
        memory than their texts.
        """
        async with self._long_writes:
            pause = TurnPause(self._turns)
            for _ in change.computing():
                if pause.due():
                    await pause.wait()
            if pause.due(STEP_TIME):
                # To measure the new record is one step, and a long one.
                await pause.wait()
