"""
Tests for L{dstwist.limits.exceeded}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.exceeded import LimitExceeded, log_refusal
from dstwist.log import about
from tests.fakes import FakeConnection
from tests.logs import Lines


class RefusalTests(SynchronousTestCase):
    """
    L{log_refusal}.
    """

    def test_line(self) -> None:
        """
        A refusal is a line with the limit, the client and the reason.
        """
        lines = Lines(self)
        log_refusal(LimitExceeded("maxConnectionsPerUser", "there are 3 of them"), about(FakeConnection("ann")))
        self.assertEqual(
            lines.of("warn"),
            ["LIMIT_EXCEEDED | maxConnectionsPerUser: ann (192.0.2.1, /deepstream, #7) refused: there are 3 of them"],
        )
