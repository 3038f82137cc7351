"""
Writing records: the order of things, which decides who wins.

::

    load --> for each write in line:  permitted?  valid?  its version's turn?  --> a new state, or a refusal
         --> one commit of the last state  --> tell, in order: subscribers of each new state, writers of all

Everything is decided here, at the head of the record's line, and nowhere before: on the data that the write will
change, and on the version that it will follow. Writes that came while the stores were busy are decided one after the
other and committed together, so that a slow storage slows down a record's writers less than their number would have it.
Nobody is told of a state before the stores have it.

===================================  ===================================================================================
version of the write                 what comes of it
===================================  ===================================================================================
-1                                   the next version
the current one and one              that
less, or the same                    VERSION_EXISTS
more                                 INVALID_VERSION
of a deleted predecessor             VERSION_EXISTS: see L{dstwist.services.record_deletions}
===================================  ===================================================================================

A record that is not there has version 0 and C{{}} for those who may create it (CREATEANDUPDATE, CREATEANDPATCH, and
what wants an acknowledgement from v4+ clients); for all others the write fails.

If a commit fails, the writers of what was to be committed are told so, refusals that followed from it are decided
again, and whoever may believe something else gets what the stores say is true (L{dstwist.services.record_store}).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import ICluster, IConnection, IPermission, Record
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.protocol.paths import parse, set_many, write_at
from dstwist.protocol.typed import UNDEFINED, value_of
from dstwist.services import record_answers as answers
from dstwist.services.record_deletions import Deletions
from dstwist.services.record_losers import Losers
from dstwist.services.record_queue import RecordQueue, Request
from dstwist.services.record_returned import Returned
from dstwist.services.record_sizes import RecordSizes
from dstwist.services.record_store import RecordError, RecordStore
from dstwist.subscriptions import SubscriptionRegistry

_RECORD = Topic.RECORD
_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH
_PATCH_MULTI = RecordAction.PATCH_MULTI
_CREATEANDUPDATE = RecordAction.CREATEANDUPDATE
_CREATEANDPATCH = RecordAction.CREATEANDPATCH

#: Those that create what is not there, and need the permission to.
_UPSERTS = frozenset((_CREATEANDUPDATE, _CREATEANDPATCH))

#: What is not there: to permission rules, and to whoever creates it.
NOTHING = Record(-1, None)
_BLANK = Record(0, {})


class _Rewritten(Record):
    """
    A new state to which not all clients would get by the path of the write.
    """


#: Says to the writer why it is not to be.
_Refusal = Callable[[], None]
#: A write, what came of it, and the state on which that was decided.
_Outcome = tuple[Message, IConnection, Record | _Refusal, Record]


class RecordWriter:
    """
    Serves what writes.
    """

    def __init__(
        self,
        store: RecordStore,
        queue: RecordQueue,
        permission: IPermission,
        subscriptions: SubscriptionRegistry,
        deletions: Deletions,
        returned: Returned,
        losers: Losers,
        sizes: RecordSizes,
        cluster: ICluster,
        settings: RecordSettings,
    ) -> None:
        self._peek = store.peek
        self._short = store.keeps_at_once
        self._store = store
        self._keep = store.keep
        self._queue = queue
        self._lines = queue.lines
        self._allows = permission.allows
        self._subscriptions = subscriptions
        self._publish = subscriptions.publish
        self._deletions = deletions
        self._returned = returned
        self._returning = returned.names
        self._losers = losers
        self._losing = losers.unsure
        self._deleted = deletions.deletions
        self._publish_remote = cluster.publish
        self._hot_path = settings.storage_hot_path_prefixes
        self._fitting = sizes.check

    def enter(self, message: Message, sender: IConnection) -> None:
        """
        Serve a write when it is its turn.

        With a cache that answers at once, a permission that is at hand, and no storage, that is now, and nothing is
        made for it that would have to wait. All else goes the long way, with what was found out so far.
        """
        name: str = message.name  # type: ignore[assignment]  # codecs let no write through without it
        if name in self._lines:
            self._queue.submit(self.write, name, message, sender)
            return
        verdict: bool | Deferred[bool] | None = None
        if self._short and message.action not in _UPSERTS:
            state = self._peek(name)
            if state is not None:
                verdict = self._allows(message, sender, state)
                if verdict is True:
                    outcome = self._decide(name, message, sender, state)
                    if not isinstance(outcome, Record):
                        self._refuse(name, sender, outcome)
                        return
                    if self._keep(name, outcome):
                        self._tell(name, message, sender, outcome)
                        return
        self._queue.start(self._serve(name, message, sender, verdict), self.write, name, message, sender)

    async def write(self, name: str, message: Message, sender: IConnection) -> None:
        """
        Serve a write, and all that stand in line right behind it.
        """
        await self._serve(name, message, sender, None)

    async def _serve(
        self,
        name: str,
        message: Message,
        sender: IConnection,
        verdict: bool | Deferred[bool] | None,
    ) -> None:
        """
        @param verdict: whether the first write is permitted, if that was asked already.
        """
        loaded = self._peek(name)
        if loaded is None:
            try:
                loaded = await self._store.load(name)
            except RecordError as error:
                self._not_written(name, message, sender, error)
                for request in self._queue.take(name, self.write):
                    self._not_written(name, request.message, request.sender, error)
                return
        state = first = loaded or NOTHING
        taken = self._queue.take(name, self.write)
        outcomes: list[_Outcome] = []
        while True:
            outcome: Record | _Refusal | None
            if message.action in _UPSERTS or (state is NOTHING and _creates(message, sender)):
                outcome = await self._permit_upsert(name, message, sender, state)
            else:
                if verdict is None:
                    verdict = self._allows(message, sender, state)
                outcome = None if verdict is True else await self._judge(name, message, sender, verdict, message.action)
                verdict = None
            if outcome is None:
                outcome = self._decide(name, message, sender, state)
            outcomes.append((message, sender, outcome, state))
            if isinstance(outcome, Record):
                state = outcome
            if len(outcomes) > len(taken):
                break
            _, _, message, sender, _ = taken[len(outcomes) - 1]
        if state is not first:
            try:
                await self._store.commit(name, state)
            except RecordError as error:
                await self._take_back(name, first, outcomes, taken, error)
                return
        for message, sender, outcome, _ in outcomes:
            if isinstance(outcome, Record):
                self._tell(name, message, sender, outcome)
            else:
                self._refuse(name, sender, outcome)

    # -- permission

    async def _permit_upsert(self, name: str, message: Message, sender: IConnection, state: Record) -> _Refusal | None:
        if name.startswith(self._hot_path) and message.action is _CREATEANDPATCH:
            return partial(sender.send, message.error("INVALID_PATCH_ON_HOTPATH"))
        check: IntEnum
        for check in (RecordAction.CREATE, answers.effective(message)):
            # The original action tells the rules that this write creates what is not there.
            verdict = self._allows(replace(message, action=check, original_action=message.action), sender, state)
            if verdict is not True:
                refusal = await self._judge(name, message, sender, verdict, check)
                if refusal is not None:
                    return refusal
        return None

    async def _judge(
        self, name: str, message: Message, sender: IConnection, verdict: bool | Deferred[bool], check: IntEnum
    ) -> _Refusal | None:
        """
        What a verdict that is not simply C{True} means for a write.
        """
        result = await answers.judged(verdict)
        return None if result is True else partial(answers.refused, name, message, sender, result, check)

    # -- decision

    def _decide(self, name: str, message: Message, sender: IConnection, state: Record) -> Record | _Refusal:
        """
        The new state, or the refusal, of a write that is permitted.
        """
        current, data = state
        wanted: int = message.version  # type: ignore[assignment]  # codecs let no write through without it
        if message.is_write_ack and self._has_no_callback(name, message, sender):
            message = replace(message, is_write_ack=None)
        try:
            if state is NOTHING:
                if not _creates(message, sender):
                    _changed(message, {})
                    reason = f"Received update for non-existant record {name}"
                    return partial(answers.write_failed, name, message, sender, reason)
                current, data = _BLANK
            elif wanted == current + 1 and not (name in self._deleted and self._deletions.stale(name, sender, wanted)):
                return self._state(name, message, wanted, data)
            if (
                wanted == -1
                or (state is NOTHING and wanted == 1)
                or (message.action is _CREATEANDUPDATE and name.startswith(self._hot_path))
            ):
                return self._state(name, message, current + 1, data)
            _changed(message, {})
        except ValueError as problem:
            return partial(self._refuse_invalid, name, message, sender, state, str(problem))
        if wanted > current + 1 and not sender.dialect.merges_versions_ahead:
            return partial(self._refuse_ahead, name, message, sender, state)
        return partial(self._refuse_conflict, name, message, sender, state)

    def _has_no_callback(self, name: str, message: Message, sender: IConnection) -> bool:
        """
        Whether a client has destroyed what would take the acknowledgement: client 2.3.4 throws on it then.
        """
        return (
            message.version != -1
            and sender.dialect.knows_writes_by_version
            and self._deletions.is_suspect(name, sender)
            and not self._subscriptions.wants(name, sender)
        )

    def _state(self, name: str, message: Message, version: int, data: Any) -> Record:
        changed, alike = _changed(message, data)
        changed = self._fitting(name, message, changed)
        return Record(version, changed) if alike else _Rewritten(version, changed)

    def _refuse(self, name: str, sender: IConnection, refusal: _Refusal) -> None:
        refusal()
        self._losers.lost(name, sender)

    def _refuse_invalid(self, name: str, message: Message, sender: IConnection, state: Record, reason: str) -> None:
        answers.invalid(name, message, sender, reason)
        self._tell_truth(name, sender, state)

    def _refuse_ahead(self, name: str, message: Message, sender: IConnection, state: Record) -> None:
        answers.ahead(name, message, sender, _BLANK if state is NOTHING else state)
        self._tell_truth(name, sender, state)

    def _refuse_conflict(self, name: str, message: Message, sender: IConnection, state: Record) -> None:
        # With the next version, it is another record that the writer has: nothing that was sent to it tells so.
        astray = message.version == state.version + 1
        unsure = astray or self._returned.has(name, sender) or self._losers.may_be_wrong(name, sender)
        knows = not unsure and self._subscriptions.wants(name, sender)
        answers.conflict(name, message, sender, _BLANK if state is NOTHING else state, knows)
        if unsure:
            self._tell_truth(name, sender, state)
        if astray:
            self._deletions.clear(name, sender)

    def _tell_truth(self, name: str, sender: IConnection, state: Record) -> None:
        # v4+ clients that hold no such record complain of what they did not ask for.
        if state is NOTHING:
            return
        if not sender.dialect.merges_versions_ahead and self._subscriptions.wants(name, sender):
            sender.send(answers.update(name, state))

    # -- afterwards

    def _tell(self, name: str, message: Message, sender: IConnection, state: Record) -> None:
        if self._returning:
            self._returned.discard(name, sender)
        if self._losing:
            self._losers.won(name, sender)
        if state.__class__ is _Rewritten:
            news = answers.update(name, state)
            if sender.dialect.has_its_own_paths and self._subscriptions.wants(name, sender):
                self._losers.doubt(name, sender)
        elif message.verbatim is not None and message.version == state.version:
            news = message
        elif message.path is not None:
            news = Message(
                _RECORD, _PATCH, name, message.data, None, None, (), None, None, None, None, None, None,
                message.path, state.version,
            )  # fmt: skip
        elif message.action is not _PATCH_MULTI:
            news = Message(_RECORD, _UPDATE, name, message.data, version=state.version)
        else:
            # Not all clients know PATCH_MULTI; those that do not would miss it without noticing.
            news = Message(_RECORD, _UPDATE, name, dumps(state.data), version=state.version)
        self._publish_remote(news)
        self._publish(news, sender)
        if message.is_write_ack:
            answers.acknowledged(name, message, sender)

    def _not_written(self, name: str, message: Message, sender: IConnection, error: RecordError) -> None:
        self._refuse(name, sender, partial(answers.not_written, name, message, sender, error))
        self._store.went_astray(name, sender)

    async def _take_back(
        self, name: str, first: Record, outcomes: list[_Outcome], taken: list[Request], error: RecordError
    ) -> None:
        """
        What was decided is not to be.
        """
        again = []
        self._store.knew(name, None if first is NOTHING else first)
        for place, (message, sender, outcome, state) in enumerate(outcomes):
            if isinstance(outcome, Record):
                self._refuse(name, sender, partial(answers.write_failed, name, message, sender, error.detail))
                self._store.went_astray(name, sender)
            elif state is first:
                self._refuse(name, sender, outcome)
            else:
                again.append(taken[place - 1])
        self._queue.give_back(name, again)
        await self._store.try_to_settle(name)


def _creates(message: Message, sender: IConnection) -> bool:
    return message.action in _UPSERTS or bool(message.is_write_ack and sender.dialect.acked_writes_create)


def _changed(message: Message, data: Any) -> tuple[Any, bool]:
    """
    What a write makes of data, and whether all clients get to that by the path of the write.

    @raise ValueError: nothing; it makes no sense, or not with this data.
    """
    value = value_of(message.data)
    path = message.path
    if message.action is _PATCH_MULTI:
        return set_many(data, _changes(value)), True
    if path is not None:
        if value.__class__ is float and not math.isfinite(value):
            value = None
        return write_at(data, path, value)
    if not isinstance(value, dict | list):
        raise ValueError("a record is an object or an array")
    return value, True


def _changes(value: Any) -> list[tuple[tuple[str | int, ...], Any]]:
    if not isinstance(value, list) or not value:
        raise ValueError("several changes are an array of some")
    changes = []
    for change in value:
        if not isinstance(change, dict) or not isinstance(change.get("path"), str):
            raise ValueError("each change is an object with a path")
        changes.append((parse(change["path"]), change.get("data", UNDEFINED)))
    return changes
