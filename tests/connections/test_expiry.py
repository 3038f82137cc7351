"""
Logins that end at a certain time.
"""

from __future__ import annotations

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
