"""
Tests for L{dstwist.limits.admission}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.limits.admission import Admission, ConnectionSlot
from dstwist.limits.exceeded import LimitExceeded


class AdmissionTests(SynchronousTestCase):
    """
    L{Admission} and its slots.
    """

    def admission(self, files: int | None = None, **limits: Any) -> Admission:
        self.clock = Clock()
        self.at = Admission(LimitSettings(**limits), self.clock, files)
        return self.at

    def enter(self, address: str) -> ConnectionSlot | str:
        """
        A slot at C{address}, or the limit that is in the way.
        """
        slot = self.at.enter()
        if isinstance(slot, LimitExceeded):
            return slot.limit
        exceeded = slot.at(address)
        if exceeded is not None:
            slot.leave()
            return exceeded.limit
        return slot

    def some(self, address: str, count: int) -> list[ConnectionSlot]:
        slots = [self.enter(address) for _ in range(count)]
        return [slot for slot in slots if isinstance(slot, ConnectionSlot)]

    def test_no_limits(self) -> None:
        """
        By default there is no limit, and nothing is kept of connections that have gone.
        """
        self.admission()
        slots = self.some("192.0.2.1", 1000)
        self.assertEqual((len(slots), self.at._total), (1000, 1000))
        for slot in slots:
            slot.leave()
        self.assertEqual((self.at._total, self.at._all, self.at._unauthenticated), (0, {}, {}))

    def test_total(self) -> None:
        """
        There are no more than maxConnections, or than the process may have files; who goes makes room.
        """
        for limits in ({"max_connections": 3}, {"files": 3}, {"max_connections": 3, "files": 2}):
            self.admission(**limits)
            slots = self.some("192.0.2.1", 3)
            self.assertEqual((len(slots), self.enter("192.0.2.2")), (3, "maxConnections"))
            exceeded = self.at.enter()
            assert isinstance(exceeded, LimitExceeded)
            self.assertEqual((exceeded.text, exceeded.server_wide), ("There are 3 connections already.", True))
            slots[0].leave()
            self.assertIsInstance(self.enter("192.0.2.2"), ConnectionSlot)

    def test_figures(self) -> None:
        """
        The number of connections, and the limit.
        """
        self.admission(max_connections=3)
        self.some("192.0.2.1", 2)
        self.assertEqual((self.at.total, self.at.most), (2, 3))
        self.assertIsNone(self.admission().most)

    def test_per_address(self) -> None:
        """
        maxConnectionsPerAddress counts each address by itself, whether they have logged in or not.
        """
        self.admission(max_connections_per_address=2)
        ann, _ = self.some("192.0.2.1", 2)
        ann.logged_in()
        self.assertEqual(self.enter("192.0.2.1"), "maxConnectionsPerAddress")
        self.assertIsInstance(self.enter("192.0.2.2"), ConnectionSlot)
        ann.leave()
        self.assertIsInstance(self.enter("192.0.2.1"), ConnectionSlot)

    def test_unauthenticated(self) -> None:
        """
        maxUnauthenticatedPerAddress counts those that have not logged in.
        """
        self.admission(max_unauthenticated_per_address=2)
        ann, bob = self.some("192.0.2.1", 2)
        self.assertEqual(self.enter("192.0.2.1"), "maxUnauthenticatedPerAddress")
        ann.logged_in()
        ann.logged_in()
        self.assertIsInstance(self.enter("192.0.2.1"), ConnectionSlot)
        self.assertEqual(self.enter("192.0.2.1"), "maxUnauthenticatedPerAddress")
        ann.leave()
        self.assertEqual(self.enter("192.0.2.1"), "maxUnauthenticatedPerAddress")
        bob.leave()
        self.assertIsInstance(self.enter("192.0.2.1"), ConnectionSlot)

    def test_rate(self) -> None:
        """
        maxConnectionRatePerAddress is how many may come within a second, whether they stay or not.
        """
        self.admission(max_connection_rate_per_address=2)
        for slot in self.some("192.0.2.1", 2):
            slot.leave()
        self.assertEqual(self.enter("192.0.2.1"), "maxConnectionRatePerAddress")
        self.assertIsInstance(self.enter("192.0.2.2"), ConnectionSlot)
        self.clock.advance(1.01)
        self.assertIsInstance(self.enter("192.0.2.1"), ConnectionSlot)

    def test_moved(self) -> None:
        """
        A connection that turns out to come from another address is counted there, and no longer at the first one.
        """
        self.admission(max_connections_per_address=1, max_unauthenticated_per_address=1)
        (slot,) = self.some("192.0.2.1", 1)
        self.assertIsNone(slot.at("192.0.2.1"))
        self.assertIsNone(slot.at("192.0.2.2"))
        self.assertIsInstance(self.enter("192.0.2.1"), ConnectionSlot)
        self.assertEqual(self.enter("192.0.2.2"), "maxConnectionsPerAddress")
        slot.logged_in()
        slot.leave()
        self.assertEqual((self.at._total, list(self.at._all)), (1, ["192.0.2.1"]))

    def test_unix_sockets(self) -> None:
        """
        On a UNIX socket all clients look the same, and are not counted by address.
        """
        self.admission(max_connections_per_address=1, max_connection_rate_per_address=1)
        self.assertEqual(len(self.some("local", 5)), 5)

    def test_stop(self) -> None:
        """
        After a stop no timer is left.
        """
        self.admission(max_connection_rate_per_address=3)
        self.some("192.0.2.1", 1)
        self.at.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
