"""
Who may be asked to provide names, and what answers it owes.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.routing.registrations import MAX_UNANSWERED, ListenerPattern, Registration
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
        An answer is owed once, however often the question was passed over, and under that pattern only.
        """
        self.assertFalse(self.one.forget_unanswered("x"))
        for _ in range(2):
            self.one.remember_unanswered("x")
        self.assertFalse(self.other.forget_unanswered("x"))
        self.assertEqual([self.one.forget_unanswered("x") for _ in range(2)], [True, False])

    def test_settle_all(self) -> None:
        """
        Who stops listening to a pattern keeps what it owes under others.
        """
        for registration in (self.one, self.other):
            registration.remember_unanswered("x")
        self.one.forget_all_unanswered()
        self.assertEqual((self.one.forget_unanswered("x"), self.other.forget_unanswered("x")), (False, True))

    def test_gone(self) -> None:
        """
        Who does not listen any more owes nothing.
        """
        self.one.listens = False
        self.one.remember_unanswered("x")
        self.assertFalse(self.one.forget_unanswered("x"))

    def test_w56_bound(self) -> None:
        """
        W56: of one connection only so many are remembered under all patterns together, the latest ones.
        """
        for number in range(MAX_UNANSWERED):
            self.one.remember_unanswered(str(number))
        self.one.remember_unanswered("0")
        self.other.remember_unanswered("x")
        self.assertEqual(len(self.one.unanswered), MAX_UNANSWERED)
        self.assertEqual([self.one.forget_unanswered(name) for name in ("0", "1", "2")], [True, False, True])
        self.assertTrue(self.other.forget_unanswered("x"))
