"""
Tests for L{dstwist.api.figures}.
"""

from __future__ import annotations

from dstwist.api.errors import MessageDenied
from dstwist.api.figures import Figures
from tests.api.stage import ApiTestCase, ignore


class FigureTests(ApiTestCase):
    """
    L{Counting<dstwist.api.figures.Counting>}.
    """

    def test_figures(self) -> None:
        """
        The numbers at this moment.
        """
        self.assertEqual(self.api.figures(), Figures(0, 0, 1, 0, 0, 0, 0))
        for user in ("ann", "ann", "bob"):
            self.client("v4", user).subscribe("news")
        self.done(self.api.records.set("a", {}))
        bob = self.api.as_user("bob")
        self.done(bob.records.subscribe("b", ignore))
        self.done(bob.rpc.provide("add", ignore))
        self.assertEqual(self.api.figures(), Figures(3, 2, 2, 1, 1, 1, 1))
        self.assertRaises(MessageDenied, bob.figures)
        bob.close()
        self.assertEqual(self.api.figures(), Figures(3, 2, 1, 1, 0, 0, 1))
