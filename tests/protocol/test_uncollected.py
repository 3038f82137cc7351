"""
Tests for L{dstwist.protocol.uncollected}.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import uncollected
from dstwist.protocol.uncollected import make_uncollected


class MakeUncollectedTests(SynchronousTestCase):
    """
    L{make_uncollected}.
    """

    def setUp(self) -> None:
        self.patch(uncollected, "_sets_apart", True)
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.enable)

    def make(self, source: str) -> Any:
        self.collects = gc.isenabled()
        if source == "broken":
            raise ValueError(source)
        return [source]

    def test_switched_off(self) -> None:
        """
        The collector is off while the value is made, and on again afterwards, also if no value can be made.
        """
        self.assertEqual(make_uncollected(self.make, "a", False), ["a"])
        self.assertEqual((self.collects, gc.isenabled()), (False, True))
        self.assertRaises(ValueError, make_uncollected, self.make, "broken", False)
        self.assertEqual((self.collects, gc.isenabled()), (False, True))

    def test_off_before(self) -> None:
        """
        A collector that was off before stays off, and nothing is set apart.
        """
        gc.disable()
        before = gc.get_freeze_count()
        make_uncollected(self.make, "a", True)
        self.assertEqual((gc.isenabled(), gc.get_freeze_count()), (False, before))

    def test_set_apart(self) -> None:
        """
        Values are set apart only when the caller asks for it and the owner of the process has allowed it.
        """
        before = gc.get_freeze_count()
        make_uncollected(self.make, "a", False)
        self.assertEqual(gc.get_freeze_count(), before)
        self.patch(uncollected, "_sets_apart", False)
        make_uncollected(self.make, "a", True)
        self.assertEqual(gc.get_freeze_count(), before)
        self.patch(uncollected, "_sets_apart", True)
        make_uncollected(self.make, "a", True)
        self.assertGreater(gc.get_freeze_count(), before)
