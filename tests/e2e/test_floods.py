"""
More of everything than a server can serve: the floods of L{tests.hostile}, on a small scale.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.campaign import FLOODS, LOGIN_ATTACKS, campaign, complaints

#: It begins first.
LENGTHY = True


class FloodTests(SynchronousTestCase):
    """
    A server that is flooded goes on, as in L{tests.e2e.test_hostile}.
    """

    def test_floods(self) -> None:
        """
        It goes on under each kind of flood.
        """
        wanted = [*FLOODS, *LOGIN_ATTACKS]
        costs = campaign(1, wanted.__contains__)
        self.assertEqual("\n".join(complaint for cost in costs for complaint in complaints(cost)), "")
        self.assertEqual(len(costs), len(wanted))
        # A client whose messages are valid, if unusual, is neither disconnected nor answered.
        served = [cost.name for cost in costs if "served on" in cost.outcome]
        self.assertIn("event floods", served)
