"""
The turns of the reactor: how much time each has, and which parties wait for a share of a later one.

Two things share the time of a turn, so that no client waits long for the others:

- Requests are served as they come in, while the turn has time left; each connection gets one time slice at most.
- Parties that have to wait stand in one queue for the whole reactor, each connection or other party once. Each turn
  begins with one time slice for that queue.

::

    turn    [ queue: one slice | what comes in: until TURN_LENGTH is over ] [ queue | what comes in ] ...
                                          later() ------------------------------^

The reactor does not tell when a turn begins. So L{Turns} has the reactor call it in the next turn (C{callLater(0)}):
that call marks the beginning of the turn. L{Turns} asks for the call when a party waits, and when the time of the last
marked turn is nearly used up. A server with little to do rarely makes such calls, and whether a turn is over costs one
look at the clock.

Always true: a party is called once for each time that it joins the queue, and if it joins again then, in a later turn.
Parties are called in the order in which they joined, with one exception: parties that have not been served at all in
their turn (C{fresh}) are called before parties that have used up a slice, but not in two turns in a row. A turn lasts
at most the sum of L{TURN_LENGTH}, L{UNMARKED_TURN_LENGTH} minus one slice, and for each party one step that cannot be
cut any further.

If the server has more to send than it may keep, it calls L{Turns.hold}: until L{Turns.release} no party is called, and
everything that comes in waits.

L{dstwist.scheduling.time_slices} tells how long work is cut to fit into turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.log import Logger
from dstwist.scheduling.clocks import OneEach, steady_time

#: How long one party may keep all others waiting, in seconds.
TIME_SLICE = 0.005

#: How long all parties together may take, from the moment at which the turn is known to have begun.
TURN_LENGTH = 2 * TIME_SLICE

#: How long after the beginning of a turn L{Turns} assumes that no other turn has begun.
UNMARKED_TURN_LENGTH = TIME_SLICE + 0.002


class Turns:
    """
    The time that a turn of one reactor has, and the parties that wait for their share of later ones.

    @ivar now: the time in seconds, by a clock that is never set back.
    @ivar deadline: when the turn, or the slice of the party that is called, is over. If it has passed, ask
        L{slice_end}: another turn may have begun.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.now = steady_time(clock)
        self.deadline = self.now() + UNMARKED_TURN_LENGTH
        self._fresh: deque[Callable[[], None]] = deque()
        self._waiting: deque[Callable[[], None]] = deque()
        self._passed_over = False
        self._serving = False
        self._held = 0
        self._call: IDelayedCall | None = None

    @classmethod
    def of(cls, clock: IReactorTime) -> Turns:
        """
        The turns of C{clock}. All users of one reactor share its turns.
        """
        return _turns.of(clock, cls)

    def __len__(self) -> int:
        return len(self._fresh) + len(self._waiting)

    def slice_end(self) -> float:
        """
        When the slice of a party that begins now is over; 0 if the turn is over already.
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
        # A party that is called does one step, however long it took to get there.
        return now if self._serving else 0.0

    def over(self) -> bool:
        """
        Whether the turn is over: whatever can wait has to wait for a later turn.
        """
        return not self.slice_end()

    def later(self, party: Callable[[], None], fresh: bool = False) -> None:
        """
        Call C{party} in a later turn, when it is the next one in the queue.

        @param fresh: the party was not served in this turn.
        """
        (self._fresh if fresh else self._waiting).append(party)
        if self._call is None and not self._held:
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
            if self._call is None and len(self):
                self._call = self._clock.callLater(0, self._begin)
            # If a call is pending, it begins the next turn.
            self.deadline = self.now() + (UNMARKED_TURN_LENGTH if self._call is None else TIME_SLICE)

    def next(self) -> Deferred[None]:
        """
        Fires in a later turn.
        """
        turn: Deferred[None] = Deferred()
        self.later(lambda: turn.callback(None))
        return turn

    def forget(self, party: Callable[[], None]) -> None:
        """
        Remove C{party} from the queue, if it stands there. This takes long if the queue is long.
        """
        for queue in (self._fresh, self._waiting):
            if party in queue:
                queue.remove(party)
        if self._call is not None and not len(self):
            self._call.cancel()
            self._call = None

    def _mark(self, now: float) -> IDelayedCall:
        """
        Find out when the turn ends. If it is not the last turn that is known to have begun, it has begun now.
        """
        began = self.deadline - UNMARKED_TURN_LENGTH
        if not self._held:
            self.deadline = (now if now > began + TURN_LENGTH else began) + TURN_LENGTH
        self._call = call = self._clock.callLater(0, self._begin)
        return call

    def _begin(self) -> None:
        """
        A turn has begun.
        """
        self._call = None
        if self._held:
            # The parties wait for the release.
            return
        now = self.now()
        self.deadline = now + UNMARKED_TURN_LENGTH
        if not len(self):
            return
        call = self._mark(now)
        end = now + TIME_SLICE
        served = False
        try:
            # A party that joins again meanwhile has had its slice of this turn.
            left = len(self)
            while left > 0 and len(self):
                left -= 1
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
                    # The work of this party is lost; the others are called.
                    self._log.failure("work in slices failed")
                if self._held or self.now() > end:
                    break
        finally:
            self._serving = False
            self._passed_over = bool(self._waiting) and not served
            self.deadline = 0.0 if self._held else now + TURN_LENGTH
            if (
                not self._held
                and not len(self)
                and call.active()
                and self.now() <= now + UNMARKED_TURN_LENGTH - TIME_SLICE
            ):
                # Most turns are short. If nothing more comes, the end of this one does not matter.
                call.cancel()
                self._call = None
                self.deadline = now + UNMARKED_TURN_LENGTH


_turns: OneEach[Turns] = OneEach()
