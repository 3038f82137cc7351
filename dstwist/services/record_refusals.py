"""
Refusing writes: the answer to the writer, and the true record where the writer's copy may be wrong.

Only a client that is subscribed, or may read the record, is shown it: L{dstwist.services.record_write} asks for that
before it lets a L{Conflict} through. All other truths go to subscribers only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dstwist.interfaces import IConnection
from dstwist.protocol.message import Message
from dstwist.record import NOTHING, Record
from dstwist.services import record_answers as answers
from dstwist.services.replicas import Replicas
from dstwist.subscriptions import SubscriptionRegistry

_BLANK = Record(0, {})

#: Tells the writer why its write is refused.
Refusal = Callable[[], None]


class Conflict(partial[None]):
    """
    A refusal whose answer shows the record.
    """


class RecordRefusals:
    """
    Answers the writes that are not done.

    @ivar sees: whether a connection is subscribed to a record: (name, connection).
    @ivar deleted: the names of records that were deleted of late.
    @ivar stale: whether a write with the next version may be meant for such a record: (name, connection, version).
    """

    def __init__(self, subscriptions: SubscriptionRegistry, replicas: Replicas) -> None:
        self.sees = subscriptions.wants
        self.deleted = replicas.predecessors
        self.stale = replicas.stale
        self._replicas = replicas

    def refuse(self, name: str, sender: IConnection, refusal: Refusal) -> None:
        """
        Carry out C{refusal}, of a write of C{sender}.
        """
        refusal()
        self._replicas.refused(name, sender)

    def has_no_callback(self, name: str, message: Message, sender: IConnection) -> bool:
        """
        Whether a client has destroyed the callback of a write: client 2.3.4 throws on the acknowledgement then.
        """
        return (
            message.version != -1
            and sender.dialect.knows_writes_by_version
            and self._replicas.may_hold_predecessor(name, sender)
            and not self.sees(name, sender)
        )

    def invalid(self, name: str, message: Message, sender: IConnection, state: Record, reason: str) -> None:
        """
        The write makes no sense, or not with this record.

        @param state: the record, or L{NOTHING}; so for the others.
        """
        answers.invalid(name, message, sender, reason)
        self._tell_truth(name, sender, state)

    def failed(self, name: str, message: Message, sender: IConnection, state: Record, reason: str) -> None:
        """
        The write cannot be done now.
        """
        answers.write_failed(name, message, sender, reason)
        self._tell_truth(name, sender, state)

    def ahead(self, name: str, message: Message, sender: IConnection, state: Record) -> None:
        """
        The version of the write is more than the next one.
        """
        answers.ahead(name, message, sender, _BLANK if state is NOTHING else state)
        self._tell_truth(name, sender, state)

    def conflict(self, name: str, message: Message, sender: IConnection, state: Record) -> None:
        """
        Another write came first; the writer may see what the record holds.
        """
        # A writer with the next version has another record of this name: nothing that was sent to it tells so.
        astray = message.version == state.version + 1
        unsure = astray or self._replicas.may_differ(name, sender)
        knows = not unsure and self.sees(name, sender)
        answers.conflict(name, message, sender, _BLANK if state is NOTHING else state, knows)
        if unsure:
            self._tell_truth(name, sender, state)
        if astray:
            self._replicas.told(name, sender)

    def _tell_truth(self, name: str, sender: IConnection, state: Record) -> None:
        # v4+ clients complain of a record that they do not have.
        if state is not NOTHING and not sender.dialect.merges_versions_ahead and self.sees(name, sender):
            sender.send(answers.update(name, state))
