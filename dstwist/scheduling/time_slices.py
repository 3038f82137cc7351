"""
Long work in slices: a turn of the reactor does only so much of it, so that no client waits long for the others.

Two things share the time of a turn:

- What comes in is served as it comes, while the turn has time left; each connection gets one slice at most.
- What has to wait stands in one queue for the whole reactor, each connection or other party once. Each turn begins with
  one slice for that queue.

::

    turn    [ queue: one slice | what comes in: until TURN is over ] [ queue | what comes in ] ...
                                   later() ------------------------------^

The reactor does not tell when a turn begins. A call that is made in the next turn tells it: L{Turns} has one pending
whenever a party waits, and whenever the time since the last turn that is known to have begun is nearly over. So a
server with little to do has it made rarely, and asking for the time costs one look at the clock.

Always true: a party that stands in the queue is called once for that, in the order in which the parties came; parties
that have not been served at all in their turn (C{fresh}) come before those that have used up a slice, but not in two
turns in a row. A turn lasts L{TURN}, L{UNMARKED} less a slice, and one step of each party that cannot be cut any
further.

If the server has more to send than it may keep, it calls L{Turns.hold}: until L{Turns.release} no party is called, and
everything that comes in waits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.log import Logger

#: How long one party may keep all others waiting at a time, in seconds.
TIME_SLICE = 0.005

#: How long all parties together may, from the moment on at which the turn is known to have begun.
TURN = 2 * TIME_SLICE

#: For so long after the beginning of a turn nobody asks whether another one has begun.
UNMARKED = TIME_SLICE + 0.002

#: So many names are dealt with in one step of work,
NAMES_PER_STEP = 50

#: or fewer, if these take longer than this, in seconds: a rule or a search can make each of them expensive.
STEP_TIME = 0.001


class Turns:
    """
    The time that a turn of one reactor has, and the parties that wait for their share of later ones.

    @ivar now: the time, in seconds since whenever. Not the wall clock, which may be put back.
    @ivar deadline: when the turn, or the slice of the party that is called, is over. If this has passed, ask
        L{slice_end}: another turn may have begun.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # The clocks of tests stand for both.
        self.now: Callable[[], float] = time.monotonic if clock.seconds is time.time else clock.seconds
        self.deadline = self.now() + UNMARKED
        self._fresh: deque[Callable[[], None]] = deque()
        self._waiting: deque[Callable[[], None]] = deque()
        self._passed_over = False
        self._serving = False
        self._held = 0
        self._call: IDelayedCall | None = None

    @classmethod
    def of(cls, clock: IReactorTime) -> Turns:
        """
        Those of C{clock}: all who use one reactor share its turns.
        """
        turns = _turns.get(clock)
        if turns is None:
            turns = _turns[clock] = cls(clock)
        return turns

    def __len__(self) -> int:
        return len(self._fresh) + len(self._waiting)

    def slice_end(self) -> float:
        """
        When the slice of who begins something now is over; 0 if the turn is over already.
        """
        now = self.now()
        end = now + TIME_SLICE
        if end <= self.deadline:
            return end
        if self._held:
            return 0.0
        if self._call is None:
            self._mark(now)
            return min(end, self.deadline)
        if now <= self.deadline:
            return self.deadline
        # Whose turn it is does a step, however long it took to get there.
        return now if self._serving else 0.0

    def over(self) -> bool:
        """
        Whether everything that can wait has to wait for a later turn.
        """
        return not self.slice_end()

    def later(self, party: Callable[[], None], fresh: bool = False) -> None:
        """
        Have C{party} called in a later turn, when it is its turn in the queue.

        @param fresh: it was not served in this turn.
        """
        (self._fresh if fresh else self._waiting).append(party)
        if self._call is None:
            self._mark(self.now())

    def hold(self) -> None:
        """
        Begin nothing new until L{release} has been called as often as this.
        """
        self._held += 1
        self.deadline = 0.0

    def release(self) -> None:
        """
        Undo one L{hold}.
        """
        self._held -= 1
        if not self._held:
            # If a call is pending, it begins the next turn.
            self.deadline = self.now() + (UNMARKED if self._call is None else TIME_SLICE)

    def next(self) -> Deferred[None]:
        """
        Fires in a later turn.
        """
        turn: Deferred[None] = Deferred()
        self.later(lambda: turn.callback(None))
        return turn

    def forget(self, party: Callable[[], None]) -> None:
        """
        Do not call C{party}, if it stands in the queue. This takes time if the queue is long.
        """
        for queue in (self._fresh, self._waiting):
            if party in queue:
                queue.remove(party)
        if self._call is not None and not len(self):
            self._call.cancel()
            self._call = None

    def _mark(self, now: float) -> IDelayedCall:
        """
        Find out when the turn ends. It has begun now if it is not the last one of which that is known.
        """
        began = self.deadline - UNMARKED
        if not self._held:
            self.deadline = (now if now > began + TURN else began) + TURN
        self._call = call = self._clock.callLater(0, self._begin)
        return call

    def _begin(self) -> None:
        """
        A turn has begun.
        """
        self._call = None
        now = self.now()
        if self._held:
            if len(self):
                self._mark(now)
            return
        self.deadline = now + UNMARKED
        if not len(self):
            return
        call = self._mark(now)
        end = now + TIME_SLICE
        served = False
        try:
            while len(self):
                if self._fresh and not (self._passed_over and self._waiting):
                    party = self._fresh.popleft()
                else:
                    party = self._waiting.popleft()
                    served, self._passed_over = True, False
                self.deadline = end
                self._serving = True
                try:
                    party()
                except Exception:
                    # It is lost, but not what others wait for.
                    self._log.failure("work in slices failed")
                if self._held or self.now() > end:
                    break
        finally:
            self._serving = False
            self._passed_over = bool(self._waiting) and not served
            self.deadline = 0.0 if self._held else now + TURN
            if not self._held and not len(self) and call.active() and self.now() <= now + UNMARKED - TIME_SLICE:
                # Most turns are short. It is not looked for the end of this one if nothing more comes.
                call.cancel()
                self._call = None
                self.deadline = now + UNMARKED


