"""
Tests for L{dstwist.assembly.clients}.
"""

from __future__ import annotations

from tests.assembly.steps import StepsTestCase


class ClientPartsTests(StepsTestCase):
    """
    L{ClientParts}.
    """

    def test_others(self) -> None:
        """
        Handles that have logged in are counted, and closed by a kick of their user.
        """
        self.successResultOf(self.logins.authenticator.start())
        for user in ("ann", "bob"):
            self.successResultOf(self.clients.api.login({"username": user}))
        self.assertEqual(self.clients.count_others("ann"), 1)
        self.assertEqual(self.clients.kick_others("ann", "maintenance"), 1)
        self.assertEqual([self.clients.count_others(user) for user in ("ann", "bob")], [0, 1])

    def test_paths(self) -> None:
        """
        Each path of WebSockets has a text for the log.
        """
        self.assertEqual(self.clients.paths.keys(), self.clients.web_sockets.keys())
        self.assertIn("/deepstream", self.clients.paths)

    def test_kick(self) -> None:
        """
        The application kicks users by the node, which closes their WebSockets, too.
        """
        self.clients.api.kick("ann", "maintenance")
        self.assertEqual(self.kicked, [("ann", "maintenance")])
