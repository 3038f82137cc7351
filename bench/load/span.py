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
    The work of one run.

    @ivar cpu: the time that the server had a processor.
    @ivar waited: the time that it waited for one.
    """

    count: int
    cpu: float
    waited: float
    seconds: float

    @property
    def rate(self) -> float:
        """
        How much the server did in a second of its CPU time.
        """
        return self.count / max(self.cpu, 1e-9)

    @property
    def busy(self) -> float:
        """
        The share of the time in which the server had work to do.
        """
        return (self.cpu + self.waited) / self.seconds


@dataclass(frozen=True)
class Moment:
    """
    The work of a server and the processor time it has used so far. The difference of two moments is a sample.
    """

    count: int
    cpu: float
    waited: float
    time: float

    @classmethod
    def of(cls, target: Target, count: int) -> Moment:
        return cls(count, target.cpu(), target.waited(), time.monotonic())

    def __sub__(self, start: Moment) -> Sample:
        return Sample(
            self.count - start.count, self.cpu - start.cpu, self.waited - start.waited, self.time - start.time
        )


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
        self._start: Moment | None = None
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
        self._change = self._start.time + self._timing.measured
        return False

    @property
    def sample(self) -> Sample:
        """
        The work of the measured part.
        """
        assert self._start is not None
        return self._end - self._start

    def _now(self) -> Moment:
        return Moment.of(self._target, self._count())