class Steps:
    """
    Divides work on many names into steps.

    @param clock: whose turns the work is done in; C{None}: the time does not count.
    """

    __slots__ = ("_end", "_left", "_now")

    def __init__(self, clock: IReactorTime | None) -> None:
        self._now = (lambda: 0.0) if clock is None else Turns.of(clock).now
        self.begin()

    def begin(self) -> None:
        """
        A step begins.
        """
        self._left = NAMES_PER_STEP
        self._end = self._now() + STEP_TIME

    def over(self) -> bool:
        """
        Count one name; whether the step is over.
        """
        self._left -= 1
        return not self._left or self._now() > self._end


_turns: WeakKeyDictionary[IReactorTime, Turns] = WeakKeyDictionary()


class TimeSlices:
    """
    Does what it is given, in the order in which it was given, a L{TIME_SLICE} of time in each turn.

    Work is an iterator that does a little whenever it is asked for its next item; what it yields means nothing. Small
    work is done at once, before L{TimeSlices.do} comes back, if the turn has time. Of several works that last longer
    each gets a slice in turn.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._turns = Turns.of(clock)
        self._works: deque[Iterator[object]] = deque()
        self._waits = False
        self._busy = False
        self._stopped = False

    def __len__(self) -> int:
        return len(self._works)

    def do(self, work: Iterator[object]) -> None:
        """
        Do C{work}: at once as far as the time allows, unless other work is under way or waits already.
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
        # What is added by the work itself is done after it, not inside of it.
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

    def _work_on(self, work: Iterator[object], end: float) -> bool:
        """
        Work until C{end}; whether there is more to do.
        """
        now = self._turns.now
        try:
            for _ in work:
                if self._stopped:
                    return False
                if now() > end:
                    return True
        except Exception:
            # It is lost, but not what others wait for.
            self._log.failure("work in slices failed")
        return False
