"""
Tests for L{dstwist.limits.lingering}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits import lingering
from dstwist.limits.lingering import MAX_LINGERING_BYTES, LingeringNames
from dstwist.protocol.weights import weigh_name


class LingeringTests(SynchronousTestCase):
    """
    L{LingeringNames}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.ended: list[str] = []
        self.names = LingeringNames(10.0, self.clock, self.ended.append)

    def test_many(self) -> None:
        """
        Only so many names linger; those that have done so for longest end early.
        """
        self.patch(lingering, "MAX_LINGERING", 2)
        for name in "abcd":
            self.names.add(name)
        self.assertEqual((self.ended, list(self.names)), (["a", "b"], ["c", "d"]))

    def test_long(self) -> None:
        """
        The same holds for the bytes of names, whether names have ended by their time, were removed, or were given up.
        """
        name = "x" * 100_000
        most = MAX_LINGERING_BYTES // weigh_name(name + "00")
        for number in range(most + 3):
            self.names.add(f"{name}{number:02}")
        self.assertEqual((len(self.ended), len(self.names)), (3, most))
        self.clock.advance(10)
        self.assertEqual((len(self.ended), len(self.names)), (most + 3, 0))
        for _ in range(2):
            for number in range(most):
                self.names.add(f"{name}{number:02}")
            for number in range(most):
                self.assertTrue(self.names.remove(f"{name}{number:02}"))
        self.assertFalse(self.names.remove("x"))
        self.assertEqual(len(self.ended), most + 3)
        self.names.add("y" * MAX_LINGERING_BYTES)
        self.assertEqual((len(self.ended), len(self.names)), (most + 3, 1))
        self.names.stop()
        self.names.add("z" * (MAX_LINGERING_BYTES // 2))
        self.assertEqual((len(self.ended), len(self.names)), (most + 3, 1))

    def test_added_again(self) -> None:
        """
        A name that is still needed is added again, and does not keep the server busy.
        """
        self.patch(lingering, "MAX_LINGERING", 300)

        def again(name: str) -> None:
            self.ended.append(name)
            self.names.add(name)

        self.names = LingeringNames(10.0, self.clock, again)
        for number in range(302):
            self.names.add(str(number))
        self.assertEqual((len(self.ended), len(self.names)), (2 * lingering.MAX_GIVEN_UP, 302))
