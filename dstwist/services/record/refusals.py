"""
Refusing writes: the answer to the writer, and the current record if the writer's copy is wrong.

A client writes to its copy before it sends the write. So each refusal leaves a copy wrong, and the next write of the
client has the wrong version. So a subscribed client is sent the current record, and then the answer: a write that the
client makes as soon as it gets the answer has the right version.

===============================  ================================================================================
reason of the refusal            the record is sent
===============================  ================================================================================
another write came first         in the answer itself (VERSION_EXISTS), if the client may see it; to some clients
                                 a moment later (L{dstwist.services.record.held_conflicts})
the record cannot be read,       when it can be read again, or when the client has not written for a while
or its queue is full
all other reasons                at once; with the answer to another write, if one is held
===============================  ================================================================================

VERSION_EXISTS contains the record only for a client that is subscribed, or has the permission to read it.
L{dstwist.services.record.decide} checks this condition before it calls a L{SendConflict}. In all other cases the record
is sent to subscribers only.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial

from twisted.python.failure import Failure

from dstwist.interfaces import IRequester
from dstwist.permission.denials import Denials
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Record
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import answers
from dstwist.services.record.acks import Acknowledgements
from dstwist.services.record.failures import RecordError
from dstwist.services.record.held_conflicts import HeldConflicts
from dstwist.services.record.replicas import Replicas

_EMPTY_RECORD = Record(0, {})

#: Sends the writer the answer to a refused write.
SendRefusal = Callable[[], None]


class SendConflict(partial[None]):
    """
    A refusal whose answer contains the record.
    """


class RecordRefusals:
    """
    Answers the writes that are refused.

    @ivar is_subscribed: whether a connection is subscribed to a record: (name, connection).
    @ivar predecessors: L{Replicas.predecessors}.
    @ivar is_first_write: L{Replicas.is_first_write}.
    @ivar has_no_callback: L{Acknowledgements.has_no_callback}.
    """

    def __init__(
        self,
        subscriptions: SubscriptionRegistry,
        replicas: Replicas,
        acks: Acknowledgements,
        conflicts: HeldConflicts,
        denials: Denials,
    ) -> None:
        self.is_subscribed = subscriptions.is_subscribed
        self.predecessors = replicas.predecessors
        self.is_first_write = replicas.is_first_write
        self.has_no_callback = acks.has_no_callback
        self._replicas = replicas
        self._acks = acks
        self._hold = conflicts.hold
        self._holds = conflicts.holds
        self._denials = denials

    def queued(self, name: str, message: Message, sender: IRequester) -> None:
        """
        The write waits for earlier requests about the record. A client of v2 and v3 that reconnects may write before
        its request for the record is answered. The answer, which the server sends first, takes the write back in the
        client's copy.
        """
        if sender.dialect.knows_writes_by_version and message.version != -1 and not self.is_subscribed(name, sender):
            self._replicas.refused(name, sender)

    def denied(
        self, name: str, message: Message, sender: IRequester, state: Record, decision: bool | Failure, check: IntEnum
    ) -> None:
        """
        The write is not permitted, or the rule failed.

        @param state: the record; L{NO_RECORD} if it does not exist. It is the same argument in the methods below.
        """
        self._send_record(name, message, sender, state)
        answers.refused(name, message, sender, decision, check, self._denials)
        reason = "MESSAGE_PERMISSION_ERROR" if isinstance(decision, Failure) else "MESSAGE_DENIED"
        self._acks.refused(name, message, sender, reason)

    def not_on_hot_path(self, name: str, message: Message, sender: IRequester, state: Record) -> None:
        """
        The write is to a path, and the record has a hot path prefix.
        """
        self._send_record(name, message, sender, state)
        answers.not_on_hot_path(message, sender)
        self._acks.refused(name, message, sender, "unable to patch record data on hot path")

    def invalid(self, name: str, message: Message, sender: IRequester, state: Record, reason: str) -> None:
        """
        The write is invalid, or does not fit this record.
        """
        self._send_record(name, message, sender, state)
        answers.invalid(message, sender)
        self._acks.refused(name, message, sender, reason)

    def failed(self, name: str, message: Message, sender: IRequester, state: Record, reason: str) -> None:
        """
        There is not enough memory for the write, the stores cannot be reached, or the record does not exist and the
        write does not create it.
        """
        self._send_record(name, message, sender, state)
        self._failed(name, message, sender, reason)

    def ahead(self, name: str, message: Message, sender: IRequester, state: Record) -> None:
        """
        The version of the write is higher than the next one.
        """
        self._send_record(name, message, sender, state)
        answers.ahead(message, sender, _EMPTY_RECORD if state is NO_RECORD else state)

    def conflict(self, name: str, message: Message, sender: IRequester, state: Record) -> None:
        """
        Another write came first. The writer may see the record.
        """
        if self.has_no_callback(name, message, sender):
            # The client has no copy any more. It may have asked for the new record, which VERSION_EXISTS would break.
            self.outdated(name, message, sender)
            return
        subscribed = self.is_subscribed(name, sender)
        # A write of version 0 has lost no race. Its client believes that there is no record, and no news correct that:
        # client 7.0.5 after two interruptions in quick succession, or after an error that it takes for the record.
        unsure = message.version == 0 or self._replicas.may_differ(name, sender)
        if state is NO_RECORD:
            self._replicas.refused_as_missing(name, sender)
        else:
            self._replicas.refused(name, sender)
        if (
            message.is_write_ack
            and subscribed
            and message.version != -1
            and sender.dialect.knows_writes_by_version
            and self._hold(name, message, sender)
        ):
            return
        record = _EMPTY_RECORD if state is NO_RECORD else state
        # Client 2.3.4 calls the merge a success if it still waits for the acknowledgement.
        self._acks.refused(name, message, sender, answers.other_version(name), before=True)
        if unsure or not (subscribed and sender.dialect.merges_on_news):
            answers.version_exists(name, message, sender, record)
        if unsure and subscribed and state is not NO_RECORD and not sender.dialect.merges_versions_ahead:
            sender.send(answers.update(name, state))
        if message.is_write_ack and not sender.dialect.knows_writes_by_version:
            # VERSION_EXISTS alone leaves the callback waiting.
            answers.write_failed(message, sender)

    def outdated(self, name: str, message: Message, sender: IRequester) -> None:
        """
        Another write came first, and the writer may not see the record. VERSION_EXISTS without data would not do:
        client 2.3.4 throws on it, and clients 4 to 7 take the missing data for the data of the record.
        """
        self._replicas.refused(name, sender)
        self._failed(name, message, sender, answers.other_version(name))

    def commit_failed(self, name: str, message: Message, sender: IRequester, reason: str) -> None:
        """
        The stores failed to write the record. The writer is sent the record when it is resolved.
        """
        self._replicas.refused(name, sender)
        self._failed(name, message, sender, reason)

    def unreadable(self, name: str, message: Message, sender: IRequester, error: RecordError, unresolved: bool) -> None:
        """
        The record could not be read.

        @param unresolved: whether the writer is sent the record when it is resolved.
        """
        self._record_unknown(name, sender, unresolved)
        answers.not_written(name, message, sender, error)
        self._acks.refused(name, message, sender, error.detail)

    def queue_full(self, name: str, message: Message, sender: IRequester, reason: str) -> None:
        """
        The queue of the record is full.
        """
        self._record_unknown(name, sender, False)
        self._failed(name, message, sender, reason)

    def malformed(self, name: str, message: Message, sender: IRequester, reason: str) -> None:
        """
        The message could not be decoded, and its client has got an error.
        """
        self._record_unknown(name, sender, False)
        self._acks.refused(name, message, sender, reason)

    def _failed(self, name: str, message: Message, sender: IRequester, reason: str) -> None:
        answers.write_failed(message, sender)
        self._acks.refused(name, message, sender, reason)

    def _send_record(self, name: str, message: Message, sender: IRequester, state: Record) -> None:
        """
        Send the record to a writer that has a copy of it.
        """
        if state is NO_RECORD:
            self._replicas.refused_as_missing(name, sender)
            return
        version: int = message.version  # type: ignore[assignment]  # codecs let no write through without it
        # v4+ clients raise an error if they are sent a record of which they have no copy.
        shown = self.is_subscribed(name, sender) and not self._holds(name, sender)
        current = state.version if shown else None
        if self._replicas.refused(name, sender, version, current):
            sender.send(answers.update(name, state))

    def _record_unknown(self, name: str, sender: IRequester, unresolved: bool) -> None:
        if unresolved or not self.is_subscribed(name, sender):
            self._replicas.refused(name, sender)
        else:
            self._replicas.made_unsure(name, sender)
