"""
Tests for L{dstwist.counters.log_lines}.
"""

from __future__ import annotations

import ast

from twisted.trial.unittest import SynchronousTestCase

from dstwist.counters.log_lines import LIMIT_EVENT, LineCounts
from tests.test_log import log_calls, trees


class LineCountTests(SynchronousTestCase):
    """
    L{LineCounts}.
    """

    def test_count(self) -> None:
        """
        Lines count by event, and lines about limits by the limit as well. A line without an event has one here.
        """
        counts = LineCounts()
        for fields in (
            {"event": "AUTH_ERROR"},
            {"event": "LIMIT_EXCEEDED", "limit": "maxConnections"},
            {"event": "LIMIT_EXCEEDED", "limit": "maxConnections"},
            {"event": "LIMIT_EXCEEDED"},
            {},
        ):
            counts.count(fields)
        self.assertEqual(counts.events, {"AUTH_ERROR": 1, "LIMIT_EXCEEDED": 3, "ERROR": 1})
        self.assertEqual(counts.limits, {"maxConnections": 2, "unknown": 1})

    def test_limits_are_named(self) -> None:
        """
        All lines about limits have the field that is counted.
        """
        found = 0
        for path, tree in trees():
            for call in log_calls(tree):
                fields = {keyword.arg: keyword.value for keyword in call.keywords}
                event = fields.get("event")
                if isinstance(event, ast.Constant) and event.value == LIMIT_EVENT:
                    found += 1
                    self.assertIn("limit", fields, path)
        self.assertGreater(found, 5)
