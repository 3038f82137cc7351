"""
Tests for L{dstwist.scheduling.firing}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.firing import fire


class FireTests(SynchronousTestCase):
    """
    An outcome reaches the one who waits for it.
    """

    def test_result(self) -> None:
        """
        A result.
        """
        deferred: Deferred[Any] = Deferred()
        fire(deferred, None, [1])
        self.assertEqual(self.successResultOf(deferred), [1])

    def test_error(self) -> None:
        """
        An error, whatever the result.
        """
        deferred: Deferred[Any] = Deferred()
        error = ValueError("x")
        fire(deferred, error, [1])
        self.assertIs(self.failureResultOf(deferred).value, error)
