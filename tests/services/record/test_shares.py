"""
What is remembered for each connection.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.services.record.shares import Shares
from tests.fakes import FakeConnection


class SharesTests(SynchronousTestCase):
    """
    L{Shares}.
    """

    def setUp(self) -> None:
        self.shares = Shares()
        self.ann, self.bob = FakeConnection("ann"), FakeConnection("bob")

    def excess(self, most: int = 1000, most_bytes: int = 1000) -> list[str | None]:
        return [self.shares.excess(connection, most, most_bytes) for connection in (self.ann, self.bob)]

    def test_excess(self) -> None:
        """
        The oldest name of a connection that has too many, or too heavy ones; no other connection counts.
        """
        for name in "abc":
            self.shares.add(name, self.ann, 100)
        self.shares.add("z", self.bob, 300)
        self.assertEqual(self.excess(), [None, None])
        self.assertEqual(self.excess(most=3), ["a", None])
        self.assertEqual(self.excess(most_bytes=299), ["a", "z"])
        self.assertEqual(self.excess(most_bytes=300), [None, None])

    def test_order(self) -> None:
        """
        A name that is renewed is the latest, and one that is removed is in the way of no other.
        """
        for name in "abc":
            self.shares.add(name, self.ann, 1)
        self.shares.renew("a", self.ann)
        self.assertEqual(self.excess(most=3), ["b", None])
        self.shares.remove("b", self.ann)
        self.assertEqual(self.excess(most=2), ["c", None])
        self.assertEqual(self.excess(most=3), [None, None])

    def test_nothing_left(self) -> None:
        """
        Nothing is kept of a connection that has no name left.
        """
        self.shares.add("a", self.ann, 1)
        self.shares.add("a", self.bob, 1)
        self.shares.remove("a", self.ann)
        self.assertEqual((len(self.shares), self.excess(most=0)), (1, [None, "a"]))
        self.shares.clear()
        self.assertEqual((len(self.shares), self.excess(most=0)), (0, [None, None]))
