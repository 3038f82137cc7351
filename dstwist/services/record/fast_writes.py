"""
The fast paths of writes.

They are for a write that waits for nothing but a storage with callbacks: the record is not busy, the cache answers at
once, and the permission is decided at once. Such a write needs no coroutine, which would nearly double its time.
L{RecordWriter.serve<dstwist.services.record.write.RecordWriter.serve>} serves all other writes. If the permission has
been asked already, it gets the decisions.

==============================  ======================================================================================
write                           it is fast if
==============================  ======================================================================================
UPDATE, PATCH                   the record is known
CREATEANDUPDATE, CREATEANDPATCH  the record is known, or it is only in the cache and the cache says that there is none
==============================  ======================================================================================

Always true: the outcome is that of the coroutine. The order of the decisions is the same in both: permission, version
and data, permission to see the record of a conflict. C{tests.services.record.test_fast_writes.SameOutcomeTests} serves
the same writes by both.
"""

from __future__ import annotations

from dstwist.interfaces import IRequester, ISimplePermission
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.freeing import LARGE_WEIGHT
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH
from dstwist.protocol.message import UNREAD, Message
from dstwist.protocol.typed import is_undefined
from dstwist.record import NO_RECORD, Change, Record
from dstwist.services.record.commits import Commit
from dstwist.services.record.decide import Batch, Outcome, WriteDecisions
from dstwist.services.record.failures import RecordError
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.refusals import SendConflict, SendRefusal
from dstwist.services.record.sizes import RecordSizes
from dstwist.services.record.store import RecordStore
from dstwist.services.record.write import RecordWriter
from dstwist.services.record.write_permission import Decided

_RECORD = Topic.RECORD
_CREATE = RecordAction.CREATE
_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH


