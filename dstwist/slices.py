"""
Long work in slices: as much of it in one turn of the reactor as may keep all others waiting, the rest in later turns.

Work is an iterator that does a little whenever it is asked for its next item; what it yields means nothing. Small work
is done at once, before L{Slices.do} comes back. Of several works that last longer each gets a slice in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.log import Logger

#: How long one thing may keep all others waiting at a time, in seconds.
SLICE = 0.01

#: Of so many names it is not asked how long they take.
STEP = 50


class Slices:
    """
    Does what it is given, in the order in which it was given, a L{SLICE} of time in each turn.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._seconds = clock.seconds
        self._works: deque[Iterator[object]] = deque()
        self._call: IDelayedCall | None = None
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
        if self._call is None and not self._busy:
            self._run()

    def stop(self) -> None:
        """
        Drop all work that is left, and do no more.
        """
        self._stopped = True
        self._works.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _run(self) -> None:
        self._call = None
        deadline = self._seconds() + SLICE
        # What is added by the work itself is done after it, not inside of it.
        self._busy = True
        try:
            while self._works:
                work = self._works.popleft()
                if self._work_on(work, deadline):
                    self._works.append(work)
                if self._works and self._seconds() > deadline:
                    break
        finally:
            self._busy = False
            if self._works:
                self._call = self._clock.callLater(0, self._run)

    def _work_on(self, work: Iterator[object], deadline: float) -> bool:
        """
        Work until C{deadline}; whether there is more to do.
        """
        try:
            for _ in work:
                if self._stopped:
                    return False
                if self._seconds() > deadline:
                    return True
        except Exception:
            # It is lost, but not what others wait for.
            self._log.failure("work in slices failed")
        return False
