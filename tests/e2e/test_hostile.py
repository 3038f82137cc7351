"""
Hostile input costs a log line: the attacks of L{tests.hostile}, on a small scale, but for floods, which are in
L{tests.e2e.test_floods}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.campaign import ATTACKS, FLOODS, campaign, complaints


class HostileTests(SynchronousTestCase):
    """
    A server that is attacked goes on: it logs no mistake of its own, keeps no memory, loses none of what others say and
    write meanwhile, and stops in good order in the end.
    """

    def test_attacks(self) -> None:
        """
        Whatever is done to it.
        """
        wanted = [attack for attack in ATTACKS if attack not in FLOODS]
        costs = campaign(1, wanted.__contains__)
        self.assertEqual("\n".join(complaint for cost in costs for complaint in complaints(cost)), "")
        self.assertEqual(len(costs), len(wanted))
