"""
One thing at a time: whatever is asked of a record waits for what was asked of it before.

A *step* is a coroutine function that serves one request. It is started at once, and run as far as it goes without
waiting; with stores and permissions that answer at once this is to its end, and nothing is kept. If it has to wait, a
L{_Line} exists for its record until nothing is left to do, and further requests stand in it. Always true: of one record
there is never more than one step under way, and steps start in the order in which they were asked for.

======================  ==============================================================================================
limit                   past it
======================  ==============================================================================================
maxQueuedRequests       of one record: the request is refused, except for the end of a subscription
maxPendingBytes         of one connection, counting the data and something for the request itself: the connection is
                        paused until half of it is done. Single requests that it had sent already are still taken; what
                        it asks of many records goes on then
limits.maxPendingBytes  of all connections: each that asks for more is paused until one of its own requests is done
======================  ==============================================================================================

What could not be loaded is not loaded again for those who stood in line at that time: L{RecordQueue.failed}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IConnection, Work
from dstwist.limits.budgets import Budget
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import Steps, TimeSlices

_READS = frozenset((RecordAction.READ, RecordAction.HEAD, RecordAction.HAS))

#: Serves a request: gets the name of the record, the message and its sender; no sender if it is a matter of our own.
Step = Callable[[str, Message, Any], Coroutine[Any, Any, None]]

#: What a request weighs besides its data.
OVERHEAD = 200


class Request(NamedTuple):
    """
    What stands in line.

    @ivar name: of the record.
    @ivar sender: an L{IConnection}, or C{None}: see L{Step}.
    @ivar then: called when it was served, however that went.
    """

    step: Step
    name: str
    message: Message
    sender: Any
    then: Callable[[], None] | None


@dataclass(eq=False, slots=True)
class _Line:
    """
    The requests of one record.

    @ivar served: those that the step under way serves.
    @ivar doomed: how many of the first in line share the fate of a failed one.
    """

    served: list[Request]
    waiting: deque[Request] = field(default_factory=deque)
    failure: Exception | None = None
    doomed: int = 0


class RecordQueue:
    """
    The lines of all records.

    @ivar busy: the names of the records of which a request is being served. Further requests wait.
    @param refuse: answers a request for which there is no place.
    @param budget: how many bytes the requests of all connections may have that wait.
    """

    _log = Logger()

    def __init__(
        self,
        settings: RecordSettings,
        refuse: Callable[[str, Message, IConnection], None],
        clock: IReactorTime,
        budget: Budget | None = None,
    ) -> None:
        self._refuse = refuse
        self._limit = settings.max_queued_requests
        self._pending_limit = settings.max_pending_bytes
        self._lines: dict[str, _Line] = {}
        self.busy: Container[str] = self._lines
        self._pending: dict[IConnection, int] = {}
        self._budget = Budget() if budget is None else budget
        # Who is paused, and what waits for the end of that.
        self._paused: dict[IConnection, Deferred[None]] = {}
        self._idle: Deferred[None] | None = None
        # The lines that can go on. Many requests can wait for one load or commit: they get a slice of each turn.
        self._slices = TimeSlices(clock)
        self._clock = clock

    def submit(
        self,
        step: Step,
        name: str,
        message: Message,
        sender: IConnection | None,
        then: Callable[[], None] | None = None,
        always: bool = False,
    ) -> None:
        """
        Have C{step} serve C{message} when it is its turn; at once if nothing else is asked of the record.

        @param then: called when that is done.
        @param always: even if the line is full.
        """
        line = self._lines.get(name)
        if line is None:
            self.start(step(name, message, sender), step, name, message, sender, then)
        elif always or len(line.waiting) < self._limit:
            line.waiting.append(self._admit(Request(step, name, message, sender, then)))
        else:
            assert sender is not None
            self._refuse(name, message, sender)
            if then is not None:
                then()

    def start(
        self,
        work: Coroutine[Any, Any, None],
        step: Step,
        name: str,
        message: Message,
        sender: IConnection | None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """
        Run C{work}, a C{step} that serves C{message}; nobody stands in line for the record.
        """
        try:
            work.send(None)
        except StopIteration:
            if then is not None:
                then()
            return
        except MemoryError:
            if not self._contained(Failure(), name, [(message, sender)]):
                raise
            if then is not None:
                then()
            return
        line = self._lines[name] = _Line([self._admit(Request(step, name, message, sender, then))])
        self._wait(line, work)

    def submit_each(self, step: Step, message: Message, sender: IConnection) -> None:
        """
        Have C{step} serve all names of C{message}, each when it is its turn.
        """
        sender.do(self._submitting(step, message, sender))

    def submit_all(self, step: Step, message: Message, sender: IConnection, finish: Callable[[], None]) -> None:
        """
        The same, and do C{finish} when they are served, unless C{sender} has gone before all are in line.
        """
        left = len(message.names)
        if not left:
            finish()

        def done() -> None:
            nonlocal left
            left -= 1
            if not left:
                finish()

        sender.do(self._submitting(step, message, sender, done, always=True))

    def _submitting(
        self,
        step: Step,
        message: Message,
        sender: IConnection,
        then: Callable[[], None] | None = None,
        always: bool = False,
    ) -> Work:
        steps = self.steps()
        over = False
        for name in message.names:
            if over:
                yield self.room(sender)
                steps.begin()
            self.submit(step, name, message, sender, then, always)
            over = steps.over()

    def steps(self) -> Steps:
        """
        For work that asks for many records: a rule can make each of them expensive.
        """
        return Steps(self._clock)

    def room(self, sender: IConnection) -> Deferred[None] | None:
        """
        What work of C{sender} waits for before it asks for more.
        """
        return self._paused.get(sender)

    def submit_one(self, step: Step) -> Callable[[Message, IConnection], None]:
        """
        What takes messages about one record each, to have C{step} serve them.
        """

        def enter(message: Message, sender: IConnection) -> None:
            assert message.name is not None, "codecs let none through without its name"
            self.submit(step, message.name, message, sender)

        return enter

    def take_following(self, name: str, step: Step) -> Request | None:
        """
        For a step under way: the next request, to be served together with its own; C{None} if there is none, or it is
        of another kind, or it came after a failure and gets its own attempt.
        """
        line = self._lines.get(name)
        if line is None or not line.waiting or line.waiting[0].step != step:
            return None
        if line.failure is not None:
            if not line.doomed:
                return None
            line.doomed -= 1
        request = line.waiting.popleft()
        line.served.append(request)
        return request

    def requeue(self, name: str, requests: list[Request]) -> None:
        """
        Undo L{take_following} for C{requests}: they are next in line.
        """
        if requests:
            line = self._lines[name]
            given = set(map(id, requests))
            line.served = [request for request in line.served if id(request) not in given]
            line.waiting.extendleft(reversed(requests))

    def failed(self, name: str, failure: Exception) -> None:
        """
        For a step under way: nobody in line will have more luck than it had.
        """
        line = self._lines.get(name)
        if line is not None:
            line.failure = failure
            line.doomed = len(line.waiting)

    def failure(self, name: str) -> Exception | None:
        """
        For a step under way: what made one before it fail and is decided for it as well.
        """
        line = self._lines.get(name)
        return line.failure if line is not None else None

    def drained(self) -> Deferred[None]:
        """
        Fires when nobody stands in line.
        """
        idle: Deferred[None] = Deferred()
        if self._lines:
            assert self._idle is None, "stopped once"
            self._idle = idle
        else:
            idle.callback(None)
        return idle

    # -- one after the other

    def _wait(self, line: _Line, work: Coroutine[Any, Any, None]) -> None:
        # It waits already; being started once more, it waits on.
        Deferred.fromCoroutine(work).addErrback(self._broke, line).addCallback(self._served, line)

    def _served(self, _: object, line: _Line) -> None:
        self._slices.do(self._serving(line))

    def _serving(self, line: _Line) -> Iterator[None]:
        """
        Serve the line until it is empty, or has to wait again.
        """
        name = line.served[0].name
        while True:
            served, line.served = line.served, []
            for request in served:
                self._dismiss(request)
            if not line.waiting:
                break
            request = line.waiting.popleft()
            if line.doomed:
                line.doomed -= 1
            else:
                line.failure = None
            line.served.append(request)
            work = request.step(name, request.message, request.sender)
            try:
                work.send(None)
            except StopIteration:
                yield
                continue
            except Exception:
                self._broke(Failure(), line)
                yield
                continue
            self._wait(line, work)
            return
        del self._lines[name]
        if self._idle is not None and not self._lines:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def _broke(self, failure: Failure, line: _Line) -> None:
        name = line.served[0].name
        requests = [(request.message, request.sender) for request in line.served]
        if failure.check(MemoryError) and self._contained(failure, name, requests):
            return
        # It is unknown what of it was done: the senders had better start anew.
        self._log.failure("serving the record {name} failed", failure, name=shown(name))
        for request in line.served:
            if request.sender is not None:
                request.sender.close("internal error")

    def _contained(self, failure: Failure, name: str, requests: list[tuple[Message, IConnection | None]]) -> bool:
        """
        There was not enough memory. A read changes nothing, so nothing is half done: its client gets an error.

        @return: whether all requests are reads.
        """
        if not all(message.action in _READS for message, _ in requests):
            return False
        self._log.failure("reading the record {name} failed", failure, name=shown(name), contained=True)
        for message, sender in requests:
            if sender is not None:
                sender.send(message.error(RecordAction.RECORD_LOAD_ERROR, name, "not enough memory"))
        return True

    # -- how much is pending

    def _admit(self, request: Request) -> Request:
        sender = request.sender
        if sender is None:
            return request
        weight = _weight(request.message)
        pending = self._pending[sender] = self._pending.get(sender, 0) + weight
        # Past the budget of all, each connection that asks for more has to wait for its own requests.
        excess = self._budget.charge(weight) or pending > self._pending_limit
        if excess and sender not in self._paused:
            self._paused[sender] = Deferred()
            sender.pause()
        return request

    def _dismiss(self, request: Request) -> None:
        sender = request.sender
        if sender is not None:
            weight = _weight(request.message)
            self._budget.give(weight)
            pending = self._pending[sender] = self._pending[sender] - weight
            if not pending:
                del self._pending[sender]
            if sender in self._paused and pending <= self._pending_limit // 2:
                room = self._paused.pop(sender)
                sender.resume()
                room.callback(None)
        if request.then is not None:
            request.then()


def _weight(message: Message) -> int:
    return OVERHEAD + (len(message.data) if message.data is not None else 0)
