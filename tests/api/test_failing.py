"""
Tests for L{dstwist.api.failing}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.errors import ApiError
from dstwist.api.failing import failing


class FailingTests(SynchronousTestCase):
    """
    L{failing}.
    """

    def test_errors(self) -> None:
        """
        An error of the API comes by the Deferred; another exception is raised.
        """

        @failing
        def function(error: Exception | None) -> Deferred[int]:
            if error is not None:
                raise error
            return succeed(1)

        self.assertEqual(self.successResultOf(function(None)), 1)
        self.failureResultOf(function(ApiError("X")), ApiError)
        self.assertRaises(ZeroDivisionError, function, ZeroDivisionError())
