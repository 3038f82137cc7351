"""
What was logged, as an operator reads it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.limits.log_lines import LogLimit


def limit_lines(test: SynchronousTestCase, **settings: Any) -> Clock:
    """
    Limit the lines of C{test} as a node does, with its settings of C{limits}.

    @return: the clock of the limit.
    """
    clock = Clock()
    limit = LogLimit(LimitSettings(**settings), clock)
    limit.start()
    test.addCleanup(limit.stop)
    return clock


class Lines:
    """
    The lines that are logged from now to the end of C{test}.
    """

    def __init__(self, test: SynchronousTestCase) -> None:
        self._events = test.enterContext(capturedLogs())
        self._forgotten = 0

    def of(self, level: str) -> list[str]:
        """
        All lines of one level: C{"info"}, C{"warn"}, C{"error"}.
        """
        wanted = LogLevel.lookupByName(level)
        return [formatEvent(event) for event in self._events[self._forgotten :] if event["log_level"] is wanted]

    def last(self, level: str) -> str:
        """
        The last of them.
        """
        return self.of(level)[-1]

    def clear(self) -> None:
        """
        Forget them.
        """
        self._forgotten = len(self._events)
