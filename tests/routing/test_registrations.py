"""
Who may be asked to provide names, and what answers it owes.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.routing.registrations import MAX_UNANSWERED, Candidate, Listened
from tests.fakes import FakeConnection


class CandidateTests(SynchronousTestCase):
    """
    L{Candidate}: two of them of one connection.
    """

    def setUp(self) -> None:
        connection, unanswered = FakeConnection(), dict[tuple[str, str], None]()
        self.one, self.other = (
            Candidate(connection, Listened(text, lambda name: True), number, unanswered)
            for number, text in enumerate("ab")
        )

    def test_owes(self) -> None:
        """
        An answer is owed once, however often the question was passed over, and under that pattern only.
        """
        self.assertFalse(self.one.settles("x"))
        for _ in range(2):
            self.one.owes_answer("x")
        self.assertFalse(self.other.settles("x"))
        self.assertEqual([self.one.settles("x") for _ in range(2)], [True, False])

    def test_settle_all(self) -> None:
        """
        Who stops listening to a pattern keeps what it owes under others.
        """
        for candidate in (self.one, self.other):
            candidate.owes_answer("x")
        self.one.settle_all()
        self.assertEqual((self.one.settles("x"), self.other.settles("x")), (False, True))

    def test_gone(self) -> None:
        """
        Who does not listen any more owes nothing.
        """
        self.one.listens = False
        self.one.owes_answer("x")
        self.assertFalse(self.one.settles("x"))

    def test_w56_bound(self) -> None:
        """
        W56: of one connection only so many are remembered under all patterns together, the latest ones.
        """
        for number in range(MAX_UNANSWERED):
            self.one.owes_answer(str(number))
        self.one.owes_answer("0")
        self.other.owes_answer("x")
        self.assertEqual(len(self.one.unanswered), MAX_UNANSWERED)
        self.assertEqual([self.one.settles(name) for name in ("0", "1", "2")], [True, False, True])
        self.assertTrue(self.other.settles("x"))
