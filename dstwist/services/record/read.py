"""
Reading records, and subscribing to them.

The permission to read is decided in the turn of a request, on the record that is then sent. If one write changes both
the data and who may read them, no client sees the new data by a request that came before the write.

A subscriber is told first whether the record has a provider, and is then sent the record. The record is sent in the
step that begins the subscription, so the first news has the next version. Only SUBSCRIBEANDREAD and
SUBSCRIBECREATEANDREAD send the record. Clients that send SUBSCRIBE or SUBSCRIBEANDHEAD have a copy already.

A request for several records is one step (L{dstwist.services.record.queue}) for each record. If there are many records,
requests of other connections are served in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import IntEnum

from dstwist.interfaces import IConnection, IRequester, IWire, Record, Work
from dstwist.limits.outgoing_bytes import LARGE_FRAME_BYTES
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Change
from dstwist.services.record import answers
from dstwist.services.record.failures import RecordError
from dstwist.services.record.held_discards import HeldDiscards
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.passed_on import Versions
from dstwist.services.record.queue import Step
from dstwist.services.record.store import RecordStore

_RECORD = Topic.RECORD

#: The answer to SUBSCRIBEANDREAD if the record does not exist, exactly as of the Node server.
_NOT_THERE = Record(-1, {})

_NO_FRAME = (b"", "", -1, b"")


class RecordReader:
    """
    Serves reads, subscriptions and their ends.
    """

    def __init__(
        self,
        store: RecordStore,
        parts: RecordParts,
        discards: HeldDiscards,
        passed_on: Versions | None,
    ) -> None:
        self._store = store
        self._reconciliation = parts.reconciliation
        self._queue = queue = parts.queue
        self._submit = queue.submit
        self._allows = parts.permission.allows
        self._denials = parts.denials
        self._subscriptions = parts.subscriptions
        self._listeners = parts.listeners
        self._replicas = parts.replicas
        self._conflicts = parts.conflicts
        self._discards = discards
        self._wrote_before = parts.early_writes.take
        self._note = None if passed_on is None else passed_on.note
        self._nodes = nodes = parts.nodes
        self._subscribing: Callable[[Step], Step] = _as_it_is if nodes is None else nodes.subscribing
        self._create_and_read_step = self._subscribing(self._create_and_read)
        self._read_if_there_step = self._subscribing(self._read_if_there)
        # The last large answer on each wire.
        self._large: dict[IWire, tuple[bytes, str, int, bytes]] = {}
        self.actions: dict[IntEnum, Callable[[Message, IRequester], None]] = {
            RecordAction.READ: queue.submit_one(self._read),
            RecordAction.HEAD: queue.submit_one(self._head),
            RecordAction.HAS: queue.submit_one(self._has),
            RecordAction.SUBSCRIBECREATEANDREAD: self._subscribe_create_and_read,
            RecordAction.SUBSCRIBEANDREAD: self._subscribe_and_read,
            RecordAction.SUBSCRIBEANDHEAD: self._subscribe_and_head,
            RecordAction.SUBSCRIBE: self._subscribe,
            RecordAction.UNSUBSCRIBE: self._unsubscribe,
        }

    # -- reading

    async def _read(self, name: str, message: Message, sender: IRequester) -> None:
        found, record = await self._load(name, message, sender)
        if found and record is not None:
            if sender.dialect.reads_once and not self._subscriptions.is_subscribed(name, sender):
                self._replicas.read(name, sender, record.version)
            self._respond(name, record, sender)
            return
        if found:
            sender.send(message.error(RecordAction.RECORD_NOT_FOUND))
        if sender.dialect.reads_once:
            # The client may believe that it is subscribed no longer, so this is noted for a subscribed one as well.
            self._replicas.read(name, sender, -1)

    async def _head(self, name: str, message: Message, sender: IRequester) -> None:
        found, record = await self._load(name, message, sender)
        if found:
            sender.send(answers.head_response(name, record))

    async def _has(self, name: str, message: Message, sender: IRequester) -> None:
        found, record = await self._load(name, message, sender)
        if found:
            there = "F" if record is None else "T"
            sender.send(Message(_RECORD, RecordAction.HAS_RESPONSE, name, there))

    async def _load(self, name: str, message: Message, sender: IRequester) -> tuple[bool, Record | None]:
        """
        Load the record for C{sender}. If that fails or is not permitted, the sender gets an error.

        @return: whether it succeeded, and the record.
        """
        try:
            record = await self._store.load(name)
        except RecordError as error:
            self.not_loaded(name, message, sender, error)
            return False, None
        return await self._permitted(name, message, sender, message.action, record or NO_RECORD), record

    def not_loaded(self, name: str, message: Message, sender: IRequester, error: RecordError) -> None:
        """
        The record could not be loaded for C{sender}.
        """
        answers.not_loaded(name, message, sender, error)
        if message.action is RecordAction.READ and self._subscriptions.is_subscribed(name, sender):
            # The client reads because its copy is wrong. Client 7.0.5 even takes the error for the record.
            self._replicas.made_unsure(name, sender)

    def _respond(self, name: str, record: Record, sender: IRequester) -> None:
        if self._conflicts and self._conflicts.read(name, sender, record):
            return
        if not sender.dialect.knows_writes_by_version or self._subscriptions.is_subscribed(name, sender):
            # Other clients of v2 and v3 have sent the request before they heard that the record was deleted.
            self._replicas.sent(name, sender)
        if len(record.json) < LARGE_FRAME_BYTES or not IConnection.providedBy(sender):
            sender.send(answers.read_response(name, record))
            return
        # Many clients may read it at the same time. All of their outboxes contain the same frame.
        wire = sender.wire
        text, named, version, frame = self._large.get(wire, _NO_FRAME)
        if text is not record.json or named != name or version != record.version:
            frame = wire.encode(answers.read_response(name, record))
            self._large[wire] = record.json, name, record.version, frame
        if frame:
            self._subscriptions.write_shared(frame, RecordAction.READ_RESPONSE, sender)

    # -- subscribing

    def _add_subscriber(
        self, name: str, message: Message, sender: IRequester, record: Record | None = None
    ) -> bool | None:
        """
        Subscribe C{sender}.

        @param record: the record, as subscribers have it now; C{None}: it was not loaded.
        @return: C{False} if it was subscribed before, C{None} if it has too many subscriptions.
        """
        if self._subscriptions.add(name, sender):
            if self._listeners.provided(name):
                sender.send(Message(_RECORD, RecordAction.SUBSCRIPTION_HAS_PROVIDER, name))
            if self._note is not None and record is not None:
                self._note(name, record.version)
            return True
        if not self._subscriptions.is_subscribed(name, sender):
            answers.refused(name, message, sender, False, RecordAction.READ)
            return None
        answer = message.error(RecordAction.MULTIPLE_SUBSCRIPTIONS, name, flagged=False)
        if message.action is not RecordAction.SUBSCRIBEANDHEAD:
            answer = replace(answer, original_action=RecordAction.SUBSCRIBE)
        sender.send(answer)
        return False

    def _subscribe_create_and_read(self, message: Message, sender: IRequester) -> None:
        if sender.dialect.acks_reading_at_once:
            sender.send(message.ack())
        self._queue.submit_each(self._create_and_read_step, message, sender)

    async def _create_and_read(self, name: str, message: Message, sender: IRequester) -> None:
        if self._discards and self._discards.release(name, sender):
            return
        try:
            record = await self._store.load(name)
        except RecordError as error:
            answers.not_loaded(name, message, sender, error)
            return
        if record is None:
            if not await self._permitted(name, message, sender, RecordAction.CREATE, NO_RECORD):
                return
            try:
                record = await self._create(name)
            except RecordError as error:
                answers.not_created(name, message, sender, error)
                self._reconciliation.assume(name, None)
                await self._reconciliation.try_to_reconcile(name)
                return
        if not await self._permitted(name, message, sender, RecordAction.READ, record):
            return
        # The connection may have closed meanwhile.
        if sender.closed:
            return
        joined = self._add_subscriber(name, message, sender, record)
        if joined is None:
            return
        if not joined:
            # A client of v2 that reconnects sends each request that it made offline twice. A write that it sends
            # between the two answers is accepted, and undone in its copy by the second answer.
            self._replicas.refused(name, sender)
        elif not sender.dialect.acks_reading_at_once:
            sender.send(replace(message, names=(name,)).ack())
        if sender.dialect.acks_reading_at_once:
            self._replicas.subscribed(name, sender, record.version)
        self._respond(name, record, sender)

    async def _create(self, name: str) -> Record:
        """
        Create a record. If another node has created it meanwhile, that one is returned.

        @raise RecordError: it cannot be created.
        """
        record = Record(0, {})
        attempts = self._store.attempts()
        while (found := await self._store.commit(name, None, record)) is not None:
            if found.data is not None:
                return found
            # The store remembers the record that was removed.
            if not await attempts.another():
                raise self._store.outpaced(name, RecordAction.RECORD_CREATE_ERROR)
            self._replicas.created_anew(name, found.version)
            record = Record(found.version + 1, {})
        if self._nodes is not None:
            self._nodes.note(name, record.version)
            self._nodes.written(name, answers.update(name, record), record.version)
        return record

    def _subscribe_and_read(self, message: Message, sender: IRequester) -> None:
        sender.send(message.ack())
        self._queue.submit_each(self._read_if_there_step, message, sender)

    async def _read_if_there(self, name: str, message: Message, sender: IRequester) -> None:
        found, record = await self._load(name, message, sender)
        if not found or sender.closed:
            return
        record = record or _NOT_THERE
        if self._add_subscriber(name, message, sender, record) is not None:
            self._respond(name, record, sender)

    def _subscribe_and_head(self, message: Message, sender: IRequester) -> None:
        sender.do(self._subscribing_and_heading(message, sender))

    def _subscribing_and_heading(self, message: Message, sender: IRequester) -> Work:
        """
        Send the versions of many names in several parts. The acknowledgement follows the first part.
        """
        names = iter(message.names)
        left = len(message.names)
        acked = False
        while left or not acked:
            if acked:
                yield self._queue.resumed(sender)
            asked, missing = self._send_versions(names, message, sender)
            left -= asked
            if not acked:
                sender.send(message.ack())
                acked = True
            for name in missing:
                sender.send(answers.head_response(name, None))

    def _send_versions(self, names: Iterator[str], message: Message, sender: IRequester) -> tuple[int, list[str]]:
        """
        Serve as many C{names} as one part may have, and send the versions that are known at once. The other versions
        are sent when they are known.

        @return: how many names were served, and the names of the records that do not exist, whose versions were not
            sent.
        """
        versions: dict[str, int] | None = {}
        missing: list[str] = []

        async def head(name: str, message: Message, sender: IRequester) -> None:
            try:
                record = await self._store.load(name)
            except RecordError as error:
                # The client is subscribed all the same, and is sent the record when the stores work again.
                if await self._permitted(name, message, sender, message.action, None):
                    self._resubscribe(name, message, sender)
                    answers.not_loaded(name, message, sender, error)
                return
            if not await self._permitted(name, message, sender, message.action, record or NO_RECORD):
                return
            self._resubscribe(name, message, sender, record or _NOT_THERE)
            if record is not None and self._wrote_before(name, sender):
                sender.send(Message(_RECORD, RecordAction.HEAD_RESPONSE, name))
                return
            if versions is None:
                sender.send(answers.head_response(name, record))
            elif record is not None:
                versions[name] = record.version
            else:
                missing.append(name)

        asked = 0
        step = self._subscribing(head)
        steps = self._queue.steps()
        for name in names:
            self._submit(step, name, message, sender)
            asked += 1
            if steps.over():
                break
        sender.send(Message(_RECORD, RecordAction.HEAD_RESPONSE_BULK, versions=versions))
        versions = None
        return asked, missing

    def _resubscribe(self, name: str, message: Message, sender: IRequester, record: Record | None = None) -> None:
        """
        Subscribe a client that may have a copy already, of any version.

        @param record: the record whose version the client is sent; C{None}: it is sent none.
        """
        if sender.closed:
            return
        joined = self._add_subscriber(name, message, sender, record)
        self._replicas.resubscribed(name, sender, was_subscribed=not joined)

    def _subscribe(self, message: Message, sender: IRequester) -> None:
        allowed = not message.names

        async def join(name: str, message: Message, sender: IRequester) -> None:
            nonlocal allowed
            # No part of the record is sent, so it is not loaded for that. A rule that needs it loads it.
            if await self._permitted(name, message, sender, message.action, None):
                allowed = True
                self._resubscribe(name, message, sender, await self._first_version(name))

        def acknowledge() -> None:
            if allowed:
                sender.send(message.ack())

        self._queue.submit_all(self._subscribing(join), message, sender, acknowledge)

    async def _first_version(self, name: str) -> Record | None:
        """
        The record, if news of other nodes needs its version to be compared with; C{None} if not, or if it is not known.
        """
        if self._nodes is None or self._nodes.is_open(name):
            return None
        try:
            return await self._store.load(name) or _NOT_THERE
        except RecordError:
            return None

    def _unsubscribe(self, message: Message, sender: IRequester) -> None:
        ended = False

        async def leave(name: str, message: Message, sender: IRequester) -> None:
            nonlocal ended
            ended = self._subscriptions.discard(name, sender) or ended
            self._replicas.left(name, sender)
            if self._conflicts:
                self._conflicts.dropped(name, sender)
            for served in waiting:
                served()

        def acknowledge() -> None:
            names = message.names
            if ended or len(names) != 1 or not sender.dialect.subscribes_to_what_it_discarded:
                sender.send(message.ack())
            else:
                self._discards.hold(names[0], message.ack(), sender)

        waiting: list[Callable[[], None]] = []
        if sender.dialect.knows_writes_by_version and not sender.closed:
            # A text client ends one subscription at a time.
            waiting += [self._replicas.leaves(name, sender) for name in message.names if name in self._queue.busy]
        self._queue.submit_all(leave, message, sender, acknowledge)

    async def _permitted(
        self, name: str, message: Message, sender: IRequester, check: IntEnum, record: Record | None
    ) -> bool:
        """
        Whether a part of a request is permitted. If not, the sender gets an error.

        @param check: the action that stands for the part.
        @param record: the record that is sent; L{NO_RECORD} if it does not exist, C{None} if no part of it is sent.
        """
        asked = Message(_RECORD, check, name, None, message.raw, None, (), message.correlation_id)
        change = None if record is None else Change(record, asked)
        decision = self._allows(asked, sender, change)
        if decision is True:
            return True
        result = await answers.decided(decision)
        if result is not True:
            answers.refused(name, message, sender, result, check, self._denials)
        return result is True


def _as_it_is(step: Step) -> Step:
    return step
