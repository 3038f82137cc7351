"""
The queue of each record: its requests are served one after the other, in the order in which they came.

A I{step} is a coroutine function that serves one request. It is started at once if the record is not busy, and runs as
far as it can without waiting. With stores and permissions that answer at once the step runs to its end, and the queue
stores nothing. A step that has to wait makes its record I{busy}: further requests for the record wait in the queue
until the queue is empty.

Always true: of one record at most one step is under way.

======================  ==============================================================================================
limit                   above it
======================  ==============================================================================================
maxQueuedRequests       of one record: the request is refused, unless it ends subscriptions
record.maxPendingBytes  of one connection: L{dstwist.services.record.pending}. Requests for one record each that have
                        arrived already are still queued; a request for many records goes on when the connection is
                        resumed
limits.maxPendingBytes  of all connections: the same
======================  ==============================================================================================

If a step cannot load the record, all requests that are queued at that time fail with the same error; the record is not
loaded again for them: L{RecordQueue.failed}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IRequester, Work
from dstwist.limits.budgets import Budget
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import Steps, TimeSlices
from dstwist.services.record.broken_steps import is_contained, report
from dstwist.services.record.pending import PendingBytes

#: Serves a request. Its arguments are the name of the record, the message and its sender; C{None} if the request is the
#: server's own.
Step = Callable[[str, Message, Any], Coroutine[Any, Any, None]]


class Request(NamedTuple):
    """
    A request in a queue.

    @ivar name: the name of the record.
    @ivar sender: an L{IRequester}, or C{None}: see L{Step}.
    @ivar on_served: called when the request was served, with or without success.
    """

    step: Step
    name: str
    message: Message
    sender: Any
    on_served: Callable[[], None] | None


class _Queue:
    """
    The requests for one busy record.

    @ivar name: the name of the record.
    @ivar served: the requests that the step under way serves.
    @ivar waiting: the requests behind them; C{None} as long as there were none. Most records have none, and a deque
        takes more memory than all the rest.
    @ivar failure: why the record could not be loaded.
    @ivar failing: how many of the waiting requests fail for the same reason.
    """

    __slots__ = ("failing", "failure", "name", "served", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.served: list[Request] = NONE_SERVED
        self.waiting: deque[Request] | None = None
        self.failure: Exception | None = None
        self.failing = 0


#: The requests of a queue that has not begun to serve any. It is never modified.
NONE_SERVED: list[Request] = []


class Held(_Queue):
    """
    The queue of a record that is busy with one request, which is served without a coroutine: L{RecordQueue.hold}.
    """

    __slots__ = ("message", "sender")

    message: Message
    sender: IRequester


class RecordQueue:
    """
    The queues of all busy records.

    @ivar busy: the names of the records of which a request is being served. Further requests wait.
    @ivar resumed: L{PendingBytes.resumed}.
    @param refuse: answers a request that its full queue does not take.
    @param budget: limits the bytes of the waiting requests of all connections.
    """

    def __init__(
        self,
        settings: RecordSettings,
        refuse: Callable[[str, Message, IRequester], None],
        clock: IReactorTime,
        budget: Budget | None = None,
    ) -> None:
        self._refuse = refuse
        self._limit = settings.max_queued_requests
        self._queues: dict[str, _Queue] = {}
        self.busy: Collection[str] = self._queues
        pending = PendingBytes(settings.max_pending_bytes, budget)
        self._charge = pending.charge
        self._discharge = pending.discharge
        self.resumed = pending.resumed
        self._idle: Deferred[None] | None = None
        # Serves the queues that need not wait. Many requests can wait for one load or commit: they get a slice of each
        # turn.
        self._slices = TimeSlices(clock)
        self._clock = clock

    def submit(
        self,
        step: Step,
        name: str,
        message: Message,
        sender: IRequester | None,
        on_served: Callable[[], None] | None = None,
        always: bool = False,
    ) -> None:
        """
        Have C{step} serve C{message} in its turn; at once if the record is not busy.

        @param on_served: called when the request was served or refused.
        @param always: queue the request even if the queue is full.
        """
        queue = self._queues.get(name)
        if queue is None:
            self.start(step(name, message, sender), step, name, message, sender, on_served)
        elif always or len(queue.waiting or ()) < self._limit:
            if queue.waiting is None:
                queue.waiting = deque()
            self._charge(message, sender)
            queue.waiting.append(Request(step, name, message, sender, on_served))
        else:
            assert sender is not None
            self._refuse(name, message, sender)
            if on_served is not None:
                on_served()

    def start(
        self,
        work: Coroutine[Any, Any, None],
        step: Step,
        name: str,
        message: Message,
        sender: IRequester | None,
        on_served: Callable[[], None] | None = None,
    ) -> None:
        """
        Run C{work}, a C{step} that serves C{message}. The record is not busy.
        """
        waits = False
        try:
            work.send(None)
            waits = True
        except StopIteration:
            return
        except MemoryError:
            if not is_contained(Failure(), name, [(message, sender)]):
                raise
            return
        finally:
            if not waits and on_served is not None:
                on_served()
        queue = self._queues[name] = _Queue(name)
        self._charge(message, sender)
        queue.served = [Request(step, name, message, sender, on_served)]
        self._wait(queue, work)

    def hold(self, held: Held) -> None:
        """
        Make a record busy, to serve a request without a coroutine. The record is not busy. At the end call L{release},
        L{go_on} or L{broke}.
        """
        self._queues[held.name] = held
        self._charge(held.message, held.sender)

    def release(self, held: Held) -> None:
        """
        The request of L{hold} is served.
        """
        self._discharge(held.message, held.sender)
        if held.waiting is None:
            self._remove(held)
        else:
            self._slices.do(self._serving(held))

    def go_on(self, held: Held, step: Step, work: Coroutine[Any, Any, None]) -> None:
        """
        The coroutine C{work} serves the rest of the request of L{hold}, as C{step} would.
        """
        held.served = [Request(step, held.name, held.message, held.sender, None)]
        self._wait(held, work)

    def broke(self, held: Held) -> None:
        """
        An exception, which is being handled, has ended the request of L{hold}.
        """
        report(Failure(), held.name, [(held.message, held.sender)])
        self.release(held)

    def submit_each(self, step: Step, message: Message, sender: IRequester) -> None:
        """
        Have C{step} serve each name of C{message} in its turn.
        """
        sender.do(self._submitting(step, message, sender))

    def submit_all(self, step: Step, message: Message, sender: IRequester, finish: Callable[[], None]) -> None:
        """
        L{submit_each}, and call C{finish} when all names are served. It is not called if C{sender} closes before all
        names are queued.
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
        sender: IRequester,
        on_served: Callable[[], None] | None = None,
        always: bool = False,
    ) -> Work:
        steps = self.steps()
        over = False
        for name in message.names:
            if over:
                yield self.resumed(sender)
                steps.begin()
            self.submit(step, name, message, sender, on_served, always)
            over = steps.over()

    def steps(self) -> Steps:
        """
        The time limit of work that submits many names: permission rules can make each of them expensive.
        """
        return Steps(self._clock)

    def submit_one(self, step: Step) -> Callable[[Message, IRequester], None]:
        """
        A function that takes messages about one record each, and has C{step} serve them.
        """

        def enter(message: Message, sender: IRequester) -> None:
            assert message.name is not None, "codecs let none through without its name"
            self.submit(step, message.name, message, sender)

        return enter

    def take_following(self, name: str, step: Step) -> Request | None:
        """
        For a step under way: take the next request, to serve it together with the step's own.

        @return: C{None} if there is none, it is for another step, or it was queued after a load had failed and so needs
            a load of its own.
        """
        queue = self._queues.get(name)
        if queue is None or not queue.waiting or queue.waiting[0].step != step:
            return None
        if queue.failure is not None:
            if not queue.failing:
                return None
            queue.failing -= 1
        request = queue.waiting.popleft()
        queue.served.append(request)
        return request

    def requeue(self, name: str, requests: list[Request]) -> None:
        """
        Undo L{take_following} for C{requests}: they are the next to be served.
        """
        if requests:
            queue = self._queues[name]
            given = set(map(id, requests))
            queue.served = [request for request in queue.served if id(request) not in given]
            assert queue.waiting is not None
            queue.waiting.extendleft(reversed(requests))

    def failed(self, name: str, failure: Exception) -> None:
        """
        For a step under way, which could not load the record: all requests that are queued now fail as well.
        """
        queue = self._queues.get(name)
        if queue is not None:
            queue.failure = failure
            queue.failing = len(queue.waiting or ())

    def failure(self, name: str) -> Exception | None:
        """
        For a step under way: the failure of a step before it, if the step fails for the same reason.
        """
        queue = self._queues.get(name)
        return queue.failure if queue is not None else None

    def drained(self) -> Deferred[None]:
        """
        Fires when all queues are empty.
        """
        idle: Deferred[None] = Deferred()
        if self._queues:
            assert self._idle is None, "called once"
            self._idle = idle
        else:
            idle.callback(None)
        return idle

    # -- serving

    def _wait(self, queue: _Queue, work: Coroutine[Any, Any, None]) -> None:
        # If the coroutine waits already, Deferred.fromCoroutine resumes it, and it goes on waiting.
        Deferred.fromCoroutine(work).addErrback(self._step_failed, queue).addCallback(self._served, queue)

    def _served(self, _: object, queue: _Queue) -> None:
        self._slices.do(self._serving(queue))

    def _serving(self, queue: _Queue) -> Iterator[None]:
        """
        Serve the queue until it is empty, or has to wait again.
        """
        name = queue.name
        while True:
            served, queue.served = queue.served, []
            for request in served:
                self._discharge(request.message, request.sender)
                if request.on_served is not None:
                    request.on_served()
            if not queue.waiting:
                break
            request = queue.waiting.popleft()
            if queue.failing:
                queue.failing -= 1
            else:
                queue.failure = None
            queue.served.append(request)
            work = request.step(name, request.message, request.sender)
            try:
                work.send(None)
            except StopIteration:
                yield
                continue
            except Exception:
                self._step_failed(Failure(), queue)
                yield
                continue
            self._wait(queue, work)
            return
        self._remove(queue)

    def _remove(self, queue: _Queue) -> None:
        del self._queues[queue.name]
        if self._idle is not None and not self._queues:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def _step_failed(self, failure: Failure, queue: _Queue) -> None:
        report(failure, queue.name, [(request.message, request.sender) for request in queue.served])
