"""
Tests for L{dstwist.scheduling.work_queue}, by a requester that is no connection.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.interfaces import Work
from dstwist.protocol.constants import ConnectionAction, EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.turns import TIME_SLICE, Turns
from dstwist.scheduling.work_queue import WorkQueue
from tests.fakes import FakeLink
from tests.logs import Lines
from tests.turns import next_turn

EMIT = Message(Topic.EVENT, EventAction.EMIT, "news", b"1")
PING = Message(Topic.CONNECTION, ConnectionAction.PING)


class FakeRequester:
    """
    A requester that keeps its served requests.

    @ivar then: called with each request after that.
    """

    user = "ann"
    address = "192.0.2.1"
    path = "/api"
    number = 0
    node = ""

    def __init__(self, clock: Clock) -> None:
        self.source = FakeLink()
        self.queue: WorkQueue[Any] = WorkQueue(clock, self, self.route, self.source)
        self.served: list[Any] = []
        self.routed: list[tuple[Message, FakeRequester]] = []
        self.failures = 0
        self.then: Callable[[Any], None] = lambda request: None

    def serve_own(self, request: Any) -> None:
        self.served.append(request)
        self.then(request)

    def route(self, message: Message, requester: FakeRequester) -> None:
        self.routed.append((message, requester))

    def serving_failed(self) -> None:
        self.failures += 1
        self.queue.end()


class WorkQueueTestCase(SynchronousTestCase):
    """
    One requester and its queue.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.requester = FakeRequester(self.clock)
        self.queue = self.requester.queue
        self.served = self.requester.served

    def state(self) -> tuple[list[Any], bool]:
        """
        The requests that were served, and whether reading from the requester has stopped.
        """
        return self.served, self.requester.source.paused

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass within a turn: nothing falls due.
        """
        self.clock.rightNow += seconds

    def next_turn(self) -> None:
        next_turn(self.clock)


class RequestTests(WorkQueueTestCase):
    """
    L{WorkQueue.serve} and its likes: requests in order, in slices of time.
    """

    def test_at_once(self) -> None:
        """
        A requester that has nothing to do is served at once, and nothing of it is kept.
        """
        self.assertFalse(self.queue.serve([1, 2, 3]))
        self.assertEqual((self.state(), self.queue.waiting), (([1, 2, 3], False), None))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_time_slices(self) -> None:
        """
        Many requests are served in slices of time. What comes meanwhile is served behind them, and the requester is
        read from when all are served.
        """
        self.requester.then = lambda request: self.pass_time(TIME_SLICE / 1.5)
        self.assertTrue(self.queue.serve([1, 2, 3]))
        self.assertEqual(self.state(), ([1, 2], True))
        self.assertTrue(self.queue.serve([4]))
        self.assertEqual(self.state(), ([1, 2], True))
        self.next_turn()
        self.next_turn()
        self.assertEqual(self.state(), ([1, 2, 3, 4], False))

    def test_routed(self) -> None:
        """
        Messages go to the router, but for those of the topic CONNECTION, which concern the requester itself.
        """
        self.queue.serve([EMIT, PING])
        self.assertEqual((self.requester.routed, self.served), ([(EMIT, self.requester)], [PING]))

    def test_keep(self) -> None:
        """
        Requests may be kept for a later turn although there is time left.
        """
        self.assertTrue(self.queue.keep([1, 2]))
        self.assertEqual(self.state(), ([], True))
        self.next_turn()
        self.assertEqual(self.state(), ([1, 2], False))

    def test_keep_nothing(self) -> None:
        """
        If there are none to keep, the requester goes on to be read from.
        """
        self.assertFalse(self.queue.keep([]))
        self.assertEqual((self.state(), self.queue.waiting), (([], False), None))

    def test_serve_next(self) -> None:
        """
        A request may turn out to be several; these come before all that wait.
        """
        self.requester.then = lambda request: self.queue.serve_next(["a", "b"] if request == 1 else [])
        self.queue.serve([1, 2])
        self.assertEqual(self.served, [1, "a", "b", 2])

    def test_end(self) -> None:
        """
        Nothing is served for a requester that has gone.
        """
        self.requester.then = lambda request: self.pass_time(2 * TIME_SLICE)
        self.queue.serve([1, 2])
        self.queue.end()
        self.next_turn()
        self.queue.serve([3])
        self.queue.keep([4])
        self.next_turn()
        self.assertEqual((self.served, self.clock.getDelayedCalls()), ([1], []))

    def test_end_while_served(self) -> None:
        """
        A requester may go because of one of its requests: those behind it are not served.
        """
        self.requester.then = lambda request: self.queue.end()
        self.queue.serve([1, 2])
        self.assertEqual(self.served, [1])

    def test_failure(self) -> None:
        """
        A mistake of ours in a later turn is logged, and ends the requester.
        """

        def fail(request: int) -> None:
            self.pass_time(2 * TIME_SLICE)
            if request == 2:
                raise ZeroDivisionError

        self.requester.then = fail
        self.queue.serve([1, 2, 3])
        lines = Lines(self)
        self.next_turn()
        self.assertEqual((self.served, self.requester.failures), ([1, 2], 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(lines.of("critical"), ["serving ann (192.0.2.1, /api) failed"])

    def test_freed_at_once(self) -> None:
        """
        A requester that has gone is freed without the garbage collector, which takes long when there are many.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        requester = FakeRequester(self.clock)
        freed = ref(requester)
        requester.queue.serve([1])
        requester.queue.end()
        del requester
        self.assertIsNone(freed())


