"""
Tests for L{dstwist.routing.registrations}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.patterns.javascript import InvalidPattern
from dstwist.routing.registrations import MAX_UNANSWERED_OFFERS, ListenerPattern, Registration, Registrations
from tests.fakes import FakeConnection


class RegistrationTests(SynchronousTestCase):
    """
    L{Registration}: two of them of one connection.
    """

    def setUp(self) -> None:
        connection, unanswered = FakeConnection(), dict[tuple[str, str], None]()
        self.one, self.other = (
            Registration(connection, ListenerPattern(text, lambda name: True), number, unanswered)
            for number, text in enumerate("ab")
        )

    def test_owes(self) -> None:
        """
        An unanswered offer is remembered once, however often the name was offered, and under that pattern only.
        """
        self.assertFalse(self.one.forget_unanswered("x"))
        for _ in range(2):
            self.one.remember_unanswered("x")
        self.assertFalse(self.other.forget_unanswered("x"))
        self.assertEqual([self.one.forget_unanswered("x") for _ in range(2)], [True, False])

    def test_settle_all(self) -> None:
        """
        A client that stops listening to a pattern keeps its unanswered offers under others.
        """
        for registration in (self.one, self.other):
            registration.remember_unanswered("x")
        self.one.forget_all_unanswered()
        self.assertEqual((self.one.forget_unanswered("x"), self.other.forget_unanswered("x")), (False, True))

    def test_gone(self) -> None:
        """
        A registration that has ended has no unanswered offers.
        """
        self.one.listens = False
        self.one.remember_unanswered("x")
        self.assertFalse(self.one.forget_unanswered("x"))

    def test_w56_bound(self) -> None:
        """
        W56: of one connection only so many are remembered under all patterns together, the latest ones.
        """
        for number in range(MAX_UNANSWERED_OFFERS):
            self.one.remember_unanswered(str(number))
        self.one.remember_unanswered("0")
        self.other.remember_unanswered("x")
        self.assertEqual(len(self.one.unanswered), MAX_UNANSWERED_OFFERS)
        self.assertEqual([self.one.forget_unanswered(name) for name in ("0", "1", "2")], [True, False, True])
        self.assertTrue(self.other.forget_unanswered("x"))


class RegistrationsTests(SynchronousTestCase):
    """
    L{Registrations}.
    """

    def setUp(self) -> None:
        self.registrations = Registrations()
        self.ann, self.bob = FakeConnection("ann"), FakeConnection("bob")

    def add(self, connection: FakeConnection, text: str) -> Registration:
        return self.registrations.add(connection, text, 10, {})

    def test_matching(self) -> None:
        """
        A name has the patterns that it matches, each with its connections in the order in which they began to listen.
        """
        for connection, text in ((self.bob, "a"), (self.ann, "b"), (self.ann, "a"), (self.ann, ".")):
            self.add(connection, text)
        found = [(pattern.text, list(pattern.registrations)) for pattern in self.registrations.matching("a")]
        self.assertEqual(found, [("a", [self.bob, self.ann]), (".", [self.ann])])

    def test_numbers(self) -> None:
        """
        A client that stops and begins again gets a new number.
        """
        self.assertEqual(self.registrations.latest, 0)
        first = self.add(self.ann, "a")
        self.registrations.remove(first)
        second, third = self.add(self.ann, "a"), self.add(self.bob, "a")
        self.assertEqual([each.number for each in (first, second, third)], [1, 2, 3])
        self.assertEqual(self.registrations.latest, 3)

    def test_remove(self) -> None:
        """
        A pattern is there while it has a registration.
        """
        self.assertFalse(self.registrations)
        one, two = self.add(self.ann, "a"), self.add(self.bob, "a")
        self.registrations.remove(one)
        self.assertEqual([list(each.registrations) for each in self.registrations.matching("a")], [[self.bob]])
        self.assertTrue(self.registrations)
        self.registrations.remove(two)
        self.assertEqual((self.registrations.matching("a"), bool(self.registrations)), ([], False))

    def test_invalid(self) -> None:
        """
        Nothing is kept of a text that is not a pattern, or is too long.
        """
        for text in ("(", "a" * 11):
            self.assertRaises(InvalidPattern, self.add, self.ann, text)
        self.assertEqual((self.registrations.latest, bool(self.registrations)), (0, False))
