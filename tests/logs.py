"""
What was logged, as an operator reads it.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase


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
