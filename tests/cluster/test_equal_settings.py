"""
Tests for L{dstwist.cluster.equal_settings}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.equal_settings import EqualSettings
from dstwist.cluster.leases import Leases
from dstwist.cluster.table import Member, Table
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StartError
from tests.logs import Lines

OWN = Member("1.0", 2, 6000)


class EqualSettingsTests(SynchronousTestCase):
    """
    L{EqualSettings}.
    """

    def setUp(self) -> None:
        self.leases = Leases(ClusterSettings(lease_interval=1, lease_time=6))
        self.equal = EqualSettings(OWN, self.leases)
        self.lines = Lines(self)

    def read(self, second: float, lease: bytes) -> None:
        self.leases.read(("bob",), {"bob": lease}, second, second)

    def may_join(self, bob: Member, second: float) -> bool:
        return self.equal.may_join(Table(5, "bob", {"bob": bob}), second)

    def test_same(self) -> None:
        """
        Members with the same leaseTime, and with the same or a later format, are no reason to wait.
        """
        self.read(0, b"1+")
        for member in (OWN, Member("1.1", 3, 6000)):
            self.assertTrue(self.may_join(member, 0))

    def test_lives(self) -> None:
        """
        A member that differs refuses the start when its lease has moved. The text names it and its value.
        """
        cases = (
            (Member("1.0", 2, 9000), "cluster.leaseTime is 6000 here and 9000 at node bob"),
            (Member("0.9", 1, 6000), "node bob (dstwist 0.9) has messages of format 1"),
        )
        for member, text in cases:
            self.setUp()
            self.read(0, b"1+")
            self.assertFalse(self.may_join(member, 0))
            self.read(1, b"2+")
            error = self.assertRaises(StartError, self.may_join, member, 1)
            self.assertIn(text, str(error))

    def test_dead(self) -> None:
        """
        A member that differs is no reason any more when its lease has not moved for the longer leaseTime of both.
        """
        for second in range(10):
            self.read(second, b"1+")
            self.assertFalse(self.may_join(Member("1.0", 2, 9000), second))
        self.read(10, b"1+")
        self.assertTrue(self.may_join(Member("1.0", 2, 9000), 10))
        self.assertEqual(len(self.lines.of("warn")), 1)

    def test_member(self) -> None:
        """
        A node that is a member already warns of each node that differs, once.
        """
        table = Table(5, "bob", {"bob": Member("1.0", 2, 9000), "cat": OWN})
        self.equal.check(table)
        self.equal.check(table)
        (line,) = self.lines.of("warn")
        self.assertIn("9000 at node bob", line)
