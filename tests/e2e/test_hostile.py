"""
Hostile input costs a log line: every attack of L{tests.hostile}, on a small scale.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.campaign import ATTACKS, LOGIN_ATTACKS, campaign, complaints


class HostileTests(SynchronousTestCase):
    """
    A server that is attacked goes on: it logs no mistake of its own, keeps no memory, loses none of what others say and
    write meanwhile, and stops in good order in the end.
    """

    def test_attacks(self) -> None:
        """
        Whatever is done to it.
        """
        costs = campaign(1)
        self.assertEqual("\n".join(complaint for cost in costs for complaint in complaints(cost)), "")
        self.assertEqual(len(costs), len(ATTACKS) + len(LOGIN_ATTACKS))
        # Nobody is thrown out or answered who did what is in order, if in a strange way.
        served = [cost.name for cost in costs if "served on" in cost.outcome]
        self.assertIn("event floods", served)