class PauseTests(WorkQueueTestCase):
    """
    L{WorkQueue.pause}: the server does not read from the requester.
    """

    def test_nested(self) -> None:
        """
        The server reads on when all parties that wanted the requester to be quiet are done.
        """
        self.queue.pause()
        self.queue.pause()
        self.queue.resume()
        self.assertEqual((self.requester.source.paused, self.queue.paused), (True, True))
        self.queue.resume()
        self.assertEqual((self.requester.source.paused, self.queue.paused), (False, False))

    def test_together(self) -> None:
        """
        It does not read on for a party that is done while requests still wait.
        """
        self.queue.pause()
        self.queue.keep([1])
        self.queue.resume()
        self.assertEqual(self.state(), ([], True))
        self.next_turn()
        self.assertEqual(self.state(), ([1], False))

    def test_ended(self) -> None:
        """
        The source of a requester that has gone is left alone: its transport may still have to hear the client's part
        of the closing.
        """
        self.queue.end()
        self.queue.pause()
        self.assertFalse(self.requester.source.paused)

    def test_no_source(self) -> None:
        """
        A requester need not have a transport.
        """
        queue: WorkQueue[Any] = WorkQueue(self.clock, self.requester, self.requester.route)
        queue.keep([1])
        self.next_turn()
        self.assertEqual((self.served, queue.paused), ([1], False))


