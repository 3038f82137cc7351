"""
Logins that end at a certain time.
"""

from __future__ import annotations

from dstwist.connections import expiry
from dstwist.interfaces import Login
from tests.connections.stage import ConnectionTestCase


class ExpiryTests(ConnectionTestCase):
    """
    L{Expiry}, at the connection that it ends.
    """

    def test_login_expires(self) -> None:
        """
        A login that ends at a certain time takes the connection with it, with a reason.
        """
        for lifetime in (5.0, 100_000.0):
            self.authenticator.decisions = [Login(True, "ann", expires_at=self.clock.seconds() + lifetime)]
            self.connect()
            self.log_in()
            self.keep_alive(lifetime - 1)
            self.assertIsNone(self.link.closed)
            self.keep_alive(1)
            self.assertEqual(self.link.closed, (1008, "login expired"))

    def test_login_expired_already(self) -> None:
        """
        A login that ended while it was decided ends at once.
        """
        self.clock.advance(10)
        self.authenticator.decisions = [Login(True, "ann", expires_at=9.0)]
        self.log_in()
        self.clock.advance(0)
        self.assertEqual(self.link.closed, (1008, "login expired"))

    def test_time_of_day(self) -> None:
        """
        If the time of day is put forward, the connection of a login that has ended is closed within a minute.
        """
        now = [1000.0]
        self.patch(expiry, "wall_time", lambda clock: lambda: now[0])
        self.authenticator.decisions = [Login(True, "ann", expires_at=5000.0)]
        self.log_in()
        self.keep_alive(120)
        self.assertIsNone(self.link.closed)
        now[0] = 5000.0
        self.keep_alive(60)
        self.assertEqual(self.link.closed, (1008, "login expired"))

    def test_left_before_expiry(self) -> None:
        """
        Nothing is left of a client that went before its login ended.
        """
        self.authenticator.decisions = [Login(True, "ann", expires_at=50.0)]
        self.log_in()
        self.connection.lost("gone")
        self.keep_alive(50)
        self.assertIsNone(self.link.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
