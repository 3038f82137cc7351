"""
Tests for L{dstwist.limits.budgets}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.budgets import Budget


class BudgetTests(SynchronousTestCase):
    """
    L{Budget}.
    """

    def test_take(self) -> None:
        """
        Bytes are taken only while there are enough; what is refused is not counted.
        """
        budget = Budget(10)
        self.assertEqual([budget.take(amount) for amount in (6, 5, 4, 1)], [True, False, True, False])
        self.assertEqual(budget.used, 10)
        budget.give(1)
        self.assertTrue(budget.take(1))

    def test_charge(self) -> None:
        """
        Charged bytes are counted in any case, and the answer is whether there are too many now.
        """
        budget = Budget(10)
        self.assertEqual([budget.charge(10), budget.charge(1)], [False, True])
        self.assertEqual(budget.used, 11)
        budget.give(11)
        self.assertEqual(budget.used, 0)

    def test_no_limit(self) -> None:
        """
        Without a limit any number of bytes may be taken, and they are counted.
        """
        budget = Budget()
        self.assertTrue(budget.take(1 << 60))
        self.assertFalse(budget.charge(1))
        self.assertEqual(budget.used, (1 << 60) + 1)
