"""
Tests for L{dstwist.http_api.charges}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.http_api.charges import REQUEST_WEIGHT, Charges


class ChargeTests(SynchronousTestCase):
    """
    The memory of requests.
    """

    def test_limit(self) -> None:
        """
        A request that has no room is refused, until another one has given back its memory.
        """
        charges = Charges(3 * REQUEST_WEIGHT)
        first, second = charges.enter(0), charges.enter(REQUEST_WEIGHT)
        assert first is not None and second is not None
        self.assertEqual(charges.used, 3 * REQUEST_WEIGHT)
        self.assertIsNone(charges.enter(0))
        self.assertFalse(second.take(1))
        first.give()
        self.assertTrue(second.take(1))
        self.assertIsNone(charges.enter(0))
        second.give()
        second.give()
        self.assertEqual(charges.used, 0)

    def test_alone(self) -> None:
        """
        One that is alone is served, however large it and its results are.
        """
        charges = Charges(10)
        alone = charges.enter(1000)
        assert alone is not None
        self.assertTrue(alone.take(1000))
        self.assertIsNone(charges.enter(0))
        alone.give()
        self.assertEqual(charges.used, 0)

    def test_no_limit(self) -> None:
        """
        Without a limit everything has room.
        """
        charges = Charges()
        for _ in range(10):
            charge = charges.enter(1 << 40)
            assert charge is not None
            self.assertTrue(charge.take(1 << 40))
