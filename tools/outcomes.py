"""
The outcomes of tests that run in several processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from twisted.trial.reporter import TreeReporter

#: Takes an outcome (see L{Outcomes.take}), the name of a test, and two more values that are for "ended" only.
Take = Callable[[str, str, float, float], None]


def flatten(suite: Any) -> Iterator[Any]:
    """
    The single tests of C{suite}.
    """
    try:
        children = iter(suite)
    except TypeError:
        yield suite
    else:
        for child in children:
            yield from flatten(child)


def module_of(test: str) -> str:
    """
    The module of a test, by its name.
    """
    return test.rsplit(".", 2)[0]


class Outcomes:
    """
    The outcome of a run.

    @ivar times: for each test its seconds by the clock, and its seconds of CPU time.
    @ivar stopped: whether the run was stopped before its end.
    """

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: set[str] = set()
        self.skipped: set[str] = set()
        self.expected: set[str] = set()
        self.times: dict[str, tuple[float, float]] = {}
        self.stopped = False

    def take(self, outcome: str, test: str, wall: float = 0.0, cpu: float = 0.0) -> None:
        """
        Something that a L{Recorder} noticed. A test may have more than one outcome.
        """
        if outcome == "ended":
            self.times[test] = (wall, cpu)
        elif outcome == "stopped":
            self.stopped = True
        elif outcome != "started":
            getattr(self, outcome).add(test)

    def __str__(self) -> str:
        # A test whose cleanup failed has passed and failed, and is one failed test.
        words = f"{len(self.passed - self.failed)} passed, {len(self.failed)} failed"
        if self.skipped:
            words += f", {len(self.skipped)} skipped"
        if self.expected:
            words += f", {len(self.expected)} expected to fail"
        return words

    def good(self, strict: bool) -> bool:
        """
        Whether that is a success; C{strict} does not take a skipped test for one.
        """
        passed = bool(self.passed - self.failed)
        return passed and not self.failed and not self.stopped and not (strict and self.skipped)


class Recorder(TreeReporter):
    """
    trial's reporter. It tells C{take} the outcome of each test at once.
    """

    def __init__(self, take: Take, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take = take
        self._began = (0.0, 0.0)

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self._began = _now()
        self._take("started", test.id(), 0.0, 0.0)

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        wall, cpu = _now()
        self._take("ended", test.id(), wall - self._began[0], cpu - self._began[1])

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._take("passed", test.id(), 0.0, 0.0)

    def addError(self, test: Any, *args: Any) -> None:
        super().addError(test, *args)
        self._take("failed", test.id(), 0.0, 0.0)

    def addFailure(self, test: Any, *args: Any) -> None:
        super().addFailure(test, *args)
        self._take("failed", test.id(), 0.0, 0.0)

    def addUnexpectedSuccess(self, test: Any, *args: Any) -> None:
        super().addUnexpectedSuccess(test, *args)
        self._take("failed", test.id(), 0.0, 0.0)

    def addSkip(self, test: Any, *args: Any) -> None:
        super().addSkip(test, *args)
        self._take("skipped", test.id(), 0.0, 0.0)

    def addExpectedFailure(self, test: Any, *args: Any) -> None:
        super().addExpectedFailure(test, *args)
        self._take("expected", test.id(), 0.0, 0.0)

    def stop(self) -> None:
        super().stop()
        self._take("stopped", "", 0.0, 0.0)


def _now() -> tuple[float, float]:
    """
    The time by the clock, and the CPU time of this process and of those that it started and that have ended.
    """
    return time.monotonic(), sum(os.times()[:4])
