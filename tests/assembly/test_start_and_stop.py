"""
Tests for L{dstwist.assembly.start_and_stop}.
"""

from __future__ import annotations

import re

from twisted.internet.defer import Deferred

from dstwist.assembly.start_and_stop import dependencies
from tests.assembly.steps import StepsTestCase
from tests.logs import Lines


class DependencyTests(StepsTestCase):
    """
    L{dependencies}.
    """

    def started(self) -> list[str]:
        lines = Lines(self)
        parts = dependencies(self.settings, self.stores, self.logins, self.requests, None, self.fail, self.reactor)
        self.successResultOf(Deferred.fromCoroutine(parts.start()))
        names = [re.sub("INFO . (.*) ready: .*", r"\1", line) for line in lines.of("info") if " ready: " in line]
        self.successResultOf(Deferred.fromCoroutine(parts.stop()))
        return names

    def test_order(self) -> None:
        """
        The stores start first, because users may be records. The loss of a store is looked for if that is wanted.
        """
        self.assertEqual(self.started(), ["storage", "cache", "authentication"])
        self.assemble(exit_on_fatal_error=True)
        self.assertEqual(self.started(), ["storage", "cache", "authentication", "exitOnFatalError"])