class FastWrites:
    """
    Serves the writes without a coroutine, as far as possible.

    @param writer: serves the others.
    """

    def __init__(
        self,
        writer: RecordWriter,
        store: RecordStore,
        parts: RecordParts,
        decisions: WriteDecisions,
        sizes: RecordSizes,
    ) -> None:
        settings, queue, refusals = parts.settings, parts.queue, parts.refusals
        excluded = settings.storage_exclusion_prefixes
        permission: ISimplePermission | None = ISimplePermission(parts.permission, None)
        self._permits_all = None if permission is None else permission.permits_all
        self._allows = parts.permission.allows
        self._writer = writer
        self._write = writer.write
        self._serve = writer.serve
        self._known = store.known
        self._lacks = store.lacks
        self._unresolved = store.unresolved
        # Whether there can be writes for the fast path.
        self._is_fast = store.is_instant and (store.has_callbacks or not store.has_storage or bool(excluded))
        self._begin = store.begin if store.has_callbacks else None
        self._keep = store.keep
        self._is_final = store.is_final
        self._excluded = excluded
        self._hot_path_prefixes = settings.storage_hot_path_prefixes
        self._queue = queue
        self._busy = queue.busy
        self._submit = queue.submit
        self._start = queue.start
        self._hold = queue.hold
        self._release = queue.release
        self._on_commit = self._committed
        self._publish = parts.news.written
        self._queued = refusals.queued
        self._predecessors = refusals.predecessors
        self._is_subscribed = refusals.is_subscribed
        self._decide = decisions.decide
        self._newcomers = parts.early_writes.newcomers
        self._newcomer_writes = parts.early_writes.written
        self._make = sizes.make
        self._limits = sizes.limits
        self._free = parts.large_values.free

    def handle(self, message: Message, sender: IRequester) -> None:
        """
        Serve a write in its turn, unless it is one of L{UPSERTS}.
        """
        name: str = message.name  # type: ignore[assignment]  # codecs let no write through without it
        if sender in self._newcomers:
            self._newcomer_writes(name, sender)
        if name in self._busy:
            self._queued(name, message, sender)
            self._submit(self._write, name, message, sender)
            return
        decided: Decided = ()
        action = message.action
        if (
            self._is_fast
            and (action is _PATCH or action is _UPDATE)  # is_plain(message); the call takes 1 % longer
            and message.data is not None
            and (message.value is not UNREAD or len(message.data) < READ_IN_PARTS_LENGTH)
        ):
            state = self._known(name)
            if state is not None and name not in self._unresolved:
                change = Change(state, message, self._limits)
                decision = self._allows(message, sender, change)
                decided = (decision,)
                if decision is True:
                    outcome: Record | SendRefusal | None = None
                    version = state.version + 1
                    if message.version == version and name not in self._predecessors:
                        # Nearly all writes. L{_decide} would make the same record, but the call takes 4 % longer. It
                        # also handles the error.
                        try:
                            outcome = self._make(version, change)
                        except ValueError:
                            pass
                    if outcome is None:
                        outcome = self._decide(name, message, sender, change)
                    if isinstance(outcome, Record):
                        if self._begin is not None and not name.startswith(self._excluded):
                            self._commit(name, message, sender, outcome, change)
                            return
                        if self._keep(name, outcome):
                            self._publish(name, message, sender, outcome, change)
                            if (state.weight or 0) > LARGE_WEIGHT:
                                self._free(change.replaced())
                            return
                    elif self._is_final(name) and (
                        not isinstance(outcome, SendConflict) or self._is_subscribed(name, sender)
                    ):
                        outcome()
                        return
        self._start(self._serve(name, message, sender, decided), self._write, name, message, sender)

    def handle_upsert(self, message: Message, sender: IRequester) -> None:
        """
        Serve in its turn a write that creates the record if it does not exist.
        """
        name: str = message.name  # type: ignore[assignment]  # codecs let no write through without it
        if sender in self._newcomers:
            self._newcomer_writes(name, sender)
        if name in self._busy:
            self._queued(name, message, sender)
            self._submit(self._write, name, message, sender)
            return
        decided: Decided = ()
        if self._is_fast and self._is_simple(name, message):
            state = self._known(name)
            if state is not None or self._lacks(name):
                change = Change(state or NO_RECORD, message, self._limits)
                effect = _UPDATE if message.path is None else _PATCH
                permits_all = self._permits_all
                is_permitted = (
                    permits_all is not None
                    and permits_all(_RECORD, _CREATE, name)
                    and permits_all(_RECORD, effect, name)
                )
                if not is_permitted:
                    # The checks of WritePermission.check_effect. The copies of the message take a tenth of the time of
                    # the write.
                    action = message.action
                    decided = (self._allows(message.acting_as(_CREATE, action), sender, change),)
                    if decided[0] is True:
                        decided += (self._allows(message.acting_as(effect, action), sender, change),)
                        is_permitted = decided[1] is True
                if is_permitted:
                    try:
                        outcome = self._make(1 if state is None else state.version + 1, change)
                    except ValueError:
                        pass
                    else:
                        if self._begin is not None and not name.startswith(self._excluded):
                            assert state is not None, "a storage is asked for each record that is not known"
                            self._commit(name, message, sender, outcome, change)
                            return
                        if self._keep(name, outcome):
                            self._publish(name, message, sender, outcome, change)
                            if state is not None and (state.weight or 0) > LARGE_WEIGHT:
                                self._free(change.replaced())
                            return
        self._start(self._serve(name, message, sender, decided), self._write, name, message, sender)

    def _is_simple(self, name: str, message: Message) -> bool:
        """
        Whether an upsert is short, sets a value, and makes the next version, as nearly all do.
        """
        data = message.data
        return (
            message.version == -1
            and data is not None
            and (message.value is not UNREAD or (len(data) < READ_IN_PARTS_LENGTH and not is_undefined(data)))
            and (message.path is None or not name.startswith(self._hot_path_prefixes))
            # A write that may fail for lack of room for its doubt is served by the coroutine.
            and not self._unresolved
        )

    def _commit(self, name: str, message: Message, sender: IRequester, record: Record, change: Change) -> None:
        """
        Give the record to the storage, which calls L{_committed}.
        """
        assert self._begin is not None
        commit = Commit(name, message, sender, record, change, self._on_commit)
        self._hold(commit)
        self._begin(commit, change.old.version, (change,))

    def _committed(self, commit: Commit, error: RecordError | None, found: Record | None) -> None:
        """
        The commit of a write on the fast path has ended, or another node was faster and C{found} is the record.
        """
        message, change = commit.message, commit.change
        if error is not None or found is not None:
            outcomes: list[Outcome] = [(message, commit.sender, commit.record, change)]
            batch = Batch(change.old, commit.record, outcomes, [], False)
            work = (
                self._writer.commit_failed(commit.name, batch, error)
                if error is not None
                else self._writer.serve_refused(batch, commit, found)  # type: ignore[arg-type]  # one of them is not None
            )
            self._queue.go_on(commit, self._write, work)
            return
        try:
            self._publish(commit.name, message, commit.sender, commit.record, change)
        except Exception:
            self._queue.broke(commit)
        else:
            self._release(commit)
