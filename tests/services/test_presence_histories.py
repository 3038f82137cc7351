"""
Random histories of presence on several nodes (L{tests.services.presence_history}).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.services.presence_history import History

#: How many histories there are of each kind, and how many things happen in each.
HISTORIES = 10
STEPS = 150


class HistoryTests(SynchronousTestCase):
    """
    Joins and leaves alternate for each subscriber, whatever happens, and are true at rest.
    """

    def check(self, kind: str, faults: bool) -> None:
        for number in range(HISTORIES):
            wrong = History(self, f"{kind} {number}", faults).run(STEPS)
            self.assertEqual(wrong, {}, f"history {kind} {number}")

    def test_calm(self) -> None:
        """
        Nodes come and go in order: no user is announced as gone within the grace time, and all answers are right.
        """
        self.check("calm", False)

    def test_faults(self) -> None:
        """
        Nodes die, buses are lost, and messages get lost.
        """
        self.check("faults", True)
