"""
Answers to conflicts that are held for a moment: the answers to acknowledged writes of clients of v2 and v3.

Such an answer consists of two messages: the acknowledgement with the error, which triggers the callback, and then
VERSION_EXISTS with the record (L{dstwist.services.record.refusals}). Client 2.3.4 destroys the callbacks and the record
when it deletes or discards the record. Until the server gets that request, the client throws on both messages. So the
answer is held for L{ACK_DELAY_SECONDS}, and dropped if the client deletes or discards the record meanwhile::

    client                       server
                                 another client has written a 2
    R|P|a|2|x|N1|{..} ---------> refused: the answer is held
    R|D|a ---------------------> deleted: the answer is dropped

While the answer is held, the client does not know that its copy is wrong. So the client is sent no news of the record:
a PATCH could have the next version of the wrong copy, and the client would apply the PATCH instead of merging. For this
reason the client is not sent the record in any other way before the answer. The answer contains the record as it is
when the answer is sent, with all news that the client missed, and its own writes that were accepted meanwhile. Clients
accept the whole record in VERSION_EXISTS at any version, so the client misses nothing, and merges once.

==================================  ==============================================  ====================================
event                               the held answer                                 news for the client
==================================  ==============================================  ====================================
another write of the client meets   gets another acknowledgement                    none
a conflict
L{ACK_DELAY_SECONDS} is over        is sent in its turn in the record's queue       resume after the answer
the client reads the record         is sent in its turn, and the record behind it   none
the client deletes or discards the  is dropped                                      end
record
the record is deleted               its acknowledgements are sent before DELETED    end
the client may not see the record   its acknowledgements are sent before the        end
any more                            denial
==================================  ==============================================  ====================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import Record
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.services.record import answers
from dstwist.services.record.acks import ACK_DELAY_SECONDS
from dstwist.services.record.failures import RecordError
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.replicas import Replicas

_RECORD = Topic.RECORD

#: How long further conflicts of a client can delay its answer, in seconds.
MAX_CONFLICT_DELAY_SECONDS = 3 * ACK_DELAY_SECONDS

#: How many answers are held at a time, and how many for one connection. Further ones are sent at once.
MAX_HELD_CONFLICTS = 10_000
MAX_HELD_CONFLICTS_EACH = 500

_RELEASE = Message(_RECORD, RecordAction.READ)

_Key = tuple[str, IRequester]


class _Answer:
    """
    The held answer to one client about one record.

    @ivar writes: the writes that are refused, without their data.
    @ivar first: when the first of these writes was refused.
    @ivar last: when the last of these writes was refused.
    @ivar provided: whether the client was told that the record has a provider.
    @ivar reads: how often the client has read the record while the answer was held.
    @ivar record: the record that the client has read last; C{None} if there was no read.
    """

    __slots__ = ("first", "last", "provided", "reads", "record", "writes")

    def __init__(self, now: float, provided: bool) -> None:
        self.writes: list[Message] = []
        self.first = self.last = now
        self.provided = provided
        self.reads = 0
        self.record: Record | None = None


class HeldConflicts:
    """
    The answers that are held.

    @param load: loads a record.
    """

    def __init__(
        self,
        subscriptions: SubscriptionRegistry,
        listeners: ListenerRegistry,
        replicas: Replicas,
        queue: RecordQueue,
        load: Callable[[str], Awaitable[Record | None]],
        clock: IReactorTime,
    ) -> None:
        self._subscriptions = subscriptions
        self._provided = listeners.provided
        self._replicas = replicas
        self._submit = queue.submit
        self._load = load
        self._turns = Turns.of(clock)
        self._seconds = clock.seconds
        self._answers: dict[str, dict[IRequester, _Answer]] = {}
        self._counts: dict[IRequester, int] = {}
        self._count = 0
        # The clients whose answers are due, by name. One step in the queue of the record sends all of them: several
        # steps would divide the writes in the queue into smaller batches.
        self._ready: dict[str, list[IRequester]] = {}
        # Always true: an answer that is held has a deadline, or is ready, or its step is under way.
        self._due: Deadlines[_Key] = Deadlines(ACK_DELAY_SECONDS, clock, self._is_due)
        self._stopped = False

    def __len__(self) -> int:
        return self._count

    def hold(self, name: str, message: Message, sender: IRequester) -> bool:
        """
        Hold the answer to a write of C{sender}, which is subscribed.

        @return: whether it is held. If not, the caller sends it.
        """
        now = self._seconds()
        answer = self._answers.get(name, {}).get(sender)
        if answer is None:
            count = self._counts.get(sender, 0)
            if self._stopped or self._count >= MAX_HELD_CONFLICTS or count >= MAX_HELD_CONFLICTS_EACH:
                return False
            answer = _Answer(now, self._provided(name))
            self._answers.setdefault(name, {})[sender] = answer
            self._counts[sender] = count + 1
            self._count += 1
            self._subscriptions.mute(name, sender)
            self._due.add((name, sender))
        answer.last = now
        answer.writes.append(
            Message(
                _RECORD,
                message.action,
                name,
                version=message.version,
                path=message.path,
                correlation_id=message.correlation_id,
                is_write_ack=True,
            )
        )
        return True

    def holds(self, name: str, connection: IRequester) -> bool:
        """
        Whether an answer to C{connection} is held, which will contain the record.
        """
        return connection in self._answers.get(name, ())

    def read(self, name: str, connection: IRequester, record: Record) -> bool:
        """
        C{connection} has read C{record}. Send it the record behind the answer, if one is held.

        @return: whether one is held. If not, the caller sends the record.
        """
        answer = self._answers.get(name, {}).get(connection)
        if answer is None:
            return False
        answer.reads += 1
        answer.record = record
        return True

    def dropped(self, name: str, connection: IRequester) -> None:
        """
        C{connection} has deleted or discarded the record.
        """
        answer = self._end_hold(name, connection)
        if answer is not None:
            self._answer_reads(name, connection, answer)

    def revoked(self, name: str, connection: IRequester) -> None:
        """
        The subscription of C{connection} has ended, because the client may not see the record any more.
        """
        answer = self._end_hold(name, connection)
        if answer is not None:
            self._acknowledge(name, connection, answer)
            self._answer_reads(name, connection, answer)

    def deleted(self, name: str) -> None:
        """
        The record is deleted, and its subscribers are about to be sent DELETED.
        """
        for connection in list(self._answers.get(name, ())):
            answer = self._end_hold(name, connection)
            if answer is not None and self._subscriptions.is_subscribed(name, connection):
                self._acknowledge(name, connection, answer)
                self._answer_reads(name, connection, answer)

    def stop(self) -> None:
        """
        Send all answers in their turn, and hold no more.
        """
        self._stopped = True
        left = list(self._due)
        self._due.stop()
        for key in left:
            self._is_due(key)

    def _is_due(self, key: _Key) -> None:
        name, connection = key
        answer = self._answers[name][connection]
        now = self._seconds()
        # A client that has just met another conflict may delete or discard the record right behind that.
        if (
            not self._stopped
            and now - answer.last < ACK_DELAY_SECONDS / 2
            and now - answer.first < MAX_CONFLICT_DELAY_SECONDS
        ):
            self._due.add(key)
        elif name in self._ready:
            self._ready[name].append(connection)
        else:
            self._ready[name] = [connection]
            self._submit(self._release, name, _RELEASE, None, always=True)

    async def _release(self, name: str, message: Message, sender: None) -> None:
        ready = self._ready[name]
        record = None
        readable = True
        try:
            try:
                record = await self._load(name)
            except RecordError:
                readable = False
            finally:
                # Answers that are due later have a step of their own.
                del self._ready[name]
            await self._answer_all(name, ready, record, readable)
        except Exception:
            # It is unknown which clients got their answers. All are disconnected, and start anew.
            for connection in ready:
                self._end_hold(name, connection)
                connection.close("internal error")
            raise

    async def _answer_all(self, name: str, ready: list[IRequester], record: Record | None, readable: bool) -> None:
        pause = TurnPause(self._turns)
        for connection in ready:
            if pause.due():
                # No other request for the record is served meanwhile.
                await pause.wait()
            # The client may have deleted or discarded the record meanwhile. It may even have subscribed again and met
            # another conflict; the new answer is then due later.
            if (name, connection) not in self._due and (answer := self._end_hold(name, connection)) is not None:
                self._answer(name, connection, answer, record, readable)
                self._answer_reads(name, connection, answer, record)

    def _answer(
        self, name: str, connection: IRequester, answer: _Answer, record: Record | None, readable: bool
    ) -> None:
        if not self._subscriptions.is_subscribed(name, connection) or self._is_leaving(name, connection, answer):
            return
        if self._provided(name) is not answer.provided:
            action = (
                RecordAction.SUBSCRIPTION_HAS_NO_PROVIDER if answer.provided else RecordAction.SUBSCRIPTION_HAS_PROVIDER
            )
            connection.send(Message(_RECORD, action, name))
        self._acknowledge(name, connection, answer)
        if not readable:
            self._replicas.not_reminded(name, connection)
        elif record is not None:
            # Writes that the client sends before it gets this answer may be accepted by accident.
            self._replicas.refused(name, connection)
            answers.version_exists(name, answer.writes[-1], connection, record)

    def _end_hold(self, name: str, connection: IRequester) -> _Answer | None:
        """
        Remove the answer, if there is one. From now on the client gets news.
        """
        held = self._answers.get(name)
        answer = None if held is None else held.pop(connection, None)
        if held is None or answer is None:
            return None
        if not held:
            del self._answers[name]
        self._due.remove((name, connection))
        self._count -= 1
        left = self._counts[connection] - 1
        if left:
            self._counts[connection] = left
        else:
            del self._counts[connection]
        self._subscriptions.unmute(name, connection)
        return answer

    def _answer_reads(self, name: str, connection: IRequester, answer: _Answer, record: Record | None = None) -> None:
        """
        Send the client the record that it has read.

        @param record: the latest one; C{None}: the one that it has read.
        """
        found = answer.record if record is None else record
        if answer.reads and found is not None:
            for _ in range(answer.reads):
                connection.send(answers.read_response(name, found))

    def _acknowledge(self, name: str, connection: IRequester, answer: _Answer) -> None:
        if not self._is_leaving(name, connection, answer):
            for write in answer.writes:
                connection.send(answers.acknowledgement(name, write, connection, answers.other_version(name)))

    def _is_leaving(self, name: str, connection: IRequester, answer: _Answer) -> bool:
        return self._replicas.is_leaving(name, connection, answer.writes[-1].version)
