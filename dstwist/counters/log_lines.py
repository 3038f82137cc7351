"""
Warnings and errors in the log by their event, and limits by how often they were exceeded.

A line counts if it is a warning or worse, whether it is written or not: L{dstwist.limits.log_lines} leaves out many
lines of one kind. The names of events and of limits are constants of the code, so the number of counts is bounded.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

#: The event of lines that have none, such as those about an exception that is a mistake of ours.
NO_EVENT = "ERROR"

#: The limit of lines that do not name theirs.
NO_LIMIT = "unknown"

#: The event of lines about limits, which have the name of the limit in the field C{limit}.
LIMIT_EVENT = "LIMIT_EXCEEDED"


class LineCounts:
    """
    The counts of one node.

    @ivar events: how many lines there were, by event.
    @ivar limits: how often a limit was exceeded, by its name in the configuration.
    """

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()

    def count(self, fields: dict[str, Any]) -> None:
        """
        Count a line with these fields.
        """
        event = fields.get("event") or NO_EVENT
        self.events[event] += 1
        if event == LIMIT_EVENT:
            # Plug-ins may write such lines as well, and a plug-in may forget the field.
            self.limits[fields.get("limit") or NO_LIMIT] += 1
