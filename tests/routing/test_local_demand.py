"""
Tests for L{dstwist.routing.local_demand}.
"""

from __future__ import annotations

from tests.routing.stage import SearchCase


class LocalDemandTests(SearchCase):
    """
    L{LocalDemand<dstwist.routing.local_demand.LocalDemand>} in a node.
    """

    def test_subscriber(self) -> None:
        """
        The first subscriber of a name begins the search for a provider, and the last one that leaves ends it.
        """
        listener = self.stage.listener("a")
        subscribers = [self.subscriber("a"), self.subscriber("a")]
        self.assertEqual(self.stage.heard(listener), ["FOUND a a"])
        self.stage.accept(listener, "a", "a")
        subscribers[0].close()
        self.assertEqual(self.stage.heard(listener), [])
        subscribers[1].close()
        self.assertEqual(self.stage.heard(listener), ["REMOVED a a"])

    def test_listener(self) -> None:
        """
        A new listener begins searches for the names that are wanted.
        """
        self.subscriber("a", "b", "c")
        self.assertEqual(self.stage.heard(self.stage.listener("[ab]")), ["FOUND [ab] a", "FOUND [ab] b"])
