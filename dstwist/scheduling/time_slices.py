"""
Long work, cut into steps, and done a time slice in each turn of the reactor (L{dstwist.scheduling.turns}).

There is one way to write long work, C{Work} of L{dstwist.interfaces}: an iterator. It does one step each time it is
asked for its next item; C{None} means that the next step may follow, a Deferred that the next step has to wait for it.
The table shows what runs a work, and how it is cut into steps:

==============================  ================================  ==================================================
the work of                     is run by                         and is cut into steps by
==============================  ================================  ==================================================
a request of a client           L{IRequester.do}: the client's   L{Steps}: each C{yield} gives others their turn, so
                                later requests wait behind it     a step is up to L{NAMES_PER_STEP} names
the server: a connection        L{TimeSlices.do}: no client       C{yield} after each item: L{TimeSlices} looks at the
leaves, rules change ...        waits for it                      clock
a coroutine                     itself                            L{TurnPause}: C{await} in place of C{yield}
==============================  ================================  ==================================================

Transports, which may not call a generator for each frame, ask L{Turns} themselves.

Why not L{twisted.internet.task.Cooperator}? It keeps the slice of a turn (C{terminationPredicateFactory}) and a fake
clock (C{scheduler}), but not the other promises: it begins no work before the next turn, so that small work would never
be done at once; it does one step of each task in turn, so that ten thousand small tasks would all be open together; it
knows no order between a party that has waited and one that has just come; it cannot be held without pausing each task;
and a task that fails without a callback is lost without a log line.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.interfaces import Work
from dstwist.log import Logger
from dstwist.scheduling.turns import TIME_SLICE, Turns

#: The most names that one step of a request deals with.
NAMES_PER_STEP = 50

#: How long the works of the server may take in one turn, in seconds. No client waits for them, but all clients wait
#: while they are done. In a much shorter time a turn would do less work than it costs to begin one.
WORK_SLICE = 0.002

#: A step ends before the next name if it has taken longer than this, in seconds. A rule or a search can make each name
#: expensive.
STEP_TIME = 0.001


class Steps:
    """
    Cuts the work of a request with many names into steps::

        steps = Steps(clock)
        over = False
        for name in names:
            if over:
                yield None
                steps.begin()
            ...
            over = steps.over()

    @param clock: the work is done in its turns; C{None} to cut by the number of names only.
    """

    __slots__ = ("_end", "_left", "_now")

    def __init__(self, clock: IReactorTime | None) -> None:
        self._now = (lambda: 0.0) if clock is None else Turns.of(clock).now
        self.begin()

    def begin(self) -> None:
        """
        Begin a step.
        """
        self._left = NAMES_PER_STEP
        self._end = self._now() + STEP_TIME

    def over(self) -> bool:
        """
        Count one name.

        @return: whether the step is over.
        """
        self._left -= 1
        return not self._left or self._now() > self._end


class TurnPause:
    """
    Has a coroutine pause whenever its time slice is over::

        pause = TurnPause(turns)
        for item in items:
            if pause.due():
                await pause.wait()
            ...
    """

    __slots__ = ("_began", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._began = turns.now()

    def due(self, after: float = TIME_SLICE) -> bool:
        """
        Whether the coroutine has run for longer than C{after}, in seconds, without a pause.
        """
        return self._turns.now() > self._began + after

    async def wait(self) -> None:
        """
        Go on in a later turn.
        """
        await self._turns.next()
        self._began = self._turns.now()


class TimeSlices:
    """
    Does works in the order in which they came, a L{WORK_SLICE} in each turn.

    Small work is done at once, before L{do} returns, if the turn has time left. If several works last longer, each of
    them gets one slice after the other.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._turns = Turns.of(clock)
        self._works: deque[Work] = deque()
        # Whether the works are gone on with in a later turn, and whether they are being done now.
        self._waits = False
        self._busy = False
        self._stopped = False

    def __len__(self) -> int:
        """
        The number of works that can go on.
        """
        return len(self._works)

    def do(self, work: Work) -> None:
        """
        Do C{work}: at once as far as the time allows, unless other work is in progress or waits already.
        """
        if self._stopped:
            return
        self._works.append(work)
        if not self._waits and not self._busy:
            self._run()

    def stop(self) -> None:
        """
        Drop all work that is left, and do no more.
        """
        self._stopped = True
        self._works.clear()
        self._turns.forget(self._go_on)

    def _go_on(self) -> None:
        self._waits = False
        self._run()

    def _run(self) -> None:
        end, now = self._turns.slice_end(), self._turns.now
        if end:
            end = min(end, now() + WORK_SLICE)
        # Work that is added by a step is done after the work of that step, not inside of it.
        self._busy = True
        try:
            while self._works and end:
                work = self._works.popleft()
                if self._work_on(work, end):
                    self._works.append(work)
                if now() > end:
                    break
        finally:
            self._busy = False
            if self._works:
                self._waits = True
                self._turns.later(self._go_on)

    def _work_on(self, work: Work, end: float) -> bool:
        """
        Do steps of C{work} until C{end}.

        @return: whether there are more steps that can be done now.
        """
        now = self._turns.now
        try:
            for awaited in work:
                if self._stopped or (awaited is not None and self._has_to_wait(work, awaited)):
                    return False
                if now() > end:
                    return True
        except Exception:
            # This work is lost; the other works are done.
            self._log.failure("work in slices failed")
        return False

    def _has_to_wait(self, work: Work, awaited: Deferred[Any]) -> bool:
        """
        Go on with C{work} when C{awaited} fires.

        @return: whether C{awaited} has not fired yet.
        """
        waits = False
        fired = False

        def arrived(result: object) -> None:
            nonlocal fired
            fired = True
            if isinstance(result, Failure):
                # Work handles the failures that it expects.
                self._log.failure("work in slices waited for a result that failed", result)
            if waits:
                self.do(work)

        awaited.addBoth(arrived)
        waits = not fired
        return waits
