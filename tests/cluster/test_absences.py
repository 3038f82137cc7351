"""
Tests for L{dstwist.cluster.absences}. L{tests.cluster.test_owned} has the members that answer.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.absences import Absences
from dstwist.config.cluster import ClusterSettings

#: The grace time of users, and a quarter of an interval.
GRACE = 2.1

SETTINGS = ClusterSettings(lease_interval=0.4, grace={"u": 2.0}, names_per_item=2)


class AbsenceTests(SynchronousTestCase):
    """
    L{Absences}, with the members C{ann} and C{bob}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.absences = Absences(self.clock.seconds, SETTINGS)

    def gone(self) -> list[str]:
        """
        The names that are gone if both members have to answer.
        """
        return self.absences.close(lambda answered: {"ann", "bob"} <= set(answered))

    def test_grace(self) -> None:
        """
        Names are asked about from the moment at which their grace time is over. Each kind has its own.
        """
        self.absences.begin("ua")
        self.absences.begin("pb")
        self.clock.advance(0.1)
        self.assertEqual(self.absences.ask(), [(1, ["pb"])])
        self.clock.advance(GRACE - 0.1)
        self.assertEqual(self.absences.ask(), [(2, ["ua", "pb"])])
        self.assertEqual(list(self.absences), ["ua", "pb"])

    def test_gone(self) -> None:
        """
        A name is gone, and no longer absent, when both have answered the same question.
        """
        for key in ("ua", "ub", "uc"):
            self.absences.begin(key)
        self.clock.advance(GRACE)
        self.assertEqual(self.absences.ask(), [(1, ["ua", "ub"]), (2, ["uc"])])
        self.absences.answered("ann", 1, ())
        self.absences.answered("bob", 2, ())
        self.assertEqual((self.gone(), self.absences.first_answered()), ([], {"ann"}))
        self.absences.answered("bob", 1, ())
        self.assertEqual((self.gone(), list(self.absences)), (["ua", "ub"], ["uc"]))
        self.assertEqual(self.gone(), [])
        self.absences.answered("ann", 2, ())
        self.assertEqual((self.gone(), len(self.absences)), (["uc"], 0))
        self.assertIsNone(self.absences.first_answered())

    def test_old_question(self) -> None:
        """
        Answers to the questions of an earlier interval count no more.
        """
        self.absences.begin("ua")
        self.clock.advance(GRACE)
        self.absences.ask()
        self.absences.answered("ann", 1, ())
        self.absences.ask()
        self.absences.answered("bob", 1, ())
        self.absences.answered("bob", 2, ())
        self.assertEqual(self.gone(), [])

    def test_held(self) -> None:
        """
        A name that has a holder is not gone; nor is one that has lost its holder again.
        """
        for key in ("ua", "ub"):
            self.absences.begin(key)
        self.clock.advance(GRACE)
        self.absences.ask()
        self.absences.end("ua")
        self.absences.end("ub")
        self.absences.begin("ub")
        for node in ("ann", "bob"):
            self.absences.answered(node, 1, ())
        self.assertEqual((self.gone(), "ua" in self.absences, "ub" in self.absences), ([], False, True))

    def test_released_later(self) -> None:
        """
        The grace time begins anew at a release that is later than its begin by more than a quarter of an interval.
        """
        for key in ("ua", "ub"):
            self.absences.begin(key)
        self.clock.advance(GRACE)
        self.absences.ask()
        self.absences.answered("ann", 1, [("ua", GRACE - 0.11), ("ub", GRACE - 0.09), ("uc", 1.0)])
        self.absences.answered("bob", 1, ())
        self.assertEqual(self.gone(), ["ub"])
        self.assertEqual(self.absences.ask(), [])
        self.clock.advance(0.12)
        self.assertEqual(self.absences.ask(), [(2, ["ua"])])