class WorkTests(WorkQueueTestCase):
    """
    L{WorkQueue.do}: work that takes long, and work that waits.
    """

    def setUp(self) -> None:
        super().setUp()
        self.done: list[Any] = []

    def work(self, steps: int, name: str = "", seconds: float = 0.0) -> Work:
        for step in range(steps):
            if step:
                yield None
            self.done.append(f"{name}{step}")
            self.pass_time(seconds)

    def test_short(self) -> None:
        """
        Work of one step is done at once.
        """
        self.queue.do(self.work(1))
        self.assertEqual((self.done, self.requester.source.paused), (["0"], False))

    def test_long(self) -> None:
        """
        The first step of long work is done at once, and the others in slices. The server does not read from the
        requester meanwhile, and all later requests wait behind the work.
        """
        self.queue.do(self.work(8, seconds=TIME_SLICE / 1.5))
        self.assertEqual((len(self.done), self.requester.source.paused), (1, True))
        self.queue.serve(["x"])
        for expected in (3, 5, 7):
            self.next_turn()
            self.assertEqual((len(self.done), self.state()), (expected, ([], True)))
        self.next_turn()
        self.assertEqual((len(self.done), self.state()), (8, (["x"], False)))

    def test_among_many(self) -> None:
        """
        If there is time, work among many requests does not wait for another turn.
        """
        self.requester.then = lambda request: self.queue.do(self.work(3, f"{request}."))
        self.queue.serve(range(20))
        self.assertEqual(self.done, [f"{number}.{step}" for number in range(20) for step in range(3)])
        self.assertFalse(self.requester.source.paused)

    def test_work_of_work(self) -> None:
        """
        Work that leads to other work at its end: that comes before all that waits.
        """

        def outer() -> Work:
            yield None
            self.queue.do(self.work(3, "inner "))

        self.requester.then = lambda request: self.queue.do(outer()) if request == 1 else self.done.append("x")
        self.queue.serve([1, 2])
        while self.requester.source.paused:
            self.next_turn()
        self.assertEqual(self.done, ["inner 0", "inner 1", "inner 2", "x"])

    def test_waiting(self) -> None:
        """
        Work may wait in any of its steps; a Deferred that has fired already is not waited for.
        """
        first: Deferred[None] = Deferred()
        second: Deferred[None] = Deferred()

        def work() -> Work:
            yield first
            self.done.append(1)
            yield None
            self.done.append(2)
            yield succeed(None)
            yield second
            self.done.append(3)

        self.queue.do(work())
        self.queue.serve(["x"])
        self.assertEqual((self.done, self.state()), ([], ([], True)))
        first.callback(None)
        self.assertEqual((self.done, self.state()), ([1, 2], ([], True)))
        second.callback(None)
        self.assertEqual((self.done, self.state()), ([1, 2, 3], (["x"], False)))

    def test_turn_over(self) -> None:
        """
        If the turn is over when an awaited Deferred fires, the work goes on in a later one.
        """
        awaited: Deferred[None] = Deferred()

        def work() -> Work:
            yield awaited
            self.done.append(1)

        self.queue.do(work())
        turns = Turns.of(self.clock)
        while not turns.over():
            self.pass_time(TIME_SLICE)
        awaited.callback(None)
        self.assertEqual((self.done, self.requester.source.paused), ([], True))
        self.next_turn()
        self.assertEqual((self.done, self.requester.source.paused), ([1], False))

    def test_failing_deferred(self) -> None:
        """
        If a Deferred that work waits for fails, and the work does not take the failure, it is logged. The work goes on.
        """
        awaited: Deferred[None] = Deferred()

        def work() -> Work:
            yield awaited
            self.done.append(1)

        self.queue.do(work())
        lines = Lines(self)
        awaited.errback(ValueError("the store is gone"))
        self.assertEqual((self.done, self.requester.source.paused), ([1], False))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(lines.of("critical"), ["a request of ann (192.0.2.1, /api) waited for a result that failed"])

    def test_failing_later(self) -> None:
        """
        It is logged as well if the requester has gone by then.
        """
        awaited: Deferred[None] = Deferred()

        def work() -> Work:
            yield awaited
            self.done.append(1)

        self.queue.do(work())
        self.queue.end()
        awaited.errback(ValueError("the store is gone"))
        self.assertEqual((self.done, len(self.flushLoggedErrors(ValueError))), ([], 1))

    def test_gone(self) -> None:
        """
        No work is done for a requester that has gone, whether the work itself or another party has ended it.
        """

        def work() -> Work:
            self.done.append(1)
            yield None
            self.done.append(2)
            self.queue.end()
            yield None
            self.done.append(3)

        self.queue.do(work())
        self.next_turn()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), ([1, 2], []))
        self.queue.do(work())
        self.assertEqual(self.done, [1, 2])

    def test_broken(self) -> None:
        """
        Work that fails ends its requester, and leaves a traceback in the log.
        """

        def work() -> Work:
            yield None
            raise ZeroDivisionError

        self.queue.do(work())
        self.next_turn()
        self.assertEqual((self.requester.failures, len(self.flushLoggedErrors(ZeroDivisionError))), (1, 1))
