"""
Valve's expressions mean the same to us as to Node.js.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.valve import differences


class DifferentialTests(SynchronousTestCase):
    """
    Expressions made up at random. C{make valve-diff} tries 20,000 others each time.
    """

    def test_expressions(self) -> None:
        """
        They have the same values, and fail in the same way; what has been mangled and is still taken by us, Node.js
        takes as well.
        """
        for seed in (1, 2):
            found = differences(seed, 400)
            self.assertEqual(found, [], f"with the seed {seed}")
