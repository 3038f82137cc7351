"""
Tests for L{dstwist.cluster.reading_causes}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.reading_causes import ANOTHER_READING, Cause


class CauseTests(SynchronousTestCase):
    """
    L{Cause}.
    """

    def test_distinct(self) -> None:
        """
        No two causes are counted together.
        """
        names = [cause.value for cause in Cause] + [ANOTHER_READING]
        self.assertEqual(len(set(names)), len(names))
