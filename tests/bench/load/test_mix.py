"""
Tests for L{bench.load.mix}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.load.mix import shares


class SharesTests(SynchronousTestCase):
    """
    The requests of each client.
    """

    def test_each_request_once(self) -> None:
        """
        Each request is that of one client, in the round in which it is this client's turn.
        """
        for clients in (1, 3, 20):
            for first in (0, 1, 19, 20, 61):
                for end in range(first, first + 45):
                    found = [
                        turn * clients + number for number, rounds in shares(first, end, clients) for turn in rounds
                    ]
                    self.assertEqual(sorted(found), list(range(first, end)))
