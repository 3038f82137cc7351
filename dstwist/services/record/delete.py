"""
Deleting records.

::

    load --> permitted? --> delete in the stores --> DELETE_SUCCESS to the sender, DELETED to all other subscribers
                 ^                |
                 +----------------+  another node has written the record since

The subscriptions of all clients to the record end with its deletion. A deletion of a record that does not exist
succeeds as well.

If the deletion is refused or fails, the record stays. A text client forgets its copy when it sends the request, so its
subscription ends even then.
"""

from __future__ import annotations

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.freeing import LARGE_WEIGHT
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Change
from dstwist.scheduling.turns import Turns
from dstwist.services.record import answers
from dstwist.services.record.failures import RecordError
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.store import RecordStore

#: A deletion with more subscribers takes two turns of the reactor.
ONE_TURN_SUBSCRIBERS = 10_000


class RecordDeleter:
    """
    Serves the deletions.
    """

    def __init__(self, store: RecordStore, parts: RecordParts) -> None:
        self._store = store
        self._reconciliation = parts.reconciliation
        self._submit = parts.queue.submit
        self._allows = parts.permission.allows
        self._denials = parts.denials
        self._subscriptions = parts.subscriptions
        self._replicas = parts.replicas
        self._conflicts = parts.conflicts
        self._news = parts.news
        self._large_values = parts.large_values
        self._turns = Turns.of(parts.clock)

    def handle(self, message: Message, sender: IRequester) -> None:
        """
        Delete a record in the turn of the request.
        """
        name = message.name
        assert name is not None, "codecs let none through without its name"
        # Needed even if the record is not busy: the stores may take longer than an acknowledgement is held.
        served = self._replicas.leaves(name, sender) if sender.dialect.knows_writes_by_version else None
        self._submit(self._delete, name, message, sender, served)

    def not_deleted(self, name: str, message: Message, sender: IRequester, error: RecordError) -> None:
        """
        The record could not be deleted.
        """
        answers.not_deleted(name, message, sender, error)
        self._end_subscription(name, sender)

    async def _delete(self, name: str, message: Message, sender: IRequester) -> None:
        try:
            record = await self._store.load(name, tells=False)
        except RecordError as error:
            self.not_deleted(name, message, sender, error)
            return
        attempts = None
        last = -1
        while True:
            last = max(last, -1 if record is None else record.version)
            decision = await answers.decided(self._allows(message, sender, Change(record or NO_RECORD, message)))
            try:
                if decision is True:
                    found = await self._store.delete(name, record)
                else:
                    found = await self._store.confirm(name, record)
            except RecordError as error:
                self.not_deleted(name, message, sender, error)
                self._reconciliation.assume(name, record)
                await self._reconciliation.try_to_reconcile(name)
                return
            if found is None:
                if decision is True:
                    if record is not None and (record.weight or 0) > LARGE_WEIGHT:
                        self._large_values.free([record.content])
                    await self._deleted(name, last, sender)
                    return
                answers.deletion_refused(name, message, sender, decision, self._denials)
                self._end_subscription(name, sender)
                break
            version = -1 if record is None else record.version
            record = None if found.data is None else found
            comparison = self._store.comparison(name)
            if comparison is not None and comparison.is_sign(record, version):
                await comparison.found_lower(name, record)
            attempts = attempts or self._store.attempts()
            if not await attempts.another():
                self.not_deleted(name, message, sender, self._store.outpaced(name, RecordAction.RECORD_DELETE_ERROR))
                break
        if attempts is not None:
            # The record stays, but it is not what the subscribers know: another node has written it.
            self._news.found(name, record)

    async def _deleted(self, name: str, version: int, sender: IRequester) -> None:
        """
        The stores have deleted the record. Tell all clients.

        @param version: the last one that this node has seen; -1 if it did not exist.
        """
        subscribers = self._subscriptions.subscribers(name)
        self._replicas.deleted(name, version, subscribers)
        if len(subscribers) > ONE_TURN_SUBSCRIBERS:
            # To send them DELETED takes as long as to remember them. Further requests for the record wait meanwhile.
            await self._turns.next()
        if self._conflicts:
            self._conflicts.dropped(name, sender)
        sender.send(Message(Topic.RECORD, RecordAction.DELETE_SUCCESS, name))
        self._news.deleted(name, version, sender)

    def _end_subscription(self, name: str, sender: IRequester) -> None:
        """
        The record stays. End the subscription of a client that has forgotten its copy.
        """
        if sender.dialect.lets_go_of_what_it_deletes:
            self._subscriptions.discard(name, sender)
            self._replicas.left(name, sender)
            if self._conflicts:
                self._conflicts.dropped(name, sender)
