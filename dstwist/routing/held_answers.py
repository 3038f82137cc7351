"""
The answers to subscriptions that wait for the bus.

If there are other nodes, a name that gets its first subscriber here is also wanted from the bus. A client is told that
it is subscribed when messages of other nodes arrive, or when it would be too long to wait (C{design.md} section 6.5)::

    SUBSCRIBE a  -->  a subscribed here, its subject wanted  ......  subject in force  -->  ack
    SUBSCRIBE b  -->  b has been in force for long, but the ack waits behind that of a  -->  ack
    EMIT         -->  served at once

So the requests of a client do not wait for the bus, only its answers do. A client gets the answers about subscriptions
to one topic in the order of its requests: v2 and v3 clients tell acknowledgements apart by name and action only.

The answers that wait are limited. When a client has too many, its next subscribe or unsubscribe request waits until all
of them are sent, and so do its other requests behind that one.

Always true: each connection that is known here has an answer that waits, and the first one waits for a name. So a
connection that has closed is forgotten when its names are ready; it drops what it is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred

from dstwist.interfaces import IRequester
from dstwist.protocol.message import Message

#: How many answers of one connection may wait, with the names in them.
MAX_WAITING = 2000


class Subjects(Protocol):
    """
    The subjects of one topic on the bus.
    """

    def want(self, name: str) -> Deferred[None] | None:
        """
        C{name} has its first subscriber.

        @return: fires when subscribers may be answered, and never fails; C{None}: at once.
        """

    def unwant(self, name: str) -> object:
        """
        C{name} has no subscriber any more.
        """


class Awaited:
    """
    The names that an answer waits for.

    @ivar missing: how many of them are not ready.
    """

    __slots__ = ("missing",)

    def __init__(self) -> None:
        self.missing = 0


class _Queue:
    """
    The answers of one connection that wait.

    @ivar size: the number of the answers and their names.
    @ivar emptied: fires when all of them are sent, if that is waited for.
    """

    __slots__ = ("answers", "emptied", "size")

    def __init__(self) -> None:
        self.answers: deque[tuple[Message, Awaited | None]] = deque()
        self.size = 0
        self.emptied: Deferred[None] | None = None


class HeldAnswers:
    """
    The names of one topic that are not ready, and the answers that wait for them.
    """

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects
        # What is called when a name is ready.
        self._unready: dict[str, list[Callable[[], object]]] = {}
        self._queues: dict[IRequester, _Queue] = {}

    # -- names

    def subscribed(self, name: str) -> None:
        """
        C{name} has its first subscriber.
        """
        wanted = self._subjects.want(name)
        if wanted is not None:
            waiting = self._unready[name] = []
            wanted.addCallback(self._is_ready, name, waiting)

    def unsubscribed(self, name: str) -> None:
        """
        C{name} has no subscriber any more. The answers that wait for it still do.
        """
        self._unready.pop(name, None)
        self._subjects.unwant(name)

    def ready(self, name: str) -> Deferred[None] | None:
        """
        Fires when subscribers of C{name} may be answered; C{None}: at once.
        """
        waiting = self._unready.get(name)
        if waiting is None:
            return None
        ready: Deferred[None] = Deferred()
        waiting.append(partial(ready.callback, None))
        return ready

    def _is_ready(self, _: object, name: str, waiting: list[Callable[[], object]]) -> None:
        # The name may have been given up and wanted again.
        if self._unready.get(name) is waiting:
            del self._unready[name]
        for call in waiting:
            call()

    # -- answers

    def wait_for(self, name: str, awaited: Awaited, connection: IRequester) -> None:
        """
        Have the answer to C{connection} that waits for C{awaited} wait for C{name}, too, unless it is ready.
        """
        waiting = self._unready.get(name)
        if waiting is not None:
            awaited.missing += 1
            waiting.append(partial(self._found, awaited, connection))

    def send(self, message: Message, connection: IRequester, awaited: Awaited | None = None) -> None:
        """
        Send C{message} to C{connection} when all names in C{awaited} are ready, behind the answers that wait already.
        """
        queue = self._queues.get(connection)
        if queue is None:
            if awaited is None or not awaited.missing:
                connection.send(message)
                return
            queue = self._queues[connection] = _Queue()
        queue.answers.append((message, awaited))
        queue.size += 1 + len(message.names)

    def room(self, connection: IRequester) -> Deferred[None] | None:
        """
        Fires when more answers to C{connection} may wait; C{None}: they may now. Called once until it fires.
        """
        queue = self._queues.get(connection)
        if queue is None or queue.size < MAX_WAITING:
            return None
        queue.emptied = Deferred()
        return queue.emptied

    def _found(self, awaited: Awaited, connection: IRequester) -> None:
        awaited.missing -= 1
        if awaited.missing:
            return
        queue = self._queues.get(connection)
        if queue is None:
            return
        answers = queue.answers
        while answers:
            message, awaited_by_first = answers[0]
            if awaited_by_first is not None and awaited_by_first.missing:
                return
            answers.popleft()
            connection.send(message)
        # An application that gets an answer may do anything meanwhile.
        if self._queues.get(connection) is queue:
            del self._queues[connection]
            if queue.emptied is not None:
                queue.emptied.callback(None)
