"""
The part of a run that is measured: it begins when the server is warm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.load.target import Target


@dataclass(frozen=True)
class Timing:
    """
    How long a run takes, in seconds.

    @ivar share: the part of the usual number of connections, records and names that a run uses.
    """

    warm: float = 1.0
    measured: float = 3.0
    share: float = 1.0

    def scaled(self, number: int) -> int:
        return max(1, round(number * self.share))


@dataclass(frozen=True)
class Sample:
    """
    What a run has done.

    @ivar busy: CPU-seconds of the server in a second.
    """

    count: int
    cpu: float
    seconds: float

    @property
    def rate(self) -> float:
        """
        How much the server did in a second of its CPU time.
        """
        return self.count / max(self.cpu, 1e-9)

    @property
    def busy(self) -> float:
        return self.cpu / self.seconds


class Span:
    """
    Asked for in each turn of a run, whether it is over.

    @param count: gives what has been done so far.
    """

    def __init__(self, target: Target, timing: Timing, count: Callable[[], int]) -> None:
        self._target = target
        self._timing = timing
        self._count = count
        self._change = time.monotonic() + timing.warm
        self._start: tuple[int, float, float] | None = None
        self._end = self._now()

    def over(self) -> bool:
        """
        Whether the run is over.
        """
        if time.monotonic() < self._change:
            return False
        if self._start is not None:
            self._end = self._now()
            return True
        self._start = self._now()
        self._change = self._start[2] + self._timing.measured
        return False

    @property
    def sample(self) -> Sample:
        """
        What was done in the measured part.
        """
        assert self._start is not None
        count, cpu, seconds = (end - start for end, start in zip(self._end, self._start, strict=True))
        return Sample(round(count), cpu, seconds)

    def _now(self) -> tuple[int, float, float]:
        return self._count(), self._target.cpu(), time.monotonic()
