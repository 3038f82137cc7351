"""
Records that subscribers are sent, although no client here has written them.

=============================================  =========================================================================
because                                        the subscribers get
=============================================  =========================================================================
a client says that stores were changed by      the record, which is read anew; the other nodes are told
another program (NOTIFY)
another node has deleted a record              DELETED
an unresolved record was reconciled            the record; only the writers, if it is what it was, and no news
                                               of other nodes is missing
the copy of a client may be wrong              the client gets the record
(L{dstwist.services.record.reminders})
=============================================  =========================================================================

All of this has its turn in the queue of the record.
"""

from __future__ import annotations

from dataclasses import replace

from dstwist.interfaces import IRequester, Record
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.services.record import answers
from dstwist.services.record.failures import RecordError
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.store import RecordStore

_RECORD = Topic.RECORD

#: A request of the server itself.
_REMIND = Message(_RECORD, RecordAction.READ)


class RecordUpdates:
    """
    Sends these records.
    """

    def __init__(self, store: RecordStore, parts: RecordParts) -> None:
        self._store = store
        self._nodes = parts.nodes
        self._queue = parts.queue
        self._reconciliation = parts.reconciliation
        self._subscriptions = parts.subscriptions
        self._replicas = parts.replicas
        self._conflicts = parts.conflicts
        self._news = parts.news

    def notify(self, message: Message, sender: IRequester) -> None:
        """
        A client says that records have changed.
        """
        failed: list[str] = []

        async def refresh(name: str, message: Message, sender: IRequester) -> None:
            try:
                self._news.refreshed(name, await self._reconciliation.refresh(name))
            except RecordError as error:
                failed.append(error.detail)

        def finish() -> None:
            if self._nodes is not None and not self._nodes.notify(message.names):
                failed.append("other nodes could not be told")
            if failed:
                answer = message.error(RecordAction.RECORD_NOTIFY_ERROR)
                sender.send(replace(answer, data=dumps("; ".join(failed))))
            else:
                sender.send(message.ack())

        self._queue.submit_all(refresh, message, sender, finish)

    def deleted(self, name: str, version: int) -> None:
        """
        For a step of the record's queue: another node has deleted C{version} of a record, or a later one.
        """
        self._store.forget(name)
        self._replicas.deleted(name, version, self._subscriptions.subscribers(name))
        self._news.received(Message(_RECORD, RecordAction.DELETED, name))

    def remind(self, name: str, connection: IRequester) -> None:
        """
        The copy of a client may be wrong.
        """
        if self._subscriptions.is_subscribed(name, connection):
            self._queue.submit(self._send_record, name, _REMIND, connection, always=True)

    async def _send_record(self, name: str, message: Message, subscriber: IRequester) -> None:
        try:
            record = await self._store.load(name)
        except RecordError:
            self._replicas.not_reminded(name, subscriber)
        else:
            self._show(name, record, subscriber)

    def _show(self, name: str, record: Record | None, subscriber: IRequester) -> None:
        """
        Send the record to a client that may have another copy, if it is still subscribed.

        @param record: C{None} if it does not exist. A client that has resubscribed may have a copy even then.
        """
        if not self._subscriptions.is_subscribed(name, subscriber):
            return
        if record is None:
            if self._replicas.is_resubscribed(name, subscriber):
                self._replicas.left(name, subscriber)
                self._subscriptions.discard(name, subscriber)
                subscriber.send(Message(_RECORD, RecordAction.DELETED, name))
        elif not self._conflicts.holds(name, subscriber):
            subscriber.send(answers.update(name, record))

    def resolved(self, name: str, record: Record | None, writers: list[IRequester] | None) -> None:
        """
        An unresolved record was reconciled.

        @param writers: only these clients need it; C{None}: all subscribers do.
        """
        if self._nodes is not None and self._nodes.is_behind(name, record):
            writers = None
        if writers is None:
            self._news.resolved(name, record)
        else:
            for connection in writers:
                self._show(name, record, connection)
