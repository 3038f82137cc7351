"""
Tests for L{dstwist.limits.admission}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.limits import admission
from dstwist.limits.addresses import key_of
from dstwist.limits.admission import Admission, ConnectionSlot, LimitExceeded, Window
from dstwist.log import about
from tests.fakes import FakeConnection
from tests.logs import Lines

ANN = {"username": "ann", "password": "x"}


class AdmissionCase(SynchronousTestCase):
    """
    An admission with limits.
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


class PlaceTests(AdmissionCase):
    """
    Connections.
    """

    def test_no_limits(self) -> None:
        """
        Unasked there is no limit, and of those who have gone nothing is left.
        """
        self.admission()
        slots = self.some("192.0.2.1", 1000)
        self.assertEqual((len(slots), self.at.total), (1000, 1000))
        for slot in slots:
            slot.leave()
        self.assertEqual((self.at.total, self.at._all, self.at._waiting), (0, {}, {}))

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
            self.assertEqual((exceeded.text, exceeded.everybody), ("There are 3 connections already.", True))
            slots[0].leave()
            self.assertIsInstance(self.enter("192.0.2.2"), ConnectionSlot)

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
        Who turns out to be somebody else is counted there, and no longer where it was thought to be.
        """
        self.admission(max_connections_per_address=1, max_unauthenticated_per_address=1)
        (slot,) = self.some("192.0.2.1", 1)
        self.assertIsNone(slot.at("192.0.2.1"))
        self.assertIsNone(slot.at("192.0.2.2"))
        self.assertIsInstance(self.enter("192.0.2.1"), ConnectionSlot)
        self.assertEqual(self.enter("192.0.2.2"), "maxConnectionsPerAddress")
        slot.logged_in()
        slot.leave()
        self.assertEqual((self.at.total, list(self.at._all)), (1, ["192.0.2.1"]))

    def test_unix_sockets(self) -> None:
        """
        On a UNIX socket all clients look the same, and are not counted by address.
        """
        self.admission(max_connections_per_address=1, max_connection_rate_per_address=1)
        self.assertEqual(len(self.some("local", 5)), 5)

    def test_keys(self) -> None:
        """
        Of IPv6 a client has a whole network, and IPv4 in IPv6's clothes is IPv4.
        """
        self.assertEqual(key_of("2001:db8:1:2:3:4:5:6"), key_of("2001:db8:1:2::9"))
        self.assertNotEqual(key_of("2001:db8:1:2::9"), key_of("2001:db8:1:3::9"))
        self.assertEqual(key_of("fe80::1%eth0"), key_of("fe80::2"))
        self.assertEqual(key_of("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertIsNone(key_of("local"))


class LoginTests(AdmissionCase):
    """
    Logins that fail.
    """

    def let_fail(self, count: int, address: str = "192.0.2.1", credentials: Any = ANN) -> None:
        for _ in range(count):
            self.assertIsNone(self.at.check_login(address, credentials))
            self.at.login_failed(address, credentials)

    def limit(self, address: str = "192.0.2.1", credentials: Any = ANN) -> str | None:
        exceeded = self.at.check_login(address, credentials)
        return exceeded and exceeded.limit

    def test_per_address(self) -> None:
        """
        After so many failures no login from that address is looked at, until the window is over.
        """
        self.admission(max_failed_logins_per_address=3, failed_login_window=60.0)
        self.let_fail(2)
        self.clock.advance(50)
        self.let_fail(1, credentials={"username": "bob"})
        self.assertEqual(self.limit(credentials={"username": "cat"}), "maxFailedLoginsPerAddress")
        self.assertIsNone(self.limit("192.0.2.2"))
        self.clock.advance(10.01)
        self.assertIsNone(self.limit())

    def test_per_user(self) -> None:
        """
        After so many failures under one name nobody can log in under it, from wherever, until the window is over.
        """
        self.admission(max_failed_logins_per_user=2)
        self.let_fail(1, "192.0.2.1")
        self.let_fail(1, "192.0.2.2")
        self.assertEqual(self.limit("192.0.2.3"), "maxFailedLoginsPerUser")
        self.assertIsNone(self.limit(credentials={"username": "bob"}))
        self.clock.advance(60.01)
        self.assertIsNone(self.limit("192.0.2.3"))

    def test_success(self) -> None:
        """
        Who logs in begins anew with his name; his address does not, or one who has an account could try others.
        """
        self.admission(max_failed_logins_per_user=2, max_failed_logins_per_address=3)
        self.let_fail(1)
        self.at.login_succeeded(ANN)
        self.let_fail(1)
        self.assertIsNone(self.limit())
        self.let_fail(1)
        self.assertEqual(self.limit(), "maxFailedLoginsPerAddress")

    def test_unnamed(self) -> None:
        """
        Credentials without a name count for the address only; a name without end counts as its beginning.
        """
        self.admission(max_failed_logins_per_user=1)
        unnamed: list[Any] = [{}, [], {"username": 5}, {"token": "x"}]
        for credentials in unnamed:
            self.let_fail(3, credentials=credentials)
        self.let_fail(1, credentials={"username": "x" * 1000000})
        self.assertEqual(self.limit(credentials={"username": "x" * 2000000}), "maxFailedLoginsPerUser")

    def test_off(self) -> None:
        """
        null is no limit.
        """
        self.admission(max_failed_logins_per_address=None)
        self.let_fail(5000)


class WindowTests(SynchronousTestCase):
    """
    Counting for a time.
    """

    def test_memory(self) -> None:
        """
        Whatever comes, only so many are remembered; the oldest are forgotten first, and all of them in the end.
        """
        self.patch(admission, "MOST_REMEMBERED", 100)
        clock = Clock()
        window = Window(1, 60.0, clock)
        for number in range(1000):
            window.add(str(number))
        self.assertEqual(len(window), 100)
        self.assertEqual((window.is_full("899"), window.is_full("900")), (False, True))
        clock.advance(60.01)
        self.assertEqual((len(window), clock.getDelayedCalls()), (0, []))


class LogTests(AdmissionCase):
    """
    What the log says.
    """

    def test_lines(self) -> None:
        """
        A refusal is a line with the limit, the address and the reason.
        """
        lines = Lines(self)
        client = about(FakeConnection("ann"))
        self.admission().tell(LimitExceeded("maxConnectionsPerUser", "there are 3 of them"), client)
        self.assertEqual(
            lines.of("warn"),
            ["LIMIT_EXCEEDED | maxConnectionsPerUser: ann (192.0.2.1, /deepstream, #7) refused: there are 3 of them"],
        )

    def test_stop(self) -> None:
        """
        Stopped, it leaves nothing behind.
        """
        self.admission(max_failed_logins_per_address=3)
        self.at.login_failed("192.0.2.1", ANN)
        self.at.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
