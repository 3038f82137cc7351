"""
Tests for L{dstwist.cluster.leases}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.leases import Leases, OwnLease, lease_text
from dstwist.config.cluster import ClusterSettings


class LeasesTests(SynchronousTestCase):
    """
    L{Leases}. A reading takes 0.1 s here.
    """

    def setUp(self) -> None:
        self.leases = Leases(ClusterSettings(lease_interval=1, lease_time=6))

    def read(self, sent: float, **leases: bytes) -> None:
        self.leases.read(("ann", "bob"), leases, sent, sent + 0.1)

    def test_dead(self) -> None:
        """
        A node is dead when its lease has not moved for leaseTime, from the first answer to the last request.
        """
        for second in range(8):
            self.read(second, ann=b"1+", bob=b"%d+" % second)
            self.assertEqual(self.leases.dead(second), ["ann"] if second == 7 else [])

    def test_no_lease(self) -> None:
        """
        So is a member that has no lease.
        """
        for second in range(8):
            self.read(second, bob=b"%d+" % second)
        self.assertEqual(self.leases.dead(7), ["ann"])

    def test_moved(self) -> None:
        """
        A lease that moves starts anew.
        """
        for second in range(8):
            self.read(second, ann=b"2+" if second > 3 else b"1+")
        self.assertNotIn("ann", self.leases.dead(7))

    def test_gap(self) -> None:
        """
        After a gap between the readings the time starts anew.
        """
        for second in (0, 1, 2, 3, 5.7, 6.7, 7.7):
            self.read(second, ann=b"1+", bob=b"1+")
        self.assertEqual(self.leases.dead(7.7), [])
        for second in (9, 10, 11, 12):
            self.read(second, ann=b"1+", bob=b"1+")
        self.assertEqual(self.leases.dead(12), ["ann", "bob"])

    def test_forgotten(self) -> None:
        """
        A node that is no member and has no lease is forgotten.
        """
        for second in range(8):
            self.leases.read((), {"cat": b"1+"} if second < 7 else {}, second, second)
        self.assertEqual(self.leases.dead(7), [])

    def test_bus(self) -> None:
        """
        A lease says whether the bus of its node works.
        """
        self.read(0, ann=lease_text(1, False), bob=lease_text(2, True))
        self.assertEqual([self.leases.bus_works(node) for node in ("ann", "bob", "cat")], [True, False, False])
        self.assertEqual([self.leases.lease(node) for node in ("ann", "cat")], [b"1+", None])


class OwnLeaseTests(SynchronousTestCase):
    """
    L{OwnLease}.
    """

    def test_valid(self) -> None:
        """
        A lease is valid from the request that the store has accepted, for leaseTime less a margin.
        """
        clock = Clock()
        lease = OwnLease(clock, ClusterSettings(lease_time=6, lease_margin=0.6))
        self.assertEqual((lease.is_valid, lease.age), (False, None))
        clock.advance(1)
        lease.accepted(0.5)
        self.assertEqual((lease.is_valid, lease.age), (True, 0.5))
        clock.advance(4.8)
        self.assertTrue(lease.is_valid)
        clock.advance(0.2)
        self.assertFalse(lease.is_valid)

    def test_end(self) -> None:
        """
        There may be no lease any more.
        """
        lease = OwnLease(Clock(), ClusterSettings())
        lease.accepted(0)
        lease.end()
        self.assertEqual((lease.is_valid, lease.age), (False, None))

    def test_text(self) -> None:
        """
        Each renewal has another text.
        """
        lease = OwnLease(Clock(), ClusterSettings())
        self.assertEqual([lease.next_text(False), lease.next_text(True)], [b"1+", b"2-"])
